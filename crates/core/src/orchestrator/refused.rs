//! Tasks that cannot be claimed: somebody holds their rows, or a trigger refuses.

use super::Orchestrator;
use super::clock::Timer;
use crate::names::TaskId;
use crate::plan::lane::Lane;
use crate::time::Timestamp;

/// A task whose claim the store refused. It is left alone, the longer the more often that happens;
/// those behind it go on.
#[derive(Debug)]
pub(super) struct Refusal {
    lane: Lane,
    times: u32,
    /// It may be claimed again, and is forgotten if nothing comes of that.
    open: bool,
    until: Timestamp,
}

impl Orchestrator {
    pub(super) fn leave_alone(&mut self, task: TaskId, lane: Lane) {
        let tuning = self.settings.tuning;
        let times = self.refused.get(&task).map_or(0, |refusal| refusal.times);
        self.forget_refusal(task);
        let until = self.now + tuning.claim_backoff.doubled(times).min(tuning.record_backoff_max);
        self.refused.insert(task, Refusal { lane, times: times.saturating_add(1), open: false, until });
        self.at(until, Timer::Refused(task));
    }

    /// The store has the task among its heads, and it is not to be tried yet.
    pub(super) fn is_left_alone(&self, task: TaskId) -> bool {
        self.refused.get(&task).is_some_and(|refusal| !refusal.open)
    }

    pub(super) fn try_refused(&mut self, task: TaskId) {
        let forget_at = self.now + self.settings.tuning.record_backoff_max;
        let Some(refusal) = self.refused.get_mut(&task).filter(|refusal| refusal.until <= self.now) else { return };
        if refusal.open {
            self.refused.remove(&task);
            return;
        }
        refusal.open = true;
        refusal.until = forget_at;
        let lane = refusal.lane.clone();
        self.at(forget_at, Timer::Refused(task));
        self.look_at_lane(&lane);
    }

    pub(super) fn forget_refusal(&mut self, task: TaskId) {
        if let Some(refusal) = self.refused.remove(&task) {
            self.timers.remove(&(refusal.until, Timer::Refused(task)));
        }
    }
}
