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
    pub(super) fn insert(&mut self, pool: PoolName, task: TaskId) {
        self.offers.entry(pool.clone()).or_default().insert(task);
        self.reviews.insert(pool);
    }

    /// Removes the task if it is offered.
    pub(super) fn remove(&mut self, pool: &PoolName, task: TaskId) {
        if let Some(offers) = self.offers.get_mut(pool) {
            offers.remove(&task);
            if offers.is_empty() {
                self.offers.remove(pool);
            }
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

    pub(super) fn has(&self, pool: &PoolName) -> bool {
        self.offers.contains_key(pool)
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
        offers.insert(with.clone(), TaskId(2));
        offers.insert(with.clone(), TaskId(1));
        offers.review(without);
        assert_eq!(offers.take_reviews(), vec![(with.clone(), vec![TaskId(1), TaskId(2)])]);
        assert_eq!(offers.take_reviews(), vec![]);
        offers.review_all();
        offers.remove(&with, TaskId(1));
        assert_eq!(offers.take_reviews(), vec![(with.clone(), vec![TaskId(2)])]);
        offers.remove(&with, TaskId(2));
        assert_eq!((offers.names(), offers.has(&with)), (0, false));
    }
}
