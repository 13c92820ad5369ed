//! The target sessions, and the targets: which can be reached, and which tasks wait for a session.

mod limits;
mod moves;
mod outage;
mod registry;
mod session;
mod target;

use std::collections::{BTreeMap, BTreeSet};

use super::command::{Command, Registered};
use super::context::Context;
use super::settings::Settings;
use super::timers::Timer;
use crate::names::{SessionId, TargetName, TaskId};
use crate::plan::Plan;
use crate::plan::lane::QueuePosition;
use moves::Moves;
use target::Target;

pub(super) use outage::Probe;
use session::Session;
pub(super) use session::SessionState;

/// The target sessions and the targets.
///
/// Invariant: the counts and the idle list of each target are what its sessions give. Every target
/// that has a session is known. The plan knows of each target whether tasks may be claimed for it.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    sessions: BTreeMap<SessionId, Session>,
    targets: BTreeMap<TargetName, Target>,
    last_session: u64,
    /// Sessions that are gone and may still be registered.
    unregistering: BTreeSet<Registered>,
    /// Targets whose queued tasks may find a session now.
    unassigned: BTreeSet<TargetName>,
    /// Targets whose tasks lack memory for their texts, or room for a session.
    starved: BTreeSet<TargetName>,
    /// Lost sessions that may live on, and the tasks that they ran.
    lost: BTreeMap<SessionId, TaskId>,
    /// The targets with a limit on their sessions.
    limits: BTreeMap<TargetName, usize>,
    /// The targets that are paused.
    paused: BTreeSet<TargetName>,
    /// The sessions that are connections, and their moves between targets.
    moves: Moves,
}

impl Sessions {
    /// The sessions of a new epoch. Session numbers go on: an answer about a session of another
    /// epoch of this process must not be taken for one about a new session.
    pub(super) fn restarted(&self) -> Self {
        let (limits, paused) = (self.limits.clone(), self.paused.clone());
        Self { last_session: self.last_session, limits, paused, ..Self::default() }
    }

    pub(super) fn state(&self, session: SessionId) -> Option<SessionState> {
        self.sessions.get(&session).map(|session| session.state)
    }

    /// The session, which the caller knows to be there.
    fn known_mut(&mut self, session: SessionId) -> Option<&mut Session> {
        let known = self.sessions.get_mut(&session);
        debug_assert!(known.is_some(), "session {session} is not known");
        known
    }

    pub(super) fn is_registering(&self, session: SessionId) -> bool {
        self.state(session) == Some(SessionState::Registering)
    }

    /// The sessions of which this is true.
    pub(super) fn filter(&self, is_wanted: impl Fn(SessionState) -> bool) -> Vec<SessionId> {
        self.sessions.iter().filter(|(_, session)| is_wanted(session.state)).map(|(session, _)| *session).collect()
    }

    /// The sessions of the target that queries may run on, or do.
    pub(super) fn ready(&self, target: &TargetName) -> usize {
        self.targets.get(target).map_or(0, |target| target.ready)
    }

