//! Recording events in rows, and what follows from the answers: the row counts, not what was meant.

use super::Orchestrator;
use super::command::Command;
use super::input::WriteAnswer;
use super::tracked::{Stage, Tracked, Write, WriteState};
use crate::names::{Run, TaskId};
use crate::task::Task;
use crate::task::event::Event;
use crate::task::phase::Phase;
use crate::task::row::{LaunchState, Row, RowState};
use crate::task::row_event::TaskEvent;
use crate::time::Timestamp;

impl Orchestrator {
    /// When an event happens, by the server's clock. A deadline is kept by the clock that never steps,
    /// so the server's may say that it lies ahead: then it is that time.
    pub(super) fn event_time(&self, task: &Task, event: &Event) -> Timestamp {
        let now = self.cx.now().server;
        match event {
            Event::Deadline | Event::Abandon { .. } => task.phase.times_up().map_or(now, |at| at.max(now)),
            Event::Promote
            | Event::Claim { .. }
            | Event::GiveBack { .. }
            | Event::Launch
            | Event::QueryEnded { .. }
            | Event::Offer { .. }
            | Event::Withdraw
            | Event::Take { .. }
            | Event::Request(_)
            | Event::Release
            | Event::Restart => now,
        }
    }

    /// A write of this event, if the event happens to this task.
    pub(super) fn write_of(&self, task: &Task, event: Event) -> Option<Write> {
        let at = self.event_time(task, &event);
        let next = Box::new(task.step(&event, at).ok()?);
        Some(Write {
            event,
            at,
            decided: self.cx.now(),
            next,
            ahead: false,
            keeps_slot: false,
            state: WriteState::Sent,
        })
    }

    /// Starts a write about a tracked task: the first one, or one that follows from the answer to the one
    /// before.
    pub(super) fn begin_write(&mut self, task: TaskId, write: Write) {
        self.set_stage(task, Stage::Writing(write));
        self.send_write(task);
    }

    /// Sends the write of a task.
    pub(super) fn send_write(&mut self, task: TaskId) {
        let Some(tracked) = self.tracked.known_mut(task) else { return };
        let Some(Write { event, at, .. }) = tracked.write().cloned() else {
            debug_assert!(false, "nothing is to be written about task {task}");
            return;
        };
        // Without the store the row is read when the store is back, and then the write is sent.
        let connected = !self.leadership.is_disconnected();
        tracked.set_write_state(if connected { WriteState::Sent } else { WriteState::Unconfirmed });
        let (run, launch, settles) = (tracked.task().run, tracked.task().launch_state(), tracked.settles.clone());
        self.tracked.schedule(task, &mut self.cx);
        if connected {
            self.cx.emit(Command::Write(TaskEvent { task, run, event, launch, at, settles }));
        }
    }

    /// Nothing came of the write: it is sent again, later each time.
    fn write_later(&mut self, task: TaskId) {
        let (now, random) = (self.cx.monotonic(), self.cx.random());
        let Some(tracked) = self.tracked.known_mut(task) else { return };
        let at = now + tracked.backoff.next(random);
        tracked.set_write_state(WriteState::Due { at });
        self.tracked.schedule(task, &mut self.cx);
    }

    /// A write is answered.
    pub(super) fn written(&mut self, task: TaskId, run: Run, answer: &WriteAnswer) {
        let Some(tracked) = self.tracked.get(task).filter(|tracked| tracked.task().run == run) else { return };
        let Some(write) = tracked.write().filter(|write| write.state == WriteState::Sent) else { return };
        self.upkeep.changed();
        let write = write.clone();
        match &write.event {
            Event::Claim { .. } => self.claim_answered(task, write, answer),
            Event::Offer { .. } => self.offer_answered(task, &write, answer),
            Event::GiveBack { .. } => self.give_back_answered(task, answer),
            Event::Withdraw => self.withdraw_answered(task, answer),
            Event::Release => self.release_answered(task, answer),
            Event::QueryEnded { .. } | Event::Request(_) | Event::Deadline | Event::Abandon { .. } => {
                self.record_answered(task, &write, answer);
            }
            Event::Launch | Event::Promote | Event::Take { .. } | Event::Restart => {
                debug_assert!(false, "the orchestrator writes no {:?}", write.event);
            }
        }
    }

