//! What the store refused as a whole is tried again: the one place that decides what, and when.

use super::backoff::Backoff;
use super::input::WriteAnswer;
use super::target::SessionState;
use super::timers::Timer;
use super::tracked::{Marked, Stage};
use super::{Command, Lead, Orchestrator};
use crate::names::{Run, SessionId, TaskId};
use crate::time::{MonotonicTime, Span};

/// Commands that the store refused, until they are sent again.
#[derive(Debug)]
pub(super) struct Retries {
    backoff: Backoff,
    due: Vec<Command>,
    /// When they are sent again.
    at: Option<MonotonicTime>,
}

impl Retries {
    pub(super) const fn new(first: Span, last: Span) -> Self {
        Self { backoff: Backoff::new(first, last), due: Vec::new(), at: None }
    }

    pub(super) const fn at(&self) -> Option<MonotonicTime> {
        self.at
    }

    /// The store was lost: what it refused is decided anew.
    pub(super) fn forget(&mut self) {
        self.due.clear();
        self.at = None;
    }
}

impl Orchestrator {
    /// Nothing came of a command.
    pub(super) fn refused(&mut self, command: Command) {
        let answers = match self.lead {
            // Only the reading of rows is under way.
            Lead::Blind { .. } => matches!(command, Command::Resync { .. }),
            Lead::Not => command == Command::Resign,
            Lead::Starting { .. } | Lead::Leads { .. } => true,
        };
        if !answers {
            return;
        }
        match command {
            // It has a backoff of its own.
            Command::Write(event) => {
                let reason = "the store refused the whole statement".to_owned();
                self.written(event.task, event.run, &WriteAnswer::Failed(reason));
            }
            // It is read again, and refused again if it still changes nothing.
            Command::Dismiss { .. } | Command::Reread { .. } => {}
            Command::ServeLatch { .. } => {
                // The next poll sees the number again.
                self.latch_served = 0;
                let at = self.retry_at();
                self.wake.poll_by(at);
            }
            Command::Poll { .. } => {
                let at = self.retry_at();
                self.wake.refused(at);
            }
            Command::RunRoutines => self.routines_done(),
            Command::Maintain => self.maintain_at = self.now.monotonic + self.settings.tuning.maintain_retry,
            Command::RunStartup
            | Command::Refill { .. }
            | Command::Sweep { .. }
            | Command::ReadRequests { .. }
            | Command::Register { .. }
            | Command::Unregister { .. }
            | Command::RotateMarks { .. }
            | Command::Mark { .. }
            | Command::Resync { .. }
            | Command::Resign => {
                let at = self.retry_at();
                self.retries.due.push(command);
                if self.retries.at.is_none() {
                    self.retries.at = Some(at);
                    self.at(at, Timer::Retry);
                }
            }
            Command::Fence { .. }
            | Command::FenceSession { .. }
            | Command::Connect { .. }
            | Command::Disconnect { .. }
            | Command::Launch { .. }
            | Command::Cancel { .. }
            | Command::Terminate { .. }
            | Command::ProveLead { .. }
            | Command::SleepUntil(_) => debug_assert!(false, "the store is not asked to {command:?}"),
        }
    }

    fn retry_at(&mut self) -> MonotonicTime {
        let random = self.random();
        self.now.monotonic + self.retries.backoff.next(random)
    }

    /// The store carried something out.
    pub(super) const fn store_works(&mut self) {
        self.retries.backoff.reset();
    }

    /// Sends again what was refused, as far as it is still wanted.
    pub(super) fn retry(&mut self) {
        if self.retries.at.is_none_or(|at| at > self.now.monotonic) {
            return;
        }
        self.retries.at = None;
        for command in std::mem::take(&mut self.retries.due) {
            if let Command::Mark { task, run, session } = command {
                if self.awaits_mark(task, run, session) {
                    self.emit_mark(task, run, session);
                }
            } else if let Command::RotateMarks { .. } = command {
                self.rotating = false;
            } else if !matches!(&command, Command::Register { session } if !self.is_registering(*session)) {
                self.emit(command);
            }
        }
    }

    fn awaits_mark(&self, task: TaskId, run: Run, session: Option<SessionId>) -> bool {
        let Some(tracked) = self.tracked.get(&task).filter(|tracked| tracked.task.run == run) else { return false };
        match (session, &tracked.stage) {
            (Some(session), Stage::Marking { session: its }) => session == *its,
            (None, _) => tracked.marked == Marked::Requested,
            (Some(_), _) => false,
        }
    }

    fn is_registering(&self, session: SessionId) -> bool {
        self.sessions.get(&session).is_some_and(|session| session.state == SessionState::Registering)
    }
}
