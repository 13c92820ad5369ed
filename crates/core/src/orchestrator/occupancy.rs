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
    /// The slot is kept until somebody else does something: no query's end frees it.
    pub(crate) rests: bool,
}

impl Load {
    pub(crate) const NOTHING: Self = Self { slot: false, worker: false, rests: false };
    pub(crate) const SLOT: Self = Self { slot: true, worker: false, rests: false };
    pub(crate) const RESTING: Self = Self { slot: true, worker: false, rests: true };
    pub(crate) const BOTH: Self = Self { slot: true, worker: true, rests: false };
    /// What a query takes whose end may never be heard of.
    pub(crate) const STUCK: Self = Self { slot: true, worker: true, rests: true };
}

/// How much is taken.
///
/// Invariant: a pool stands in it only with one slot or more.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Occupancy {
    pools: BTreeMap<PoolName, Taken>,
    workers: u32,
}

/// What is taken of one pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Taken {
    /// Slots.
    pub(crate) slots: u32,
    /// Those of them that no query's end frees.
    pub(crate) resting: u32,
}

impl Occupancy {
    pub(crate) fn of(&self, pool: &PoolName) -> Taken {
        self.pools.get(pool).copied().unwrap_or_default()
    }

    pub(crate) const fn workers(&self) -> u32 {
        self.workers
    }

    pub(crate) fn pools(&self) -> impl Iterator<Item = (&PoolName, Taken)> {
        self.pools.iter().map(|(pool, taken)| (pool, *taken))
    }

    /// Rebooks a task from one load to another; says whether the count of the pool's slots changed.
    pub(crate) fn rebook(&mut self, pool: &PoolName, before: Load, after: Load) -> bool {
        if before == after {
            return false;
        }
        move_count(&mut self.workers, before.worker, after.worker);
        let taken = self.pools.entry(pool.clone()).or_default();
        debug_assert!(taken.slots > 0 || !before.slot, "a slot of {pool} is given back that nobody took");
        move_count(&mut taken.slots, before.slot, after.slot);
        move_count(&mut taken.resting, before.rests, after.rests);
        if taken.slots == 0 {
            self.pools.remove(pool);
        }
        before.slot != after.slot
    }
}

fn move_count(count: &mut u32, before: bool, after: bool) {
    *count = (*count + u32::from(after)).saturating_sub(u32::from(before));
}
