//! Confirming writes whose answers were lost with the store, and following rows that others changed.
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

use std::collections::BTreeMap;

use super::Orchestrator;
use super::command::Command;
use super::input::WriteAnswer;
use super::tracked::{Stage, Tracked, Write, WriteState};
use crate::names::TaskId;
use crate::task::event::Event;
use crate::task::row::{LaunchState, Row};

impl Orchestrator {
    /// The answers to the writes that were sent are lost.
    pub(super) fn doubt_writes(&mut self) {
        let is_sent = |tracked: &Tracked| tracked.write().is_some_and(|write| write.state == WriteState::Sent);
        for task in self.tracked.filter(is_sent) {
            if let Some(tracked) = self.tracked.known_mut(task) {
                tracked.set_write_state(WriteState::Unconfirmed);
            }
        }
    }

    /// Asks for the rows of unconfirmed writes, and for those that others may have changed meanwhile.
    pub(super) fn ask_for_rows(&mut self) {
        let is_unconfirmed = |write: &Write| write.state == WriteState::Unconfirmed;
        let reads = |tracked: &Tracked| tracked.stage().follows_row() || tracked.write().is_some_and(is_unconfirmed);
        let tasks = self.tracked.filter(reads);
        self.cx.emit(Command::Resync { tasks });
    }

    /// The rows are known.
    pub(super) fn confirm_all(&mut self, rows: Vec<(TaskId, Row)>) {
        let rows: BTreeMap<TaskId, Row> = rows.into_iter().collect();
        for task in self.tracked.filter(|_| true) {
            self.confirm(task, rows.get(&task));
        }
    }

    fn confirm(&mut self, task: TaskId, row: Option<&Row>) {
        // What is done for one task may end another, for which nothing is left to confirm.
        let Some(tracked) = self.tracked.get(task) else { return };
        if let Some(write) = tracked.write().filter(|write| write.state == WriteState::Unconfirmed) {
            let write = write.clone();
            self.confirm_write(task, &write, row);
        } else if let Stage::Marking { session } = *tracked.stage() {
            let run = tracked.task().run;
            self.tracked.take_text(task);
            self.emit_mark(task, run, Some(session));
        } else if tracked.stage().follows_row() {
            self.changed(task, row);
        }
    }

    fn confirm_write(&mut self, task: TaskId, write: &Write, row: Option<&Row>) {
        let Some(tracked) = self.tracked.known_mut(task) else { return };
        let (run, before) = (tracked.task().run, tracked.task().row());
        // Other columns may differ: a client may have changed the deadline by hand.
        let as_before =
            |row: &Row| row.state() == before.state() && row.run == before.run && row.tracked == before.tracked;
        let answer = match row {
            None => WriteAnswer::Gone,
            Some(row) if *row == write.next.row() => WriteAnswer::AsPredicted,
            Some(row) if as_before(row) => return self.not_written(task, write),
            Some(row) => WriteAnswer::Row(row.clone()),
        };
        tracked.set_write_state(WriteState::Sent);
        self.written(task, run, &answer);
    }

    /// The lost session did not commit the write.
    fn not_written(&mut self, task: TaskId, write: &Write) {
        if let Event::Claim { .. } = write.event {
            self.unclaim(task, write.ahead, false);
        } else if let Event::Offer { .. } = write.event {
            if let Some(tracked) = self.untrack(task) {
                self.plan.recall(&tracked.lane, tracked.position);
                self.refresh_lane(&tracked.lane);
            }
        } else {
            self.send_write(task);
        }
    }

    /// Something else than this leader's commands changed the row of a task, which may wait now.
    pub(super) fn row_changed(&mut self, task: TaskId, row: Option<&Row>) {
        self.changed(task, row);
        if let Some(row) = row
            && !self.tracked.contains(task)
        {
            self.sweep_by_server_time(row.eligible_when);
            self.sweep_by_server_time(row.times_up);
        }
    }

    /// The row of a task was changed by something else. While a query of the task runs, or a write is
    /// under way, the row does not count.
    fn changed(&mut self, task: TaskId, row: Option<&Row>) {
        let now = self.cx.now();
        let Some(tracked) = self.tracked.get_mut(task).filter(|tracked| tracked.stage().follows_row()) else { return };
        if matches!(tracked.stage(), Stage::Abandoned) && tracked.may_run_detached() {
            // Whatever the row says, the query may run, so the task stays tracked.
            let found = row.and_then(|row| row.task(tracked.task().options, LaunchState::Claimed).ok());
            if let Some(found) = found {
                tracked.set_task(found, now);
            }
        } else {
            self.follow_row(task, row);
        }
    }

    /// Moves a task of which no query runs to where its row says.
    pub(super) fn follow_row(&mut self, task: TaskId, row: Option<&Row>) {
        let now = self.cx.now();
        let Some(tracked) = self.tracked.known_mut(task) else { return };
        let found = row.and_then(|row| row.task(tracked.task().options, LaunchState::Claimed).ok());
        let stage = found.as_ref().and_then(|found| Stage::of_row(&found.phase, now.monotonic));
        let (Some(found), Some(stage)) = (found, stage) else {
            if let Some(tracked) = self.untrack(task) {
                self.refresh_lane(&tracked.lane);
            }
            return;
        };
        tracked.set_task(found, now);
        let holds_slot_in_vain = matches!(stage, Stage::Abandoned) && !tracked.may_run_detached();
        self.set_stage(task, stage);
        if holds_slot_in_vain {
            self.release(task);
        }
    }
}
