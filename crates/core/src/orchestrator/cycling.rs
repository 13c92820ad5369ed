//! What a leader does again and again: polls, sweeps, routines, maintenance, audits, the rotation of
//! marks, and the retries of what the store refused.

use super::Orchestrator;
use super::command::Command;
use super::input::{TaskSnapshot, WriteAnswer};
use super::latch::LatchStep;
use super::skipped::Retry;
use super::tracked::{Marked, Stage, Tracked};
use super::wake::Wake;
use crate::names::{PoolName, Run, SessionId, TaskId};
use crate::plan::lane::Lane;
use crate::task::event::Event;
use crate::time::{MonotonicTime, Timestamp};

impl Orchestrator {
    /// No step of the cycle is under way: a leadership begins, or the store is back.
    pub(super) fn begin_cycle(&mut self) {
        self.wake = Wake::new(self.cx.monotonic());
        // The callers that were served last may not have been.
        self.latch.restart();
        self.marks.not_rotated();
        self.upkeep.begin(&self.cx);
    }

    /// Does what is due.
    pub(super) fn run_cycle(&mut self) {
        if let Some(sleep) = self.wake.poll(self.cx.monotonic(), self.cx.tuning()) {
            self.cx.emit(Command::Poll { sleep, offered: self.offers.tasks() });
        }
        if self.upkeep.routines_due(&self.cx) {
            self.run_routines();
        }
        if self.upkeep.start_maintenance(&self.cx) {
            self.cx.emit(Command::Maintain);
        }
        if self.upkeep.start_audit(&self.cx) {
            let tasks: Vec<TaskId> = self.resting().collect();
            if !tasks.is_empty() {
                self.cx.emit(Command::Reread { tasks });
            }
        }
        if self.marks.start_rotation(self.cx.tuning().marks_max) {
            self.rotate_marks();
        }
        self.serve_latch();
    }

    /// When a step of the cycle is due, if nothing happens before.
    pub(super) fn cycle_due(&self) -> Option<MonotonicTime> {
        if !self.leadership.is_active() {
            return None;
        }
        self.wake.next().into_iter().chain([self.upkeep.next(&self.cx)]).min()
    }

    pub(super) fn polled(&mut self, lanes: &[Lane], requests: bool, latch: i64, asleep: Option<bool>) {
        let (now, idle) = (self.cx.monotonic(), self.cx.settings().idle_sleep);
        self.wake.polled(now, asleep, idle, self.cx.tuning());
        self.upkeep.changed();
        self.waiting(lanes);
        if requests {
            self.requests.want();
        }
        if self.latch.polled(latch, self.cx.settings().has_routines) {
            self.wake.poll_by(now);
        }
    }

    fn run_routines(&mut self) {
        self.upkeep.start_routines(&self.cx);
        self.cx.emit(Command::RunRoutines);
    }

    pub(super) fn routines_done(&mut self) {
        self.upkeep.routines_done();
        if self.latch.routines_done() {
            self.wake.poll_by(self.cx.monotonic());
        }
    }

    fn serve_latch(&mut self) {
        match self.latch.step(self.cx.settings().has_routines, self.upkeep.routines_run()) {
            Some(LatchStep::RunRoutines) => self.run_routines(),
            Some(LatchStep::Serve { number, others }) => {
                if others {
                    self.wake.poll_by(self.cx.monotonic());
                }
                self.cx.emit(Command::ServeLatch { number });
            }
            None => {}
        }
    }

    /// Begins the launch marks anew. The marks of tasks that may be launched, as far as a successor
    /// can know, and that are not recorded are carried over.
    fn rotate_marks(&mut self) {
        // Whatever is being written, the task may have been launched.
        let counts = |stage: &Stage| !matches!(stage, Stage::Offered { .. } | Stage::Pulled | Stage::Yielded);
        let launched: Vec<(TaskId, Run)> = self
            .tracked
            .iter()
            .filter(|(_, tracked)| tracked.mark_sent && counts(tracked.stage()))
            .map(|(task, tracked)| (task, tracked.task().run))
            .collect();
        self.cx.emit(Command::RotateMarks { launched });
    }

    pub(super) fn sweep_if_due(&mut self) {
        if self.sweep.start_if_due(self.cx.monotonic()) {
            let tasks_max = self.cx.tuning().sweep_tasks_max;
            self.cx.emit(Command::Sweep { tasks_max, skip: self.skipped.skipped() });
        }
    }

