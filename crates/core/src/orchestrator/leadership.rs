//! The leadership: whether this orchestrator leads, how it proves that, and how it leaves.

use super::backoff::Backoff;
use super::settings::Tuning;
use crate::names::Epoch;
use crate::time::{MonotonicTime, Span};

/// Whether the orchestrator leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Another orchestrator leads, or none.
    Standby,
    /// It leads, and the STARTUP routines run.
    Starting { epoch: Epoch },
    /// It leads.
    Leader { epoch: Epoch },
    /// It has lost the store and continues when the store is back; `started` says whether the
    /// STARTUP routines had run.
    Disconnected { epoch: Epoch, started: bool },
}

/// The role, the attempts to prove it, and the shutdown.
///
/// Invariant: only a leader, in whatever state, drains.
#[derive(Debug)]
pub(super) struct Leadership {
    role: Role,
    /// The backoff of attempts to prove the lead.
    proof: Backoff,
    proved_at: Option<MonotonicTime>,
    /// From the shutdown on nothing new is launched; what still runs at this time is stopped.
    drain_until: Option<MonotonicTime>,
    /// At the end of a drain, how long the closing of sessions is waited for.
    closing_until: Option<MonotonicTime>,
}

impl Leadership {
    pub(super) const fn new(tuning: &Tuning) -> Self {
        Self {
            role: Role::Standby,
            proof: Backoff::new(tuning.proof_backoff_first, tuning.proof_backoff_last),
            proved_at: None,
            drain_until: None,
            closing_until: None,
        }
    }

    /// The epoch in which it leads.
    pub(super) const fn epoch(&self) -> Option<Epoch> {
        match self.role {
            Role::Standby => None,
            Role::Starting { epoch } | Role::Leader { epoch } | Role::Disconnected { epoch, .. } => Some(epoch),
        }
    }

    /// It leads and reaches the store, and the STARTUP routines have run.
    pub(super) const fn is_active(&self) -> bool {
        matches!(self.role, Role::Leader { .. })
    }

    /// The STARTUP routines run.
    pub(super) const fn is_starting(&self) -> bool {
        matches!(self.role, Role::Starting { .. })
    }

    /// It led when the store was lost.
    pub(super) const fn is_disconnected(&self) -> bool {
        matches!(self.role, Role::Disconnected { .. })
    }

    /// It leads and reaches the store.
    pub(super) const fn is_connected(&self) -> bool {
        self.is_active() || self.is_starting()
    }

    pub(super) fn elect(&mut self, epoch: Epoch) {
        debug_assert_eq!(self.role, Role::Standby, "an election ends the former leadership first");
        self.role = Role::Starting { epoch };
    }

    /// The STARTUP routines have run; returns whether they were waited for.
    pub(super) const fn started(&mut self) -> bool {
        let Role::Starting { epoch } = self.role else { return false };
        self.role = Role::Leader { epoch };
        true
    }

    /// The store is lost; returns whether this orchestrator led.
    pub(super) const fn disconnect(&mut self) -> bool {
        let (epoch, started) = match self.role {
            Role::Standby => return false,
            Role::Starting { epoch } => (epoch, false),
            Role::Leader { epoch } => (epoch, true),
            Role::Disconnected { epoch, started } => (epoch, started),
        };
        self.role = Role::Disconnected { epoch, started };
        true
    }

    /// The store is back and its rows are known; returns whether the STARTUP routines had run, and
    /// `None` if the store was not lost.
    pub(super) const fn reconnect(&mut self) -> Option<bool> {
        let Role::Disconnected { epoch, started } = self.role else { return None };
        self.role = if started { Role::Leader { epoch } } else { Role::Starting { epoch } };
        Some(started)
    }

    pub(super) const fn proved(&mut self, now: MonotonicTime) {
        self.proved_at = Some(now);
    }

    /// The lead was lost soon after it was proved: then what the leader does may be the reason, and
    /// the next proof waits. A loss after a calm time is proved at once.
    pub(super) fn lost_again(&mut self, now: MonotonicTime, tuning: &Tuning) -> bool {
        if self.proved_at.is_none_or(|at| at + tuning.losses_apart <= now) {
            self.proof.reset();
            return false;
        }
        true
    }

    /// The wait before the next attempt to prove the lead.
    pub(super) fn next_proof(&mut self, random: u64) -> Span {
        self.proof.next(random)
    }

    /// Starts to drain; returns whether this orchestrator leads.
    pub(super) fn drain(&mut self, until: MonotonicTime) -> bool {
        let leads = self.role != Role::Standby;
        if leads {
            self.drain_until = Some(until);
        }
        leads
    }

    pub(super) const fn is_draining(&self) -> bool {
        self.drain_until.is_some()
    }

    pub(super) const fn drain_until(&self) -> Option<MonotonicTime> {
        self.drain_until
    }

    /// Until when the closing of sessions is waited for: a fixed time after the first call.
    pub(super) fn closing_until(&mut self, now: MonotonicTime, grace: Span) -> MonotonicTime {
        *self.closing_until.get_or_insert(now + grace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: MonotonicTime = MonotonicTime::from_micros(0);

    #[test]
    fn a_lost_store_is_remembered_with_whether_the_startup_had_run() {
        let mut leadership = Leadership::new(&Tuning::default());
        assert!(!leadership.disconnect(), "a standby loses nothing");
        leadership.elect(Epoch(3));
        assert!(leadership.disconnect() && leadership.disconnect(), "it may be lost twice");
        assert!(!leadership.started(), "the answer of the lost session");
        assert_eq!(leadership.reconnect(), Some(false));
        assert!(leadership.started() && leadership.is_active());
        assert!(leadership.disconnect());
        assert_eq!((leadership.reconnect(), leadership.reconnect()), (Some(true), None));
        assert_eq!(leadership.epoch(), Some(Epoch(3)));
    }

    #[test]
    fn only_a_second_loss_soon_after_a_proof_waits() {
        let tuning = Tuning::default();
        let mut leadership = Leadership::new(&tuning);
        assert!(!leadership.lost_again(NOW, &tuning), "it was never proved");
        leadership.proved(NOW);
        assert!(leadership.lost_again(NOW, &tuning));
        assert!(!leadership.lost_again(NOW + tuning.losses_apart, &tuning));
    }

    #[test]
    fn a_standby_has_nothing_to_drain() {
        let mut leadership = Leadership::new(&Tuning::default());
        assert!(!leadership.drain(NOW) && !leadership.is_draining());
        leadership.elect(Epoch(1));
        assert!(leadership.drain(NOW) && leadership.is_draining());
        let until = leadership.closing_until(NOW, Span::seconds(2));
        assert_eq!(leadership.closing_until(NOW + Span::seconds(1), Span::seconds(2)), until);
    }
}
