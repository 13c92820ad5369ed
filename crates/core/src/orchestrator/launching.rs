//! From a claim to a running query: a session, a mark, the text.

use super::Orchestrator;
use super::command::Command;
use super::tracked::{CancelState, Marked, Stage};
use crate::names::{Run, SessionId, TargetName, TaskId};
use crate::task::event::Event;

impl Orchestrator {
    /// The task is claimed, and waits for a session.
    pub(super) fn enqueue(&mut self, task: TaskId) {
        self.set_stage(task, Stage::Queued);
        if let Some(tracked) = self.tracked.known(task) {
            self.sessions.enqueue(&tracked.lane.target, tracked.position);
        }
    }

    /// Gives queued tasks the sessions that they wait for, and connects where one is missing.
    pub(super) fn assign_sessions(&mut self) {
        for target in self.sessions.take_unassigned() {
            self.assign_idle_sessions(&target);
            self.sessions.connect_missing(&target, &mut self.cx, &mut self.plan);
            self.probe(&target);
            self.give_back_hopeless(&target);
        }
    }

    fn assign_idle_sessions(&mut self, target: &TargetName) {
        while let Some((position, session)) = self.sessions.next_assignment(target) {
            let bytes = self.tracked.known(position.task).map_or(0, |tracked| tracked.text_missing());
            if !self.tracked.fits_text(bytes, &self.cx) {
                return self.sessions.starve(target.clone());
            }
            self.sessions.assign(position, session, &self.cx, &mut self.plan);
            self.mark(position.task, session);
        }
    }

    /// The task has a session. A task that was marked ahead of its turn is launched at once, or when
    /// its mark is durable.
    fn mark(&mut self, task: TaskId, session: SessionId) {
        let Some(tracked) = self.tracked.known_mut(task) else { return };
        tracked.launched = None;
        let (run, marked) = (tracked.task().run, tracked.marked);
        self.set_stage(task, Stage::Marking { session });
        match marked {
            Marked::Durably => self.launch(task, session),
            Marked::Requested => {}
            Marked::No => {
                self.tracked.take_text(task);
                self.emit_mark(task, run, Some(session));
            }
        }
    }

    /// Emits a mark. From now on, not from its answer on, the task counts as launched for a successor.
    pub(super) fn emit_mark(&mut self, task: TaskId, run: Run, session: Option<SessionId>) {
        if let Some(tracked) = self.tracked.known_mut(task) {
            tracked.mark_sent = true;
        }
        self.marks.sent();
        self.cx.emit(Command::Mark { task, run, session });
    }

    /// A launch is marked durably.
    pub(super) fn marked(&mut self, task: TaskId, run: Run, session: Option<SessionId>) {
        let Some(tracked) = self.tracked.get_mut(task).filter(|tracked| tracked.task().run == run) else { return };
        tracked.mark_sent = true;
        match (tracked.stage(), session) {
            (Stage::Marking { session: its }, Some(session)) if *its == session => self.launch(task, session),
            (Stage::Marking { session }, None) if tracked.marked == Marked::Requested => {
                let session = *session;
                self.launch(task, session);
            }
            (_, None) if tracked.marked == Marked::Requested => tracked.marked = Marked::Durably,
            // The task was given back or ended meanwhile, or it has another session.
            (_, Some(_) | None) => {}
        }
    }

    /// The launch is marked and the task has a session, so the query may go.
    fn launch(&mut self, task: TaskId, session: SessionId) {
        if !self.launches() {
            self.free_text(task);
            self.rest(session);
            return self.give_back(task);
        }
        let now = self.cx.now();
        let Some(tracked) = self.tracked.known_mut(task) else { return };
        let Ok(next) = tracked.task().step(&Event::Launch, now.server) else {
            debug_assert!(false, "task {task} is launched and is not claimed");
            return;
        };
        let run = tracked.task().run;
        tracked.set_task(next, now);
        tracked.launched = Some(now.monotonic);
        self.set_stage(task, Stage::Launched { session, cancel: CancelState::NotRequested });
        self.cx.emit(Command::Launch { task, run, session });
    }

    /// The text is on its way to the target.
    pub(super) fn sent(&mut self, task: TaskId, run: Run) {
        if self.stage(task, run).is_some() {
            self.free_text(task);
        }
    }

    /// The task's text is no longer in memory.
    pub(super) fn free_text(&mut self, task: TaskId) {
        if self.tracked.free_text(task) {
            self.sessions.wake_starved();
        }
    }

    /// The session has no work, and is clean.
    pub(super) fn rest(&mut self, session: SessionId) {
        self.sessions.rest(session, &mut self.cx, &mut self.plan);
    }

    /// Closes a session that runs nothing.
    pub(super) fn close(&mut self, session: SessionId) {
        self.sessions.close(session, &mut self.cx, &mut self.plan);
    }
}
