//! The claims ahead for the slots of one pool, or for the workers, and how long queries take there.

use std::collections::BTreeSet;

use super::{Ahead, AheadLimits};
use crate::orchestrator::settings::Tuning;
use crate::plan::lane::QueuePosition;
use crate::time::{MonotonicTime, Span};

/// Claims ahead are given back when a query takes so many times as long as a short task may.
const RETURNED_IF_LONGER: i64 = 4;

/// The claims ahead for the slots of one pool, or for the workers.
///
/// Invariant: `marks + unmarked.len() <= claims`; the rest are claims whose write is under way.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// How long a query takes: a moving average; `None` before the first query.
    pub(super) query_average: Option<Span>,
    /// How long a slot takes from one end to the next, with everything between; `None` until the
    /// first window of ends is over.
    slot_cycle: Option<Span>,
    /// When the present window of ends began.
    window_began: Option<MonotonicTime>,
    /// Ends in the present window.
    window_ends: u32,
    /// Tasks that are claimed ahead, or about to be.
    pub(super) claims: u32,
    /// Those of them whose launch is marked, or about to be.
    marks: u32,
    /// Those that are claimed and not marked.
    unmarked: BTreeSet<QueuePosition>,
}

impl Queue {
    pub(super) fn limits(&self, slots: u32, tuning: &Tuning) -> Option<AheadLimits> {
        let average = self.query_average?;
        Some(AheadLimits {
            claims: slots.saturating_mul(tuning.ahead_per_slot(average, self.slot_cycle)),
            marks: slots.saturating_mul(tuning.marked_per_slot(average)),
            returns: average > tuning.ahead_task_max.times(RETURNED_IF_LONGER),
        })
    }

    pub(super) fn replace(&mut self, position: QueuePosition, (before, after): (Ahead, Ahead)) {
        debug_assert!(before == Ahead::No || self.claims > 0, "a claim ahead ends that was not counted");
        debug_assert!(!is_marked(before) || self.marks > 0, "a mark ahead ends that was not counted");
        self.claims = (self.claims + u32::from(after != Ahead::No)).saturating_sub(u32::from(before != Ahead::No));
        self.marks = (self.marks + u32::from(is_marked(after))).saturating_sub(u32::from(is_marked(before)));
        if matches!(before, Ahead::Unmarked(_)) {
            self.unmarked.remove(&position);
        }
        if matches!(after, Ahead::Unmarked(_)) {
            self.unmarked.insert(position);
        }
        debug_assert!(self.is_consistent(), "more tasks are ahead than are claimed");
    }

    pub(super) fn first_unmarked(&self, marks_max: u32) -> Option<QueuePosition> {
        self.unmarked.first().filter(|_| self.marks < marks_max).copied()
    }

    fn is_consistent(&self) -> bool {
        let marks = usize::try_from(self.marks).unwrap_or(usize::MAX);
        usize::try_from(self.claims).is_ok_and(|claims| marks + self.unmarked.len() <= claims)
    }

    pub(super) fn query_ended(&mut self, took: Span, slots: u32, now: MonotonicTime, tuning: &Tuning) {
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

const fn is_marked(ahead: Ahead) -> bool {
    matches!(ahead, Ahead::Marked(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{Priority, TaskId};
    use crate::time::Timestamp;

    fn position(task: i64) -> QueuePosition {
        QueuePosition { priority: Priority(0), entered: Timestamp::from_micros(0), task: TaskId(task) }
    }

    #[test]
    fn the_cycle_of_a_slot_follows_from_the_ends_of_a_window() {
        let tuning = Tuning::default();
        let mut state = Queue::default();
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
        let mut state = Queue::default();
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
            let mut state = Queue::default();
            state.query_ended(Span::ZERO, 1, start, &tuning);
            state.query_ended(Span::ZERO, 1, start + elapsed, &tuning);
            assert_eq!(state.slot_cycle, cycle, "{elapsed}");
        }
    }

    #[test]
    fn marked_and_unmarked_tasks_are_at_most_those_that_are_claimed() {
        let state = |claims, marks| Queue {
            claims,
            marks,
            unmarked: BTreeSet::from([position(1), position(2)]),
            ..Queue::default()
        };
        assert!(state(5, 3).is_consistent() && state(6, 3).is_consistent());
        assert!(!state(4, 3).is_consistent() && !state(1, 0).is_consistent());
    }

    /// A pause of the machine makes all queries that run long, and the next ones are short again.
    #[test]
    fn claims_ahead_are_given_back_when_tasks_are_far_from_short() {
        let (tuning, now) = (Tuning::default(), MonotonicTime::from_micros(0));
        let short = tuning.ahead_task_max;
        for (took, claims, returns) in [
            (short, true, false),
            (short.times(2), false, false),
            (short.times(4), false, false),
            (short.times(5), false, true),
        ] {
            let mut state = Queue::default();
            state.query_ended(took, 1, now, &tuning);
            let limits = state.limits(1, &tuning).unwrap();
            assert_eq!((limits.claims > 0, limits.returns), (claims, returns), "{took}");
        }
    }
}
