//! From a claim to a running query: a session, a mark, the text.

use super::command::Command;
use super::scheduler::Scheduler;
use super::tracked::{CancelState, Marked, TaskSession};
use crate::names::{Run, SessionId, TaskId};
use crate::task::event::Event;
use crate::task::phase::Phase;

impl Scheduler {
    /// The task is claimed, and waits for a session.
    pub(super) fn enqueue(&mut self, task: TaskId) {
        self.update(task, |tracked| tracked.set_session(TaskSession::Wanted));
        if self.is_paused(task) {
            // It was claimed a moment before.
            return self.give_back(task);
        }
        if let Some(tracked) = self.tracked.known(task) {
            self.sessions.enqueue(&tracked.lane.target, tracked.position);
        }
    }

    /// Gives queued tasks the sessions that they wait for, and connects where one is missing.
    pub(super) fn assign_sessions(&mut self) {
        for target in self.sessions.take_unassigned() {
            while let Some((position, session)) = self.sessions.next_assignment(&target) {
                let bytes = self.tracked.known(position.task).map_or(0, |tracked| tracked.text_missing());
                if !self.tracked.fits_text(bytes, &self.cx) {
                    self.sessions.starve(target.clone());
                    break;
                }
                self.sessions.assign(position, session, &self.cx, &mut self.plan);
                self.assign(position.task, session);
            }
            self.sessions.connect_missing(&target, &mut self.cx, &mut self.plan);
            self.probe(&target);
            self.give_back_all(self.sessions.surplus(&target));
        }
        if self.launches() {
            let worker_free = self.tracked.worker_free(&self.cx);
            self.sessions.contact(worker_free, &mut self.cx, &self.plan);
        }
    }

    /// The task has a session. A task that was marked ahead of its turn is launched at once, or
    /// when its mark is durable.
    fn assign(&mut self, task: TaskId, session: SessionId) {
        self.update(task, |tracked| {
            tracked.launched = None;
            tracked.set_session(TaskSession::Assigned { session });
        });
        let Some(marked) = self.tracked.known(task).map(|tracked| tracked.marked()) else { return };
        if marked == Marked::Durably {
            self.launch(task, session);
        } else if marked == Marked::No {
            self.tracked.mark(task, Some(session), &mut self.cx);
        }
    }

    /// A launch is marked durably.
    pub(super) fn marked(&mut self, task: TaskId, run: Run, session: Option<SessionId>) {
        if self.tracked.of_run(task, run).is_some()
            && let Some(session) = self.tracked.known_mut(task).and_then(|tracked| tracked.on_marked(session))
        {
            self.launch(task, session);
        }
    }

    /// The launch is marked and the task has a session, so the query may go.
    fn launch(&mut self, task: TaskId, session: SessionId) {
        if !self.launches() || self.is_paused(task) {
            self.sessions.rest(session, &mut self.cx, &mut self.plan);
            return self.give_back(task);
        }
        let now = self.cx.now();
        let Some(tracked) = self.tracked.known(task) else { return };
        if tracked.is_overdue(now.monotonic) {
            // The deadline ends it after the next read of the requests, and frees the session.
            return;
        }
        let Ok(next) = tracked.task().step(&Event::Launch, now.server) else {
            debug_assert!(false, "task {task} is launched and is not claimed");
            return;
        };
        let run = tracked.task().run;
        self.update(task, |tracked| {
            tracked.set_task(next, now);
            tracked.launched = Some(now.monotonic);
            tracked.set_session(TaskSession::Running { session, cancel: CancelState::NotRequested });
        });
        self.cx.emit(Command::Launch { task, run, session });
    }

    /// The driver has the launch.
    pub(super) fn count_start(&mut self, task: TaskId, run: Run) {
        if let Some(tracked) = self.tracked.of_run(task, run) {
            self.counters.start(&tracked.lane.target, tracked.task(), tracked.position.entered);
        }
    }

    /// The launch was taken back before the driver saw it: the task is claimed as before, and waits
    /// for a session.
    pub(super) fn unlaunch(&mut self, task: TaskId) {
        let now = self.cx.now();
        let Some(tracked) = self.tracked.known(task) else { return };
        let Phase::Launched { consumed, times_up, .. } = tracked.task().phase else {
            debug_assert!(false, "task {task} is to be launched and is not launched");
            return;
        };
        let mut claimed = tracked.task().clone();
        claimed.phase = Phase::Claimed { consumed, times_up };
        self.update(task, |tracked| {
            tracked.set_task(claimed, now);
            tracked.lose_mark();
            tracked.set_session(TaskSession::Wanted);
        });
        self.enqueue(task);
    }
}
