//! From the end of a query to the event that is written.

use super::Orchestrator;
use super::command::Command;
use super::input::{RequestId, TaskSnapshot};
use super::sessions::SessionState;
use super::tracked::{Stage, Tracked};
use crate::names::{Run, SessionId, TaskId};
use crate::task::event::{Event, Outcome};
use crate::task::phase::Phase;

impl Orchestrator {
    /// The target says that a query ended. An end of an earlier run, or on another session, is stale.
    pub(super) fn query_ended(&mut self, session: SessionId, task: TaskId, run: Run, outcome: Outcome) {
        let Some(Stage::Launched { session: its, cancel }) = self.stage(task, run) else { return };
        if *its != session {
            return;
        }
        // A cancel that is still on its way would hit the next query of the session.
        let clean = outcome == Outcome::Ok && !cancel.is_sent();
        self.free_text(task);
        if let Some(SessionState::Busy { .. }) = self.sessions.state(session) {
            if clean {
                self.rest(session);
            } else {
                self.close(session);
            }
        }
        if let Some(tracked) = self.tracked.known(task)
            && let Some(launched) = tracked.launched
        {
            let (now, pool) = (self.cx.monotonic(), &tracked.lane.pool);
            let slots = self.tracked.occupancy().of(pool).slots;
            self.claims_ahead.query_ended(pool, now - launched, slots, now, self.cx.tuning());
        }
        self.ended(task, outcome);
    }

    /// The query ended; the requests that were committed before are read before the end counts.
    pub(super) fn ended(&mut self, task: TaskId, outcome: Outcome) {
        let read = self.requests.wait_for_read(task);
        self.set_stage(task, Stage::Ended { outcome, read });
    }

    /// The requests of this read are known: the ends that waited for it are recorded.
    pub(super) fn record_ended(&mut self, serial: u64) {
        for task in self.requests.waiting() {
            match self.tracked.get(task).map(Tracked::stage) {
                Some(Stage::Ended { outcome, read }) if *read <= serial => {
                    let outcome = outcome.clone();
                    let Some(tracked) = self.tracked.known(task) else { continue };
                    let event = Event::QueryEnded { run: tracked.task().run, outcome };
                    self.requests.stop_waiting(task);
                    self.end_now(task, &event);
                }
                Some(_) => {}
                None => self.requests.stop_waiting(task),
            }
        }
    }

    /// Applies an event to a tracked task, and writes it.
    pub(super) fn end_now(&mut self, task: TaskId, event: &Event) {
        let Some(tracked) = self.tracked.known(task) else { return };
        let Some(mut write) = self.write_of(tracked.task(), event.clone()) else {
            debug_assert!(false, "task {task} refuses {event:?}");
            return;
        };
        let (lane, position) = (tracked.lane.clone(), tracked.position);
        let waits_again = matches!(write.next.phase, Phase::Ready { eligible_when: None, .. });
        // A client may take an offer, or keep what it pulled, until the record is written.
        write.keeps_slot = matches!(tracked.stage(), Stage::Offered { .. } | Stage::Pulled);
        if let Stage::Marking { session } = *tracked.stage() {
            self.rest(session);
        } else if let Stage::ClaimedAhead { .. } = tracked.stage() {
            self.plan.remove(&lane, task);
            self.claims_ahead.unclaim(&lane.pool);
        } else if let Stage::Queued = tracked.stage() {
            self.sessions.dequeue(&lane.target, position);
        }
        self.free_text(task);
        self.begin_write(task, write);
        if waits_again {
            // No task behind it in its lane goes first.
            self.plan.recall(&lane, position);
        }
    }

    /// Applies a request or the deadline to a task that is not tracked, and writes it.
    pub(super) fn end_untracked(&mut self, about: TaskSnapshot, event: &Event, request: Option<RequestId>) {
        let task = about.position.task;
        if self.tracked.contains(task) {
            return;
        }
        if let Err(why) = about.task.step(event, self.event_time(&about.task, event)) {
            if let Some(request) = request {
                self.cx.emit(Command::Dismiss { request, task, why });
            }
            return;
        }
        self.plan.remove(&about.lane, task);
        let Some(write) = self.write_of(&about.task, event.clone()) else {
            debug_assert!(false, "task {task} took {event:?} a moment ago");
            return;
        };
        let stage = Stage::Writing(write);
        let mut tracked = Tracked::new(about.position, about.lane, about.task, stage, self.cx.tuning(), self.cx.now());
        tracked.settles.extend(request);
        self.track(tracked);
        self.send_write(task);
    }
}
