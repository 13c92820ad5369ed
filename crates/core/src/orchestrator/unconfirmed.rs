//! The store was lost and is back: what came of the writes whose answers are lost.
//!
//! | write | row found | action |
//! | --- | --- | --- |
//! | any | as predicted | as if it had been answered so |
//! | any | none | as if it had been answered so |
//! | claim, offer | as before | the task is let go; its lane is read anew |
//! | any other | as before | the write is sent again |
//! | any | another one | as if it had been answered with that row |
//!
//! A row of one's own run that is RUNNING is never let go of. The row is read by a session that
//! leads after the lost one's backend is gone, so no write can commit behind this reading.

use std::collections::BTreeMap;

use super::input::WriteAnswer;
use super::tracked::{Stage, Write, WriteState};
use super::{Command, Orchestrator};
use crate::names::TaskId;
use crate::task::event::Event;
use crate::task::phase::Phase;
use crate::task::row::{LaunchState, Row};

impl Orchestrator {
    /// The answers to what was sent are lost.
    pub(super) fn doubt_writes(&mut self) {
        for tracked in self.tracked.values_mut() {
            if let Stage::Writing(Write { state: state @ WriteState::Sent, .. }) = &mut tracked.stage {
                *state = WriteState::Unconfirmed;
            }
        }
    }

    /// Asks for the rows of what is unconfirmed, and of what others may have changed meanwhile.
    pub(super) fn ask_for_rows(&mut self) {
        let reads = |stage: &Stage| match stage {
            Stage::Writing(write) => write.state == WriteState::Unconfirmed,
            Stage::Offered { .. } | Stage::Pulled | Stage::Yielded | Stage::Abandoned => true,
            Stage::Ahead { .. }
            | Stage::Queued
            | Stage::Marking { .. }
            | Stage::Launched { .. }
            | Stage::Lost { .. }
            | Stage::Ended { .. } => false,
        };
        let tasks = self.tracked.iter().filter(|(_, tracked)| reads(&tracked.stage)).map(|(task, _)| *task).collect();
        self.emit(Command::Resync { tasks });
    }

    /// The rows are known.
    pub(super) fn confirm_all(&mut self, rows: Vec<(TaskId, Row)>) {
        let rows: BTreeMap<TaskId, Row> = rows.into_iter().collect();
        for task in self.tracked.keys().copied().collect::<Vec<_>>() {
            self.confirm(task, rows.get(&task));
        }
    }

    fn confirm(&mut self, task: TaskId, row: Option<&Row>) {
        let Some(tracked) = self.tracked.get(&task) else { return };
        match &tracked.stage {
            Stage::Writing(write) if write.state == WriteState::Unconfirmed => {
                let write = write.clone();
                self.confirm_write(task, &write, row);
            }
            Stage::Marking { session } => {
                let (session, run) = (*session, tracked.task.run);
                self.take_text(task);
                self.emit_mark(task, run, Some(session));
            }
            Stage::Offered { .. } | Stage::Pulled | Stage::Yielded | Stage::Abandoned => self.changed(task, row),
            Stage::Writing(_)
            | Stage::Ahead { .. }
            | Stage::Queued
            | Stage::Launched { .. }
            | Stage::Lost { .. }
            | Stage::Ended { .. } => {}
        }
    }

    fn confirm_write(&mut self, task: TaskId, write: &Write, row: Option<&Row>) {
        let Some(tracked) = self.tracked.get_mut(&task) else { return };
        let (run, before) = (tracked.task.run, tracked.task.row());
        let as_before =
            |row: &Row| row.state() == before.state() && row.run == before.run && row.tracked == before.tracked;
        let answer = match row {
            None => WriteAnswer::Gone,
            Some(row) if *row == write.next.row() => WriteAnswer::AsPredicted,
            Some(row) if as_before(row) => {
                return match write.event {
                    Event::Claim { .. } => self.unclaim(task, write.ahead, false),
                    Event::Offer { .. } => {
                        if let Some(tracked) = self.let_go(task) {
                            self.plan.recall(&tracked.lane, tracked.position);
                            self.look_at_lane(&tracked.lane);
                        }
                    }
                    Event::Promote
                    | Event::GiveBack { .. }
                    | Event::Launch
                    | Event::QueryEnded { .. }
                    | Event::Withdraw
                    | Event::Take { .. }
                    | Event::Request(_)
                    | Event::Deadline
                    | Event::Abandon { .. }
                    | Event::Release
                    | Event::Restart => self.send_write(task),
                };
            }
            Some(row) => WriteAnswer::Row(row.clone()),
        };
        if let Stage::Writing(write) = &mut tracked.stage {
            write.state = WriteState::Sent;
        }
        self.written(task, run, &answer);
    }

    /// Something else changed the row of a task, which may wait now.
    pub(super) fn row_changed(&mut self, task: TaskId, row: Option<&Row>) {
        self.changed(task, row);
        if !self.tracked.contains_key(&task)
            && let Some(row) = row
        {
            self.sweep_at_server_time(row.eligible_when);
            self.sweep_at_server_time(row.times_up);
        }
    }

    /// The row of a task was changed by something else; where a query of it runs, or a write is under
    /// way, that counts.
    pub(super) fn changed(&mut self, task: TaskId, row: Option<&Row>) {
        let now = self.now;
        let Some(tracked) = self.tracked.get_mut(&task) else { return };
        match &tracked.stage {
            // Whatever the row says, its query may run.
            Stage::Abandoned if tracked.stray.may_run() => {
                if let Some(found) = row.and_then(|row| row.task(tracked.task.options, LaunchState::Claimed).ok()) {
                    tracked.set_task(found, now);
                }
            }
            Stage::Offered { .. } | Stage::Pulled | Stage::Yielded | Stage::Abandoned => self.follow_row(task, row),
            Stage::Writing(_)
            | Stage::Ahead { .. }
            | Stage::Queued
            | Stage::Marking { .. }
            | Stage::Launched { .. }
            | Stage::Lost { .. }
            | Stage::Ended { .. } => {}
        }
    }

    /// A task that no query runs of is what its row says.
    pub(super) fn follow_row(&mut self, task: TaskId, row: Option<&Row>) {
        let now = self.now;
        let Some(tracked) = self.tracked.get_mut(&task) else { return };
        let lane = tracked.lane.clone();
        let found = row.and_then(|row| row.task(tracked.task.options, LaunchState::Claimed).ok());
        let stage = match found.as_ref().map(|task| &task.phase) {
            Some(Phase::Offered { .. }) => Stage::Offered { since: now.monotonic },
            Some(Phase::Pulled { .. }) => Stage::Pulled,
            Some(Phase::Yielded { tracked: true, .. }) => Stage::Yielded,
            Some(Phase::Finished { end, .. }) if end.tracked == Some(true) => Stage::Abandoned,
            Some(
                Phase::Ready { .. }
                | Phase::Claimed { .. }
                | Phase::Launched { .. }
                | Phase::Yielded { .. }
                | Phase::Finished { .. },
            )
            | None => {
                self.let_go(task);
                return self.look_at_lane(&lane);
            }
        };
        if let Some(found) = found {
            tracked.set_task(found, now);
        }
        self.restage(task, stage);
        if stage_is_slotless(self.tracked.get(&task).map(|tracked| (&tracked.stage, tracked.stray.may_run()))) {
            self.release(task);
        }
    }
}

/// It is finished, its row still holds the slot, and no query of it may run.
const fn stage_is_slotless(found: Option<(&Stage, bool)>) -> bool {
    matches!(found, Some((Stage::Abandoned, false)))
}
