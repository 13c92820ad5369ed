//! Stopping what takes too long: deadlines, cancels, terminations.

use super::Orchestrator;
use super::command::Command;
use super::tracked::{CancelState, Stage, Write, WriteState};
use crate::names::TaskId;
use crate::task::event::Event;
use crate::time::MonotonicTime;

impl Orchestrator {
    /// A time of a tracked task has come: its deadline, or the next step of its stage.
    pub(super) fn task_due(&mut self, task: TaskId) {
        let now = self.cx.monotonic();
        let tuning = *self.cx.tuning();
        let Some(tracked) = self.tracked.known(task) else { return };
        let overdue = tracked.is_overdue(now);
        match tracked.stage() {
            Stage::ClaimedAhead { .. }
            | Stage::Queued
            | Stage::Marking { .. }
            | Stage::Pulled
            | Stage::Yielded
            | Stage::Offered { .. }
                if overdue =>
            {
                self.end_now(task, &Event::Deadline);
            }
            Stage::ClaimedAhead { since } if *since + tuning.ahead_age_max <= now => self.give_back(task),
            Stage::Offered { .. } => self.offers.review(tracked.lane.pool.clone()),
            Stage::Launched { cancel, .. } if overdue && !cancel.is_sent() => self.time_out(task),
            Stage::Launched { cancel, .. } if cancel.until().is_some_and(|until| until <= now) => {
                self.escalate(task);
            }
            Stage::Lost { since } if overdue && *since + tuning.lost_grace <= now => {
                let known = format!("outcome unknown: target \"{}\" could not be reached", tracked.lane.target);
                self.end_now(task, &Event::Abandon { known });
            }
            Stage::Writing(Write { state: WriteState::Due { at }, .. }) if *at <= now => self.send_write(task),
            // The stage has changed since the timer was set.
            Stage::Writing(_)
            | Stage::ClaimedAhead { .. }
            | Stage::Queued
            | Stage::Marking { .. }
            | Stage::Launched { .. }
            | Stage::Lost { .. }
            | Stage::Ended { .. }
            | Stage::Pulled
            | Stage::Yielded
            | Stage::Abandoned => {}
        }
    }

    /// The deadline of a running query has passed.
    fn time_out(&mut self, task: TaskId) {
        let now = self.cx.now();
        if let Some(tracked) = self.tracked.known(task) {
            let at = self.event_time(tracked.task(), &Event::Deadline);
            // An intention that was there before stands, and then the step is refused.
            if let Ok(next) = tracked.task().step(&Event::Deadline, at)
                && let Some(tracked) = self.tracked.known_mut(task)
            {
                tracked.set_task(next, now);
            }
        }
        // Whatever else was intended, the time in which it may end by itself is over.
        self.cancel_at(task, now.monotonic);
    }

    /// Cancels a running query at this time, if it has not ended by then.
    pub(super) fn cancel_at(&mut self, task: TaskId, when: MonotonicTime) {
        // A query whose session is lost, or that has ended, cannot be cancelled.
        let Some(Stage::Launched { session, cancel }) = self.tracked.known(task).map(|tracked| tracked.stage()) else {
            return;
        };
        let (session, cancel) = (*session, *cancel);
        if cancel.is_sent() {
            return;
        }
        self.set_stage(task, Stage::Launched { session, cancel: CancelState::Grace { until: when } });
        if when <= self.cx.monotonic() {
            self.escalate(task);
        }
    }

    /// Takes the next step to stop a running query: a cancel, the termination of its session, the drop
    /// of the connection.
    fn escalate(&mut self, task: TaskId) {
        let (now, tuning) = (self.cx.monotonic(), *self.cx.tuning());
        let Some(Stage::Launched { session, cancel }) = self.tracked.known(task).map(|tracked| tracked.stage()) else {
            debug_assert!(false, "task {task} is stopped and does not run");
            return;
        };
        let session = *session;
        let cancel = match cancel {
            CancelState::NotRequested => {
                debug_assert!(false, "task {task} is stopped without a request");
                return;
            }
            CancelState::Grace { .. } => {
                self.cx.emit(Command::Cancel { session, task });
                CancelState::Cancelled { until: now + tuning.cancel_grace }
            }
            CancelState::Cancelled { .. } => {
                self.cx.emit(Command::Terminate { session, task });
                CancelState::Terminated { until: now + tuning.terminate_grace }
            }
            CancelState::Terminated { .. } => {
                self.cx.emit(Command::Disconnect { session });
                return self.session_lost(session);
            }
        };
        self.set_stage(task, Stage::Launched { session, cancel });
    }
}
