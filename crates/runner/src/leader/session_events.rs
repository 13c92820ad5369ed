//! Handling the events of target sessions.

use pgasync_core::{Input, SessionId, TargetName};

use super::Leader;
use crate::target_session::OpenedSession;

impl Leader {
    pub(super) fn on_opened(&mut self, session: SessionId, opened: OpenedSession) {
        if let Some(target) = self.sessions.note_opened(session, opened) {
            self.log("NOTICE", format!("target \"{target}\" is back"));
        }
        self.handle(Input::Connected { session });
    }

    /// `target` is given when the session has no entry yet.
    pub(super) fn on_connect_failed(&mut self, session: SessionId, target: Option<TargetName>, error: &str) {
        let target = target.or_else(|| self.sessions.target_of(session));
        self.sessions.forget(session);
        // The session may have been disconnected and forgotten while it was connecting.
        let Some(target) = target else { return };
        let since = self.sessions.lost.get(&target).map_or_else(|| self.now().server, |(since, _)| *since);
        if self.sessions.lost.insert(target.clone(), (since, error.to_owned())).is_none() {
            self.log("WARNING", format!("target \"{target}\" is lost: {error}"));
        }
        let error = format!("target \"{target}\" could not be reached: {error}");
        self.handle(Input::ConnectFailed { session, error });
    }

    /// Handles an input that a session has sent for the core.
    pub(super) fn on_session_input(&mut self, input: Input) {
        match input {
            Input::QueryEnded { session, task, run, outcome } => {
                tracing::debug!(task = task.0, ?outcome, "a query ended");
                self.sessions.note_idle(session);
                self.handle(Input::QueryEnded { session, task, run, outcome });
                // The address of the target changed while the query ran.
                if self.sessions.is_outdated(session) {
                    self.handle(Input::SessionLost { session });
                }
            }
            Input::SessionLost { session } => {
                self.handle(Input::SessionLost { session });
                self.sessions.close(session);
            }
            input => self.handle(input),
        }
    }

    pub(super) fn on_fenced(&mut self, target: TargetName, numbers: Vec<i64>) {
        if !numbers.is_empty() {
            let count = numbers.len();
            self.log("NOTICE", format!("ended {count} sessions of older orchestrators at target \"{target}\""));
        }
        self.handle(Input::Fenced { target, sessions: numbers });
    }

    pub(super) fn on_session_gone(&mut self, session: SessionId) {
        self.sessions.forget(session);
        self.handle(Input::SessionGone { session });
    }
}
