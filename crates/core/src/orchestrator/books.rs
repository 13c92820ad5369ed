//! What is taken: slots of pools, and workers.

use std::collections::BTreeMap;

use crate::names::PoolName;

/// What one task takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Load {
    /// A slot of its pool.
    pub(crate) slot: bool,
    /// A worker.
    pub(crate) worker: bool,
}

impl Load {
    pub(crate) const NOTHING: Self = Self { slot: false, worker: false };
    pub(crate) const SLOT: Self = Self { slot: true, worker: false };
    pub(crate) const BOTH: Self = Self { slot: true, worker: true };
}

/// How much is taken.
///
/// Invariant: a pool stands in it only with one slot or more.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Books {
    pools: BTreeMap<PoolName, u32>,
    workers: u32,
}

impl Books {
    pub(crate) fn slots(&self, pool: &PoolName) -> u32 {
        self.pools.get(pool).copied().unwrap_or(0)
    }

    pub(crate) const fn workers(&self) -> u32 {
        self.workers
    }

    pub(crate) const fn pools(&self) -> &BTreeMap<PoolName, u32> {
        &self.pools
    }

    /// Rebooks a task from one load to another; says whether the pool's count changed.
    pub(crate) fn rebook(&mut self, pool: &PoolName, before: Load, after: Load) -> bool {
        match (before.worker, after.worker) {
            (false, true) => self.workers += 1,
            (true, false) => self.workers -= 1,
            (true, true) | (false, false) => {}
        }
        match (before.slot, after.slot) {
            (false, true) => *self.pools.entry(pool.clone()).or_default() += 1,
            (true, false) => self.release(pool),
            (true, true) | (false, false) => return false,
        }
        true
    }

    fn release(&mut self, pool: &PoolName) {
        let slots = self.slots(pool);
        debug_assert!(slots > 0, "a slot of {pool} is given back that nobody took");
        if slots <= 1 {
            self.pools.remove(pool);
        } else {
            self.pools.insert(pool.clone(), slots - 1);
        }
    }
}
