//! From the end of a query, a deadline or a request to the row that records it.

use super::command::Command;
use super::input::{RequestId, TaskSnapshot, WriteAnswer};
use super::scheduler::Scheduler;
use super::sessions::SessionState;
use super::tracked::{Dropped, Due, TaskSession, Tracked, Verdict, Write, WriteState, event_time};
use crate::names::{Run, SessionId, TaskId};
use crate::task::Task;
use crate::task::event::{Event, Outcome};
use crate::task::phase::Phase;

impl Scheduler {
    /// A time of a tracked task has come.
    pub(super) fn task_due(&mut self, task: TaskId) {
        let Some(tracked) = self.tracked.known(task) else { return };
        let Some(due) = tracked.due(self.cx.monotonic(), self.cx.tuning()) else { return };
        let dropped = match due {
            Due::Deadline | Due::Abandon | Due::TimeOut => return self.requests.overdue_after_read(task),
            Due::GiveBack => return self.give_back(task),
            Due::ReviewOffer => return self.offers.review(tracked.lane.pool.clone()),
            Due::Write => return self.send_write(task),
            Due::Escalate => self.tracked.escalate(task, &mut self.cx),
        };
        if let Some(Dropped(session)) = dropped {
            self.session_lost(session);
        }
    }

    /// The deadline of a tracked task had passed when a read of the requests began, which is
    /// answered: the deadline counts, unless a request or the end of the query came first.
    pub(super) fn end_overdue(&mut self, task: TaskId) {
        let Some(tracked) = self.tracked.get(task) else { return };
        match tracked.due(self.cx.monotonic(), self.cx.tuning()) {
            Some(Due::Deadline) => self.record(task, Event::Deadline),
            Some(Due::Abandon) => {
                let known = format!("outcome unknown: target \"{}\" could not be reached", tracked.lane.target);
                self.record(task, Event::Abandon { known });
            }
            Some(Due::TimeOut) => {
                let dropped = self.tracked.stop_with(task, &Event::Deadline, &mut self.cx);
                debug_assert!(dropped.is_none(), "a query that was not cancelled before is cancelled first");
            }
            Some(Due::GiveBack | Due::ReviewOffer | Due::Escalate | Due::Write) | None => {}
        }
    }

    /// The target reports that a query ended. An end of an earlier run, or on another session, is
    /// stale.
    pub(super) fn query_ended(&mut self, session: SessionId, task: TaskId, run: Run, outcome: Outcome) {
        let Some(tracked) = self.tracked.of_run(task, run) else { return };
        let TaskSession::Running { session: its, cancel } = *tracked.session() else { return };
        if its != session {
            return;
        }
        // A cancel that is still on its way would hit the next query of the session.
        let clean = outcome.is_ok() && !cancel.is_sent();
        self.update(task, Tracked::free_text);
        if let Some(SessionState::Busy { .. }) = self.sessions.state(session) {
            if clean {
                self.sessions.rest(session, &mut self.cx, &mut self.plan);
            } else {
                self.sessions.close(session, &mut self.cx, &mut self.plan);
            }
        }
        if let Some(tracked) = self.tracked.known(task)
            && let Some(launched) = tracked.launched
        {
            let (now, pool) = (self.cx.monotonic(), &tracked.lane.pool);
            let taken = (self.tracked.occupancy().of(pool).slots, self.tracked.occupancy().workers());
            self.claims_ahead.query_ended(pool, now - launched, taken, now, self.cx.tuning());
        }
        self.end_query(task, outcome);
    }

    /// The query ended; the requests that were committed before are read before the end counts.
    pub(super) fn end_query(&mut self, task: TaskId, outcome: Outcome) {
        self.requests.end_after_read(task);
        self.update(task, |tracked| tracked.set_session(TaskSession::Ended { outcome }));
    }

    /// Applies an event to a tracked task, and writes it.
    pub(super) fn record(&mut self, task: TaskId, event: Event) {
        let Some(tracked) = self.tracked.known(task) else { return };
        debug_assert!(tracked.pending_write().is_none(), "one write at a time is under way about task {task}");
        let Some(mut write) = Write::known(tracked.task(), event, self.cx.now()) else { return };
        let (lane, position) = (tracked.lane.clone(), tracked.position);
        let waits_again = matches!(write.next.phase, Phase::Ready { eligible_when: None, .. });
        write.keeps_slot = tracked.is_with_clients();
        if let TaskSession::Assigned { session } = *tracked.session() {
            self.sessions.rest(session, &mut self.cx, &mut self.plan);
        } else if let TaskSession::Later { .. } = tracked.session() {
            self.plan.remove(&lane, task);
        } else if let TaskSession::Wanted = tracked.session() {
            self.sessions.dequeue(&lane.target, position);
        }
        self.begin_write(task, None, write);
        if waits_again {
            // No task behind it in its lane goes first.
            self.plan.recall(&lane, position);
        }
    }

    /// Applies a request or the deadline to a task that is not tracked, and writes it.
    pub(super) fn record_untracked(&mut self, about: TaskSnapshot, event: Event, request: Option<RequestId>) {
        let (task, now) = (about.position.task, self.cx.now());
        if self.tracked.contains(task) {
            return;
        }
        if let Err(why) = about.task.step(&event, event_time(&about.task, &event, now.server)) {
            if let Some(request) = request {
                self.cx.emit(Command::Dismiss { request, task, why });
            }
            return;
        }
        self.plan.remove(&about.lane, task);
        let Some(write) = Write::known(&about.task, event, now) else { return };
        let mut tracked = Tracked::new(about.position, about.lane, about.task, self.cx.tuning(), now)
            .with_write(write, TaskSession::NotNeeded);
        tracked.settles.extend(request);
        self.track(tracked);
        self.send_write(task);
    }

