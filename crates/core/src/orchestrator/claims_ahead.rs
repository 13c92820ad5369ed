//! Claims ahead: tasks of pools that are full of short tasks are claimed, and their launches
//! marked, before a slot is free, so that the slot does not wait for the store.

use std::collections::{BTreeMap, BTreeSet};

use super::settings::Tuning;
use crate::names::PoolName;
use crate::plan::lane::QueuePosition;
use crate::time::{MonotonicTime, Span};

/// The claims ahead of each pool, and how quickly its slots come free.
///
/// Invariant: `marks + unmarked.len() <= claims`; the rest are claims whose write is under way.
#[derive(Debug, Default)]
pub(super) struct ClaimsAhead {
    pools: BTreeMap<PoolName, PoolAhead>,
    /// Pools whose number of claims ahead may have to change.
    reviews: BTreeSet<PoolName>,
}

/// Whether a task is claimed ahead of its turn, and how far that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ahead {
    /// The task is not claimed ahead.
    No,
    /// The claim is being written.
    Claiming,
    /// The task is claimed, and its launch is not marked.
    Unmarked,
    /// The launch is marked, or about to be.
    Marked,
}

/// The claims ahead of one pool.
#[derive(Debug, Default)]
struct PoolAhead {
    /// How long a query takes: a moving average; `None` before the first query.
    query_average: Option<Span>,
    /// How long a slot takes from one end to the next, with everything between; `None` until the
    /// first window of ends is over.
    slot_cycle: Option<Span>,
    /// When the present window of ends began.
    window_began: Option<MonotonicTime>,
    /// Ends in the present window.
    window_ends: u32,
    /// Tasks that are claimed ahead, or about to be.
    claims: u32,
    /// Those of them whose launch is marked, or about to be.
    marks: u32,
    /// Those that are claimed and not marked.
    unmarked: BTreeSet<QueuePosition>,
}

/// How many tasks of a pool may be claimed, and how many launches marked, ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AheadLimits {
    pub(super) claims: u32,
    pub(super) marks: u32,
}

impl ClaimsAhead {
    /// The number of claims ahead of this pool may have to change.
    pub(super) fn review(&mut self, pool: PoolName) {
        self.reviews.insert(pool);
    }

    /// The pools that are due for a review.
    pub(super) fn take_reviews(&mut self) -> BTreeSet<PoolName> {
        std::mem::take(&mut self.reviews)
    }

    /// The limits of a pool in which queries run in so many slots; `None` before a query has ended.
    pub(super) fn limits(&self, pool: &PoolName, slots: u32, tuning: &Tuning) -> Option<AheadLimits> {
        let state = self.pools.get(pool)?;
        let average = state.query_average?;
        Some(AheadLimits {
            claims: slots.saturating_mul(tuning.ahead_per_slot(average, state.slot_cycle)),
            marks: slots.saturating_mul(tuning.marked_per_slot(average)),
        })
    }

    /// Tasks of the pool that are claimed ahead, or about to be.
    pub(super) fn claims(&self, pool: &PoolName) -> u32 {
        self.pools.get(pool).map_or(0, |state| state.claims)
    }

    /// A task of the pool was claimed ahead so far, and is so far from now on. A pool whose number
    /// of claims or of unmarked tasks changes is reviewed.
    pub(super) fn replace(&mut self, pool: &PoolName, position: QueuePosition, (before, after): (Ahead, Ahead)) {
        if before == after {
            return;
        }
        let state = self.pools.entry(pool.clone()).or_default();
        debug_assert!(before == Ahead::No || state.claims > 0, "a claim ahead of {pool} ends that was not counted");
        debug_assert!(before != Ahead::Marked || state.marks > 0, "a mark ahead of {pool} ends that was not counted");
        state.claims = (state.claims + u32::from(after != Ahead::No)).saturating_sub(u32::from(before != Ahead::No));
        state.marks =
            (state.marks + u32::from(after == Ahead::Marked)).saturating_sub(u32::from(before == Ahead::Marked));
        if before == Ahead::Unmarked {
            state.unmarked.remove(&position);
        }
        if after == Ahead::Unmarked {
            state.unmarked.insert(position);
        }
        debug_assert!(state.is_consistent(), "more tasks of {pool} are ahead than are claimed");
        if after != Ahead::Marked {
            self.reviews.insert(pool.clone());
        }
    }

