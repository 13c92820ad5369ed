//! The timers: what is due when.

use std::collections::BTreeSet;

use crate::names::{PoolName, SessionId, TargetName, TaskId};
use crate::plan::lane::Lane;
use crate::time::MonotonicTime;

/// What is due. A timer that has lost its purpose does nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Drain,
    /// Refused commands are sent again.
    Retry,
    Sweep,
    Task(TaskId),
    Session(SessionId),
    Target(TargetName),
    /// A target may get its first session.
    Contact,
    /// A task of the pool may start.
    Start(PoolName),
    /// The lane has stood back long enough.
    Rested(Lane),
    /// The task was skipped long enough.
    Skipped(TaskId),
}

/// The timers, in the order of their times.
///
/// Invariant: each timer stands in the table once for each of its times.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeSet<(MonotonicTime, Timer)>,
    /// The time of the last `SleepUntil`.
    emitted: Option<MonotonicTime>,
}

impl Timers {
    pub(super) fn insert(&mut self, when: MonotonicTime, timer: Timer) {
        self.due.insert((when, timer));
    }

    pub(super) fn remove(&mut self, when: MonotonicTime, timer: Timer) {
        self.due.remove(&(when, timer));
    }

    /// Replaces the times of a task. Tasks come and go quickly and a deadline may be far away, so
    /// timers that are no longer needed are removed instead of left to expire.
    pub(super) fn reschedule(
        &mut self,
        task: TaskId,
        before: [Option<MonotonicTime>; 2],
        after: [Option<MonotonicTime>; 2],
    ) {
        for when in before.into_iter().filter(|when| !after.contains(when)).flatten() {
            self.remove(when, Timer::Task(task));
        }
        for when in after.into_iter().flatten() {
            self.insert(when, Timer::Task(task));
        }
    }

    /// The next timer that is due.
    pub(super) fn pop_due(&mut self, now: MonotonicTime) -> Option<Timer> {
        self.due.first().filter(|(when, _)| *when <= now)?;
        self.due.pop_first().map(|(_, timer)| timer)
    }

    /// The time of the first timer.
    pub(super) fn first(&self) -> Option<MonotonicTime> {
        self.due.first().map(|(when, _)| *when)
    }

    pub(super) fn len(&self) -> usize {
        self.due.len()
    }

    /// The time that the driver has to be told to sleep until, if any: one that it was not told, or
    /// the same one again after a tick that came too early for it. A driver's clock may ring early.
    pub(super) fn sleep_until(
        &mut self,
        next: Option<MonotonicTime>,
        ticked: bool,
        now: MonotonicTime,
    ) -> Option<MonotonicTime> {
        let early = ticked && next.is_some_and(|next| next > now);
        if !early && next == self.emitted {
            return None;
        }
        self.emitted = next;
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(micros: i64) -> MonotonicTime {
        MonotonicTime::from_micros(micros)
    }

    #[test]
    fn timers_are_due_in_the_order_of_their_times() {
        let mut timers = Timers::default();
        timers.insert(at(2), Timer::Sweep);
        timers.insert(at(1), Timer::Drain);
        assert_eq!(timers.pop_due(at(0)), None);
        assert_eq!((timers.pop_due(at(2)), timers.pop_due(at(2))), (Some(Timer::Drain), Some(Timer::Sweep)));
    }

    #[test]
    fn a_rescheduled_task_keeps_only_its_new_times() {
        let mut timers = Timers::default();
        timers.reschedule(TaskId(1), [None, None], [Some(at(1)), Some(at(9))]);
        timers.reschedule(TaskId(1), [Some(at(1)), Some(at(9))], [None, Some(at(9))]);
        assert_eq!((timers.first(), timers.len()), (Some(at(9)), 1));
    }

    #[test]
    fn a_time_is_emitted_once_and_again_after_an_early_tick() {
        let mut timers = Timers::default();
        assert_eq!(timers.sleep_until(Some(at(5)), false, at(0)), Some(at(5)));
        assert_eq!(timers.sleep_until(Some(at(5)), false, at(1)), None);
        assert_eq!(timers.sleep_until(Some(at(5)), true, at(4)), Some(at(5)));
        assert_eq!(timers.sleep_until(Some(at(5)), true, at(5)), None, "this tick is not early");
        assert_eq!(timers.sleep_until(None, false, at(6)), None);
    }
}
