//! Carrying out what the core wants done.

use pgasync_core::{Class, Command, Input, Outcome, Run, SessionId, TaskId, classify};
use pgasync_store::Op;

use super::Engine;
use crate::ending::{self, How};
use crate::line::{SENT_AT_ONCE_MAX, Work};

/// In a text it stands for the task's id.
const TASK_ID_MACRO: &str = "##flow.TASK_ID##";

impl Engine {
    pub(super) fn carry_out(&mut self) {
        while let Some(command) = self.core.poll_command() {
            match command {
                Command::Connect { session, target } => {
                    if let Err(error) = self.sessions.open(session, &target, self.events.clone()) {
                        self.connect_failed(session, Some(target), &error);
                    }
                }
                Command::Register { session } => match self.sessions.registration(session) {
                    Some(registration) => self.tell(Op::Register(session, registration)),
                    None => self.handle(Input::SessionLost { session }),
                },
                Command::Disconnect { session } => self.disconnect(session),
                Command::Launch { task, run, session } => self.launch(task, run, session),
                Command::Cancel { session, task } => self.press(session, task, How::Cancel),
                Command::Terminate { session, task } => self.press(session, task, How::Terminate),
                Command::Fence { target, before } => {
                    let (server, events) = (self.server.clone(), self.events.clone());
                    let (own, name) = (self.sessions.own_settings(&target), self.sessions.name("fence"));
                    let places = ending::Places {
                        server,
                        own,
                        all: self.sessions.follows(&target),
                        attempt_max: self.options.timeouts.target_signal,
                    };
                    tokio::spawn(ending::fence(places, target, before, name, events));
                }
                Command::FenceSession { session, .. } => {
                    self.sessions.close(session);
                    match self.sessions.backend(session, "fence") {
                        Some(backend) => {
                            tokio::spawn(ending::fence_session(session, backend, self.events.clone()));
                        }
                        None => self.gone(session),
                    }
                }
                Command::SleepUntil(time) => self.core_wakes = Some(time),
                Command::Resign => self.leave(),
                command => {
                    if let Command::Record { task, run, .. } | Command::GiveBack { task, run, .. } = &command {
                        // It may be over before it was launched.
                        self.texts.remove(&(*task, *run));
                    }
                    self.tell(Op::Core(command));
                }
            }
        }
    }

    pub(super) fn publish_nothing(&mut self) {
        let workers = i32::try_from(self.settings.workers).unwrap_or(i32::MAX);
        self.tell(Op::Publish(pgasync_store::Published { workers, ..Default::default() }));
    }

    pub(super) fn disconnect(&mut self, session: SessionId) {
        let opened = self.sessions.was_opened(session);
        self.sessions.close(session);
        if !opened {
            // It was never registered; a connection that comes yet is dropped.
            self.sessions.forget(session);
            self.handle(Input::SessionGone { session });
        }
    }

    pub(super) fn launch(&mut self, task: TaskId, run: Run, session: SessionId) {
        let text = self.texts.remove(&(task, run)).flatten();
        let refusal = match text.as_deref().map(classify) {
            None => Some("the query of the task is gone".to_owned()),
            Some(Class::Refused) => Some(format!("PA205: {}", pgasync_core::COPY_REFUSED)),
            Some(Class::Raw | Class::Wrapped | Class::WrappedEach) => None,
        };
        if let Some(error) = refusal {
            return self.handle(Input::QueryEnded { session, task, run, outcome: Outcome::Error(error) });
        }
        let text = text.unwrap_or_default();
        let raw = classify(&text) == Class::Raw;
        let text = if text.contains(TASK_ID_MACRO) { text.replace(TASK_ID_MACRO, &task.to_string()) } else { text };
        let reset = raw || self.sessions.resets(session);
        tracing::debug!(task = task.0, session = session.0, "launched");
        let now = self.now();
        let at_once = text.len() <= SENT_AT_ONCE_MAX;
        self.sessions.run(session, Work { task, run, text, reset }, now);
        if at_once {
            self.handle(Input::Sent { task, run });
        }
    }

    pub(super) fn press(&mut self, session: SessionId, task: TaskId, how: How) {
        if !self.sessions.runs(session, task) {
            return;
        }
        tracing::debug!(task = task.0, ?how, "pressing a query to end");
        self.sessions.presses(session, how);
        if let Some(backend) = self.sessions.backend(session, "cancel") {
            tokio::spawn(ending::signal(backend, how, self.events.clone()));
        }
    }
}