    fn claim_answered(&mut self, task: TaskId, write: Write, answer: &WriteAnswer) {
        let claimed = match answer {
            WriteAnswer::AsPredicted => Some(*write.next),
            // A trigger may have changed the deadline, say.
            WriteAnswer::Row(row) if row.state() == RowState::Running && row.run == write.next.run.0 => {
                row.task(write.next.options, LaunchState::Claimed).ok()
            }
            WriteAnswer::Row(_) | WriteAnswer::Gone | WriteAnswer::Locked | WriteAnswer::Failed(_) => None,
        };
        let Some(claimed) = claimed else {
            let skips = matches!(answer, WriteAnswer::Locked | WriteAnswer::Failed(_));
            return self.unclaim(task, write.ahead, skips);
        };
        // The deadline runs from the claim, also if the server's clock was set meanwhile.
        if let Some(tracked) = self.tracked.get_mut(task) {
            tracked.set_task(claimed, write.decided);
        }
        if write.ahead {
            self.claimed_ahead(task);
        } else {
            self.enqueue(task);
        }
        self.skipped.forget(task, &mut self.cx);
    }

    /// The claim was not written: the task is not this leader's.
    pub(super) fn unclaim(&mut self, task: TaskId, ahead: bool, skips: bool) {
        let Some(tracked) = self.untrack(task) else { return };
        self.plan.remove(&tracked.lane, task);
        if ahead {
            self.claims_ahead.unclaim(&tracked.lane.pool);
        }
        if skips {
            self.skip(task, tracked.lane);
        } else {
            // It may wait yet, and then nothing behind it goes first.
            self.plan.recall(&tracked.lane, tracked.position);
            self.refresh_lane(&tracked.lane);
        }
    }

    fn offer_answered(&mut self, task: TaskId, write: &Write, answer: &WriteAnswer) {
        match answer {
            WriteAnswer::AsPredicted => {
                let (now, next) = (self.cx.now(), (*write.next).clone());
                if let Some(tracked) = self.tracked.get_mut(task) {
                    tracked.set_task(next, now);
                }
                self.set_stage(task, Stage::Offered { since: now.monotonic });
                self.skipped.forget(task, &mut self.cx);
            }
            WriteAnswer::Row(row) => self.follow_row(task, Some(row)),
            WriteAnswer::Gone => self.follow_row(task, None),
            WriteAnswer::Locked | WriteAnswer::Failed(_) => {
                if let Some(tracked) = self.untrack(task) {
                    self.skip(task, tracked.lane);
                }
            }
        }
    }

    fn give_back_answered(&mut self, task: TaskId, answer: &WriteAnswer) {
        match answer {
            WriteAnswer::Locked | WriteAnswer::Failed(_) => self.write_later(task),
            WriteAnswer::Row(row) if self.is_running_ours(task, row) => self.write_later(task),
            WriteAnswer::AsPredicted | WriteAnswer::Row(_) | WriteAnswer::Gone => {
                let Some(write) = self.tracked.get(task).and_then(Tracked::write) else { return };
                let times_up = write.next.phase.times_up();
                if let Some(tracked) = self.untrack(task) {
                    self.refresh_lane(&tracked.lane);
                    self.sweep_by_server_time(times_up);
                }
            }
        }
    }

    fn withdraw_answered(&mut self, task: TaskId, answer: &WriteAnswer) {
        match answer {
            WriteAnswer::AsPredicted => {
                if let Some(tracked) = self.untrack(task) {
                    self.refresh_lane(&tracked.lane);
                }
            }
            WriteAnswer::Locked | WriteAnswer::Failed(_) => self.write_later(task),
            WriteAnswer::Row(row) => self.follow_row(task, Some(row)),
            WriteAnswer::Gone => self.follow_row(task, None),
        }
    }

