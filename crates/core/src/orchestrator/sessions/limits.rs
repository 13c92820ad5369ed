//! What is configured of the sessions of targets: limits (`max_sessions`), and pauses.

use super::Sessions;
use super::session::{Session, SessionState};
use crate::names::TargetName;
use crate::orchestrator::context::Context;
use crate::orchestrator::settings::TargetSettings;
use crate::plan::Plan;

impl Sessions {
    /// How many sessions the target has above its limit, without those that are being closed.
    pub(super) fn excess(&self, target: &TargetName) -> usize {
        let Some(sessions_max) = self.targets.get(target).and_then(|state| state.sessions_max) else { return 0 };
        let stays = |session: &&Session| session.target == *target && session.state != SessionState::Closing;
        self.sessions.values().filter(stays).count().saturating_sub(sessions_max)
    }

    /// Applies the limits on the sessions of targets. Of the sessions above a lower limit, the idle
    /// ones are closed at once, and the others when they become idle.
    pub(in crate::orchestrator) fn limit(&mut self, cx: &mut Context, plan: &mut Plan) {
        let limit = |settings: &TargetSettings| settings.max_sessions.and_then(|most| usize::try_from(most).ok());
        let limits = cx.settings().targets.iter().filter_map(|(name, its)| Some((name.clone(), limit(its)?)));
        self.limits = limits.collect();
        for name in self.targets() {
            let sessions_max = self.limits.get(&name).copied();
            let target = self.known_target(&name);
            target.sessions_max = sessions_max;
            let idle = target.idle.clone();
            for session in idle.into_iter().take(self.excess(&name)) {
                self.close(session, cx, plan);
            }
            self.refresh_target(&name, plan);
        }
    }

    /// Applies which targets are paused. A target that is resumed and cannot be reached counts as lost
    /// from now on, and is tried at once: its tasks have not waited for it.
    pub(in crate::orchestrator) fn pause(&mut self, cx: &mut Context, plan: &mut Plan) {
        let before = std::mem::replace(&mut self.paused, cx.settings().paused_targets.clone());
        for name in self.paused.symmetric_difference(&before).cloned().collect::<Vec<_>>() {
            if !self.paused.contains(&name) {
                self.restart_outage(&name, cx);
            }
            self.refresh_target(&name, plan);
        }
    }

    /// A session of the target is gone. If the target has a limit, another one may be opened.
    pub(super) fn ended(&mut self, target: &TargetName, plan: &mut Plan) {
        let Some(known) = self.targets.get_mut(target) else {
            debug_assert!(false, "{target} had a session and is not known");
            return;
        };
        debug_assert!(known.sessions > 0, "a session of {target} was not counted");
        known.sessions = known.sessions.saturating_sub(1);
        if known.sessions_max.is_some() {
            self.refresh_target(target, plan);
            self.unassigned.insert(target.clone());
        }
    }
}