    /// The first task whose launch may be marked, if fewer than so many are.
    pub(super) fn first_unmarked(&self, pool: &PoolName, marks_max: u32) -> Option<QueuePosition> {
        let state = self.pools.get(pool).filter(|state| state.marks < marks_max)?;
        state.unmarked.first().copied()
    }

    /// A claim ahead grew too old: the tasks of the pool are not as short as they were.
    pub(super) fn slow_down(&mut self, pool: &PoolName, tuning: &Tuning) {
        let state = self.pools.entry(pool.clone()).or_default();
        state.query_average = state.query_average.max(Some(tuning.ahead_age_max));
    }

    /// A query of the pool ended; `slots` are taken.
    pub(super) fn query_ended(&mut self, pool: &PoolName, took: Span, slots: u32, now: MonotonicTime, tuning: &Tuning) {
        self.pools.entry(pool.clone()).or_default().query_ended(took, slots, now, tuning);
        self.reviews.insert(pool.clone());
    }

    /// Forgets the pools without claims ahead that nothing else knows.
    pub(super) fn forget(&mut self, is_known: impl Fn(&PoolName) -> bool) {
        self.pools.retain(|pool, state| state.claims > 0 || is_known(pool));
    }

    /// Names of pools in memory.
    pub(super) fn names(&self) -> usize {
        self.pools.len() + self.reviews.len()
    }
}

impl PoolAhead {
    fn is_consistent(&self) -> bool {
        let marks = usize::try_from(self.marks).unwrap_or(usize::MAX);
        usize::try_from(self.claims).is_ok_and(|claims| marks + self.unmarked.len() <= claims)
    }

