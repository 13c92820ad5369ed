//! Names come and go; what was known of those that went is forgotten with every sweep.

use std::collections::BTreeSet;

use super::Orchestrator;
use super::occupancy::Taken;
use super::target::Target;
use crate::names::TargetName;

impl Orchestrator {
    /// Forgets paces and targets of which nothing runs and for which no task waits.
    pub(super) fn forget_idle(&mut self) {
        let (plan, books) = (&self.plan, &self.occupancy);
        self.paces.retain(|pool, pace| !pace.is_idle() || plan.has_pool(pool) || books.of(pool) != Taken::default());
        let connected: BTreeSet<&TargetName> = self.sessions.values().map(|session| &session.target).collect();
        let idle = |name: &TargetName, target: &Target| {
            target.is_idle() && !connected.contains(name) && !plan.has_lane_to(name)
        };
        let gone: Vec<_> =
            self.targets.iter().filter(|(name, state)| idle(name, state)).map(|(name, _)| name).collect();
        for name in gone.into_iter().cloned().collect::<Vec<_>>() {
            self.targets.remove(&name);
            self.plan.forget_target(&name);
        }
    }
}
