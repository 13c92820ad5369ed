//! From a query's end to what the row becomes.

use super::held::{Stage, Stray};
use super::input::Found;
use super::target::SessionState;
use super::{Bug, Command, Orchestrator};
use crate::names::{Run, SessionId, TaskId};
use crate::task::event::{Event, Outcome};
use crate::task::phase::Phase;
use crate::task::row::{Held as Known, Row, RowState};

impl Orchestrator {
    pub(super) fn query_ended(&mut self, session: SessionId, task: TaskId, run: Run, outcome: Outcome) {
        let (task, run) = self.planted_stale_end(session, task, run);
        let Some(Stage::Launched { session: its, pressure }) = self.stage(task, run) else { return };
        if *its != session {
            return;
        }
        // Whatever a cancel may still hit must not be the next query.
        let clean = outcome == Outcome::Ok && !pressure.cancel_sent();
        let reusable = clean || self.bug.get() == Some(Bug::CancelledSessionReused);
        self.free_text(task);
        if let Some(state) = self.sessions.get_mut(&session)
            && let SessionState::Busy { .. } = state.state
        {
            if reusable {
                self.rest_session(session);
            } else {
                self.close(session);
            }
        }
        if let Some(held) = self.held.get(&task)
            && let Some(launched) = held.launched
        {
            let (pool, took) = (held.lane.pool.clone(), self.now - launched);
            self.learn_pace(&pool, took);
        }
        self.ended(task, outcome);
    }

    /// With the bug planted, any end that a session reports is taken for that of what it runs.
    fn planted_stale_end(&self, session: SessionId, task: TaskId, run: Run) -> (TaskId, Run) {
        let runs = self.sessions.get(&session).map(|session| session.state);
        if let Some(SessionState::Busy { task: runs }) = runs
            && self.bug.get() == Some(Bug::StaleEndTaken)
        {
            return (runs, self.held.get(&runs).map_or(run, |held| held.task.run));
        }
        (task, run)
    }

    /// The query is over; what was asked before its end was seen is read before it counts.
    pub(super) fn ended(&mut self, task: TaskId, outcome: Outcome) {
        let read = self.reading.next();
        self.restage(task, Stage::Ended { outcome, read });
        if self.bug.get() == Some(Bug::ResultBeforeRequests) {
            self.record_ended(u64::MAX);
        } else {
            self.reading_ends.insert(task);
        }
    }

    /// The requests of this read are known: the ends that waited for it count.
    pub(super) fn record_ended(&mut self, serial: u64) {
        let waiting: Vec<TaskId> = if self.bug.get() == Some(Bug::ResultBeforeRequests) {
            self.held.keys().copied().collect()
        } else {
            self.reading_ends.iter().copied().collect()
        };
        for task in waiting {
            let Some(held) = self.held.get(&task) else {
                self.reading_ends.remove(&task);
                continue;
            };
            if let Stage::Ended { outcome, read } = &held.stage
                && *read <= serial
            {
                let event = Event::QueryEnded { run: held.task.run, outcome: outcome.clone() };
                self.reading_ends.remove(&task);
                self.end_now(task, &event);
            }
        }
    }

    /// Lets the event happen to a task in hand, and writes what becomes of it.
    pub(super) fn end_now(&mut self, task: TaskId, event: &Event) {
        let now = self.now;
        let Some(held) = self.held.get(&task) else { return };
        let Ok(next) = held.task.step(event, now) else { return };
        let (lane, turn) = (held.lane.clone(), held.turn);
        let waits_again = matches!(next.phase, Phase::Ready { eligible_when: None, .. });
        match held.stage {
            Stage::Ahead { .. } => {
                self.plan.remove(&lane, task);
                self.count_ahead(&lane.pool, false);
            }
            Stage::Queued => self.drop_from_queue(&lane.target, task),
            Stage::Marking { session } => self.rest_session(session),
            Stage::Claiming { .. }
            | Stage::Launched { .. }
            | Stage::Lost { .. }
            | Stage::Ended { .. }
            | Stage::Recording { .. }
            | Stage::Returning
            | Stage::Offering
            | Stage::Offered { .. }
            | Stage::Withdrawing
            | Stage::Pulled
            | Stage::Yielded
            | Stage::Abandoned => {}
        }
        self.free_text(task);
        // A client may take an offer, or keep what it pulled, until the record is written.
        let keeps_slot =
            self.held.get(&task).is_some_and(|held| matches!(held.stage, Stage::Offered { .. } | Stage::Pulled));
        self.restage(task, Stage::Recording { next: Box::new(next), keeps_slot, retry: None });
        self.write_record(task);
        if waits_again {
            // Nobody behind it in its lane goes first.
            self.plan.recall(&lane, turn);
        }
    }

    pub(super) fn write_record(&mut self, task: TaskId) {
        let Some(held) = self.held.get_mut(&task) else { return };
        let Stage::Recording { next, retry, .. } = &mut held.stage else { return };
        *retry = None;
        let (run, row, settles) = (held.task.run, next.row(), held.settles.clone());
        self.say(Command::Record { task, run, row, settles });
    }

    /// A record is written; what the row became counts, not what was meant.
    pub(super) fn recorded(&mut self, task: TaskId, run: Run, found: Found) {
        let tuning = self.settings.tuning;
        let Some(held) = self.held.get_mut(&task) else { return };
        let Stage::Recording { next, keeps_slot, .. } = &held.stage else { return };
        if next.run != run {
            return;
        }
        match found {
            Found::Unwritable => {
                let (next, keeps_slot) = (next.clone(), *keeps_slot);
                let wait = tuning.record_backoff.doubled(held.unwritable).min(tuning.record_backoff_max);
                held.unwritable = held.unwritable.saturating_add(1);
                let retry = Some(self.now + wait);
                self.restage(task, Stage::Recording { next, keeps_slot, retry });
            }
            Found::Deleted => self.done_with(task),
            Found::Row(row) => self.found(task, &row),
        }
    }

    /// Nothing more is to be done for the task; while its query may run, it is kept for that.
    fn done_with(&mut self, task: TaskId) {
        if self.held.get(&task).is_some_and(|held| held.stray == Stray::MayRun) {
            self.restage(task, Stage::Abandoned);
        } else {
            self.let_go(task);
        }
    }

    fn found(&mut self, task: TaskId, row: &Row) {
        let Some(held) = self.held.get_mut(&task) else { return };
        held.settles.clear();
        held.unwritable = 0;
        let Ok(found) = row.task(held.task.terms, Known::Claimed) else {
            return self.done_with(task);
        };
        held.task = found;
        let (gone, lane) = (held.stray == Stray::Gone, held.lane.clone());
        let deadline = row.times_up;
        match row.state() {
            _ if held.stray == Stray::MayRun => self.restage(task, Stage::Abandoned),
            RowState::Finished if row.tracked == Some(true) => {
                self.restage(task, Stage::Abandoned);
                if gone {
                    self.query_gone(task, "");
                }
            }
            RowState::Finished => {
                self.let_go(task);
            }
            RowState::Yielded if row.tracked == Some(true) => self.restage(task, Stage::Yielded),
            RowState::Running if held.task.terms.client_pulled => self.restage(task, Stage::Pulled),
            RowState::Yielded | RowState::Running | RowState::Ready => {
                self.let_go(task);
                self.sweep_by(row.eligible_when.unwrap_or(crate::time::Timestamp::NEVER));
                self.sweep_by(deadline.unwrap_or(crate::time::Timestamp::NEVER));
                if row.state() == RowState::Ready && row.eligible_when.is_none() {
                    self.look_at_lane(&lane);
                }
            }
        }
    }
}
