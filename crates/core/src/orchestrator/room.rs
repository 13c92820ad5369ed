//! How many tasks may be claimed ahead for workers in one pool and at one target.

use std::collections::BTreeMap;

use super::claims_ahead::ClaimsAhead;
use super::context::Context;
use super::sessions::Sessions;
use crate::names::{PoolName, TargetName};
use crate::plan::lane::Lane;

/// The claims ahead for workers that one look at the queue adds. A pool gets no more than its slots can run
/// before a claim is too old, and a target no more than twice what its sessions can: they are not equally
/// fast.
#[derive(Debug)]
pub(super) struct Room<'a> {
    /// Claims for one slot, or one session.
    per_slot: u32,
    pools: BTreeMap<&'a PoolName, u32>,
    targets: BTreeMap<&'a TargetName, u32>,
}

impl<'a> Room<'a> {
    pub(super) const fn new(per_slot: u32) -> Self {
        Self { per_slot, pools: BTreeMap::new(), targets: BTreeMap::new() }
    }

    /// Whether another task of this lane may be claimed, which is counted then.
    pub(super) fn takes(&mut self, lane: &'a Lane, cx: &Context, claims: &ClaimsAhead, sessions: &Sessions) -> bool {
        let settings = cx.settings();
        if settings.spacings.contains_key(&lane.pool) || settings.is_paused(lane) {
            return false;
        }
        let pool = self.pools.entry(&lane.pool).or_insert_with(|| {
            let most = settings.limit(&lane.pool).saturating_mul(self.per_slot);
            most.saturating_sub(claims.claims_for_workers_in(&lane.pool))
        });
        let target = self.targets.entry(&lane.target).or_insert_with(|| {
            let sessions = u32::try_from(sessions.ready(&lane.target)).unwrap_or(u32::MAX);
            let most = sessions.saturating_mul(self.per_slot).saturating_mul(2);
            most.saturating_sub(claims.claims_for_workers_at(&lane.target))
        });
        let takes = *pool > 0 && *target > 0;
        if takes {
            *pool -= 1;
            *target -= 1;
        }
        takes
    }
}
