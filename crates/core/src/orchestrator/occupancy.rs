//! The occupancy: pool slots, workers and memory for texts and results that are taken.

use std::collections::BTreeMap;

use crate::names::PoolName;

/// What one task takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Load {
    /// A slot of its pool.
    pub(super) slot: bool,
    /// A worker.
    pub(super) worker: bool,
    /// The slot stays taken until something else than the end of a query frees it.
    pub(super) rests: bool,
    /// It has a slot, and has not started: it is being claimed, waits for a session or a mark, or is
    /// offered.
    pub(super) starting: bool,
    /// Bytes of its text that are in memory, or on the way there, and of its result until it is written.
    pub(super) text_bytes: u64,
}

impl Load {
    pub(super) const NOTHING: Self = Self { slot: false, worker: false, rests: false, starting: false, text_bytes: 0 };
    pub(super) const SLOT: Self = Self { slot: true, worker: false, rests: false, starting: false, text_bytes: 0 };
    pub(super) const RESTING: Self = Self { slot: true, worker: false, rests: true, starting: false, text_bytes: 0 };
    pub(super) const BOTH: Self = Self { slot: true, worker: true, rests: false, starting: false, text_bytes: 0 };
    /// The load of a claim before the query is sent.
    pub(super) const CLAIM: Self = Self { starting: true, ..Self::BOTH };
    /// The load of an offer before a client takes the task.
    pub(super) const OFFER: Self = Self { starting: true, ..Self::RESTING };
    /// The load of a query that may run on a lost session: its end may never be known.
    pub(super) const STUCK: Self = Self { slot: true, worker: true, rests: true, starting: false, text_bytes: 0 };
}

/// What all tasks take.
///
/// Invariant: a pool has an entry exactly while at least one of its slots is taken, and at most as
/// many of its slots rest, or belong to tasks that have not started, as are taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Occupancy {
    pools: BTreeMap<PoolName, PoolOccupancy>,
    workers: u32,
    text_bytes: u64,
}

/// What is taken of one pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct PoolOccupancy {
    /// Slots that are taken.
    pub(super) slots: u32,
    /// Those of them that no query's end frees.
    pub(super) resting: u32,
    /// Those of them whose tasks have not started.
    pub(super) starting: u32,
}

impl Occupancy {
    pub(super) fn of(&self, pool: &PoolName) -> PoolOccupancy {
        self.pools.get(pool).copied().unwrap_or_default()
    }

    pub(super) const fn workers(&self) -> u32 {
        self.workers
    }

    pub(super) const fn text_bytes(&self) -> u64 {
        self.text_bytes
    }

    pub(super) fn pools(&self) -> impl Iterator<Item = (&PoolName, PoolOccupancy)> {
        self.pools.iter().map(|(pool, taken)| (pool, *taken))
    }

    /// Replaces the load of a task; returns whether the number of taken slots changed.
    pub(super) fn replace(&mut self, pool: &PoolName, before: Load, after: Load) -> bool {
        if before == after {
            return false;
        }
        debug_assert!(before.text_bytes <= self.text_bytes, "the texts in memory are fewer than that of one task");
        self.text_bytes = (self.text_bytes + after.text_bytes).saturating_sub(before.text_bytes);
        move_count(&mut self.workers, before.worker, after.worker);
        let taken = self.pools.entry(pool.clone()).or_default();
        debug_assert!(taken.slots > 0 || !before.slot, "a slot of {pool} is freed that was not taken");
        move_count(&mut taken.slots, before.slot, after.slot);
        move_count(&mut taken.resting, before.rests, after.rests);
        move_count(&mut taken.starting, before.starting, after.starting);
        debug_assert!(taken.resting <= taken.slots, "more slots of {pool} rest than are taken");
        if taken.slots == 0 {
            self.pools.remove(pool);
        }
        before.slot != after.slot
    }
}

fn move_count(count: &mut u32, before: bool, after: bool) {
    debug_assert!(*count > 0 || !before || after, "a count falls below zero");
    *count = (*count + u32::from(after)).saturating_sub(u32::from(before));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_forgotten_with_its_last_slot() {
        let pool = PoolName::new("p").unwrap();
        let mut occupancy = Occupancy::default();
        assert!(occupancy.replace(&pool, Load::NOTHING, Load::BOTH));
        assert!(!occupancy.replace(&pool, Load::BOTH, Load::STUCK), "the number of taken slots is the same");
        assert_eq!(
            (occupancy.of(&pool), occupancy.workers()),
            (PoolOccupancy { slots: 1, resting: 1, starting: 0 }, 1)
        );
        assert!(occupancy.replace(&pool, Load::STUCK, Load::NOTHING));
        assert_eq!(occupancy, Occupancy::default());
    }
}
