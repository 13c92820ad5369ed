//! Reaching targets: outages, lost sessions, and queries that are known to be gone.

use super::command::{Command, Registered};
use super::input::TaskSnapshot;
use super::scheduler::Scheduler;
use super::sessions::{Probe, SessionState};
use super::tracked::{LostHost, Marked, TaskSession, Tracked};
use crate::names::{Run, SessionId, TargetName, TaskId};
use crate::plan::lane::Head;
use crate::task::event::{Event, Outcome};
use crate::task::phase::Phase;

/// What is known of a query whose leader was lost.
const LEADER_LOST: &str = "outcome unknown: the orchestrator was lost while the query ran";

impl Scheduler {
    pub(super) fn connect_failed(&mut self, session: SessionId, error: &str) {
        let failed = self.sessions.connect_failed(session, error, &mut self.cx, &mut self.plan);
        let Some(target) = failed else { return };
        self.give_back_all(self.sessions.surplus(&target));
        self.fail_impatient(&target);
        self.sessions.wake_starved();
        self.sessions.assign_later(target);
    }

    /// Connects once to see whether a target that failed is back, or whether a target that was
    /// never met can be reached, if a task waits for it. A configured target that failed is probed
    /// without a task too, so that its state is known before the next push.
    pub(super) fn probe(&mut self, target: &TargetName) {
        let probe = self.sessions.probe(target, self.cx.monotonic());
        if probe == Probe::Contact {
            self.sessions.want_contact(target, &self.plan);
        } else if probe != Probe::No && self.launches() && self.plan.heads_of(target).next().is_some() {
            // A task could run at the target at once, if there were one session more.
            let slot_free = |pool| self.tracked.slot_free(pool, &self.cx);
            let lacks_session = self.tracked.worker_free(&self.cx)
                && self.sessions.has_no_idle(target)
                && self.plan.heads_of(target).any(|(lane, _)| slot_free(&lane.pool));
            let connects =
                probe == Probe::Connect || lacks_session && self.sessions.make_room(&mut self.cx, &mut self.plan);
            if connects {
                self.sessions.connect(target, &mut self.cx);
            } else {
                self.sessions.probe_later(target, &mut self.cx);
            }
        } else if probe == Probe::Connect
            && self.launches()
            && self.cx.settings().targets.contains_key(target)
            && self.sessions.may_look(target, &mut self.cx)
        {
            self.sessions.connect(target, &mut self.cx);
        }
        self.fail_impatient(target);
    }

    /// Fails the tasks that have waited for an unreachable target as long as they should.
    fn fail_impatient(&mut self, target: &TargetName) {
        let patience = self.cx.settings().target_patience;
        let Some(error) = self.sessions.outage_error(target, patience, self.cx.monotonic()) else { return };
        if !self.launches() {
            return;
        }
        let now = self.cx.now().server;
        let waited = |head: &Head| head.eligible_since() + patience <= now;
        let impatient: Vec<TaskSnapshot> = self
            .plan
            .heads_of(target)
            .filter(|(_, head)| waited(head) && !self.tracked.contains(head.position.task))
            .map(|(lane, head)| TaskSnapshot { position: head.position, lane: lane.clone(), task: head.task() })
            .collect();
        for snapshot in impatient {
            self.record_untracked(snapshot, Event::GiveUp { error: error.clone() }, None);
        }
    }

    /// The connection is gone; the query on it may go on.
    pub(super) fn session_lost(&mut self, session: SessionId) {
        match self.sessions.state(session) {
            Some(SessionState::Connecting | SessionState::Registering) => {
                self.connect_failed(session, "the connection was lost before the session was ready");
                self.cx.emit(Command::Disconnect { session });
            }
            Some(SessionState::Idle { .. }) => self.sessions.close(session, &mut self.cx, &mut self.plan),
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
        if self.cx.retract_launch(session) {
            return self.unlaunch(task);
        }
        let Some(tracked) = self.tracked.known(task) else { return };
        let since = self.cx.monotonic();
        if *tracked.session() == (TaskSession::Assigned { session }) {
            // The query was not sent. Another session needs another mark, unless the launch was
            // marked for any session.
            if tracked.marked() == Marked::No {
                self.update(task, Tracked::free_text);
            }
            self.enqueue(task);
        } else {
            let runs = matches!(tracked.session(), TaskSession::Running { session: its, .. } if *its == session);
            debug_assert!(runs, "session {session} is busy with task {task}: {tracked:?}");
            if !runs {
                return;
            }
            self.sessions.remember_lost(session, task);
            self.update(task, |tracked| {
                tracked.free_text();
                tracked.set_session(TaskSession::Lost { since, host: LostHost::Unknown });
            });
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
        let Some((target, task)) = self.sessions.remove(session, &mut self.cx, &mut self.plan) else { return };
        self.sessions.unregister([Registered::Own(session)], self.leadership.is_connected(), &mut self.cx);
        if let Some(task) = task {
            let known = format!("outcome unknown: the connection to target \"{target}\" was lost while the query ran");
            self.query_gone(task, known);
        }
    }

    /// The host of these lost sessions cannot be reached: a query that may run there takes no
    /// worker.
    pub(super) fn host_unreachable(&mut self, tasks: impl IntoIterator<Item = TaskId>) {
        for task in tasks {
            let host = self.tracked.get(task).and_then(|tracked| tracked.session().lost_host());
            if host == Some(LostHost::Unknown) {
                self.update(task, |tracked| tracked.set_host(LostHost::Unreachable));
                self.sessions.wake_starved();
            }
        }
    }

    /// The receipt of a lost run says how it ended. Its session is about to be known to be gone.
    pub(super) fn resolved(&mut self, task: TaskId, run: Run, outcome: Outcome) {
        let is_lost = |tracked: &Tracked| matches!(tracked.session(), TaskSession::Lost { .. });
        if self.tracked.of_run(task, run).is_some_and(is_lost)
            && let Some(tracked) = self.tracked.known_mut(task)
        {
            tracked.resolved = Some(outcome);
        }
    }

    /// The session that ran the task's query is known to be gone; `known` is what is known of the
    /// outcome.
    pub(super) fn query_gone(&mut self, task: TaskId, known: String) {
        // The row of a task that was abandoned may be gone since.
        let Some(tracked) = self.tracked.get(task) else { return };
        if tracked.session().lost_host().is_none() {
            // The query ended before its session, or is being ended.
            return;
        }
        if tracked.pending_write().is_some() {
            // The answer decides.
            return self.update(task, |tracked| tracked.set_session(TaskSession::NotNeeded));
        }
        if let TaskSession::Lost { .. } = tracked.session() {
            let outcome = tracked.resolved.clone().unwrap_or(Outcome::Unknown(known));
            return self.end_query(task, outcome);
        }
        let (lane, position, found) = (tracked.lane.clone(), tracked.position, tracked.task().clone());
        if let Phase::Yielded { tracked: true, .. } | Phase::Pulled { .. } = found.phase {
            return self.update(task, |tracked| tracked.set_session(TaskSession::NotNeeded));
        }
        self.release(task, found);
        // It may have been restarted meanwhile, or given another deadline.
        self.may_wait_again(&lane, position);
        self.sweep.at_once(&mut self.cx);
    }

    /// Resolves the tasks that the leader before ran at the target, once its sessions are gone.
    pub(super) fn resolve(&mut self, target: &TargetName) {
        if self.leadership.is_active() {
            for task in self.sessions.take_resolvable(target) {
                self.query_gone(task, LEADER_LOST.to_owned());
            }
        }
    }
}
