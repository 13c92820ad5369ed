//! The moves of sessions between targets. There are at most as many sessions as workers, so where there
//! are more targets than workers, a session has to be closed at one target for one at another. That takes
//! far longer than a short task.
//!
//! A session is moved for the task whose turn has come, at most once in `session_move_every`. Meanwhile
//! the sessions go on with the tasks of the same priority at their targets. So the order bends within a
//! priority, and by a bound: of the tasks whose turn has come and that lack a session, the first one gets
//! the next move. A target that has its share of the sessions has to wait for them, or longer for a move
//! (`session_balance_every`): some target is always a little behind the others, and a new session costs as
//! much as hundreds of short tasks.

use std::collections::{BTreeMap, BTreeSet};

use super::Sessions;
use super::session::{Session, SessionState};
use crate::names::{Priority, SessionId, TargetName};
use crate::orchestrator::context::Context;
use crate::orchestrator::timers::Timer;
use crate::plan::Plan;
use crate::time::MonotonicTime;

/// The sessions that are connections, and when the next one may be moved.
///
/// Invariant: the counts are what the sessions give, and `spare` has exactly the targets with a session
/// to spare.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// Sessions that are connections, or about to be.
    open: usize,
    /// Those of them that are the first ones of their targets, and on their way.
    contacts: usize,
    /// The targets with a session that no claimed task waits for.
    spare: BTreeSet<TargetName>,
    /// The targets that wait for their first session.
    uncontacted: BTreeSet<TargetName>,
    /// The first priority of their tasks, as far as it was looked for.
    first_priority: Option<Priority>,
    /// When a session was moved last.
    last_move: Option<MonotonicTime>,
    /// When the next target may get its first session.
    next_contact: Option<MonotonicTime>,
    /// The time of the last timer for that.
    contact_timer: Option<MonotonicTime>,
}

impl Moves {
    pub(super) fn note_connecting(&mut self, is_contact: bool) {
        self.open += 1;
        self.contacts += usize::from(is_contact);
    }

    /// A session that was on its way is not made.
    pub(super) fn note_ended(&mut self, was_contact: bool) {
        debug_assert!(self.open > 0 && (self.contacts > 0 || !was_contact), "it was counted");
        self.open = self.open.saturating_sub(1);
        self.contacts = self.contacts.saturating_sub(usize::from(was_contact));
    }

    /// The session has this state from now on.
    pub(super) fn note_state(&mut self, session: &mut Session, state: SessionState) {
        let contact_ends = session.is_contact && !state.is_starting();
        session.is_contact &= !contact_ends;
        debug_assert!(self.contacts > 0 || !contact_ends, "a contact was not counted");
        self.contacts = self.contacts.saturating_sub(usize::from(contact_ends));
        let (before, after) = (session.state.is_open(), state.is_open());
        debug_assert!(self.open > 0 || !before, "an open session was not counted");
        self.open = (self.open + usize::from(after)).saturating_sub(usize::from(before));
    }

    pub(super) fn is_spare(&self, target: &TargetName) -> bool {
        self.spare.contains(target)
    }

    pub(super) fn forget(&mut self, target: &TargetName) {
        self.spare.remove(target);
        self.uncontacted.remove(target);
    }

    /// Names in memory.
    pub(super) fn names(&self) -> usize {
        self.spare.len() + self.uncontacted.len()
    }

    /// Whether the counts are what a recount gives.
    pub(super) fn audit(&self, sessions: &BTreeMap<SessionId, Session>) -> bool {
        let count = |is: fn(&Session) -> bool| sessions.values().filter(|session| is(session)).count();
        self.open == count(|session| session.state.is_open()) && self.contacts == count(|session| session.is_contact)
    }
}

impl Sessions {
    /// Whether as many sessions are open as there are workers. The first contact with a target may take
    /// long, so it takes no other session's place.
    pub(super) fn is_full(&self, cx: &Context) -> bool {
        self.moves.open - self.moves.contacts >= workers(cx)
    }

    /// Notes whether the target has a session to spare.
    pub(super) fn note_spare(&mut self, target: &TargetName) {
        let spare = self.targets.get(target).is_some_and(super::Target::has_spare);
        if !spare {
            self.moves.spare.remove(target);
        } else if !self.moves.spare.contains(target) {
            self.moves.spare.insert(target.clone());
        }
    }

