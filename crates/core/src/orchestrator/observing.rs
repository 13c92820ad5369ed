//! What a driver may see of an orchestrator.

use super::Orchestrator;
use super::counters::Counters;
use super::settings::Settings;
use super::tracked::Tracked;
use crate::names::{Epoch, PoolName, Run, TaskId};

/// How much an orchestrator has in memory: bounded by limits and by what runs and waits, not by the
/// backlog or by what once ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Tracked tasks, and heads of lanes.
    pub tasks: usize,
    /// Names of pools, targets and lanes.
    pub names: usize,
    /// Target sessions.
    pub sessions: usize,
    /// Timers: a few at most for each tracked task, session and target.
    pub timers: usize,
}

impl Orchestrator {
    /// Every pool of which a slot is taken, and how many are.
    pub fn occupancy(&self) -> impl Iterator<Item = (&PoolName, u32)> {
        self.scheduler.tracked.occupancy().pools().map(|(pool, taken)| (pool, taken.slots))
    }

    /// How many workers are busy.
    #[must_use]
    pub const fn workers_busy(&self) -> u32 {
        self.scheduler.tracked.occupancy().workers()
    }

    /// Tracked tasks of which no query runs: pulled, yielded, or finished while a lost session may
    /// run the query. Others may change their rows; see [`Input::Changed`](crate::Input::Changed).
    pub fn resting(&self) -> impl Iterator<Item = TaskId> {
        self.scheduler.tracked.iter().filter(|(_, tracked)| tracked.is_resting()).map(|(task, _)| task)
    }

    /// Whether the text that comes with the mark of this launch is still wanted.
    #[must_use]
    pub fn awaits_text(&self, task: TaskId, run: Run) -> bool {
        self.scheduler.tracked.of_run(task, run).is_some_and(Tracked::awaits_text)
    }

    /// How often in a row the task's row could not be written.
    #[must_use]
    pub fn write_failures(&self, task: TaskId) -> u32 {
        let tracked = self.scheduler.tracked.get(task).map_or(0, |tracked| tracked.backoff.failures());
        tracked.max(self.scheduler.skipped.failures(task))
    }

    /// The epoch in which this orchestrator leads.
    #[must_use]
    pub const fn epoch(&self) -> Option<Epoch> {
        self.scheduler.leadership.epoch()
    }

    /// What this orchestrator has done in its epoch.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.scheduler.counters
    }

    /// From now on, keeps the tasks that end for [`take_ended`](Self::take_ended).
    pub fn keep_ended(&mut self) {
        self.scheduler.ended.keep();
    }

    /// The tasks whose end this orchestrator has written since the last call, each end once. A task that
    /// was restarted may end again. Empty without [`keep_ended`](Self::keep_ended).
    pub fn take_ended(&mut self) -> Vec<TaskId> {
        self.scheduler.ended.take()
    }

    /// The settings by which this orchestrator decides.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        self.scheduler.cx.settings()
    }

    /// The number of targets at which sessions must be known to be gone before their tasks are
    /// resolved.
    #[must_use]
    pub fn fences_open(&self) -> usize {
        self.scheduler.sessions.fences_open()
    }

    /// How much this orchestrator has in memory.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let scheduler = &self.scheduler;
        let names = [
            scheduler.claims_ahead.names(),
            scheduler.sessions.names(),
            scheduler.offers.names(),
            scheduler.plan.names(),
            scheduler.skipped.len(),
            scheduler.tracked.occupancy().pools().count(),
        ];
        Memory {
            tasks: [scheduler.tracked.len(), scheduler.plan.heads()].into_iter().sum(),
            names: names.into_iter().sum(),
            sessions: scheduler.sessions.len(),
            timers: scheduler.cx.timers.len(),
        }
    }

    /// Recounts what tasks take and what targets have, and returns whether the counts agree.
    #[must_use]
    pub fn audit(&self) -> bool {
        self.scheduler.tracked.audit() && self.scheduler.sessions.audit()
    }
}