    fn release_answered(&mut self, task: TaskId, answer: &WriteAnswer) {
        if matches!(answer, WriteAnswer::Locked | WriteAnswer::Failed(_)) {
            return self.write_later(task);
        }
        if let Some(tracked) = self.untrack(task) {
            // It may be restarted from now on, or have been deleted.
            self.refresh_lane(&tracked.lane);
            self.sweep_by(self.cx.monotonic());
        }
    }

    fn record_answered(&mut self, task: TaskId, write: &Write, answer: &WriteAnswer) {
        match answer {
            WriteAnswer::Locked | WriteAnswer::Failed(_) => self.write_later(task),
            WriteAnswer::Gone => self.done_with(task),
            WriteAnswer::AsPredicted => {
                let next = (*write.next).clone();
                self.recorded(task, next);
            }
            // A row of one's own run that is RUNNING is never let go of.
            WriteAnswer::Row(row) if self.is_running_ours(task, row) => self.write_later(task),
            WriteAnswer::Row(row) => {
                let found =
                    self.tracked.get(task).map(|tracked| row.task(tracked.task().options, LaunchState::Claimed));
                match found {
                    Some(Ok(found)) => self.recorded(task, found),
                    Some(Err(_)) | None => self.done_with(task),
                }
            }
        }
    }

    /// The row says that a query of the run in hand is claimed.
    pub(super) fn is_running_ours(&self, task: TaskId, row: &Row) -> bool {
        let ours = |tracked: &Tracked| tracked.task().run.0 == row.run && !tracked.task().options.client_pulled;
        row.state() == RowState::Running && self.tracked.get(task).is_some_and(ours)
    }

    /// Nothing more is to be done for the task; while its query may run, it is kept for that.
    pub(super) fn done_with(&mut self, task: TaskId) {
        if self.tracked.get(task).is_some_and(|tracked| tracked.may_run_detached()) {
            self.set_stage(task, Stage::Abandoned);
        } else {
            self.untrack(task);
        }
    }

    /// What happened is written, and this is the task now.
    pub(super) fn recorded(&mut self, task: TaskId, found: Task) {
        let now = self.cx.now();
        let Some(tracked) = self.tracked.get_mut(task) else { return };
        tracked.settles.clear();
        tracked.backoff.reset();
        tracked.set_task(found, now);
        let (detached, lane, pulls) =
            (tracked.may_run_detached(), tracked.lane.clone(), tracked.task().options.client_pulled);
        match &tracked.task().phase {
            _ if detached => self.set_stage(task, Stage::Abandoned),
            // The session that kept the slot is gone, or the task was finished by hand while its query
            // ran, which has ended.
            Phase::Finished { end, .. } if end.tracked == Some(true) => self.release(task),
            Phase::Finished { .. } => drop(self.untrack(task)),
            Phase::Yielded { tracked: true, .. } => self.set_stage(task, Stage::Yielded),
            Phase::Pulled { .. } if pulls => self.set_stage(task, Stage::Pulled),
            Phase::Ready { eligible_when, times_up } => {
                let (eligible_when, times_up) = (*eligible_when, *times_up);
                self.untrack(task);
                self.sweep_by_server_time(eligible_when);
                self.sweep_by_server_time(times_up);
                if eligible_when.is_none() {
                    self.refresh_lane(&lane);
                }
            }
            Phase::Yielded { times_up, .. }
            | Phase::Offered { times_up }
            | Phase::Claimed { times_up, .. }
            | Phase::Launched { times_up, .. }
            | Phase::Pulled { times_up, .. } => {
                let times_up = *times_up;
                self.untrack(task);
                self.sweep_by_server_time(times_up);
            }
        }
    }

    /// Writes that the slot of a finished task is free.
    pub(super) fn release(&mut self, task: TaskId) {
        let Some(tracked) = self.tracked.get(task) else { return };
        match self.write_of(tracked.task(), Event::Release) {
            Some(write) => self.begin_write(task, write),
            None => drop(self.untrack(task)),
        }
    }
}
