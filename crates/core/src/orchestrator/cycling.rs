//! The answers to polls and sweeps, and the commands that the store refused.

use super::Orchestrator;
use super::command::Command;
use super::input::{OpenWriters, TaskSnapshot, WriteAnswer};
use crate::names::{PoolName, TaskId};
use crate::plan::lane::{Head, Lane, QueuePosition};
use crate::time::Timestamp;

impl Orchestrator {
    pub(super) fn polled(
        &mut self,
        lanes: Vec<(Lane, Option<QueuePosition>)>,
        arrivals: Vec<(Lane, Head)>,
        due: Option<Timestamp>,
        requests: bool,
        latch: i64,
        writers: Option<OpenWriters>,
    ) {
        self.retries.succeeded();
        self.cycle.polled(latch, writers, &self.scheduler.cx);
        self.scheduler.lanes_have_tasks(lanes);
        self.scheduler.arrived(arrivals);
        self.scheduler.sweep.by_server_time(due, &mut self.scheduler.cx);
        self.scheduler.offers.review_all();
        if requests {
            self.scheduler.requests.want();
        }
    }

    pub(super) fn swept(
        &mut self,
        overdue: Vec<TaskSnapshot>,
        promoted: &[Lane],
        next: Option<Timestamp>,
        failed: &[TaskId],
    ) {
        let scheduler = &mut self.scheduler;
        for task in failed {
            scheduler.skipped.skip(*task, None, &mut scheduler.cx);
        }
        // Pools and targets of which nothing runs and for which no task waits are forgotten.
        let (plan, occupancy) = (&scheduler.plan, scheduler.tracked.occupancy());
        scheduler.claims_ahead.forget(|pool: &PoolName| plan.has_pool(pool) || occupancy.of(pool).slots > 0);
        scheduler.sessions.forget_unused(&mut scheduler.plan, scheduler.cx.settings());
        if overdue.is_empty() {
            scheduler.sweep.finished();
        } else {
            scheduler.requests.swept_after_read(overdue);
        }
        scheduler.refresh_lanes(promoted);
        scheduler.sweep.by(scheduler.cx.monotonic() + scheduler.cx.tuning().sweep_every, &mut scheduler.cx);
        scheduler.sweep.by_server_time(next, &mut scheduler.cx);
    }

    /// The store refused a command as a whole.
    pub(super) fn refused(&mut self, command: Command) {
        let counts = if self.scheduler.leadership.is_disconnected() {
            // Only the reading of rows is under way.
            matches!(command, Command::Resync { .. })
        } else {
            self.scheduler.leadership.epoch().is_some() || command == Command::Resign
        };
        if !counts {
            return;
        }
        match command {
            // Writes have a backoff of their own.
            Command::Write(event) => {
                let reason = "the store refused the whole statement".to_owned();
                if self.scheduler.written(event.task, event.run, &WriteAnswer::Failed(reason)) {
                    self.cycle.written();
                }
            }
            // The request is read again, and the rows are read again at the next audit.
            Command::Dismiss { .. } | Command::Reread { .. } => {}
            Command::ServeLatch { .. } => {
                let at = self.retries.next(&mut self.scheduler.cx);
                self.cycle.latch_refused(at);
            }
            Command::Poll { .. } => {
                let at = self.retries.next(&mut self.scheduler.cx);
                self.cycle.poll_refused(at);
            }
            Command::RunRoutines => self.cycle.routines_done(&self.scheduler.cx),
            Command::RunStartup
            | Command::Refill { .. }
            | Command::Sweep { .. }
            | Command::ReadRequests { .. }
            | Command::Register { .. }
            | Command::Unregister { .. }
            | Command::RotateMarks { .. }
            | Command::Mark { .. }
            | Command::Resync { .. }
            | Command::Resign => self.retries.push(command, &mut self.scheduler.cx),
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
        for command in self.retries.take_due(self.scheduler.cx.monotonic()) {
            if let Command::Mark { task, run, session } = command {
                self.scheduler.tracked.mark_again(task, run, session, &mut self.scheduler.cx);
            } else if let Command::RotateMarks { .. } = command {
                // The next rotation carries over what is launched then.
                self.scheduler.tracked.marks.not_rotated();
            } else if !matches!(command, Command::Register { session } if !self.scheduler.sessions.is_registering(session))
            {
                self.scheduler.cx.emit(command);
            }
        }
    }
}
