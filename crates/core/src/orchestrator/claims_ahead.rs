//! Claims ahead: while tasks are short, the next ones are claimed, and their launches marked, before
//! there is a slot of their pool or a worker for them, so that it does not wait for the store.

mod queue;

use std::collections::{BTreeMap, BTreeSet};

use super::settings::Tuning;
use crate::names::{PoolName, TargetName};
use crate::plan::lane::QueuePosition;
use crate::time::{MonotonicTime, Span};
use queue::Queue;

/// The claims ahead for slots of full pools and for workers, and how quickly those become free.
#[derive(Debug, Default)]
pub(super) struct ClaimsAhead {
    pools: BTreeMap<PoolName, Queue>,
    workers: Queue,
    /// The claims for workers, by pool and by target.
    for_workers_by_pool: BTreeMap<PoolName, u32>,
    for_workers_by_target: BTreeMap<TargetName, u32>,
    /// Pools whose number of claims ahead may have to change.
    reviews: BTreeSet<PoolName>,
    /// The number of claims for workers may have to change.
    reviews_workers: bool,
    /// The last look at the whole queue found fewer tasks than were missing.
    found_too_few: bool,
    /// Queries that ended since that look.
    ends_since_look: u32,
}

/// What a task that is claimed ahead of its turn waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lack {
    /// Its pool was full when it was claimed.
    Slot,
    /// Its pool had a free slot, and all workers were busy.
    Worker,
}

/// Whether a task is claimed ahead of its turn, and how far that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ahead {
    /// The task is not claimed ahead.
    No,
    /// The claim is being written.
    Claiming(Lack),
    /// The task is claimed, and its launch is not marked.
    Unmarked(Lack),
    /// The launch is marked, or about to be.
    Marked(Lack),
}

/// How many tasks may be claimed, and how many launches marked, ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AheadLimits {
    pub(super) claims: u32,
    pub(super) marks: u32,
    /// Claims ahead over the limit are given back at once. Otherwise those are that grow too old: a
    /// short pause makes all running queries long, and a claim costs less than a claim that is given back
    /// and repeated.
    pub(super) returns: bool,
}

impl AheadLimits {
    /// Nothing is claimed ahead.
    pub(super) const NONE: Self = Self { claims: 0, marks: 0, returns: true };
}

impl Ahead {
    /// What the task waits for, if it is claimed ahead.
    const fn lack(self) -> Option<Lack> {
        match self {
            Self::No => None,
            Self::Claiming(lack) | Self::Unmarked(lack) | Self::Marked(lack) => Some(lack),
        }
    }
}

impl ClaimsAhead {
    /// The number of claims ahead of this pool, or for workers, may have to change.
    pub(super) fn review(&mut self, pool: PoolName) {
        self.reviews.insert(pool);
        self.reviews_workers = true;
    }

    /// The pools that are due for a review.
    pub(super) fn take_reviews(&mut self) -> BTreeSet<PoolName> {
        std::mem::take(&mut self.reviews)
    }

    /// Whether the claims for workers are due for a review.
    pub(super) const fn take_review_of_workers(&mut self) -> bool {
        std::mem::replace(&mut self.reviews_workers, false)
    }

    /// The limits of a pool in which queries run in so many slots; `None` before a query has ended.
    pub(super) fn limits(&self, pool: &PoolName, slots: u32, tuning: &Tuning) -> Option<AheadLimits> {
        self.pools.get(pool)?.limits(slots, tuning)
    }

    /// The limits for so many busy workers; `None` before a query has ended.
    pub(super) fn limits_for_workers(&self, workers: u32, tuning: &Tuning) -> Option<AheadLimits> {
        self.workers.limits(workers, tuning)
    }

    /// Tasks of the pool that are claimed ahead for its slots, or about to be.
    pub(super) fn claims(&self, pool: &PoolName) -> u32 {
        self.pools.get(pool).map_or(0, |queue| queue.claims)
    }

    /// Tasks that are claimed ahead for workers, or about to be.
    pub(super) const fn claims_for_workers(&self) -> u32 {
        self.workers.claims
    }

    /// Those of them that are in this pool.
    pub(super) fn claims_for_workers_in(&self, pool: &PoolName) -> u32 {
        self.for_workers_by_pool.get(pool).copied().unwrap_or(0)
    }

