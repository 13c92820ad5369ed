//! Tasks that are skipped because their rows could not be written while they wait: a client locks
//! the row, or a trigger raises an error.

use std::collections::BTreeMap;

use super::backoff::Backoff;
use super::context::Context;
use super::timers::Timer;
use crate::names::TaskId;
use crate::plan::lane::Lane;
use crate::time::MonotonicTime;

/// A skipped task: the more often its row could not be written, the longer it is skipped.
#[derive(Debug)]
struct Skipped {
    /// The lane of a task that could not be claimed or offered; `None` if it could not be promoted.
    lane: Option<Lane>,
    backoff: Backoff,
    /// The task may be tried again. It is forgotten if no further failure follows.
    retried: bool,
    until: MonotonicTime,
}

/// What has to be read again for a skipped task whose time has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Retry {
    /// The heads of this lane.
    Lane(Lane),
    /// The tasks that are due for promotion.
    Sweep,
}

/// The skipped tasks. The tasks behind them go on.
///
/// Invariant: each has a timer at its `until`.
#[derive(Debug, Default)]
pub(super) struct SkippedTasks {
    tasks: BTreeMap<TaskId, Skipped>,
}

impl SkippedTasks {
    /// Skips a task for some time. `lane` is `None` for one that could not be promoted.
    pub(super) fn skip(&mut self, task: TaskId, lane: Option<Lane>, cx: &mut Context) {
        let random = cx.random();
        let fresh = Backoff::new(cx.tuning().claim_backoff_first, cx.tuning().write_backoff_last);
        let mut backoff = self.tasks.get(&task).map_or(fresh, |skipped| skipped.backoff);
        self.forget(task, cx);
        let until = cx.monotonic() + backoff.next(random);
        self.tasks.insert(task, Skipped { lane, backoff, retried: false, until });
        cx.at(until, Timer::Skipped(task));
    }

    /// The task must not be tried yet.
    pub(super) fn is_skipped(&self, task: TaskId) -> bool {
        self.tasks.get(&task).is_some_and(|skipped| !skipped.retried)
    }

    /// How often in a row the row could not be written.
    pub(super) fn failures(&self, task: TaskId) -> u32 {
        self.tasks.get(&task).map_or(0, |skipped| skipped.backoff.failures())
    }

    /// All tasks that must not be tried yet.
    pub(super) fn skipped(&self) -> Vec<TaskId> {
        self.tasks.iter().filter(|(_, skipped)| !skipped.retried).map(|(task, _)| *task).collect()
    }

    /// The time of a skipped task has come.
    pub(super) fn on_timer(&mut self, task: TaskId, cx: &mut Context) -> Option<Retry> {
        let forget_at = cx.monotonic() + cx.tuning().write_backoff_last;
        let skipped = self.tasks.get_mut(&task).filter(|skipped| skipped.until <= cx.monotonic());
        let Some(skipped) = skipped else {
            debug_assert!(false, "a timer of task {task}, which is not skipped until now");
            return None;
        };
        if skipped.retried {
            self.tasks.remove(&task);
            return None;
        }
        skipped.retried = true;
        skipped.until = forget_at;
        let lane = skipped.lane.clone();
        cx.at(forget_at, Timer::Skipped(task));
        Some(lane.map_or(Retry::Sweep, Retry::Lane))
    }

    /// The row was written.
    pub(super) fn forget(&mut self, task: TaskId, cx: &mut Context) {
        if let Some(skipped) = self.tasks.remove(&task) {
            cx.timers.remove(skipped.until, Timer::Skipped(task));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::Settings;
    use super::*;
    use crate::time::Now;

    #[test]
    fn a_skipped_task_is_retried_once_and_forgotten_unless_it_fails_again() {
        let mut cx = Context::new(Settings::default(), 1);
        let mut skipped = SkippedTasks::default();
        let task = TaskId(1);
        cx.advance(Now::from_micros(0));
        skipped.skip(task, None, &mut cx);
        assert!(skipped.is_skipped(task));
        assert_eq!(skipped.skipped(), vec![task]);
        let first = cx.timers.first().expect("a timer");
        cx.advance(Now { monotonic: first, ..cx.now() });
        assert_eq!(cx.timers.pop_due(cx.monotonic()), Some(Timer::Skipped(task)));
        assert_eq!(skipped.on_timer(task, &mut cx), Some(Retry::Sweep));
        assert_eq!((skipped.is_skipped(task), skipped.failures(task)), (false, 1));
        assert_eq!(skipped.skipped(), vec![], "it may be tried again");
        skipped.skip(task, None, &mut cx);
        assert_eq!((skipped.len(), skipped.failures(task), cx.timers.len()), (1, 2, 1));
        skipped.forget(task, &mut cx);
        assert_eq!((skipped.len(), cx.timers.len()), (0, 0));
    }
}
