//! Shutting down: running queries may end, and the lead is given up when nothing is left to do.

use super::Orchestrator;
use super::command::Command;
use super::sessions::SessionState;
use super::timers::Timer;
use super::tracked::{CancelState, Stage, Tracked, Write, WriteState};
use crate::task::event::{Event, Request};
use crate::task::status::FinishStatus;
use crate::time::MonotonicTime;

impl Orchestrator {
    pub(super) fn shutdown(&mut self, drain_until: MonotonicTime) {
        if !self.leadership.drain(drain_until) {
            return;
        }
        self.cx.at(drain_until, Timer::Drain);
        self.cx.at(drain_until + self.cx.tuning().drain_record_grace, Timer::Drain);
        self.offers.review_all();
    }

    /// The time in which queries may end by themselves is over: what still runs is stopped, and
    /// waits again.
    pub(super) fn drain(&mut self) {
        let runs =
            |tracked: &Tracked| matches!(tracked.stage(), Stage::Launched { cancel: CancelState::NotRequested, .. });
        let pause = Event::Request(Request::finish(FinishStatus::Paused));
        let now = self.cx.now();
        for task in self.tracked.filter(runs) {
            // An intention that was there before stands.
            if let Some(tracked) = self.tracked.known_mut(task)
                && let Ok(next) = tracked.task().step(&pause, now.server)
            {
                tracked.set_task(next, now);
            }
            self.cancel_at(task, now.monotonic);
        }
    }

    /// Gives up the lead when nothing is left that only this leader can do.
    pub(super) fn resign_when_drained(&mut self) {
        let Some(until) = self.leadership.drain_until() else { return };
        let over = until <= self.cx.monotonic();
        let long_over = until + self.cx.tuning().drain_record_grace <= self.cx.monotonic();
        let may_stay = |tracked: &Tracked| match tracked.stage() {
            Stage::Pulled | Stage::Yielded | Stage::Abandoned => true,
            // The next leader fences its session.
            Stage::Lost { .. } => over,
            // The row cannot be written, and the next leader does not know how the query ended: it is
            // waited for longest.
            Stage::Writing(Write { state: WriteState::Due { .. }, .. }) => long_over,
            Stage::Writing(_)
            | Stage::ClaimedAhead { .. }
            | Stage::Queued
            | Stage::Marking { .. }
            | Stage::Launched { .. }
            | Stage::Ended { .. }
            | Stage::Offered { .. } => false,
        };
        if self.tracked.iter().all(|(_, tracked)| may_stay(tracked)) && !self.is_closing_sessions() {
            self.deposed();
            self.cx.emit(Command::Resign);
        }
    }

    /// Closes the idle sessions, so that the registry is empty for the next leader; returns whether
    /// that still takes time. It is waited for only so long.
    fn is_closing_sessions(&mut self) -> bool {
        let (now, grace) = (self.cx.monotonic(), self.cx.tuning().closing_grace);
        let until = self.leadership.closing_until(now, grace);
        if until <= now {
            return false;
        }
        self.cx.at(until, Timer::Drain);
        for session in self.sessions.filter(|state| matches!(state, SessionState::Idle { .. })) {
            self.close(session);
        }
        let waits = |state: SessionState| state.is_open() || state == SessionState::Closing;
        self.sessions.is_unregistering() || !self.sessions.filter(waits).is_empty()
    }
}