    /// Those of them whose target is this one.
    pub(super) fn claims_for_workers_at(&self, target: &TargetName) -> u32 {
        self.for_workers_by_target.get(target).copied().unwrap_or(0)
    }

    /// How many tasks to look for in the whole queue. Such a look costs more than one at a pool: it is for
    /// a quarter of the claims at least, and follows one that found too few after as many ends.
    pub(super) fn missing_for_workers(&self, limits: AheadLimits) -> u32 {
        let (missing, some) = (limits.claims.saturating_sub(self.workers.claims), limits.claims.div_ceil(4));
        let looks = missing >= some && (!self.found_too_few || self.ends_since_look >= some);
        if looks { missing } else { 0 }
    }

    /// A look at the whole queue for so many tasks found so many.
    pub(super) fn looked(&mut self, missing: u32, found: usize) {
        self.found_too_few = usize::try_from(missing).is_ok_and(|missing| found < missing);
        self.ends_since_look = 0;
    }

    /// A task was claimed ahead so far, and is so far from now on. Where the number of claims or of
    /// unmarked tasks changes, they are reviewed.
    pub(super) fn replace(
        &mut self,
        (pool, target): (&PoolName, &TargetName),
        position: QueuePosition,
        (before, after): (Ahead, Ahead),
    ) {
        if before == after {
            return;
        }
        let lack = before.lack().or(after.lack());
        debug_assert!(after == Ahead::No || after.lack() == lack, "{position:?} waits for something else");
        if lack == Some(Lack::Worker) {
            self.workers.replace(position, (before, after));
            let (was, is) = (before != Ahead::No, after != Ahead::No);
            count(&mut self.for_workers_by_pool, pool, was, is);
            count(&mut self.for_workers_by_target, target, was, is);
            self.reviews_workers |= !matches!(after, Ahead::Marked(_));
        } else {
            self.pools.entry(pool.clone()).or_default().replace(position, (before, after));
            if !matches!(after, Ahead::Marked(_)) {
                self.reviews.insert(pool.clone());
            }
        }
    }

    /// The first task for a slot of the pool whose launch may be marked, if fewer than so many are.
    pub(super) fn first_unmarked(&self, pool: &PoolName, marks_max: u32) -> Option<QueuePosition> {
        self.pools.get(pool)?.first_unmarked(marks_max)
    }

    /// The first task for a worker whose launch may be marked, if fewer than so many are.
    pub(super) fn first_unmarked_for_workers(&self, marks_max: u32) -> Option<QueuePosition> {
        self.workers.first_unmarked(marks_max)
    }

    /// A claim ahead grew too old: tasks of the pool, or all tasks, are not as short as they were.
    pub(super) fn slow_down(&mut self, pool: &PoolName, lack: Lack, tuning: &Tuning) {
        let queue = match lack {
            Lack::Slot => self.pools.entry(pool.clone()).or_default(),
            Lack::Worker => &mut self.workers,
        };
        queue.query_average = queue.query_average.max(Some(tuning.ahead_age_max));
    }

    /// A query of the pool ended; so many of its slots, and so many workers, are taken.
    pub(super) fn query_ended(
        &mut self,
        pool: &PoolName,
        took: Span,
        (slots, workers): (u32, u32),
        now: MonotonicTime,
        tuning: &Tuning,
    ) {
        self.pools.entry(pool.clone()).or_default().query_ended(took, slots, now, tuning);
        self.workers.query_ended(took, workers, now, tuning);
        self.ends_since_look = self.ends_since_look.saturating_add(1);
        self.review(pool.clone());
    }

    /// Forgets the pools without claims ahead that nothing else knows.
    pub(super) fn forget(&mut self, is_known: impl Fn(&PoolName) -> bool) {
        self.pools.retain(|pool, queue| queue.claims > 0 || is_known(pool));
    }

    /// Names of pools and targets in memory.
    pub(super) fn names(&self) -> usize {
        self.pools.len() + self.reviews.len() + self.for_workers_by_pool.len() + self.for_workers_by_target.len()
    }
}

