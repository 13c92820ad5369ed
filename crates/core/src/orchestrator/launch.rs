//! From a claim to a query that runs: a session, a mark, the text.

use super::target::{Session, SessionState, Target};
use super::timers::Timer;
use super::tracked::{Marked, Pressure, Stage};
use super::{Command, Orchestrator};
use crate::names::{Run, SessionId, TargetName, TaskId};
use crate::task::event::Event;

impl Orchestrator {
    /// The task is claimed, and waits for a session.
    pub(super) fn enqueue(&mut self, task: TaskId) {
        self.restage(task, Stage::Queued);
        let Some(tracked) = self.tracked.get(&task) else { return };
        let target = tracked.lane.target.clone();
        self.targets.entry(target.clone()).or_default().queue.insert(tracked.position);
        self.unassigned.insert(target);
    }

    pub(super) fn drop_from_queue(&mut self, target: &TargetName, task: TaskId) {
        if let (Some(state), Some(tracked)) = (self.targets.get_mut(target), self.tracked.get(&task)) {
            state.queue.remove(&tracked.position);
        }
    }

    /// Gives queued tasks the sessions they wait for, and asks for those that lack.
    pub(super) fn assign_sessions(&mut self) {
        for target in std::mem::take(&mut self.unassigned) {
            while let Some(state) = self.targets.get_mut(&target)
                && let Some(position) = state.queue.first().copied()
                && let Some(session) = state.idle.last().copied()
            {
                let bytes =
                    self.tracked.get(&position.task).map_or(0, |tracked| tracked.text_bytes - tracked.text_in_memory);
                if self.text_bytes > 0 && self.text_bytes + bytes > self.settings.tuning.text_bytes_max {
                    self.starved.insert(target.clone());
                    break;
                }
                state.queue.remove(&position);
                state.idle.pop();
                self.mark(position.task, session);
            }
            self.connect_missing(&target);
            self.probe(&target);
            self.return_hopeless(&target);
        }
    }

    fn mark(&mut self, task: TaskId, session: SessionId) {
        let Some(tracked) = self.tracked.get_mut(&task) else { return };
        tracked.launched = None;
        let (run, marked) = (tracked.task.run, tracked.marked);
        self.move_session(session, SessionState::Busy { task });
        self.restage(task, Stage::Marking { session });
        match marked {
            Marked::Durably => self.launch(task, session),
            // The mark is on its way.
            Marked::Requested => {}
            Marked::No => {
                self.take_text(task);
                self.emit_mark(task, run, Some(session));
            }
        }
    }

    /// From now on the task counts as launched for a successor.
    pub(super) fn emit_mark(&mut self, task: TaskId, run: Run, session: Option<SessionId>) {
        if let Some(tracked) = self.tracked.get_mut(&task) {
            tracked.mark_sent = true;
        }
        self.marks_sent += 1;
        self.emit(Command::Mark { task, run, session });
    }

    /// A launch is marked durably.
    pub(super) fn marked(&mut self, task: TaskId, run: Run, session: Option<SessionId>) {
        let Some(tracked) = self.tracked.get_mut(&task).filter(|tracked| tracked.task.run == run) else { return };
        tracked.mark_sent = true;
        match (&tracked.stage, session) {
            (Stage::Marking { session: its }, Some(session)) if *its == session => self.launch(task, session),
            (Stage::Marking { session }, None) if tracked.marked == Marked::Requested => {
                let session = *session;
                self.launch(task, session);
            }
            (_, None) if tracked.marked == Marked::Requested => tracked.marked = Marked::Durably,
            (_, Some(_) | None) => {}
        }
    }

    /// The launch is marked and there is a session for it, so the query may go.
    fn launch(&mut self, task: TaskId, session: SessionId) {
        if !self.launches() {
            self.free_text(task);
            self.rest_session(session);
            return self.give_back(task);
        }
        let now = self.now;
        let Some(tracked) = self.tracked.get_mut(&task) else { return };
        let Ok(next) = tracked.task.step(&Event::Launch, now.server) else { return };
        let run = tracked.task.run;
        tracked.set_task(next, now);
        tracked.launched = Some(now.monotonic);
        self.restage(task, Stage::Launched { session, pressure: Pressure::None });
        self.emit(Command::Launch { task, run, session });
    }

    pub(super) fn sent(&mut self, task: TaskId, run: Run) {
        if self.stage(task, run).is_some() {
            self.free_text(task);
        }
    }

