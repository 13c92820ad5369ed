//! Carrying out the commands of the core.

use pgasync_core::{Command, Input, Outcome, QueryClass, Run, SessionId, TaskId, classify};
use pgasync_store::{LaunchText, Operation, PublishedState};

use super::Leader;
use crate::cancel::{BackendSignal, signal_backend};
use crate::fence::{fence_older_epochs, fence_session};
use crate::target_session::{Query, SENT_AT_ONCE_MAX};

/// The placeholder for the id of the task in the text of a query.
const TASK_ID_MACRO: &str = "##flow.TASK_ID##";

const SELF_NOT_GRANTED: &str =
    "PA082: the target leads to the server itself as its owner, and the task was pushed without a grant on SELF";

impl Leader {
    pub(super) fn carry_out_commands(&mut self) {
        while let Some(command) = self.core.poll_command() {
            match command {
                Command::Connect { session, target } => {
                    if let Err(error) = self.sessions.open(session, &target, self.events.clone()) {
                        self.on_connect_failed(session, Some(target), &error);
                    }
                }
                Command::Register { session } => match self.sessions.registration(session) {
                    Some(registration) => self.send(Operation::Register(session, registration)),
                    None => self.handle(Input::SessionLost { session }),
                },
                Command::Disconnect { session } => self.disconnect(session),
                Command::Launch { task, run, session } => self.launch(task, run, session),
                Command::Cancel { session, task } => self.signal(session, task, BackendSignal::Cancel),
                Command::Terminate { session, task } => self.signal(session, task, BackendSignal::Terminate),
                Command::Fence { target, before } => {
                    let context = self.sessions.fence_context(&target);
                    tokio::spawn(fence_older_epochs(context, before, self.events.clone()));
                }
                Command::FenceSession { session, .. } => self.fence(session),
                Command::SleepUntil(time) => self.next_tick = Some(time),
                Command::ProveLead { after } => self.start_proof(after),
                Command::Resign => self.begin_resignation(),
                command => {
                    if let Command::Write(event) = &command {
                        // The task may end without a launch. Then no launch takes the text.
                        self.texts.remove(&(event.task, event.run));
                    }
                    self.send(Operation::Core(command));
                }
            }
        }
    }

    pub(super) fn publish_nothing(&mut self) {
        let workers = i32::try_from(self.workers).unwrap_or(i32::MAX);
        self.send(Operation::Publish(PublishedState { workers, ..Default::default() }));
    }

    fn disconnect(&mut self, session: SessionId) {
        let was_opened = self.sessions.was_opened(session);
        self.sessions.close(session);
        if !was_opened {
            // The session is in no registry and ran nothing. A connection that is still being made
            // is dropped.
            self.on_session_gone(session);
        }
    }

    fn fence(&mut self, session: SessionId) {
        self.sessions.close(session);
        match self.sessions.backend(session, "fence") {
            Some(backend) => {
                self.sessions.note_fence(session);
                let context = self.sessions.fence_context(&backend.target);
                tokio::spawn(fence_session(session, backend, context, self.events.clone()));
            }
            // A session that was never open has no backend that could run a query.
            None => self.on_session_gone(session),
        }
    }

    fn launch(&mut self, task: TaskId, run: Run, session: SessionId) {
        let refuse = |error| Input::QueryEnded { session, task, run, outcome: Outcome::Error(error) };
        let LaunchText { query: text, may_reach_self, answer_bytes_max, receipt } =
            match self.texts.remove(&(task, run)) {
                Some(Ok(text)) => text,
                Some(Err(reason)) => return self.handle(refuse(reason)),
                None => return self.handle(refuse("the query of the task is gone".to_owned())),
            };
        if !may_reach_self && self.sessions.is_at_self(session) {
            return self.handle(refuse(SELF_NOT_GRANTED.to_owned()));
        }
        // The text for a query whose rows are kept, or with a receipt, is not the query.
        let class = if receipt || answer_bytes_max.is_some() { QueryClass::Raw } else { classify(&text) };
        let raw = match class {
            QueryClass::Refused => return self.handle(refuse(format!("PA205: {}", pgasync_core::COPY_REFUSED))),
            QueryClass::Raw => true,
            QueryClass::Wrapped | QueryClass::WrappedEach => false,
        };
        let text = if text.contains(TASK_ID_MACRO) { text.replace(TASK_ID_MACRO, &task.to_string()) } else { text };
        let reset = raw || self.sessions.needs_reset(session);
        tracing::debug!(task = task.0, session = session.0, "launched");
        let now = self.now().server;
        let sent_at_once = text.len() <= SENT_AT_ONCE_MAX;
        self.sessions.run(session, Query { task, run, text, reset, answer_bytes_max, receipt }, now);
        if sent_at_once {
            self.handle(Input::Sent { task, run });
        }
    }

    fn signal(&mut self, session: SessionId, task: TaskId, signal: BackendSignal) {
        // The query may have ended since the core decided. A signal would hit the next one.
        if !self.sessions.runs(session, task) {
            return;
        }
        tracing::debug!(task = task.0, ?signal, "signalling the backend of a query");
        self.sessions.note_signal(session, signal);
        if let Some(backend) = self.sessions.backend(session, "cancel") {
            tokio::spawn(signal_backend(backend, signal, self.events.clone()));
        }
    }
}