/// Counts a claim under its name. A name without claims is forgotten.
fn count<K: Ord + Clone>(counts: &mut BTreeMap<K, u32>, name: &K, was: bool, is: bool) {
    if was == is {
        return;
    }
    let claims = counts.entry(name.clone()).or_default();
    debug_assert!(is || *claims > 0, "a claim ahead ends that was not counted");
    *claims = if is { *claims + 1 } else { claims.saturating_sub(1) };
    if *claims == 0 {
        counts.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{Priority, TaskId};
    use crate::time::Timestamp;

    fn pool() -> PoolName {
        PoolName::new("p").unwrap()
    }

    fn position(task: i64) -> QueuePosition {
        QueuePosition { priority: Priority(0), entered: Timestamp::from_micros(0), task: TaskId(task) }
    }

    fn replace(ahead: &mut ClaimsAhead, task: i64, change: (Ahead, Ahead)) {
        ahead.replace((&pool(), &TargetName::new("t").unwrap()), position(task), change);
    }

    #[test]
    fn only_claimed_tasks_are_marked_and_the_first_one_first() {
        let (mut ahead, pool) = (ClaimsAhead::default(), pool());
        for task in [2, 1] {
            replace(&mut ahead, task, (Ahead::No, Ahead::Claiming(Lack::Slot)));
            assert_eq!(ahead.first_unmarked(&pool, 1).is_some(), task == 1, "the claim is being written");
            replace(&mut ahead, task, (Ahead::Claiming(Lack::Slot), Ahead::Unmarked(Lack::Slot)));
        }
        assert_eq!(ahead.first_unmarked(&pool, 0), None);
        assert_eq!(ahead.first_unmarked(&pool, 1), Some(position(1)));
        replace(&mut ahead, 1, (Ahead::Unmarked(Lack::Slot), Ahead::Marked(Lack::Slot)));
        assert_eq!(ahead.first_unmarked(&pool, 1), None, "one is marked");
        replace(&mut ahead, 1, (Ahead::Marked(Lack::Slot), Ahead::No));
        assert_eq!((ahead.claims(&pool), ahead.first_unmarked(&pool, 1)), (1, Some(position(2))));
        ahead.forget(|_| false);
        assert_eq!(ahead.claims(&pool), 1, "a pool with claims ahead is known");
    }

    #[test]
    fn a_pool_is_reviewed_when_fewer_marks_are_ahead_or_on_demand() {
        let (mut ahead, pool) = (ClaimsAhead::default(), pool());
        for (change, reviewed) in [
            ((Ahead::No, Ahead::Claiming(Lack::Slot)), true),
            ((Ahead::Claiming(Lack::Slot), Ahead::Unmarked(Lack::Slot)), true),
            ((Ahead::Unmarked(Lack::Slot), Ahead::Marked(Lack::Slot)), false),
            ((Ahead::Marked(Lack::Slot), Ahead::No), true),
            ((Ahead::No, Ahead::No), false),
        ] {
            replace(&mut ahead, 1, change);
            assert_eq!(ahead.take_reviews().contains(&pool), reviewed, "{change:?}");
        }
        ahead.review(pool.clone());
        assert!(ahead.take_reviews().contains(&pool));
    }

    #[test]
    fn a_pool_of_slow_tasks_claims_nothing_ahead() {
        let (mut ahead, pool, tuning) = (ClaimsAhead::default(), pool(), Tuning::default());
        assert_eq!(ahead.limits(&pool, 2, &tuning), None, "nothing is known of its tasks");
        let now = MonotonicTime::from_micros(0);
        ahead.query_ended(&pool, Span::millis(1), (2, 5), now, &tuning);
        let limits = |slots| AheadLimits {
            claims: slots * tuning.ahead_per_slot_max,
            marks: slots * tuning.marked_per_slot_max,
            returns: false,
        };
        assert_eq!(ahead.limits(&pool, 2, &tuning), Some(limits(2)));
        ahead.slow_down(&pool, Lack::Slot, &tuning);
        assert_eq!(ahead.limits(&pool, 2, &tuning), Some(AheadLimits::NONE));
        assert_eq!(ahead.limits_for_workers(5, &tuning), Some(limits(5)), "other pools may be quick");
        ahead.slow_down(&pool, Lack::Worker, &tuning);
        assert_eq!(ahead.limits_for_workers(5, &tuning), Some(AheadLimits::NONE));
    }

    #[test]
    fn pools_are_remembered_that_have_claims_or_are_known() {
        let (mut ahead, pool, tuning) = (ClaimsAhead::default(), pool(), Tuning::default());
        assert_eq!((ahead.names(), ahead.claims(&pool)), (0, 0));
        ahead.query_ended(&pool, Span::ZERO, (1, 1), MonotonicTime::from_micros(0), &tuning);
        assert_eq!((ahead.names(), ahead.claims(&pool)), (2, 0), "the pool, and its review");
        ahead.take_reviews();
        ahead.forget(|its| *its == pool);
        assert_eq!(ahead.names(), 1);
        replace(&mut ahead, 1, (Ahead::No, Ahead::Claiming(Lack::Slot)));
        replace(&mut ahead, 2, (Ahead::No, Ahead::Claiming(Lack::Slot)));
        ahead.take_reviews();
        ahead.forget(|_| false);
        assert_eq!((ahead.names(), ahead.claims(&pool)), (1, 2));
        replace(&mut ahead, 1, (Ahead::Claiming(Lack::Slot), Ahead::No));
        replace(&mut ahead, 2, (Ahead::Claiming(Lack::Slot), Ahead::No));
        ahead.take_reviews();
        ahead.forget(|_| false);
        assert_eq!(ahead.names(), 0);
    }

    #[test]
    fn claims_for_workers_are_counted_by_pool_and_by_target_and_apart_from_those_for_slots() {
        let (mut ahead, pool, target) = (ClaimsAhead::default(), pool(), TargetName::new("t").unwrap());
        let claimed = (Ahead::No, Ahead::Claiming(Lack::Worker));
        replace(&mut ahead, 1, claimed);
        replace(&mut ahead, 2, claimed);
        replace(&mut ahead, 3, (Ahead::No, Ahead::Claiming(Lack::Slot)));
        let counts = |ahead: &ClaimsAhead| {
            let of_workers = (ahead.claims_for_workers(), ahead.claims_for_workers_in(&pool));
            (of_workers, ahead.claims_for_workers_at(&target), ahead.claims(&pool))
        };
        assert_eq!((counts(&ahead), ahead.names()), (((2, 2), 2, 1), 4), "a pool, its review, and two counts");
        assert!(ahead.take_review_of_workers() && !ahead.take_review_of_workers());
        replace(&mut ahead, 2, (Ahead::Claiming(Lack::Worker), Ahead::Unmarked(Lack::Worker)));
        assert_eq!((ahead.first_unmarked_for_workers(1), ahead.first_unmarked(&pool, 1)), (Some(position(2)), None));
        replace(&mut ahead, 2, (Ahead::Unmarked(Lack::Worker), Ahead::Marked(Lack::Worker)));
        assert_eq!(ahead.first_unmarked_for_workers(1), None, "one is marked");
        ahead.take_review_of_workers();
        replace(&mut ahead, 1, (Ahead::Claiming(Lack::Worker), Ahead::No));
        assert!(ahead.take_review_of_workers(), "a claim fewer");
        replace(&mut ahead, 2, (Ahead::Marked(Lack::Worker), Ahead::No));
        assert_eq!((counts(&ahead), ahead.names()), (((0, 0), 0, 1), 2));
    }

    #[test]
    fn the_whole_queue_is_looked_at_for_several_tasks_and_not_in_vain_again_and_again() {
        let (mut ahead, pool, tuning) = (ClaimsAhead::default(), pool(), Tuning::default());
        let limits = AheadLimits { claims: 8, marks: 0, returns: false };
        assert_eq!(ahead.missing_for_workers(limits), 8);
        for task in 1..=7 {
            replace(&mut ahead, task, (Ahead::No, Ahead::Claiming(Lack::Worker)));
        }
        assert_eq!(ahead.missing_for_workers(limits), 0, "one is too few");
        replace(&mut ahead, 1, (Ahead::Claiming(Lack::Worker), Ahead::No));
        assert_eq!(ahead.missing_for_workers(limits), 2);
        ahead.looked(2, 2);
        assert_eq!(ahead.missing_for_workers(limits), 2);
        ahead.looked(2, 1);
        let mut end = || ahead.query_ended(&pool, Span::ZERO, (1, 1), MonotonicTime::from_micros(0), &tuning);
        end();
        end();
        assert_eq!(ahead.missing_for_workers(limits), 2);
        ahead.looked(2, 1);
        assert_eq!(ahead.missing_for_workers(limits), 0, "there were not more");
        assert_eq!(ahead.missing_for_workers(AheadLimits::NONE), 0);
    }
}
