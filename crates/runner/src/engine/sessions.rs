//! What sessions with targets have to say.

use pgasync_core::{Input, SessionId, TargetName};
use pgasync_store::Op;

use super::Engine;

impl Engine {
    pub(super) fn connect_failed(&mut self, session: SessionId, target: Option<TargetName>, error: &str) {
        let target = target.or_else(|| self.sessions.target_of(session));
        self.sessions.forget(session);
        let Some(target) = target else { return };
        let since = self.sessions.lost.get(&target).map_or_else(|| self.now(), |(since, _)| *since);
        if self.sessions.lost.insert(target.clone(), (since, error.to_owned())).is_none() {
            self.log("WARNING", format!("target \"{target}\" is lost: {error}"));
        }
        let error = format!("target \"{target}\" could not be reached: {error}");
        self.handle(Input::ConnectFailed { session, error });
    }

    /// A session's own words.
    pub(super) fn hear(&mut self, input: Input) {
        match &input {
            Input::QueryEnded { session, task, outcome, .. } => {
                tracing::debug!(task = task.0, ?outcome, "a query ended");
                self.sessions.rests(*session);
            }
            Input::SessionLost { session } => {
                let session = *session;
                self.handle(input);
                self.sessions.close(session);
                return;
            }
            _ => {}
        }
        let outdated = match &input {
            Input::QueryEnded { session, .. } => Some(*session).filter(|session| self.sessions.is_outdated(*session)),
            _ => None,
        };
        self.handle(input);
        if let Some(session) = outdated {
            self.handle(Input::SessionLost { session });
        }
    }

    /// The host of a lost session does not answer: its worker may go on elsewhere. (The core does not ask yet.)
    pub(super) fn unreachable(&mut self, session: SessionId) {
        tracing::debug!(session = session.0, "the host of a lost session does not answer");
    }

    /// The same for sessions of older leaders at a target. (The core does not ask yet.)
    pub(super) fn fence_failed(&mut self, target: &TargetName) {
        tracing::debug!(%target, "a host with sessions of older leaders does not answer");
    }

    pub(super) fn gone(&mut self, session: SessionId) {
        self.tell(Op::Forget(session));
        self.sessions.forget(session);
        self.handle(Input::SessionGone { session });
    }
}
