//! From a query's end to what the row becomes.

use super::Orchestrator;
use super::target::SessionState;
use super::tracked::Stage;
use crate::names::{Run, SessionId, TaskId};
use crate::task::event::{Event, Outcome};
use crate::task::phase::Phase;

impl Orchestrator {
    pub(super) fn query_ended(&mut self, session: SessionId, task: TaskId, run: Run, outcome: Outcome) {
        let Some(Stage::Launched { session: its, pressure }) = self.stage(task, run) else { return };
        if *its != session {
            return;
        }
        // Whatever a cancel may still hit must not be the next query.
        let reusable = outcome == Outcome::Ok && !pressure.cancel_sent();
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
        if let Some(tracked) = self.tracked.get(&task)
            && let Some(launched) = tracked.launched
        {
            let (pool, took) = (tracked.lane.pool.clone(), self.now.monotonic - launched);
            self.learn_pace(&pool, took);
        }
        self.ended(task, outcome);
    }

    /// The query is over; what was asked before its end was seen is read before it counts.
    pub(super) fn ended(&mut self, task: TaskId, outcome: Outcome) {
        let read = self.reading.next();
        self.restage(task, Stage::Ended { outcome, read });
        self.reading_ends.insert(task);
    }

    /// The requests of this read are known: the ends that waited for it count.
    pub(super) fn record_ended(&mut self, serial: u64) {
        for task in self.reading_ends.iter().copied().collect::<Vec<_>>() {
            let Some(tracked) = self.tracked.get(&task) else {
                self.reading_ends.remove(&task);
                continue;
            };
            if let Stage::Ended { outcome, read } = &tracked.stage
                && *read <= serial
            {
                let event = Event::QueryEnded { run: tracked.task.run, outcome: outcome.clone() };
                self.reading_ends.remove(&task);
                self.end_now(task, &event);
            }
        }
    }

    /// Lets the event happen to a task in hand, and writes what becomes of it.
    pub(super) fn end_now(&mut self, task: TaskId, event: &Event) {
        let Some(tracked) = self.tracked.get(&task) else { return };
        let Some(mut write) = self.write_of(&tracked.task, event.clone()) else { return };
        let (lane, position) = (tracked.lane.clone(), tracked.position);
        let waits_again = matches!(write.next.phase, Phase::Ready { eligible_when: None, .. });
        // A client may take an offer, or keep what it pulled, until the record is written.
        write.keeps_slot = matches!(tracked.stage, Stage::Offered { .. } | Stage::Pulled);
        match tracked.stage {
            Stage::Ahead { .. } => {
                self.plan.remove(&lane, task);
                self.count_ahead(&lane.pool, false);
            }
            Stage::Queued => self.drop_from_queue(&lane.target, task),
            Stage::Marking { session } => self.rest_session(session),
            Stage::Writing(_)
            | Stage::Launched { .. }
            | Stage::Lost { .. }
            | Stage::Ended { .. }
            | Stage::Offered { .. }
            | Stage::Pulled
            | Stage::Yielded
            | Stage::Abandoned => {}
        }
        self.free_text(task);
        self.begin_write(task, write);
        if waits_again {
            // Nothing behind it in its lane goes first.
            self.plan.recall(&lane, position);
        }
    }
}
