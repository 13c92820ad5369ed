//! Targets and their sessions: reachable or not, and since when.

use std::collections::BTreeSet;

use super::backoff::Backoff;
use super::command::Registered;
use super::timers::Timer;
use super::tracked::{Marked, Stage, Stray};
use super::{Command, Lead, Orchestrator};
use crate::names::{SessionId, TargetName, TaskId};
use crate::plan::lane::QueuePosition;
use crate::task::event::{Event, Outcome, Request};
use crate::task::phase::Phase;
use crate::task::status::FinishStatus;
use crate::time::MonotonicTime;

use super::input::TaskSnapshot;

/// A session with a target.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) target: TargetName,
    pub(super) state: SessionState,
    /// When it is looked at whether it is still wanted.
    pub(super) watched: Option<MonotonicTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionState {
    /// Requested.
    Connecting,
    /// Connected, and not yet written down; nothing may run there.
    Registering,
    /// Written down, clean, without work.
    Idle { since: MonotonicTime },
    /// A launch there is being marked, or runs.
    Busy { task: TaskId },
    /// Its connection is gone, and it may live on at the target.
    Suspect,
    /// It has no work and is being closed.
    Closing,
}

impl SessionState {
    /// Queries may run there, or do.
    pub(super) const fn is_ready(self) -> bool {
        match self {
            Self::Idle { .. } | Self::Busy { .. } => true,
            Self::Connecting | Self::Registering | Self::Suspect | Self::Closing => false,
        }
    }

    /// It is a connection, or about to be one.
    pub(super) const fn is_open(self) -> bool {
        match self {
            Self::Connecting | Self::Registering | Self::Idle { .. } | Self::Busy { .. } => true,
            Self::Suspect | Self::Closing => false,
        }
    }
}

/// What is known of a target.
#[derive(Debug, Default)]
pub(super) struct Target {
    /// Claimed tasks that wait for a session.
    pub(super) queue: BTreeSet<QueuePosition>,
    /// Clean sessions, the last used last.
    pub(super) idle: Vec<SessionId>,
    /// A session is or was there since the last one was lost; nothing is claimed for a target before.
    met: bool,
    /// Sessions on their way.
    pub(super) connecting: usize,
    /// Sessions that queries may run on, or do.
    ready: usize,
    /// Tasks that are claimed, or about to be, and have no session yet: each takes a slot.
    claims: usize,
    /// Sessions of older epochs may live there.
    pub(super) fencing: bool,
    /// It takes no further session. Without a ready one it cannot be reached at all.
    outage: Option<Outage>,
    /// Tasks of an older epoch that it may still run.
    pub(super) orphans: Vec<TaskId>,
}

#[derive(Debug)]
struct Outage {
    /// Since when it has neither taken a session nor had one.
    since: MonotonicTime,
    backoff: Backoff,
    retry_at: MonotonicTime,
    error: String,
}

impl Target {
    /// Queries may be sent there, on the sessions that there are at least.
    pub(super) const fn is_up(&self) -> bool {
        !self.fencing && (self.outage.is_none() || self.ready > 0)
    }

    /// It is not known to refuse another session.
    pub(super) const fn takes_more(&self) -> bool {
        !self.fencing && self.outage.is_none()
    }

    /// How many of the claimed tasks will find no session.
    fn surplus(&self) -> usize {
        if self.takes_more() { 0 } else { self.queue.len().saturating_sub(self.idle.len() + self.connecting) }
    }

    /// No task and no session of it is in hand.
    pub(super) fn is_idle(&self) -> bool {
        let sessions = self.idle.len() + self.connecting + self.ready;
        let tasks = self.queue.len() + self.claims + self.orphans.len();
        sessions + tasks == 0 && !self.fencing
    }

    /// It is there.
    pub(super) const fn is_met(&self) -> bool {
        self.is_up() && self.met
    }

    /// Another task may be claimed for it: there is a session, or one is taken when it is asked for.
    fn may_claim(&self) -> bool {
        self.is_met() && (self.takes_more() || self.claims < self.idle.len())
    }
}

impl Orchestrator {
    pub(super) fn connected(&mut self, session: SessionId) {
        if let Some(state) = self.sessions.get_mut(&session)
            && state.state == SessionState::Connecting
        {
            state.state = SessionState::Registering;
            self.emit(Command::Register { session });
        }
    }