    /// Starts a write about a tracked task: the first one, or one that follows from the answer to
    /// the one before. The row is known to have made `found` of the task meanwhile, if it has.
    pub(super) fn begin_write(&mut self, task: TaskId, found: Option<Task>, write: Write) {
        let now = self.cx.now();
        let follows = self.tracked.known(task).is_some_and(|tracked| tracked.pending_write().is_some());
        self.update(task, |tracked| {
            if let Some(found) = found {
                tracked.set_task(found, now);
            }
            tracked.begin_write(write);
        });
        if follows {
            self.requests.retry_deferred();
        }
        self.send_write(task);
    }

    /// Sends the pending write of a task.
    pub(super) fn send_write(&mut self, task: TaskId) {
        self.tracked.send_write(task, !self.leadership.is_disconnected(), &mut self.cx);
    }

    /// A write is answered. Returns whether it was pending.
    pub(super) fn written(&mut self, task: TaskId, run: Run, answer: &WriteAnswer) -> bool {
        let Some(tracked) = self.tracked.of_run(task, run) else { return false };
        let Some(write) = tracked.pending_write().filter(|write| write.state == WriteState::Sent) else {
            return false;
        };
        let verdict = tracked.verdict(write, answer);
        self.conclude(task, verdict);
        true
    }

    /// Does what the answer to a write means.
    pub(super) fn conclude(&mut self, task: TaskId, verdict: Verdict) {
        let now = self.cx.now();
        match verdict {
            Verdict::Claimed(claimed) => {
                self.update(task, |tracked| tracked.end_claim(claimed, now));
                if self.tracked.known(task).is_some_and(|tracked| *tracked.session() == TaskSession::Wanted) {
                    self.enqueue(task);
                }
                self.skipped.forget(task, &mut self.cx);
            }
            Verdict::NotReserved { skip } => self.not_reserved(task, skip),
            Verdict::Offered(offered) => {
                self.update(task, |tracked| tracked.rest(offered, now));
                self.skipped.forget(task, &mut self.cx);
            }
            Verdict::Follow(row) => self.follow_row(task, row.as_ref()),
            Verdict::Returned { due } => {
                if let Some(tracked) = self.untrack(task) {
                    self.may_wait_again(&tracked.lane, tracked.position);
                    self.sweep.by_server_time(due, &mut self.cx);
                }
            }
            Verdict::Released => {
                if let Some(tracked) = self.untrack(task) {
                    self.may_wait_again(&tracked.lane, tracked.position);
                    self.sweep.at_once(&mut self.cx);
                }
            }
            Verdict::Recorded(found) => self.recorded(task, found),
            // While a query of the task may run, it is kept for that.
            Verdict::Vanished if self.tracked.may_run_on_lost_session(task) => self.update(task, Tracked::abandon),
            Verdict::Vanished => drop(self.untrack(task)),
            Verdict::Later => self.tracked.write_later(task, &mut self.cx),
            Verdict::Again => self.send_write(task),
        }
    }

    /// The claim or offer was not written: the task is not this leader's.
    fn not_reserved(&mut self, task: TaskId, skip: bool) {
        let Some(tracked) = self.untrack(task) else { return };
        self.plan.remove(&tracked.lane, task);
        if skip {
            self.skipped.skip(task, Some(tracked.lane), &mut self.cx);
        } else {
            // It may wait yet, and then nothing behind it goes first.
            self.plan.recall(&tracked.lane, tracked.position);
            self.may_wait_again(&tracked.lane, tracked.position);
        }
    }

    /// What happened is written, and this is the task now.
    fn recorded(&mut self, task: TaskId, found: Task) {
        let now = self.cx.now();
        let lost = self.tracked.may_run_on_lost_session(task);
        let Some(tracked) = self.tracked.known_mut(task) else { return };
        if tracked.pending_write().is_none_or(|write| write.led_to(&found)) {
            self.counters.record(&tracked.lane.target, tracked.task().attempt, &found);
            self.ended.record(task, &found);
        }
        tracked.settles.clear();
        tracked.backoff.reset();
        match &found.phase {
            _ if lost => self.update(task, |tracked| tracked.rest(found, now)),
            // The session that kept the slot is gone, or the task was finished by hand while its
            // query ran, which has ended.
            Phase::Finished { end, .. } if end.tracked == Some(true) => self.release(task, found),
            Phase::Finished { .. } => drop(self.untrack(task)),
            Phase::Yielded { tracked: true, .. } => self.update(task, |tracked| tracked.rest(found, now)),
            Phase::Pulled { .. } if found.options.client_pulled => {
                self.update(task, |tracked| tracked.rest(found, now));
            }
            Phase::Ready { eligible_when, .. } => {
                let waits = eligible_when.is_none();
                let untracked = self.untrack(task);
                self.sweep.by_server_time(*eligible_when, &mut self.cx);
                self.sweep.by_server_time(found.phase.times_up(), &mut self.cx);
                if let Some(tracked) = untracked.filter(|_| waits) {
                    self.may_wait_again(&tracked.lane, tracked.position);
                }
            }
            Phase::Yielded { .. }
            | Phase::Offered { .. }
            | Phase::Claimed { .. }
            | Phase::Launched { .. }
            | Phase::Pulled { .. } => {
                self.untrack(task);
                self.sweep.by_server_time(found.phase.times_up(), &mut self.cx);
            }
        }
    }

    /// Writes that the slot of a task is free, which is this now. A task without a slot is no
    /// longer tracked.
    pub(super) fn release(&mut self, task: TaskId, found: Task) {
        match Write::of(&found, Event::Release, self.cx.now()) {
            Some(write) => self.begin_write(task, Some(found), write),
            None => drop(self.untrack(task)),
        }
    }
}
