//! How many tasks may be claimed ahead for workers in one pool and at one target.

use std::collections::BTreeMap;

use super::claims_ahead::ClaimsAhead;
use super::context::Context;
use super::sessions::Sessions;
use crate::names::{PoolName, TargetName};
use crate::plan::lane::Lane;

/// The claims ahead for workers that one look at the queue may add: no more in a pool than its slots can run
/// before a claim is too old, and no more at a target than its sessions can.
#[derive(Debug)]
pub(super) struct Room<'a> {
    /// Claims for one slot, or one session.
    per_slot: u32,
    claims: &'a ClaimsAhead,
    cx: &'a Context,
    pools: BTreeMap<&'a PoolName, u32>,
}

impl<'a> Room<'a> {
    pub(super) const fn new(per_slot: u32, claims: &'a ClaimsAhead, cx: &'a Context) -> Self {
        Self { per_slot, claims, cx, pools: BTreeMap::new() }
    }

    /// Whether another task of this lane may be claimed as far as its pool is concerned, which counts it then.
    pub(super) fn takes(&mut self, lane: &'a Lane) -> bool {
        let settings = self.cx.settings();
        if settings.spacings.contains_key(&lane.pool) || settings.is_paused(lane) {
            return false;
        }
        let room = self.pools.entry(&lane.pool).or_insert_with(|| {
            let most = settings.limit(&lane.pool).saturating_mul(self.per_slot);
            most.saturating_sub(self.claims.claims_for_workers_in(&lane.pool))
        });
        let takes = *room > 0;
        *room = room.saturating_sub(1);
        takes
    }
}

/// How many more tasks may be claimed ahead for workers at a target, with so many for each of its sessions.
pub(super) fn room_at(target: &TargetName, per_session: u32, claims: &ClaimsAhead, sessions: &Sessions) -> usize {
    let sessions = u32::try_from(sessions.ready(target)).unwrap_or(u32::MAX);
    let most = sessions.saturating_mul(per_session);
    usize::try_from(most.saturating_sub(claims.claims_for_workers_at(target))).unwrap_or(usize::MAX)
}