    fn query_ended(&mut self, took: Span, slots: u32, now: MonotonicTime, tuning: &Tuning) {
        // The last query has an eighth of the weight, so one slow query does not end the claims
        // ahead and a pool that becomes slow is known after some ten queries.
        let old = self.query_average.unwrap_or(took);
        self.query_average = Some(Span::micros((old.as_micros() / 8) * 7 + took.as_micros() / 8));
        // Ends come in bunches, because results are recorded in groups: a time between two ends
        // says little, so ends are counted over a window. A pool that stood still meanwhile has no
        // pace.
        let window = Span::micros(tuning.ahead_age_max.as_micros() / 2);
        let began = *self.window_began.get_or_insert(now);
        let elapsed = now - began;
        self.window_ends += 1;
        if elapsed >= window {
            if elapsed <= Span::micros(window.as_micros() * 4) {
                let per_end = elapsed.as_micros() / i64::from(self.window_ends);
                self.slot_cycle = Some(Span::micros(per_end.saturating_mul(i64::from(slots.max(1)))));
            }
            self.window_began = Some(now);
            self.window_ends = 0;
        }
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

    #[test]
    fn only_claimed_tasks_are_marked_and_the_first_one_first() {
        let (mut ahead, pool) = (ClaimsAhead::default(), pool());
        for task in [2, 1] {
            ahead.replace(&pool, position(task), (Ahead::No, Ahead::Claiming));
            assert_eq!(ahead.first_unmarked(&pool, 1).is_some(), task == 1, "the claim is being written");
            ahead.replace(&pool, position(task), (Ahead::Claiming, Ahead::Unmarked));
        }
        assert_eq!(ahead.first_unmarked(&pool, 0), None);
        assert_eq!(ahead.first_unmarked(&pool, 1), Some(position(1)));
        ahead.replace(&pool, position(1), (Ahead::Unmarked, Ahead::Marked));
        assert_eq!(ahead.first_unmarked(&pool, 1), None, "one is marked");
        ahead.replace(&pool, position(1), (Ahead::Marked, Ahead::No));
        assert_eq!((ahead.claims(&pool), ahead.first_unmarked(&pool, 1)), (1, Some(position(2))));
        ahead.forget(|_| false);
        assert_eq!(ahead.claims(&pool), 1, "a pool with claims ahead is known");
    }

    #[test]
    fn a_pool_is_reviewed_when_fewer_marks_are_ahead_or_on_demand() {
        let (mut ahead, pool) = (ClaimsAhead::default(), pool());
        for (change, reviewed) in [
            ((Ahead::No, Ahead::Claiming), true),
            ((Ahead::Claiming, Ahead::Unmarked), true),
            ((Ahead::Unmarked, Ahead::Marked), false),
            ((Ahead::Marked, Ahead::No), true),
            ((Ahead::No, Ahead::No), false),
        ] {
            ahead.replace(&pool, position(1), change);
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
        ahead.query_ended(&pool, Span::millis(1), 2, now, &tuning);
        let limits = AheadLimits { claims: 2 * tuning.ahead_per_slot_max, marks: 2 * tuning.marked_per_slot_max };
        assert_eq!(ahead.limits(&pool, 2, &tuning), Some(limits));
        ahead.slow_down(&pool, &tuning);
        assert_eq!(ahead.limits(&pool, 2, &tuning), Some(AheadLimits { claims: 0, marks: 0 }));
    }

    #[test]
    fn the_cycle_of_a_slot_follows_from_the_ends_of_a_window() {
        let tuning = Tuning::default();
        let mut state = PoolAhead::default();
        let start = MonotonicTime::from_micros(0);
        for end in 0..=50 {
            state.query_ended(Span::millis(1), 4, start + Span::millis(end), &tuning);
        }
        // 51 ends of 4 slots in 50 ms.
        assert_eq!(state.slot_cycle, Some(Span::micros(4 * (50_000 / 51))));
        state.query_ended(Span::millis(1), 4, start + Span::seconds(9), &tuning);
        assert_eq!(state.slot_cycle, Some(Span::micros(4 * (50_000 / 51))), "it stood still");
    }

    #[test]
    fn the_average_of_a_query_follows_its_changes_by_an_eighth() {
        let (tuning, now) = (Tuning::default(), MonotonicTime::from_micros(0));
        let mut state = PoolAhead::default();
        for (took, average) in [(800, 800), (1_600, 900), (0, 784)] {
            state.query_ended(Span::micros(took), 1, now, &tuning);
            assert_eq!(state.query_average, Some(Span::micros(average)), "{took}");
        }
    }

    /// A window of ends counts up to four times its length.
    #[test]
    fn a_pool_that_stood_still_has_no_pace() {
        let (tuning, start) = (Tuning::default(), MonotonicTime::from_micros(0));
        let window = Span::micros(tuning.ahead_age_max.as_micros() / 2);
        for (elapsed, cycle) in [
            (Span::micros(window.as_micros() - 1), None),
            (window, Some(Span::micros(window.as_micros() / 2))),
            (window.times(4), Some(window.times(2))),
            (Span::micros(window.times(4).as_micros() + 1), None),
        ] {
            let mut state = PoolAhead::default();
            state.query_ended(Span::ZERO, 1, start, &tuning);
            state.query_ended(Span::ZERO, 1, start + elapsed, &tuning);
            assert_eq!(state.slot_cycle, cycle, "{elapsed}");
        }
    }

    #[test]
    fn pools_are_remembered_that_have_claims_or_are_known() {
        let (mut ahead, pool, tuning) = (ClaimsAhead::default(), pool(), Tuning::default());
        assert_eq!((ahead.names(), ahead.claims(&pool)), (0, 0));
        ahead.query_ended(&pool, Span::ZERO, 1, MonotonicTime::from_micros(0), &tuning);
        assert_eq!((ahead.names(), ahead.claims(&pool)), (2, 0), "the pool, and its review");
        ahead.take_reviews();
        ahead.forget(|its| *its == pool);
        assert_eq!(ahead.names(), 1);
        ahead.replace(&pool, position(1), (Ahead::No, Ahead::Claiming));
        ahead.replace(&pool, position(2), (Ahead::No, Ahead::Claiming));
        ahead.take_reviews();
        ahead.forget(|_| false);
        assert_eq!((ahead.names(), ahead.claims(&pool)), (1, 2));
        ahead.replace(&pool, position(1), (Ahead::Claiming, Ahead::No));
        ahead.replace(&pool, position(2), (Ahead::Claiming, Ahead::No));
        ahead.take_reviews();
        ahead.forget(|_| false);
        assert_eq!(ahead.names(), 0);
    }

    #[test]
    fn marked_and_unmarked_tasks_are_at_most_those_that_are_claimed() {
        let state = |claims, marks| PoolAhead {
            claims,
            marks,
            unmarked: BTreeSet::from([position(1), position(2)]),
            ..PoolAhead::default()
        };
        assert!(state(5, 3).is_consistent() && state(6, 3).is_consistent());
        assert!(!state(4, 3).is_consistent() && !state(1, 0).is_consistent());
    }
}
