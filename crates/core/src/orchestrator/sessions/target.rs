//! What is known of one target.

use std::collections::BTreeSet;

use crate::names::{SessionId, TaskId};
use crate::orchestrator::backoff::Backoff;
use crate::plan::lane::QueuePosition;
use crate::time::MonotonicTime;

/// A target.
#[derive(Debug, Default)]
pub(super) struct Target {
    /// Claimed tasks that wait for a session.
    pub(super) queue: BTreeSet<QueuePosition>,
    /// Idle sessions; the one that was used last comes last.
    pub(super) idle: Vec<SessionId>,
    /// A session is there, or was since the last one was lost. Nothing is claimed for a target
    /// before.
    pub(super) met: bool,
    /// Sessions that are connecting or registering.
    pub(super) connecting: usize,
    /// Sessions that queries may run on, or do.
    pub(super) ready: usize,
    /// Tasks that are claimed, or about to be, and have no session yet: each takes a slot.
    pub(super) claims: usize,
    /// Sessions that may live there, in any state: lost and closing ones included.
    pub(super) sessions: usize,
    /// How many sessions may live there, if there is a limit.
    pub(super) sessions_max: Option<usize>,
    /// Sessions of older epochs may live there.
    pub(super) fencing: bool,
    /// The target takes no further session. Without a ready one it cannot be reached at all.
    pub(super) outage: Option<Outage>,
    /// Tasks of an older epoch whose queries may still run there.
    pub(super) orphans: Vec<TaskId>,
}

/// A failure to connect.
#[derive(Debug)]
pub(super) struct Outage {
    /// Since when the target has neither taken a session nor had one.
    pub(super) since: MonotonicTime,
    pub(super) backoff: Backoff,
    pub(super) retry_at: MonotonicTime,
    /// From when on a connection may show, without a task, whether the target is back.
    pub(super) look_at: MonotonicTime,
    pub(super) error: String,
}

impl Target {
    /// Queries may be sent there, at least on the sessions that there are.
    pub(super) const fn is_up(&self) -> bool {
        !self.fencing && (self.outage.is_none() || self.ready > 0)
    }

    /// Whether another session may be opened: the target is not known to refuse it, and its limit
    /// allows it.
    pub(super) fn takes_more(&self) -> bool {
        self.room() > 0
    }

    /// How many more sessions its limit allows.
    pub(super) fn below_limit(&self) -> usize {
        self.sessions_max.map_or(usize::MAX, |most| most.saturating_sub(self.sessions))
    }

    /// How many more sessions may be opened.
    fn room(&self) -> usize {
        if self.fencing || self.outage.is_some() { 0 } else { self.below_limit() }
    }

    /// How many of the queued tasks will find no session.
    pub(super) fn surplus(&self) -> usize {
        if !self.is_up() {
            return self.queue.len();
        }
        self.queue.len().saturating_sub((self.idle.len() + self.connecting).saturating_add(self.room()))
    }

    /// The orchestrator has no task and no session of it.
    pub(super) fn is_unused(&self) -> bool {
        let sessions = self.idle.len() + self.connecting + self.ready;
        let tasks = self.queue.len() + self.claims + self.orphans.len();
        sessions + tasks == 0 && !self.fencing
    }

    /// Whether it has a session, or will have one, that no claimed task waits for.
    pub(super) fn has_spare(&self) -> bool {
        self.idle.len() + self.connecting > self.claims
    }

    /// Whether the target can be reached.
    pub(super) const fn is_met(&self) -> bool {
        self.is_up() && self.met
    }

    /// Another task may be claimed for it: there is a session, or the target takes one.
    pub(super) fn may_claim(&self) -> bool {
        // A session that is connecting is there for a task that is claimed already, unless it does
        // not exist yet because of an outage.
        let connecting = if self.outage.is_some() { 0 } else { self.connecting };
        self.is_met() && self.claims < (self.idle.len() + connecting).saturating_add(self.room())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Priority;
    use crate::time::{Span, Timestamp};

    fn failed() -> Outage {
        let at = MonotonicTime::from_micros(0);
        Outage {
            since: at,
            backoff: Backoff::new(Span::seconds(1), Span::seconds(1)),
            retry_at: at,
            look_at: at,
            error: "refused".to_owned(),
        }
    }

    #[test]
    fn a_target_serves_during_an_outage_as_long_as_it_has_a_session() {
        for (fencing, outage, ready, up) in [
            (false, false, 0, true),
            (false, true, 0, false),
            (false, true, 1, true),
            (true, false, 1, false),
            (true, true, 0, false),
        ] {
            let target = Target { fencing, outage: outage.then(failed), ready, ..Target::default() };
            assert_eq!(target.is_up(), up, "{target:?}");
            assert_eq!(target.takes_more(), !fencing && !outage, "{target:?}");
        }
    }

    /// A queued task finds a session that is idle or on its way, or one more if the target takes it.
    #[test]
    fn the_surplus_is_what_finds_no_session_at_a_target_that_takes_no_more() {
        for (outage, ready, idle, connecting, surplus) in [
            (false, 0, 0, 0, 0),
            (true, 0, 0, 1, 5),
            (true, 1, 0, 0, 5),
            (true, 3, 2, 1, 2),
            (true, 6, 3, 2, 0),
            (true, 9, 9, 0, 0),
        ] {
            let target = Target {
                queue: (1..=5)
                    .map(|task| QueuePosition {
                        priority: Priority(0),
                        entered: Timestamp::from_micros(0),
                        task: TaskId(task),
                    })
                    .collect(),
                idle: (1..=idle).map(SessionId).collect(),
                connecting,
                ready,
                outage: outage.then(failed),
                ..Target::default()
            };
            assert_eq!(target.surplus(), surplus, "{target:?}");
        }
    }

    #[test]
    fn a_target_is_unused_without_a_session_a_task_and_a_fence() {
        let position = QueuePosition { priority: Priority(0), entered: Timestamp::from_micros(0), task: TaskId(1) };
        let uses: [&dyn Fn(&mut Target); 7] = [
            &|target| target.idle.push(SessionId(1)),
            &|target| target.connecting = 1,
            &|target| target.ready = 1,
            &|target| target.queue = BTreeSet::from([position]),
            &|target| target.claims = 1,
            &|target| target.orphans.push(TaskId(1)),
            &|target| target.fencing = true,
        ];
        assert!(Target::default().is_unused());
        for (case, used) in uses.iter().enumerate() {
            let mut target = Target::default();
            used(&mut target);
            assert!(!target.is_unused(), "case {case}");
        }
    }
}
