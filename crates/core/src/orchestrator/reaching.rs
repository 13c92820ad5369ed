//! Reaching targets: outages, lost sessions, and queries that are known to be gone.

use super::Orchestrator;
use super::command::{Command, Registered};
use super::input::TaskSnapshot;
use super::sessions::{Probe, SessionState};
use super::tracked::{Detached, Marked, Stage};
use crate::names::{SessionId, TargetName, TaskId};
use crate::plan::lane::QueuePosition;
use crate::task::event::{Event, Outcome, Request};
use crate::task::phase::Phase;
use crate::task::status::FinishStatus;

impl Orchestrator {
    pub(super) fn connect_failed(&mut self, session: SessionId, error: &str) {
        let failed = self.sessions.connect_failed(session, error, &mut self.cx, &mut self.plan);
        let Some(target) = failed else { return };
        self.give_back_hopeless(&target);
        self.fail_impatient(&target);
        self.sessions.wake_starved();
        self.sessions.assign_later(target);
    }

    /// Connects once to see whether a target that failed is back, or whether a target that was never
    /// met can be reached, if a task waits for it.
    pub(super) fn probe(&mut self, target: &TargetName) {
        let probe = self.sessions.probe(target, self.cx.monotonic());
        if probe != Probe::No && self.launches() && self.plan.heads_of(target).next().is_some() {
            let connects = probe == Probe::Connect
                || self.lacks_session(target) && self.sessions.make_room(&mut self.cx, &mut self.plan);
            if connects {
                self.sessions.connect(target, &mut self.cx);
            } else {
                self.sessions.probe_later(target, &mut self.cx);
            }
        }
        self.fail_impatient(target);
    }

    /// A task could run at the target at once, if there were one session more.
    fn lacks_session(&self, target: &TargetName) -> bool {
        self.worker_free()
            && self.sessions.has_no_idle(target)
            && self.plan.heads_of(target).any(|(lane, _)| self.slot_free(&lane.pool))
    }

    /// Fails the tasks that have waited for an unreachable target as long as they should.
    fn fail_impatient(&mut self, target: &TargetName) {
        let patience = self.cx.settings().target_patience;
        let Some(error) = self.sessions.outage_error(target, patience, self.cx.monotonic()) else { return };
        if !self.launches() {
            return;
        }
        let request = Request { status: FinishStatus::Failed, error: Some(error), duration: None };
        let now = self.cx.now().server;
        let waited = |position: &QueuePosition| position.entered + patience <= now;
        let impatient: Vec<TaskSnapshot> = self
            .plan
            .heads_of(target)
            .filter(|(_, head)| waited(&head.position) && !self.tracked.contains(head.position.task))
            .map(|(lane, head)| TaskSnapshot { position: head.position, lane: lane.clone(), task: head.task() })
            .collect();
        let event = Event::Request(request);
        for snapshot in impatient {
            self.end_untracked(snapshot, &event, None);
        }
    }

    /// Returns the tasks that were claimed for a target and find no session there.
    pub(super) fn give_back_hopeless(&mut self, target: &TargetName) {
        for task in self.sessions.surplus(target) {
            self.give_back(task);
        }
    }

    /// The connection is gone; the query on it may go on.
    pub(super) fn session_lost(&mut self, session: SessionId) {
        match self.sessions.state(session) {
            Some(SessionState::Connecting | SessionState::Registering) => {
                self.connect_failed(session, "the connection was lost before the session was ready");
                self.cx.emit(Command::Disconnect { session });
            }
            Some(SessionState::Idle { .. }) => self.close(session),
            Some(SessionState::Busy { task }) => {
                let Some(target) = self.sessions.lose(session, &self.cx, &mut self.plan) else { return };
                self.lose_query(task, session);
                self.sessions.forget_contact(&target, &mut self.plan);
                self.cx.emit(Command::FenceSession { target, session });
                self.sessions.wake_starved();
            }
            // Two reports of one loss: the connection's, and that of an attempt to cancel.
            Some(SessionState::Lost | SessionState::Closing) | None => {}
        }
    }

