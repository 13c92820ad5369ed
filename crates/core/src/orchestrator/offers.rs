//! The offers: tasks that are held out to pulling clients, and when they give way.
//!
//! An offer holds a slot that no query uses. It gives way at once to a task that comes first in the
//! order, and after some patience to any other task that wants the slot. Its lane then stands back
//! for a while, so that the slot does not come straight back.

use std::collections::{BTreeMap, BTreeSet};

use crate::names::{PoolName, TaskId};

/// The offered tasks of each pool, and the pools whose offers are due for a review.
///
/// Invariant: no pool has an empty set of offers.
#[derive(Debug, Default)]
pub(super) struct Offers {
    offers: BTreeMap<PoolName, BTreeSet<TaskId>>,
    /// Pools in which an offer may have to give way.
    reviews: BTreeSet<PoolName>,
}

impl Offers {
    /// The task is offered from now on, or no longer is. The pool of a new offer is reviewed.
    pub(super) fn set(&mut self, pool: PoolName, task: TaskId, offered: bool) {
        if offered {
            self.offers.entry(pool.clone()).or_default().insert(task);
            self.reviews.insert(pool);
        } else if let Some(offers) = self.offers.get_mut(&pool) {
            let was_offered = offers.remove(&task);
            debug_assert!(was_offered, "task {task} is not among the offers of {pool}");
            if offers.is_empty() {
                self.offers.remove(&pool);
            }
        } else {
            debug_assert!(false, "{pool} has no offers");
        }
    }

    /// Another task may want a slot of this pool.
    pub(super) fn review(&mut self, pool: PoolName) {
        self.reviews.insert(pool);
    }

    /// Other tasks may want the slots of any offer.
    pub(super) fn review_all(&mut self) {
        self.reviews.extend(self.offers.keys().cloned());
    }

    /// The pools that are due for a review, with their offers.
    pub(super) fn take_reviews(&mut self) -> Vec<(PoolName, Vec<TaskId>)> {
        let offers = &self.offers;
        std::mem::take(&mut self.reviews)
            .into_iter()
            .filter_map(|pool| {
                let tasks = offers.get(&pool)?.iter().copied().collect();
                Some((pool, tasks))
            })
            .collect()
    }

    /// A slot of this pool may be wanted: its offers are reviewed, if it has any.
    pub(super) fn review_if_any(&mut self, pool: &PoolName) {
        if self.offers.contains_key(pool) {
            self.review(pool.clone());
        }
    }

    /// Every offered task.
    pub(super) fn tasks(&self) -> Vec<TaskId> {
        self.offers.values().flatten().copied().collect()
    }

    /// Names of pools in memory.
    pub(super) fn names(&self) -> usize {
        self.offers.len() + self.reviews.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pools_with_offers_are_reviewed_and_each_once() {
        let (with, without) = (PoolName::new("with").unwrap(), PoolName::new("without").unwrap());
        let mut offers = Offers::default();
        offers.set(with.clone(), TaskId(2), true);
        offers.set(with.clone(), TaskId(1), true);
        offers.review(without);
        assert_eq!(offers.take_reviews(), vec![(with.clone(), vec![TaskId(1), TaskId(2)])]);
        assert_eq!(offers.take_reviews(), vec![]);
        offers.review_all();
        offers.set(with.clone(), TaskId(1), false);
        assert_eq!(offers.take_reviews(), vec![(with.clone(), vec![TaskId(2)])]);
        offers.set(with.clone(), TaskId(2), false);
        offers.review_if_any(&with);
        assert_eq!(offers.names(), 0);
    }
}
