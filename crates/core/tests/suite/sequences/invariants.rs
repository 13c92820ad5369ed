//! The invariants after every operation.

use pgasync_core::{FinishStatus, RowState, Tuning};

use super::Limits;
use super::system::System;

impl System {
    pub(super) fn check_invariants(&self, limits: &Limits) {
        self.check_rows();
        if self.stalled {
            return;
        }
        self.check_occupancy();
        self.check_deadlines();
        self.check_progress(limits);
    }

    fn check_rows(&self) {
        for (id, query) in &self.running {
            let row = &self.store.tasks[id].row;
            let held = row.state() == RowState::Running && row.run == query.run.0;
            let given_up = row.finish_status == Some(FinishStatus::TimedOut) && row.tracked == Some(true);
            assert!(held || given_up, "task {id} runs, and its row says {row:?}");
        }
        assert!(self.ends.values().all(|ends| *ends == 1), "no task ends twice");
    }

    /// Only running tasks hold a slot, whatever a client requested.
    fn check_occupancy(&self) {
        for (pool, slots) in self.core.occupancy() {
            assert_eq!(slots as usize, self.in_pool(pool), "slots of pool {pool}");
        }
        assert_eq!(self.core.workers_busy() as usize, self.running.len(), "workers");
    }

    /// A query that outlives its deadline is canceled, and later terminated.
    fn check_deadlines(&self) {
        for task in self.store.tasks.values().filter(|task| task.row.state() == RowState::Ready) {
            let overdue = task.row.times_up.is_some_and(|at| at <= self.now.server);
            assert!(!overdue, "the deadline of task {} has not fired", task.position.task);
        }
        for (id, query) in self.running.iter().filter(|(_, query)| !query.lost) {
            let Some(times_up) = self.deadlines.get(id).copied() else { continue };
            let canceled = self.canceled.get(&query.session);
            assert!(times_up > self.now.monotonic || canceled.is_some(), "task {id} is overdue");
            let terminates = canceled.map(|at| *at + Tuning::default().cancel_grace);
            assert!(
                terminates.is_none_or(|at| at > self.now.monotonic) || self.terminated.contains(&query.session),
                "task {id} does not end"
            );
        }
    }

    /// No task waits while its pool and a worker are free.
    fn check_progress(&self, limits: &Limits) {
        if limits.paused || self.core.workers_busy() >= limits.workers {
            return;
        }
        for task in self.store.tasks.values() {
            let free = self.in_pool(&task.lane.pool) < self.limit(&task.lane.pool);
            assert!(!(free && self.is_eligible(task)), "task {} waits for nothing", task.position.task);
        }
    }
}