    /// The targets with a session to spare.
    pub(crate) fn spare_targets(&self) -> impl Iterator<Item = &TargetName> {
        self.moves.spare.iter()
    }

    /// Whether a session has to be closed at another target before a task of this one can run. A first
    /// contact that is under way counts, because its session will serve its own target.
    pub(crate) fn needs_move(&self, target: &TargetName, cx: &Context) -> bool {
        self.moves.open >= workers(cx) && !self.moves.is_spare(target)
    }

    /// Whether a target that is about to have its first session may use a worker soon. If so, looks
    /// again when the next move is due.
    pub(crate) fn awaits_contact(&mut self, cx: &mut Context) -> bool {
        let awaits = self.moves.contacts > 0;
        if let Some(at) = self.next_move(cx).filter(|_| awaits) {
            self.contact_at(at, cx);
        }
        awaits
    }

    /// Whether the last move was long enough ago for one to a target without its share of the sessions.
    fn may_move(&self, cx: &Context) -> bool {
        self.next_move(cx).is_none_or(|at| at <= cx.monotonic())
    }

    /// Whether the last move was long enough ago for one to this target.
    pub(crate) fn may_move_to(&self, target: &TargetName, plan: &Plan, cx: &Context) -> bool {
        let balanced = |at| at + cx.tuning().session_balance_every <= cx.monotonic();
        self.may_move(cx) && (self.moves.last_move.is_none_or(balanced) || !self.has_share(target, plan, cx))
    }

    /// Whether the target has as many sessions as it would have if the targets that tasks wait for had equally
    /// many, or an eighth less.
    fn has_share(&self, target: &TargetName, plan: &Plan, cx: &Context) -> bool {
        let share_of_all = self.ready(target).saturating_mul(plan.targets_waited_for());
        share_of_all.saturating_mul(8) >= workers(cx).saturating_mul(7)
    }

    /// When the next session may be moved.
    fn next_move(&self, cx: &Context) -> Option<MonotonicTime> {
        self.moves.last_move.map(|at| at + cx.tuning().session_move_every)
    }

    /// A session is about to be moved.
    pub(crate) fn note_move(&mut self, cx: &Context) {
        self.moves.last_move = Some(cx.monotonic());
    }

    /// Makes room for one more connection, of which there may be as many as workers: closes an idle
    /// session, if need be. Returns whether there is room.
    pub(crate) fn make_room(&mut self, cx: &mut Context, plan: &mut Plan) -> bool {
        if !self.is_full(cx) {
            return true;
        }
        let closed = self.least_needed(|_| true, plan).or_else(|| {
            let idle = self.sessions.iter().filter_map(|(id, session)| {
                if let SessionState::Idle { since } = session.state { Some((since, *id)) } else { None }
            });
            idle.min().map(|(_, session)| session)
        });
        if let Some(session) = closed {
            self.close(session, cx, plan);
        }
        closed.is_some()
    }

    /// The idle session to spare that is needed least, of the targets of which this is true: first one
    /// for whose target no task waits, then the one that has been idle longest.
    fn least_needed(&self, is_wanted: impl Fn(&TargetName) -> bool, plan: &Plan) -> Option<SessionId> {
        let spare = self.moves.spare.iter().filter(|target| is_wanted(target));
        let idle = spare.filter_map(|name| {
            let session = *self.targets.get(name)?.idle.first()?;
            let SessionState::Idle { since } = self.state(session)? else { return None };
            Some((plan.has_lane_to(name), since, session))
        });
        idle.min().map(|(.., session)| session)
    }

    /// This session is idle from now on. If there are more sessions than workers, closes one that is to
    /// spare: for a new session one of another target, because its turn has come.
    pub(super) fn close_one_too_many(&mut self, session: SessionId, is_new: bool, cx: &mut Context, plan: &mut Plan) {
        if self.moves.open - self.moves.contacts <= workers(cx) {
            return;
        }
        let Some(target) = self.sessions.get(&session).map(|session| session.target.clone()) else { return };
        let closed = if is_new && plan.has_lane_to(&target) {
            self.least_needed(|other| *other != target, plan)
        } else {
            let unneeded = self.least_needed(|other| !plan.has_lane_to(other), plan);
            unneeded.or_else(|| Some(session).filter(|_| self.moves.is_spare(&target)))
        };
        if let Some(session) = closed {
            self.close(session, cx, plan);
        }
    }

