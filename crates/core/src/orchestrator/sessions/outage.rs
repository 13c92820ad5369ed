//! Targets that cannot be reached, or take no further session.

use super::Sessions;
use super::target::Outage;
use crate::names::{SessionId, TargetName, TaskId};
use crate::orchestrator::backoff::Backoff;
use crate::orchestrator::context::Context;
use crate::orchestrator::timers::Timer;
use crate::plan::Plan;
use crate::time::{MonotonicTime, Span};

/// What a probe of a target may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Nothing: no probe is due.
    No,
    /// The target has no session, and did not fail: it waits for its first one.
    Contact,
    /// The target has no session, so one connection shows whether it can be reached.
    Connect,
    /// The target has sessions and refused another one: it is asked again if a task lacks one.
    ConnectIfLacking,
}

impl Sessions {
    /// A connection failed; returns its target, unless the session was not on its way.
    pub(crate) fn connect_failed(
        &mut self,
        session: SessionId,
        error: &str,
        cx: &mut Context,
        plan: &mut Plan,
    ) -> Option<TargetName> {
        let state = self.sessions.get(&session).filter(|state| state.state.is_starting())?;
        let target = state.target.clone();
        self.moves.note_ended(state.is_contact);
        self.sessions.remove(&session);
        self.ended(&target, plan);
        let (now, random) = (cx.monotonic(), cx.random());
        let fresh = (now, Backoff::new(cx.tuning().backoff_first, cx.tuning().backoff_last));
        let known = self.known_target(&target);
        known.connecting -= 1;
        let (since, mut backoff) = known.outage.as_ref().map_or(fresh, |old| (old.since, old.backoff));
        // Without a task the backoff does not grow, so the next task is not made to wait for it.
        let is_wanted = !known.queue.is_empty() || plan.heads_of(&target).next().is_some();
        let retry_at = now + if is_wanted { backoff.next(random) } else { cx.tuning().backoff_first };
        let look_at = now + cx.tuning().backoff_last;
        known.outage = Some(Outage { since, backoff, retry_at, look_at, error: error.to_owned() });
        cx.at(retry_at, Timer::Target(target.clone()));
        self.note_spare(&target);
        self.refresh_target(&target, plan);
        Some(target)
    }

    /// A session changed its state: if the last one that was ready no longer is, the outage counts
    /// from now on, because until now the target served, if on fewer sessions than it should.
    pub(super) fn note_outage(&mut self, target: &TargetName, now: MonotonicTime, plan: &mut Plan) {
        let Some(state) = self.targets.get_mut(target) else {
            debug_assert!(false, "{target} has a session and is not known");
            return;
        };
        // A target that takes sessions has no outage to date.
        let Some(outage) = state.outage.as_mut() else { return };
        if state.ready == 0 {
            outage.since = now;
        }
        self.refresh_target(target, plan);
    }

    /// The outage counts from now on, and the target is tried soon.
    pub(super) fn restart_outage(&mut self, target: &TargetName, cx: &mut Context) {
        if let Some(outage) = self.targets.get_mut(target).and_then(|state| state.outage.as_mut()) {
            outage.since = cx.monotonic();
        }
        self.retry_soon(target, cx);
    }

    /// Whether a connection to the target is due that shows whether it can be reached.
    pub(crate) fn probe(&self, target: &TargetName, now: MonotonicTime) -> Probe {
        let Some(state) = self.targets.get(target) else { return Probe::No };
        let due = state.outage.as_ref().map_or(!state.met, |outage| outage.retry_at <= now);
        if !due || state.connecting > 0 || state.fencing || state.below_limit() == 0 {
            Probe::No
        } else if state.outage.is_none() {
            Probe::Contact
        } else if state.ready == 0 {
            Probe::Connect
        } else {
            Probe::ConnectIfLacking
        }
    }

    /// Whether it is time to look, without a task, whether a lost target is back. Otherwise a later
    /// probe looks.
    pub(crate) fn may_look(&mut self, target: &TargetName, cx: &mut Context) -> bool {
        let is_full = self.is_full(cx);
        let Some(outage) = self.targets.get_mut(target).and_then(|state| state.outage.as_mut()) else { return false };
        let now = cx.monotonic();
        // It takes no session from the tasks of other targets.
        if outage.look_at <= now && is_full {
            outage.look_at = now + cx.tuning().backoff_last;
        }
        if outage.look_at > now {
            cx.at(outage.look_at, Timer::Target(target.clone()));
            return false;
        }
        true
    }

    /// The target has no idle session.
    pub(crate) fn has_no_idle(&self, target: &TargetName) -> bool {
        self.targets.get(target).is_some_and(|state| state.idle.is_empty())
    }

    /// No task needs another session of the target now. The probe comes again, because a slot may
    /// come free without any event at the target.
    pub(crate) fn probe_later(&mut self, target: &TargetName, cx: &mut Context) {
        let retry_at = cx.monotonic() + cx.tuning().backoff_last;
        if let Some(outage) = self.targets.get_mut(target).and_then(|state| state.outage.as_mut()) {
            outage.retry_at = retry_at;
            cx.at(retry_at, Timer::Target(target.clone()));
        }
    }

    /// A session at the target has ended, which may have been the one too many.
    pub(super) fn retry_soon(&mut self, target: &TargetName, cx: &mut Context) {
        let soon = cx.monotonic() + cx.tuning().backoff_first;
        if let Some(outage) = self.targets.get_mut(target).and_then(|state| state.outage.as_mut())
            && soon < outage.retry_at
        {
            outage.retry_at = soon;
            cx.at(soon, Timer::Target(target.clone()));
        }
    }

    /// The error with which tasks that have waited long enough for the target fail: it has had no
    /// session for so long.
    pub(crate) fn outage_error(&self, target: &TargetName, patience: Span, now: MonotonicTime) -> Option<String> {
        let state = self.targets.get(target).filter(|state| state.ready == 0)?;
        let outage = state.outage.as_ref().filter(|outage| outage.since + patience <= now)?;
        Some(outage.error.clone())
    }

    /// The queued tasks that will find no session: the last ones.
    pub(crate) fn surplus(&self, target: &TargetName) -> Vec<TaskId> {
        let Some(state) = self.targets.get(target) else { return Vec::new() };
        state.queue.iter().rev().take(state.surplus()).map(|position| position.task).collect()
    }

    /// Without an open session, a connection to the target has to succeed again before a task is
    /// claimed for it.
    pub(crate) fn forget_contact(&mut self, target: &TargetName, plan: &mut Plan) {
        let connected = self.sessions.values().any(|session| session.target == *target && session.state.is_open());
        if let Some(state) = self.targets.get_mut(target)
            && !connected
            && state.queue.is_empty()
        {
            state.met = false;
            self.refresh_target(target, plan);
            self.unassigned.insert(target.clone());
        }
    }
}