    pub(super) fn registered(&mut self, session: SessionId) {
        let Some(state) = self.sessions.get(&session) else { return };
        if state.state != SessionState::Registering {
            return;
        }
        let target = state.target.clone();
        let known = self.targets.entry(target.clone()).or_default();
        known.connecting -= 1;
        known.outage = None;
        known.met = true;
        self.refresh_target(&target);
        self.rest_session(session);
    }

    pub(super) fn connect_failed(&mut self, session: SessionId, error: &str) {
        let Some(state) = self.sessions.get(&session) else { return };
        if !matches!(state.state, SessionState::Connecting | SessionState::Registering) {
            return;
        }
        let target = state.target.clone();
        self.sessions.remove(&session);
        let (now, random) = (self.now.monotonic, self.random());
        let tuning = self.settings.tuning;
        let known = self.targets.entry(target.clone()).or_default();
        known.connecting -= 1;
        let first = (now, Backoff::new(tuning.backoff_first, tuning.backoff_last));
        let (since, mut backoff) = known.outage.as_ref().map_or(first, |old| (old.since, old.backoff));
        let retry_at = now + backoff.next(random);
        known.outage = Some(Outage { since, backoff, retry_at, error: error.to_owned() });
        self.at(retry_at, Timer::Target(target.clone()));
        self.refresh_target(&target);
        self.return_hopeless(&target);
        self.fail_impatient(&target);
        self.wake_starved();
        self.unassigned.insert(target);
    }

    pub(super) fn retry_target(&mut self, target: &TargetName) {
        self.unassigned.insert(target.clone());
    }

    /// One connection shows whether a target that failed is back, or whether one that was never met
    /// is there at all, if a task waits for it.
    pub(super) fn probe(&mut self, target: &TargetName) {
        let Some(state) = self.targets.get(target) else { return };
        let due = state.outage.as_ref().map_or(!state.met, |outage| outage.retry_at <= self.now.monotonic);
        if due
            && state.connecting == 0
            && !state.fencing
            && self.launches()
            && self.plan.heads_of(target).next().is_some()
        {
            if state.ready == 0 || self.lacks_session(target) && self.make_room() {
                self.connect(target);
            } else {
                self.retry_later(target);
            }
        }
        self.fail_impatient(target);
    }

    /// A task could run there at once, if there were one session more.
    fn lacks_session(&self, target: &TargetName) -> bool {
        self.worker_free()
            && self.targets.get(target).is_some_and(|state| state.idle.is_empty())
            && self.plan.heads_of(target).any(|(lane, _)| self.slot_free(&lane.pool))
    }

    /// No task needs another session of this target now; a slot may come free without a word to it.
    fn retry_later(&mut self, target: &TargetName) {
        let retry_at = self.now.monotonic + self.settings.tuning.backoff_last;
        if let Some(outage) = self.targets.get_mut(target).and_then(|state| state.outage.as_mut()) {
            outage.retry_at = retry_at;
            self.at(retry_at, Timer::Target(target.clone()));
        }
    }

    /// A session there has ended, which may have been the one too many.
    fn retry_soon(&mut self, target: &TargetName) {
        let soon = self.now.monotonic + self.settings.tuning.backoff_first;
        if let Some(outage) = self.targets.get_mut(target).and_then(|state| state.outage.as_mut())
            && soon < outage.retry_at
        {
            outage.retry_at = soon;
            self.at(soon, Timer::Target(target.clone()));
        }
    }

    /// Fails those that have waited for an unreachable target as long as they should.
    fn fail_impatient(&mut self, target: &TargetName) {
        let patience = self.settings.target_patience;
        let down = self.targets.get(target).filter(|state| state.ready == 0);
        let Some(outage) = down.and_then(|state| state.outage.as_ref()) else { return };
        if outage.since + patience > self.now.monotonic || !self.launches() {
            return;
        }
        let error = Some(outage.error.clone());
        let request = Event::Request(Request { status: FinishStatus::Failed, error, duration: None });
        let waited = |position: &QueuePosition| position.entered + patience <= self.now.server;
        let impatient: Vec<TaskSnapshot> = self
            .plan
            .heads_of(target)
            .filter(|(_, head)| waited(&head.position) && !self.tracked.contains_key(&head.position.task))
            .map(|(lane, head)| TaskSnapshot { position: head.position, lane: lane.clone(), task: head.task() })
            .collect();
        for sighting in impatient {
            self.end_unheld(sighting, &request, None);
        }
    }

