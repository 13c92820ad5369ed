//! Tasks whose rows could not be written while they wait: a client holds the row, or a trigger
//! refuses.

use super::Orchestrator;
use super::backoff::Backoff;
use super::timers::Timer;
use crate::names::TaskId;
use crate::plan::lane::Lane;
use crate::time::MonotonicTime;

/// A waiting task that is left alone, the longer the more often its row could not be written; those
/// behind it go on.
#[derive(Debug)]
pub(super) struct Skipped {
    /// Of a task that could not be claimed or offered; one that could not be promoted has none.
    lane: Option<Lane>,
    backoff: Backoff,
    /// It may be tried again, and is forgotten if nothing comes of that.
    open: bool,
    until: MonotonicTime,
}

impl Orchestrator {
    pub(super) fn leave_alone(&mut self, task: TaskId, lane: Lane) {
        self.skip(task, Some(lane));
    }

    /// A deferral is over, and the row could not be written.
    pub(super) fn leave_unpromoted(&mut self, task: TaskId) {
        self.skip(task, None);
    }

    fn skip(&mut self, task: TaskId, lane: Option<Lane>) {
        let (tuning, random) = (self.settings.tuning, self.random());
        let fresh = Backoff::new(tuning.claim_backoff_first, tuning.write_backoff_last);
        let mut backoff = self.skipped.get(&task).map_or(fresh, |skipped| skipped.backoff);
        self.unskip(task);
        let until = self.now.monotonic + backoff.next(random);
        self.skipped.insert(task, Skipped { lane, backoff, open: false, until });
        self.at(until, Timer::Skipped(task));
    }

    /// The store has the task among its heads, and it is not to be tried yet.
    pub(super) fn is_left_alone(&self, task: TaskId) -> bool {
        self.skipped.get(&task).is_some_and(|skipped| !skipped.open)
    }

    /// How often in a row it could not be written.
    pub(super) fn skipped_failures(&self, task: TaskId) -> u32 {
        self.skipped.get(&task).map_or(0, |skipped| skipped.backoff.failures())
    }

    /// All that are not to be tried yet.
    pub(super) fn left_alone(&self) -> Vec<TaskId> {
        self.skipped.iter().filter(|(_, skipped)| !skipped.open).map(|(task, _)| *task).collect()
    }

    pub(super) fn try_skipped(&mut self, task: TaskId) {
        let now = self.now.monotonic;
        let forget_at = now + self.settings.tuning.write_backoff_last;
        let Some(skipped) = self.skipped.get_mut(&task).filter(|skipped| skipped.until <= now) else { return };
        if skipped.open {
            self.skipped.remove(&task);
            return;
        }
        skipped.open = true;
        skipped.until = forget_at;
        let lane = skipped.lane.clone();
        self.at(forget_at, Timer::Skipped(task));
        match lane {
            Some(lane) => self.look_at_lane(&lane),
            None => self.sweep_by(now),
        }
    }

    pub(super) fn unskip(&mut self, task: TaskId) {
        if let Some(skipped) = self.skipped.remove(&task) {
            self.timers.remove(&(skipped.until, Timer::Skipped(task)));
        }
    }
}