    pub(super) fn targets(&self) -> Vec<TargetName> {
        self.targets.keys().cloned().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Names in memory.
    pub(super) fn names(&self) -> usize {
        self.targets.len() + self.unassigned.len() + self.starved.len() + self.lost.len() + self.moves.names()
    }

    /// A task waits for the target: the target is known from now on, and may have to be met first.
    pub(super) fn want_target(&mut self, target: &TargetName, plan: &mut Plan) {
        self.known_target(target);
        self.refresh_target(target, plan);
        self.unassigned.insert(target.clone());
    }

    /// The target, which is known from now on.
    fn known_target(&mut self, target: &TargetName) -> &mut Target {
        let sessions_max = self.limits.get(target).copied();
        self.targets.entry(target.clone()).or_insert_with(|| Target { sessions_max, ..Target::default() })
    }

    /// Tells the plan whether tasks may be claimed for the target.
    pub(super) fn refresh_target(&self, target: &TargetName, plan: &mut Plan) {
        plan.set_paused(target, self.paused.contains(target));
        plan.set_target(target, self.targets.get(target).is_some_and(Target::may_claim));
    }

    /// A task wants a session of the target from now on, or no longer does.
    pub(super) fn count_claim(&mut self, target: &TargetName, wants: bool, plan: &mut Plan) {
        let state = self.known_target(target);
        debug_assert!(wants || state.claims > 0, "a claim for {target} ends that was not counted");
        state.claims = if wants { state.claims + 1 } else { state.claims.saturating_sub(1) };
        if state.sessions_max.is_some() || !state.takes_more() {
            self.refresh_target(target, plan);
        }
        self.note_spare(target);
    }

    /// The claimed task waits for a session.
    pub(super) fn enqueue(&mut self, target: &TargetName, position: QueuePosition) {
        self.known_target(target).queue.insert(position);
        self.unassigned.insert(target.clone());
    }

    /// The task waits for a session no longer.
    pub(super) fn dequeue(&mut self, target: &TargetName, position: QueuePosition) {
        if let Some(state) = self.targets.get_mut(target) {
            state.queue.remove(&position);
        }
    }

    /// The targets whose queued tasks may find a session now.
    pub(super) fn take_unassigned(&mut self) -> BTreeSet<TargetName> {
        std::mem::take(&mut self.unassigned)
    }

    /// The queued tasks of the target may find a session with the next input.
    pub(super) fn assign_later(&mut self, target: TargetName) {
        self.unassigned.insert(target);
    }

    /// The queued tasks of any target may find a session.
    pub(super) fn assign_all_later(&mut self) {
        self.unassigned.extend(self.targets.keys().cloned());
    }

    /// The first queued task of the target and the idle session that it gets.
    pub(super) fn next_assignment(&self, target: &TargetName) -> Option<(QueuePosition, SessionId)> {
        let state = self.targets.get(target)?;
        Some((state.queue.first().copied()?, state.idle.last().copied()?))
    }

    /// Gives the session to the task.
    pub(super) fn assign(&mut self, position: QueuePosition, session: SessionId, cx: &Context, plan: &mut Plan) {
        let Some(target) = self.known_mut(session).map(|session| session.target.clone()) else { return };
        if let Some(state) = self.targets.get_mut(&target) {
            state.queue.remove(&position);
            let last = state.idle.pop();
            debug_assert_eq!(last, Some(session), "the session used last is used first");
        }
        self.note_spare(&target);
        self.set_state(session, SessionState::Busy { task: position.task }, cx, plan);
    }

    /// The target lacks memory for a text, or room for a session, until [`Sessions::wake_starved`].
    pub(super) fn starve(&mut self, target: TargetName) {
        self.starved.insert(target);
    }

    /// Memory for texts or room for a session has come free.
    pub(super) fn wake_starved(&mut self) {
        self.unassigned.append(&mut self.starved);
    }

    /// Connects as often as queued tasks lack a session.
    pub(super) fn connect_missing(&mut self, target: &TargetName, cx: &mut Context, plan: &mut Plan) {
        while let Some(state) = self.targets.get(target)
            && state.takes_more()
            && state.queue.len() > state.connecting + state.idle.len()
        {
            if !self.make_room(cx, plan) {
                return self.starve(target.clone());
            }
            self.connect(target, cx);
        }
    }

    pub(super) fn connect(&mut self, target: &TargetName, cx: &mut Context) {
        self.last_session += 1;
        let session = SessionId(self.last_session);
        let known = self.known_target(target);
        let is_contact = !known.is_met();
        debug_assert!(known.below_limit() > 0, "{target} has as many sessions as it may have");
        known.connecting += 1;
        known.sessions += 1;
        let state = Session { target: target.clone(), state: SessionState::Connecting, is_contact, watched: None };
        self.sessions.insert(session, state);
        self.moves.note_connecting(is_contact);
        self.note_spare(target);
        cx.emit(Command::Connect { session, target: target.clone() });
    }

    /// The connection is there, and has to be registered before a query may run on it.
    pub(super) fn connected(&mut self, session: SessionId, cx: &mut Context) {
        if let Some(state) = self.sessions.get_mut(&session)
            && state.state == SessionState::Connecting
        {
            state.state = SessionState::Registering;
            cx.emit(Command::Register { session });
        }
    }

    pub(super) fn registered(&mut self, session: SessionId, cx: &mut Context, plan: &mut Plan) {
        let Some(state) = self.sessions.get(&session) else { return };
        if state.state != SessionState::Registering {
            return;
        }
        let target = state.target.clone();
        let known = self.known_target(&target);
        known.connecting -= 1;
        known.outage = None;
        known.met = true;
        self.begin_rest(session, true, cx, plan);
    }

    /// The session has no work, and is clean.
    pub(super) fn rest(&mut self, session: SessionId, cx: &mut Context, plan: &mut Plan) {
        self.begin_rest(session, false, cx, plan);
    }

    fn begin_rest(&mut self, session: SessionId, is_new: bool, cx: &mut Context, plan: &mut Plan) {
        let since = cx.monotonic();
        self.set_state(session, SessionState::Idle { since }, cx, plan);
        let Some(state) = self.known_mut(session) else { return };
        let until = since + cx.tuning().session_idle_max;
        // One timer watches a session. It is set again when it fires, not each time a query ends.
        let watched = state.watched.is_some();
        state.watched.get_or_insert(until);
        let target = state.target.clone();
        self.known_target(&target).idle.push(session);
        self.note_spare(&target);
        self.wake_starved();
        self.refresh_target(&target, plan);
        self.unassigned.insert(target.clone());
        if !watched {
            cx.at(until, Timer::Session(session));
        }
        if self.excess(&target) > 0 {
            self.close(session, cx, plan);
        } else {
            self.close_one_too_many(session, is_new, cx, plan);
        }
    }

    /// The timer of a session fired: the session is closed if it has been idle for long enough.
    pub(super) fn on_timer(&mut self, session: SessionId, cx: &mut Context, plan: &mut Plan) {
        let Some(state) = self.sessions.get_mut(&session) else {
            debug_assert!(false, "a timer of session {session}, which is gone");
            return;
        };
        state.watched = None;
        let SessionState::Idle { since } = state.state else { return };
        let until = since + cx.tuning().session_idle_max;
        if until <= cx.monotonic() {
            self.close(session, cx, plan);
        } else {
            state.watched = Some(until);
            cx.at(until, Timer::Session(session));
        }
    }

    fn unwatch(&mut self, session: SessionId, cx: &mut Context) {
        if let Some(until) = self.sessions.get_mut(&session).and_then(|state| state.watched.take()) {
            cx.timers.remove(until, Timer::Session(session));
        }
    }

    /// Closes a session that runs nothing.
    pub(super) fn close(&mut self, session: SessionId, cx: &mut Context, plan: &mut Plan) {
        let Some(target) = self.known_mut(session).map(|state| state.target.clone()) else { return };
        if let Some(state) = self.targets.get_mut(&target) {
            state.idle.retain(|idle| *idle != session);
        }
        self.note_spare(&target);
        self.unwatch(session, cx);
        self.set_state(session, SessionState::Closing, cx, plan);
        self.forget_contact(&target, plan);
        cx.emit(Command::Disconnect { session });
        self.wake_starved();
    }

    /// Closes the idle sessions, so that the registry is empty for the next leader; returns whether
    /// that still takes time.
    pub(super) fn close_idle(&mut self, cx: &mut Context, plan: &mut Plan) -> bool {
        for session in self.filter(|state| matches!(state, SessionState::Idle { .. })) {
            self.close(session, cx, plan);
        }
        let waits = |state: SessionState| state.is_open() || state == SessionState::Closing;
        self.is_unregistering() || self.sessions.values().any(|session| waits(session.state))
    }

    /// Sends the registrations again whose answers were lost with the store.
    pub(super) fn register_again(&self, cx: &mut Context) {
        for session in self.filter(|state| state == SessionState::Registering) {
            cx.emit(Command::Register { session });
        }
    }

    /// The connection of a busy session is lost; returns its target.
    pub(super) fn lose(&mut self, session: SessionId, cx: &Context, plan: &mut Plan) -> Option<TargetName> {
        let target = self.known_mut(session)?.target.clone();
        self.set_state(session, SessionState::Lost, cx, plan);
        Some(target)
    }

    /// The lost session may still run the query of this task.
    pub(super) fn remember_lost(&mut self, session: SessionId, task: TaskId) {
        let before = self.lost.insert(session, task);
        debug_assert!(before.is_none(), "session {session} is lost with one task at most");
    }

    /// The task whose query a lost session may run.
    pub(super) fn lost_task(&self, session: SessionId) -> Option<TaskId> {
        self.lost.get(&session).copied()
    }

    /// The session is gone at the target; returns its target, and the task whose query it may have
    /// run when it was lost.
    pub(super) fn remove(
        &mut self,
        session: SessionId,
        cx: &mut Context,
        plan: &mut Plan,
    ) -> Option<(TargetName, Option<TaskId>)> {
        self.unwatch(session, cx);
        self.known_mut(session)?;
        let state = self.sessions.remove(&session)?;
        debug_assert!(!state.state.is_open(), "an open session is closed or lost first");
        self.ended(&state.target, plan);
        self.retry_soon(&state.target, cx);
        Some((state.target, self.lost.remove(&session)))
    }

    fn set_state(&mut self, session: SessionId, state: SessionState, cx: &Context, plan: &mut Plan) {
        let known = self.sessions.get_mut(&session);
        debug_assert!(known.is_some(), "session {session} is not known");
        let Some(known) = known else { return };
        let (before, after) = (known.state.is_ready(), state.is_ready());
        self.moves.note_state(known, state);
        known.state = state;
        let target = known.target.clone();
        let its = self.known_target(&target);
        debug_assert!(!before || its.ready > 0, "a session of {target} was not counted");
        its.ready = (its.ready + usize::from(after)).saturating_sub(usize::from(before));
        self.note_outage(&target, cx.monotonic(), plan);
    }

    /// Forgets the targets that are not used and for which no task waits, but not the outage of a
    /// configured one.
    pub(super) fn forget_unused(&mut self, plan: &mut Plan, settings: &Settings) {
        let connected: BTreeSet<&TargetName> = self.sessions.values().map(|session| &session.target).collect();
        let unused = |name: &TargetName, state: &Target| {
            let is_lost = state.outage.is_some() && settings.targets.contains_key(name);
            state.is_unused() && !is_lost && !connected.contains(name) && !plan.has_lane_to(name)
        };
        let unused: Vec<TargetName> =
            self.targets.iter().filter(|(name, state)| unused(name, state)).map(|(name, _)| name.clone()).collect();
        for name in unused {
            self.targets.remove(&name);
            self.moves.forget(&name);
            plan.forget_target(&name);
        }
    }

    /// Whether the counts of every target are what a recount gives.
    pub(super) fn audit(&self) -> bool {
        let of = |name: &TargetName, is: fn(SessionState) -> bool| {
            self.sessions.values().filter(|session| session.target == *name && is(session.state)).count()
        };
        let is_idle = |state| matches!(state, SessionState::Idle { .. });
        self.targets.iter().all(|(name, target)| {
            target.sessions == of(name, |_| true)
                && target.ready == of(name, SessionState::is_ready)
                && target.connecting == of(name, SessionState::is_starting)
                && target.idle.len() == of(name, is_idle)
                && self.moves.is_spare(name) == target.has_spare()
        }) && self.moves.audit(&self.sessions)
    }
}

#[cfg(test)]
mod tests;