    /// The target has no session, and waits for its first one.
    pub(crate) fn want_contact(&mut self, target: &TargetName, plan: &Plan) {
        self.moves.uncontacted.insert(target.clone());
        let priority = plan.front_of(target).map(|front| front.priority);
        self.moves.first_priority = self.moves.first_priority.into_iter().chain(priority).min();
    }

    /// Opens the first sessions of targets that wait for one: at once if there is room, if no other task
    /// can use the free worker, or if the task is more important than all others. Otherwise this is a
    /// move, for the target whose turn has come.
    pub(crate) fn contact(&mut self, worker_free: bool, cx: &mut Context, plan: &Plan) {
        while !self.moves.uncontacted.is_empty() {
            let has_room = self.moves.open < workers(cx).saturating_add(self.unneeded(cx, plan));
            let is_wasted = worker_free && plan.front().is_none() && self.moves.contacts == 0;
            let is_important = is_more_important(self.moves.first_priority, plan);
            if !has_room && self.moves.open - self.moves.contacts > workers(cx) {
                return;
            }
            let later = self.moves.next_contact.filter(|at| cx.monotonic() < *at);
            if let Some(at) = later.filter(|_| !has_room && !is_wasted && !is_important) {
                return self.contact_at(at, cx);
            }
            let Some(target) = self.first_uncontacted(plan) else { return };
            let front = plan.front_of(&target);
            let is_urgent = front.is_some() && is_wasted || is_more_important(self.moves.first_priority, plan);
            if !has_room && !is_urgent {
                let is_first = front.is_some_and(|its| plan.front().is_none_or(|front| its < front));
                let at = cx.monotonic() + cx.tuning().session_move_every;
                let next_move = self.next_move(cx).filter(|_| is_first && !self.may_move(cx));
                self.moves.next_contact = Some(next_move.unwrap_or(at));
                if let Some(at) = next_move {
                    return self.contact_at(at, cx);
                }
                if !is_first {
                    // What changes this is an input.
                    return;
                }
                self.note_move(cx);
            }
            self.moves.uncontacted.remove(&target);
            self.connect(&target, cx);
        }
    }

    /// Looks for a target that may get its first session at this time.
    fn contact_at(&mut self, at: MonotonicTime, cx: &mut Context) {
        if self.moves.contact_timer != Some(at) {
            self.moves.contact_timer = Some(at);
            cx.at(at, Timer::Contact);
        }
    }

    /// Of the targets that wait for their first session, that with the first task.
    fn first_uncontacted(&mut self, plan: &Plan) -> Option<TargetName> {
        let mut waiting = std::mem::take(&mut self.moves.uncontacted);
        waiting.retain(|name| self.wants_contact(name) && plan.heads_of(name).next().is_some());
        self.moves.uncontacted = waiting;
        let front = |name: &&TargetName| plan.front_of(name).map_or((true, None), |front| (false, Some(front)));
        let first = self.moves.uncontacted.iter().min_by_key(front).cloned();
        self.moves.first_priority = first.as_ref().and_then(|first| plan.front_of(first)).map(|front| front.priority);
        first
    }

    fn wants_contact(&self, target: &TargetName) -> bool {
        self.probe(target, MonotonicTime::from_micros(i64::MIN)) == super::Probe::Contact
    }

    /// The sessions that neither a claimed nor a waiting task needs.
    fn unneeded(&self, cx: &Context, plan: &Plan) -> usize {
        if self.moves.open < workers(cx) {
            return 0;
        }
        let spare = self.moves.spare.iter().filter(|name| !plan.has_lane_to(name));
        spare.filter_map(|name| self.targets.get(name)).map(|state| state.idle.len().saturating_sub(state.claims)).sum()
    }
}

fn workers(cx: &Context) -> usize {
    usize::try_from(cx.settings().workers).unwrap_or(usize::MAX)
}

/// Whether a task of this priority comes before all tasks at targets with a session.
fn is_more_important(priority: Option<Priority>, plan: &Plan) -> bool {
    priority.zip(plan.front()).is_some_and(|(priority, front)| priority < front.priority)
}