    /// The session of the task is lost.
    fn lose_query(&mut self, task: TaskId, session: SessionId) {
        let Some(tracked) = self.tracked.known(task) else { return };
        match tracked.stage() {
            // The query was not sent. Another session needs another mark, unless the launch was marked for
            // any session.
            Stage::Marking { session: its } if *its == session => {
                if tracked.marked == Marked::No {
                    self.free_text(task);
                }
                self.enqueue(task);
            }
            Stage::Launched { session: its, .. } if *its == session => {
                self.free_text(task);
                self.sessions.remember_lost(session, task);
                self.set_stage(task, Stage::Lost { since: self.cx.monotonic() });
                self.set_detached(task, Detached::MayRun);
            }
            Stage::Writing(_)
            | Stage::ClaimedAhead { .. }
            | Stage::Queued
            | Stage::Marking { .. }
            | Stage::Launched { .. }
            | Stage::Lost { .. }
            | Stage::Ended { .. }
            | Stage::Offered { .. }
            | Stage::Pulled
            | Stage::Yielded
            | Stage::Abandoned => {
                debug_assert!(false, "session {session} is busy with task {task}, which is {:?}", tracked.stage());
            }
        }
    }

    /// The session is known to be gone at the target.
    pub(super) fn session_gone(&mut self, session: SessionId) {
        match self.sessions.state(session) {
            None => return,
            Some(SessionState::Connecting | SessionState::Registering) => return self.session_lost(session),
            // A busy session is lost first, and an idle one is closed.
            Some(SessionState::Busy { .. } | SessionState::Idle { .. }) => self.session_lost(session),
            Some(SessionState::Lost | SessionState::Closing) => {}
        }
        let Some((target, task)) = self.sessions.remove(session, &mut self.cx) else { return };
        self.sessions.unregister([Registered::Own(session)], self.leadership.is_connected(), &mut self.cx);
        if let Some(task) = task {
            self.query_gone(task, &connection_lost(&target));
        }
    }

    /// The host of a lost session cannot be reached.
    pub(super) fn session_unreachable(&mut self, session: SessionId) {
        if let Some(task) = self.sessions.lost_task(session) {
            self.host_unreachable(task);
        }
    }

    /// A query that may run at a host that cannot be reached no longer takes a worker.
    pub(super) fn host_unreachable(&mut self, task: TaskId) {
        if self.tracked.get(task).is_some_and(|tracked| tracked.detached() == Detached::MayRun) {
            self.set_detached(task, Detached::Unreachable);
            self.sessions.wake_starved();
        }
    }

    /// Whatever ran the task's query is known to be gone; `known` is what is known of the outcome.
    pub(super) fn query_gone(&mut self, task: TaskId, known: &str) {
        self.set_detached(task, Detached::Gone);
        let Some(tracked) = self.tracked.get(task) else { return };
        match tracked.stage() {
            Stage::Lost { .. } => self.ended(task, Outcome::Unknown(known.to_owned())),
            Stage::Abandoned if matches!(tracked.task().phase, Phase::Yielded { tracked: true, .. }) => {
                self.set_stage(task, Stage::Yielded);
            }
            Stage::Abandoned => {
                let lane = tracked.lane.clone();
                self.release(task);
                // It may have been restarted meanwhile, or given another deadline.
                self.refresh_lane(&lane);
                self.sweep_by(self.cx.monotonic());
            }
            // A write is under way, and its answer decides; or the query ended before its session.
            Stage::Writing(_)
            | Stage::ClaimedAhead { .. }
            | Stage::Queued
            | Stage::Marking { .. }
            | Stage::Launched { .. }
            | Stage::Ended { .. }
            | Stage::Offered { .. }
            | Stage::Pulled
            | Stage::Yielded => {}
        }
    }
}

/// What is known of a query whose connection was lost.
fn connection_lost(target: &TargetName) -> String {
    format!("outcome unknown: the connection to target \"{target}\" was lost while the query ran")
}
