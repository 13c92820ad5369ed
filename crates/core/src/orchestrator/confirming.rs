//! Confirming writes whose answers were lost with the store, and following rows that others
//! changed.
//!
//! | write | row found | action |
//! | --- | --- | --- |
//! | any | as predicted | as if it had been answered so |
//! | any | none | as if it had been answered so |
//! | claim, offer | as before | the task is no longer tracked; its lane is read anew |
//! | any other | as before | the write is sent again |
//! | any | another one | as if it had been answered with that row |
//!
//! A RUNNING row of the task's own run stays tracked. The row is read by a session that leads after
//! the backend of the lost one is gone, so no write can commit behind this reading.

use super::scheduler::Scheduler;
use super::tracked::{TaskSession, WriteState, rests_in};
use crate::names::TaskId;
use crate::task::phase::Phase;
use crate::task::row::{LaunchState, Row};

impl Scheduler {
    /// Confirms the pending write of a task with the row that was found. Returns whether one was
    /// pending.
    pub(super) fn confirm(&mut self, task: TaskId, row: Option<&Row>) -> bool {
        // What is done for one task may end another, for which nothing is left to confirm.
        let Some(tracked) = self.tracked.get(task) else { return false };
        if let Some(write) = tracked.pending_write() {
            if write.state == WriteState::Unconfirmed {
                let verdict = tracked.verdict_of_row(write, row);
                self.conclude(task, verdict);
                return true;
            }
        } else if let TaskSession::Assigned { session } = *tracked.session() {
            self.tracked.mark(task, Some(session), &mut self.cx);
        } else {
            self.row_changed(task, row);
        }
        false
    }

    /// Something else than this leader's commands changed the row of a task. While a query of the
    /// task runs, or a write is under way, the row does not count.
    pub(super) fn row_changed(&mut self, task: TaskId, row: Option<&Row>) {
        let now = self.cx.now();
        if let Some(tracked) = self.tracked.get(task).filter(|tracked| tracked.follows_row()) {
            if tracked.session().lost_host().is_none() {
                self.follow_row(task, row);
            } else if let Some(found) =
                row.and_then(|row| row.task(tracked.task().options.clone(), LaunchState::Claimed).ok())
            {
                // Whatever the row says, the query may run, so the task stays tracked.
                self.update(task, |tracked| tracked.rest(found, now));
            }
        }
        if let Some(row) = row
            && !self.tracked.contains(task)
        {
            self.sweep.by_server_time(row.eligible_when, &mut self.cx);
            self.sweep.by_server_time(row.times_up, &mut self.cx);
        }
    }

    /// Moves a task of which no query runs to where its row says.
    pub(super) fn follow_row(&mut self, task: TaskId, row: Option<&Row>) {
        let now = self.cx.now();
        let Some(tracked) = self.tracked.known(task) else { return };
        match row.and_then(|row| row.task(tracked.task().options.clone(), LaunchState::Claimed).ok()) {
            Some(found) if rests_in(&found.phase) => self.update(task, |tracked| tracked.rest(found, now)),
            // It holds its slot in vain: no session runs a query of it.
            Some(found) if matches!(&found.phase, Phase::Finished { end, .. } if end.tracked == Some(true)) => {
                self.release(task, found);
            }
            Some(_) | None => {
                if let Some(tracked) = self.untrack(task) {
                    self.may_wait_again(&tracked.lane, tracked.position);
                }
            }
        }
    }
}