    pub(super) fn swept(
        &mut self,
        overdue: Vec<TaskSnapshot>,
        promoted: &[Lane],
        next: Option<Timestamp>,
        failed: &[TaskId],
    ) {
        self.sweep.finished();
        for task in failed {
            self.skipped.skip(*task, None, &mut self.cx);
        }
        self.forget_unused();
        for snapshot in overdue {
            self.end_untracked(snapshot, &Event::Deadline, None);
        }
        self.waiting(promoted);
        self.sweep_by(self.cx.monotonic() + self.cx.tuning().sweep_every);
        self.sweep_by_server_time(next);
    }

    /// Forgets the pools and targets of which nothing runs and for which no task waits.
    fn forget_unused(&mut self) {
        let (plan, occupancy) = (&self.plan, self.tracked.occupancy());
        self.claims_ahead.forget(|pool: &PoolName| plan.has_pool(pool) || occupancy.of(pool).slots > 0);
        self.sessions.forget_unused(&mut self.plan);
    }

    /// Skips a task that could not be claimed or offered; the tasks behind it go on.
    pub(super) fn skip(&mut self, task: TaskId, lane: Lane) {
        self.skipped.skip(task, Some(lane), &mut self.cx);
    }

    /// The time of a skipped task has come.
    pub(super) fn skip_over(&mut self, task: TaskId) {
        match self.skipped.on_timer(task, &mut self.cx) {
            Some(Retry::Lane(lane)) => self.refresh_lane(&lane),
            Some(Retry::Sweep) => self.sweep_by(self.cx.monotonic()),
            None => {}
        }
    }

    /// The store refused a command as a whole.
    pub(super) fn refused(&mut self, command: Command) {
        let counts = if self.leadership.is_disconnected() {
            // Only the reading of rows is under way.
            matches!(command, Command::Resync { .. })
        } else {
            self.leadership.epoch().is_some() || command == Command::Resign
        };
        if !counts {
            return;
        }
        match command {
            // Writes have a backoff of their own.
            Command::Write(event) => {
                let reason = "the store refused the whole statement".to_owned();
                self.written(event.task, event.run, &WriteAnswer::Failed(reason));
            }
            // The request is read again, and the rows are read again at the next audit.
            Command::Dismiss { .. } | Command::Reread { .. } => {}
            Command::ServeLatch { .. } => {
                self.latch.not_served();
                let at = self.retries.next(&mut self.cx);
                self.wake.poll_by(at);
            }
            Command::Poll { .. } => {
                let at = self.retries.next(&mut self.cx);
                self.wake.refused(at);
            }
            Command::RunRoutines => self.routines_done(),
            Command::Maintain => self.upkeep.maintenance_failed(&self.cx),
            Command::RunStartup
            | Command::Refill { .. }
            | Command::Sweep { .. }
            | Command::ReadRequests { .. }
            | Command::Register { .. }
            | Command::Unregister { .. }
            | Command::RotateMarks { .. }
            | Command::Mark { .. }
            | Command::Resync { .. }
            | Command::Resign => self.retries.push(command, &mut self.cx),
            Command::Fence { .. }
            | Command::FenceSession { .. }
            | Command::Connect { .. }
            | Command::Disconnect { .. }
            | Command::Launch { .. }
            | Command::Cancel { .. }
            | Command::Terminate { .. }
            | Command::ProveLead { .. }
            | Command::SleepUntil(_) => debug_assert!(false, "the store does not carry out {command:?}"),
        }
    }

    /// Sends the refused commands again, as far as they are still wanted.
    pub(super) fn send_refused_again(&mut self) {
        for command in self.retries.take_due(self.cx.monotonic()) {
            if let Command::Mark { task, run, session } = command {
                if self.awaits_mark(task, run, session) {
                    self.emit_mark(task, run, session);
                }
            } else if let Command::RotateMarks { .. } = command {
                // The next rotation carries over what is launched then.
                self.marks.not_rotated();
            } else if !matches!(command, Command::Register { session } if !self.sessions.is_registering(session)) {
                self.cx.emit(command);
            }
        }
    }

    fn awaits_mark(&self, task: TaskId, run: Run, session: Option<SessionId>) -> bool {
        let Some(tracked) = self.tracked.get(task).filter(|tracked: &&Tracked| tracked.task().run == run) else {
            return false;
        };
        match (session, tracked.stage()) {
            (Some(session), Stage::Marking { session: its }) => session == *its,
            (None, _) => tracked.marked == Marked::Requested,
            (Some(_), _) => false,
        }
    }
}