    /// The task's text comes with its mark.
    pub(super) fn take_text(&mut self, task: TaskId) {
        let Some(tracked) = self.tracked.get_mut(&task) else { return };
        self.text_bytes += tracked.text_bytes - tracked.text_in_memory;
        tracked.text_in_memory = tracked.text_bytes;
    }

    /// The task's text is not in memory any more.
    pub(super) fn free_text(&mut self, task: TaskId) {
        let Some(tracked) = self.tracked.get_mut(&task) else { return };
        let bytes = std::mem::take(&mut tracked.text_in_memory);
        if bytes > 0 {
            self.text_bytes = self.text_bytes.saturating_sub(bytes);
            self.wake_starved();
        }
    }

    /// Text or room for a session has come free: a target that lacked one may have it now.
    pub(super) fn wake_starved(&mut self) {
        self.unassigned.append(&mut self.starved);
    }

    fn connect_missing(&mut self, target: &TargetName) {
        while let Some(state) = self.targets.get(target)
            && state.takes_more()
            && state.queue.len() > state.connecting + state.idle.len()
        {
            if !self.make_room() {
                self.starved.insert(target.clone());
                return;
            }
            self.connect(target);
        }
    }

    pub(super) fn connect(&mut self, target: &TargetName) {
        self.last_session += 1;
        let session = SessionId(self.last_session);
        let state = Session { target: target.clone(), state: SessionState::Connecting, watched: None };
        self.sessions.insert(session, state);
        self.targets.entry(target.clone()).or_default().connecting += 1;
        self.emit(Command::Connect { session, target: target.clone() });
    }

    /// There may be as many connections as workers: closes one that is idle elsewhere if need be.
    pub(super) fn make_room(&mut self) -> bool {
        // A first contact with a target takes no other session's place: its answer may take long.
        let met = |target: &TargetName| self.targets.get(target).is_some_and(Target::is_met);
        let counts = |session: &&Session| session.state.is_open() && (session.state.is_ready() || met(&session.target));
        let open = self.sessions.values().filter(counts).count();
        if u32::try_from(open).is_ok_and(|open| open < self.settings.workers) {
            return true;
        }
        let idle = self.sessions.iter().filter_map(|(id, session)| match session.state {
            SessionState::Idle { since } => Some((since, *id)),
            SessionState::Connecting
            | SessionState::Registering
            | SessionState::Busy { .. }
            | SessionState::Suspect
            | SessionState::Closing => None,
        });
        let oldest = idle.min();
        if let Some((_, session)) = oldest {
            self.close(session);
        }
        oldest.is_some()
    }

    /// The session has nothing to do, and is clean.
    pub(super) fn rest_session(&mut self, session: SessionId) {
        let since = self.now.monotonic;
        self.move_session(session, SessionState::Idle { since });
        let Some(state) = self.sessions.get_mut(&session) else { return };
        let until = since + self.settings.tuning.session_idle_max;
        let watched = state.watched.is_some();
        state.watched.get_or_insert(until);
        let target = state.target.clone();
        self.targets.entry(target.clone()).or_default().idle.push(session);
        self.wake_starved();
        self.refresh_target(&target);
        self.unassigned.insert(target);
        if !watched {
            self.at(until, Timer::Session(session));
        }
    }

    pub(super) fn close_if_idle(&mut self, session: SessionId) {
        let Some(state) = self.sessions.get_mut(&session) else { return };
        state.watched = None;
        let SessionState::Idle { since } = state.state else { return };
        let until = since + self.settings.tuning.session_idle_max;
        if until <= self.now.monotonic {
            self.close(session);
        } else {
            state.watched = Some(until);
            self.at(until, Timer::Session(session));
        }
    }

    pub(super) fn unwatch(&mut self, session: SessionId) {
        if let Some(until) = self.sessions.get_mut(&session).and_then(|state| state.watched.take()) {
            self.timers.remove(&(until, Timer::Session(session)));
        }
    }

    /// Closes a session that runs nothing.
    pub(super) fn close(&mut self, session: SessionId) {
        let Some(target) = self.sessions.get(&session).map(|state| state.target.clone()) else { return };
        if let Some(state) = self.targets.get_mut(&target) {
            state.idle.retain(|idle| *idle != session);
        }
        self.unwatch(session);
        self.move_session(session, SessionState::Closing);
        self.part_from(&target);
        self.emit(Command::Disconnect { session });
        self.wake_starved();
    }
}