    /// Tells the plan whether queries may be sent to the target.
    pub(super) fn refresh_target(&mut self, target: &TargetName) {
        let open = self.targets.get(target).is_some_and(Target::may_claim);
        self.plan.set_target(target, open);
    }

    /// What was claimed for a target and finds no session there goes back and waits: the last first.
    pub(super) fn return_hopeless(&mut self, target: &TargetName) {
        let Some(state) = self.targets.get(target) else { return };
        let surplus = if state.is_up() { state.surplus() } else { state.queue.len() };
        let back: Vec<TaskId> = state.queue.iter().rev().take(surplus).map(|position| position.task).collect();
        for task in back {
            self.give_back(task);
        }
    }

    /// Keeps count of the tasks that take a slot and have no session.
    pub(super) fn count_claim(&mut self, target: &TargetName, before: bool, after: bool) {
        if before != after {
            let state = self.targets.entry(target.clone()).or_default();
            state.claims = if after { state.claims + 1 } else { state.claims.saturating_sub(1) };
            if !state.takes_more() {
                self.refresh_target(target);
            }
        }
    }

    /// Moves a session to another state, keeping count of the ready ones.
    pub(super) fn move_session(&mut self, session: SessionId, state: SessionState) {
        let Some(known) = self.sessions.get_mut(&session) else { return };
        let (before, after) = (known.state.is_ready(), state.is_ready());
        known.state = state;
        let target = known.target.clone();
        let now = self.now.monotonic;
        let its = self.targets.entry(target.clone()).or_default();
        if after && !before {
            its.ready += 1;
        }
        if before && !after {
            its.ready = its.ready.saturating_sub(1);
        }
        if let Some(outage) = its.outage.as_mut() {
            if its.ready == 0 && before {
                // Until now it served, if fewer than it should.
                outage.since = now;
            }
            self.refresh_target(&target);
        }
    }

    /// A task waits for the target: it is known from now on, and may have to be met first.
    pub(super) fn want_target(&mut self, target: &TargetName) {
        self.targets.entry(target.clone()).or_default();
        self.refresh_target(target);
        self.unassigned.insert(target.clone());
    }

    /// Without any session left the target has to be met anew before anything is claimed for it.
    pub(super) fn part_from(&mut self, target: &TargetName) {
        let connected = self.sessions.values().any(|session| session.target == *target && session.state.is_open());
        if let Some(state) = self.targets.get_mut(target)
            && !connected
            && state.queue.is_empty()
        {
            state.met = false;
            self.refresh_target(target);
            self.unassigned.insert(target.clone());
        }
    }

    /// The connection is gone; what it ran may go on.
    pub(super) fn session_lost(&mut self, session: SessionId) {
        let Some(state) = self.sessions.get_mut(&session) else { return };
        let target = state.target.clone();
        match state.state {
            SessionState::Connecting | SessionState::Registering => {
                self.connect_failed(session, "the connection was lost before the session was ready");
                self.emit(Command::Disconnect { session });
            }
            SessionState::Idle { .. } => self.close(session),
            SessionState::Busy { task } => {
                self.move_session(session, SessionState::Suspect);
                self.lose(task, session);
                self.part_from(&target);
                self.emit(Command::FenceSession { target, session });
                self.wake_starved();
            }
            SessionState::Suspect | SessionState::Closing => {}
        }
    }

    /// The task's session is out of reach.
    fn lose(&mut self, task: TaskId, session: SessionId) {
        let Some(tracked) = self.tracked.get(&task) else { return };
        match &tracked.stage {
            // Nothing was sent; another session needs another mark, unless it was marked for any.
            Stage::Marking { session: its } if *its == session => {
                if tracked.marked == Marked::No {
                    self.free_text(task);
                }
                self.enqueue(task);
            }
            Stage::Launched { session: its, .. } if *its == session => {
                self.free_text(task);
                self.lost.insert(session, task);
                self.restage(task, Stage::Lost { since: self.now.monotonic });
                self.set_stray(task, Stray::MayRun);
            }
            Stage::Writing(_)
            | Stage::Ahead { .. }
            | Stage::Queued
            | Stage::Marking { .. }
            | Stage::Launched { .. }
            | Stage::Lost { .. }
            | Stage::Ended { .. }
            | Stage::Offered { .. }
            | Stage::Pulled
            | Stage::Yielded
            | Stage::Abandoned => {}
        }
    }

