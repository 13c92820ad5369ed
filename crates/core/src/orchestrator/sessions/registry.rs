//! Sessions that are gone leave the registry, and what older leaders ran is resolved after its
//! fence.

use std::collections::BTreeSet;

use super::Sessions;
use crate::names::{TargetName, TaskId};
use crate::orchestrator::command::{Command, Registered};
use crate::orchestrator::context::Context;
use crate::plan::Plan;

impl Sessions {
    /// Takes sessions that are gone out of the registry. Without the store this waits for
    /// [`Sessions::unregister_again`].
    pub(crate) fn unregister(
        &mut self,
        sessions: impl IntoIterator<Item = Registered>,
        store_is_there: bool,
        cx: &mut Context,
    ) {
        let sessions: Vec<Registered> = sessions.into_iter().collect();
        self.unregistering.extend(sessions.iter().copied());
        if !sessions.is_empty() && store_is_there {
            cx.emit(Command::Unregister { sessions });
        }
    }

    pub(crate) fn unregistered(&mut self, sessions: &[Registered]) {
        for session in sessions {
            self.unregistering.remove(session);
        }
    }

    /// Sends again what may have been lost with the store: that these sessions are gone.
    pub(crate) fn unregister_again(&self, cx: &mut Context) {
        if !self.unregistering.is_empty() {
            cx.emit(Command::Unregister { sessions: self.unregistering.iter().copied().collect() });
        }
    }

    /// The number of targets with a fence that is not complete: of sessions of older epochs, or of lost
    /// ones.
    pub(crate) fn fences_open(&self) -> usize {
        let older = self.targets.iter().filter(|(_, state)| state.fencing).map(|(target, _)| target);
        let lost = self.lost.keys().filter_map(|session| self.sessions.get(session)).map(|session| &session.target);
        older.chain(lost).collect::<BTreeSet<_>>().len()
    }

    pub(crate) fn is_unregistering(&self) -> bool {
        !self.unregistering.is_empty()
    }

    /// Sessions of older epochs may live at the target.
    pub(crate) fn fence(&mut self, target: &TargetName, plan: &mut Plan) {
        self.known_target(target).fencing = true;
        self.refresh_target(target, plan);
    }

    /// No session of an older epoch is left at the target.
    pub(crate) fn fenced(
        &mut self,
        target: &TargetName,
        older: Vec<i64>,
        store_is_there: bool,
        cx: &mut Context,
        plan: &mut Plan,
    ) {
        if let Some(state) = self.targets.get_mut(target) {
            state.fencing = false;
        }
        self.unregister(older.into_iter().map(Registered::Older), store_is_there, cx);
        self.refresh_target(target, plan);
        self.unassigned.insert(target.clone());
    }

    /// A session of an older epoch may run the query of this task at the target.
    pub(crate) fn add_orphan(&mut self, target: TargetName, task: TaskId) {
        self.known_target(&target).orphans.push(task);
    }

    /// The tasks whose queries sessions of older epochs may run at the target.
    pub(crate) fn orphans(&self, target: &TargetName) -> Vec<TaskId> {
        self.targets.get(target).map(|state| state.orphans.clone()).unwrap_or_default()
    }

    /// Takes these tasks to resolve them: none before the target's fence is complete.
    pub(crate) fn take_resolvable(&mut self, target: &TargetName) -> Vec<TaskId> {
        let state = self.targets.get_mut(target).filter(|state| !state.fencing);
        state.map(|state| std::mem::take(&mut state.orphans)).unwrap_or_default()
    }
}
