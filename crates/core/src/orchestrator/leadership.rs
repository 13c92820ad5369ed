//! The leadership: whether this orchestrator leads, how it proves that, and how it leaves.

use super::backoff::Backoff;
use super::command::Command;
use super::context::Context;
use super::settings::Tuning;
use super::timers::Timer;
use crate::names::Epoch;
use crate::time::{MonotonicTime, Span};

/// Whether the orchestrator leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Another orchestrator leads, or none.
    Standby,
    /// This orchestrator leads, and the STARTUP routines run.
    Starting { epoch: Epoch },
    /// This orchestrator leads.
    Leader { epoch: Epoch },
    /// This orchestrator has lost the store, and continues when the store is back; `started` says
    /// whether the STARTUP routines had run.
    Disconnected { epoch: Epoch, started: bool },
}

/// The role, the attempts to prove it, and the shutdown.
///
/// Invariant: a standby does not drain.
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

    /// The epoch in which this orchestrator leads.
    pub(super) const fn epoch(&self) -> Option<Epoch> {
        match self.role {
            Role::Standby => None,
            Role::Starting { epoch } | Role::Leader { epoch } | Role::Disconnected { epoch, .. } => Some(epoch),
        }
    }

    /// Whether this orchestrator leads and reaches the store, and the STARTUP routines have run.
    pub(super) const fn is_active(&self) -> bool {
        matches!(self.role, Role::Leader { .. })
    }

    /// Whether the STARTUP routines run.
    pub(super) const fn is_starting(&self) -> bool {
        matches!(self.role, Role::Starting { .. })
    }

    /// Whether this orchestrator led when the store was lost.
    pub(super) const fn is_disconnected(&self) -> bool {
        matches!(self.role, Role::Disconnected { .. })
    }

    /// Whether this orchestrator leads and reaches the store.
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

    /// Another session leads in the same epoch; returns whether the store was lost.
    pub(super) const fn proved(&mut self, now: MonotonicTime) -> bool {
        let was_lost = self.is_disconnected();
        if was_lost {
            self.proved_at = Some(now);
        }
        was_lost
    }

    /// The store is lost, and the lead has to be proved: at once after a calm time. If the store
    /// was lost soon after the last proof, what the leader does may be the reason, and the proof
    /// waits.
    pub(super) fn prove(&mut self, cx: &mut Context) {
        if self.proved_at.is_none_or(|at| at + cx.tuning().losses_apart <= cx.monotonic()) {
            self.proof.reset();
            cx.emit(Command::ProveLead { after: Span::ZERO });
        } else {
            self.prove_later(cx);
        }
    }

    /// The lead could not be proved: it is tried again, later each time.
    pub(super) fn prove_later(&mut self, cx: &mut Context) {
        if self.is_disconnected() {
            let after = self.proof.next(cx.random());
            cx.emit(Command::ProveLead { after });
        }
    }

    /// Starts to drain; returns whether this orchestrator leads.
    pub(super) fn drain(&mut self, until: MonotonicTime, cx: &mut Context) -> bool {
        let leads = self.role != Role::Standby;
        if leads {
            self.drain_until = Some(until);
            cx.at(until, Timer::Drain);
            cx.at(until + cx.tuning().drain_record_grace, Timer::Drain);
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
    use super::super::settings::Settings;
    use super::*;
    use crate::time::Now;

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

    /// How long the next proof waits.
    fn wait(leadership: &mut Leadership, cx: &mut Context) -> Span {
        leadership.prove(cx);
        let command = cx.poll_command().expect("the lead is proved");
        if let Command::ProveLead { after } = command { after } else { panic!("{command:?}") }
    }

    #[test]
    fn only_a_second_loss_soon_after_a_proof_waits() {
        let mut cx = Context::new(Settings::default(), 1);
        cx.advance(Now::from_micros(0));
        let mut leadership = Leadership::new(cx.tuning());
        leadership.elect(Epoch(1));
        leadership.disconnect();
        assert_eq!(wait(&mut leadership, &mut cx), Span::ZERO, "it was never proved");
        assert!(leadership.proved(cx.monotonic()));
        assert!(wait(&mut leadership, &mut cx) > Span::ZERO);
        cx.advance(Now { monotonic: cx.monotonic() + cx.tuning().losses_apart, ..cx.now() });
        assert_eq!(wait(&mut leadership, &mut cx), Span::ZERO);
    }

    #[test]
    fn a_standby_has_nothing_to_drain() {
        let mut cx = Context::new(Settings::default(), 1);
        let mut leadership = Leadership::new(cx.tuning());
        assert!(!leadership.drain(NOW, &mut cx) && !leadership.is_draining());
        leadership.elect(Epoch(1));
        assert!(leadership.drain(NOW, &mut cx) && leadership.is_draining());
        assert_eq!(cx.timers.first(), Some(NOW));
        let until = leadership.closing_until(NOW, Span::seconds(2));
        assert_eq!(leadership.closing_until(NOW + Span::seconds(1), Span::seconds(2)), until);
    }
}