    pub(super) fn session_gone(&mut self, session: SessionId) {
        if let Some(Session { state: SessionState::Busy { .. }, .. }) = self.sessions.get(&session) {
            self.session_lost(session);
        }
        if let Some(Session { state: SessionState::Idle { .. }, .. }) = self.sessions.get(&session) {
            self.close(session);
        }
        let Some(state) = self.sessions.get(&session) else { return };
        match state.state {
            SessionState::Connecting | SessionState::Registering => self.session_lost(session),
            SessionState::Suspect | SessionState::Closing | SessionState::Idle { .. } | SessionState::Busy { .. } => {
                let target = state.target.clone();
                self.unwatch(session);
                self.sessions.remove(&session);
                self.retry_soon(&target);
                self.unregister([Registered::Own(session)]);
                // A session is lost with one task at most.
                if let Some(task) = self.lost.remove(&session) {
                    self.query_gone(task, &connection_lost(&target));
                }
            }
        }
    }

    /// The host of a lost session cannot be reached.
    pub(super) fn session_unreachable(&mut self, session: SessionId) {
        if let Some(task) = self.lost.get(&session) {
            self.cannot_reach(*task);
        }
    }

    /// A query that may run at a host that cannot be reached takes no worker any more.
    pub(super) fn cannot_reach(&mut self, task: TaskId) {
        if self.tracked.get(&task).is_some_and(|tracked| tracked.stray == Stray::MayRun) {
            self.set_stray(task, Stray::Unreachable);
            self.wake_starved();
        }
    }

    /// Takes sessions that are gone out of the registry.
    pub(super) fn unregister(&mut self, sessions: impl IntoIterator<Item = Registered>) {
        let sessions: Vec<Registered> = sessions.into_iter().collect();
        self.unregistering.extend(sessions.iter().copied());
        if !sessions.is_empty() && !matches!(self.lead, Lead::Blind { .. } | Lead::Not) {
            self.emit(Command::Unregister { sessions });
        }
    }

    pub(super) fn unregistered(&mut self, sessions: &[Registered]) {
        for session in sessions {
            self.unregistering.remove(session);
        }
    }

    /// The store was lost: what it was told of sessions that are gone may be lost too.
    pub(super) fn unregister_again(&mut self) {
        if !self.unregistering.is_empty() {
            let sessions = self.unregistering.iter().copied().collect();
            self.emit(Command::Unregister { sessions });
        }
    }

    /// Whatever ran the task's query is gone for certain.
    pub(super) fn query_gone(&mut self, task: TaskId, known: &str) {
        self.set_stray(task, Stray::Gone);
        let Some(tracked) = self.tracked.get(&task) else { return };
        match &tracked.stage {
            Stage::Lost { .. } => self.ended(task, Outcome::Unknown(known.to_owned())),
            Stage::Abandoned if matches!(tracked.task.phase, Phase::Yielded { tracked: true, .. }) => {
                self.restage(task, Stage::Yielded);
            }
            Stage::Abandoned => {
                let lane = tracked.lane.clone();
                self.release(task);
                // It may have been restarted meanwhile, or given another deadline.
                self.look_at_lane(&lane);
                self.sweep_by(self.now.monotonic);
            }
            // What is being written counts, once it is.
            Stage::Writing(_)
            | Stage::Ahead { .. }
            | Stage::Queued
            | Stage::Marking { .. }
            | Stage::Launched { .. }
            | Stage::Ended { .. }
            | Stage::Offered { .. }
            | Stage::Pulled
            | Stage::Yielded => {}
        }
    }

    /// Says whether a query of the task may run out of reach, keeping the books.
    pub(super) fn set_stray(&mut self, task: TaskId, stray: Stray) {
        let Some(tracked) = self.tracked.get_mut(&task) else { return };
        let before = tracked.load();
        tracked.stray = stray;
        let (after, pool) = (tracked.load(), tracked.lane.pool.clone());
        self.rebook(&pool, before, after);
    }
}

/// What is known of a query whose connection was lost.
fn connection_lost(target: &TargetName) -> String {
    format!("outcome unknown: the connection to target \"{target}\" was lost while the query ran")
}
