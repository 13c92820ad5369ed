//! What the leader has done in its epoch, counted by target.
//!
//! The numbers only grow. Each family has a bounded number of series: the targets that come last share
//! a series without a name.

use std::collections::BTreeMap;

use crate::names::TargetName;
use crate::task::Task;
use crate::task::phase::Phase;
use crate::task::status::FinalStatus;
use crate::time::{Span, Timestamp};

/// The largest number of series of a family.
pub const SERIES_MAX: usize = 1_000;

/// The upper bounds of the buckets of waits and runs, in microseconds: 1 ms to a day.
const TIME_BOUNDS: &[u64] = &[
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    60_000_000,
    600_000_000,
    3_600_000_000,
    21_600_000_000,
    86_400_000_000,
];

/// Each histogram has a series for each bucket, one for all, the sum and the count.
const HISTOGRAMS_MAX: usize = SERIES_MAX / (TIME_BOUNDS.len() + 3);

/// The name of the series of all targets that came after a family was full. A target with this name
/// shares it.
pub const OTHER: &str = "other";

/// A target, or `None` for [`OTHER`].
pub type TargetLabel = Option<TargetName>;

/// How tasks ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ending {
    /// The status.
    pub status: FinalStatus,
    /// The class of the SQLSTATE: its first two characters; `None` without a SQLSTATE.
    pub class: Option<[u8; 2]>,
}

impl Ending {
    /// The class as a text; empty without one.
    #[must_use]
    pub fn class(&self) -> &str {
        self.class.as_ref().and_then(|class| std::str::from_utf8(class).ok()).unwrap_or_default()
    }
}

/// What the leader has done in its epoch.
///
/// Invariant: no family has more than [`SERIES_MAX`] series.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counters {
    /// Queries that were launched.
    pub started: BTreeMap<TargetLabel, u64>,
    /// Tasks that ended.
    pub ended: BTreeMap<(TargetLabel, Ending), u64>,
    /// Failed attempts after which the task waits for another one.
    pub retries: BTreeMap<TargetLabel, u64>,
    /// From the push, or `run_at`, to the claim of each start that is not a repeated attempt.
    pub waits: BTreeMap<TargetLabel, Histogram>,
    /// From the claim to the end of the query, of each task that ended after one.
    pub runs: BTreeMap<TargetLabel, Histogram>,
}

impl Counters {
    /// The query of a task is launched.
    pub(super) fn start(&mut self, target: &TargetName, task: &Task, entered: Timestamp) {
        *series(&mut self.started, label(target), None, SERIES_MAX) += 1;
        if let Phase::Launched { consumed, .. } = &task.phase
            && task.attempt == 0
        {
            let since = task.options.run_at.map_or(entered, |run_at| run_at.max(entered));
            times_of(&mut self.waits, target).add(micros(*consumed - since));
        }
    }

    /// The row of a task was written, which is `found` now and had failed `attempts` times before.
    pub(super) fn record(&mut self, target: &TargetName, attempts: i32, found: &Task) {
        match &found.phase {
            Phase::Finished { end, past } => {
                let class = end.error.as_deref().and_then(sqlstate_class);
                let label = (label(target), Ending { status: end.status, class });
                let other = (None, Ending { status: end.status, class: None });
                *series(&mut self.ended, label, other, SERIES_MAX + 1 - FinalStatus::ALL.len()) += 1;
                if let Some(consumed) = past.consumed {
                    let ended = past.yielded.unwrap_or(end.processed);
                    times_of(&mut self.runs, target).add(micros(ended - consumed));
                }
            }
            Phase::Ready { .. } if found.attempt > attempts => {
                *series(&mut self.retries, label(target), None, SERIES_MAX) += 1;
            }
            Phase::Ready { .. }
            | Phase::Offered { .. }
            | Phase::Claimed { .. }
            | Phase::Launched { .. }
            | Phase::Pulled { .. }
            | Phase::Yielded { .. } => {}
        }
    }
}

/// Numbers of observations, by size.
///
/// ```
/// use pgasync_core::Histogram;
/// let mut histogram = Histogram::new(&[1, 2, 4]);
/// for value in [2, 3, 9] {
///     histogram.add(value);
/// }
/// let cumulative: Vec<(u64, u64)> = histogram.cumulative().collect();
/// assert_eq!(cumulative, [(1, 0), (2, 1), (4, 2)]);
/// assert_eq!((histogram.count(), histogram.sum()), (3, 14));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    /// The upper bounds of all buckets but the last, ascending.
    bounds: &'static [u64],
    /// One more than the bounds.
    counts: Vec<u64>,
    sum: u64,
}

impl Histogram {
    /// A histogram without observations. The bounds ascend.
    #[must_use]
    pub fn new(bounds: &'static [u64]) -> Self {
        debug_assert!(bounds.is_sorted(), "the bounds of a histogram ascend");
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0 }
    }

    /// Adds an observation.
    pub fn add(&mut self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.sum = self.sum.saturating_add(value);
    }

    /// The number of observations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The sum of all observations.
    #[must_use]
    pub const fn sum(&self) -> u64 {
        self.sum
    }

    /// The number of observations in each bucket: one for each bound, and the rest.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Each bound, and the number of observations that are not above it.
    pub fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> {
        self.bounds.iter().zip(&self.counts).scan(0, |sum, (bound, count)| {
            *sum += count;
            Some((*bound, *sum))
        })
    }
}

fn label(target: &TargetName) -> TargetLabel {
    (target.as_str() != OTHER).then(|| target.clone())
}

/// The series of a label, or of `other` if the label is new and the family is full.
fn series<K: Ord, V: Default>(family: &mut BTreeMap<K, V>, label: K, other: K, series_max: usize) -> &mut V {
    let fits = family.contains_key(&label) || family.len() + 1 < series_max;
    family.entry(if fits { label } else { other }).or_default()
}

fn times_of<'a>(family: &'a mut BTreeMap<TargetLabel, Histogram>, target: &TargetName) -> &'a mut Histogram {
    let label = label(target);
    let fits = family.contains_key(&label) || family.len() + 1 < HISTOGRAMS_MAX;
    family.entry(if fits { label } else { None }).or_insert_with(|| Histogram::new(TIME_BOUNDS))
}

/// The clock of the server may have stepped back meanwhile.
fn micros(span: Span) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(0)
}

/// The first two characters of the SQLSTATE at the beginning of an error, as in `async.v_failure`.
fn sqlstate_class(error: &str) -> Option<[u8; 2]> {
    let [first, second, rest @ ..] = error.as_bytes() else { return None };
    let code = [*first, *second].into_iter().chain(rest.iter().take(3).copied());
    let is_code =
        rest.get(3..5) == Some(b": ") && code.clone().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    is_code.then_some([*first, *second])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Run;
    use crate::task::TaskOptions;
    use crate::task::phase::{Completion, TaskTimes};

    fn target(number: usize) -> TargetName {
        TargetName::new(format!("t{number}")).unwrap()
    }

    fn ended(error: Option<&str>, ended: i64) -> Task {
        let status = if error.is_some() { FinalStatus::Failed } else { FinalStatus::Finished };
        let processed = Timestamp::from_micros(ended);
        let end = Completion { status, processed, error: error.map(str::to_owned), ended_by: None, tracked: None };
        let past = TaskTimes { consumed: Some(Timestamp::from_micros(0)), ..TaskTimes::NONE };
        Task { options: TaskOptions::default(), run: Run(1), attempt: 0, phase: Phase::Finished { end, past } }
    }

    fn launched(options: TaskOptions, attempt: i32) -> Task {
        let consumed = Timestamp::from_micros(5_000_000);
        Task { options, run: Run(1), attempt, phase: Phase::Launched { consumed, times_up: None, intention: None } }
    }

    #[test]
    fn an_end_counts_by_its_status_and_the_class_of_its_sqlstate() {
        let mut counters = Counters::default();
        for error in
            [None, Some("22012: division by zero"), Some("22P02: x"), Some("PA202: y"), Some("outcome unknown: ")]
        {
            counters.record(&target(1), 0, &ended(error, 1_500));
        }
        let found: Vec<_> =
            counters.ended.iter().map(|((_, ending), count)| (ending.status, ending.class(), *count)).collect();
        let (failed, finished) = (FinalStatus::Failed, FinalStatus::Finished);
        assert_eq!(found, [(finished, "", 1), (failed, "", 1), (failed, "22", 2), (failed, "PA", 1)]);
        assert_eq!((counters.runs[&Some(target(1))].count(), counters.runs[&Some(target(1))].sum()), (5, 7_500));
    }

    #[test]
    fn a_wait_begins_when_the_task_may_run_and_a_repeated_attempt_has_none() {
        let mut counters = Counters::default();
        counters.start(&target(1), &launched(TaskOptions::default(), 0), Timestamp::from_micros(1_000_000));
        let later = TaskOptions { run_at: Some(Timestamp::from_micros(3_000_000)), ..TaskOptions::default() };
        counters.start(&target(1), &launched(later, 0), Timestamp::from_micros(1_000_000));
        counters.start(&target(1), &launched(TaskOptions::default(), 2), Timestamp::from_micros(1_000_000));
        assert_eq!(counters.started[&Some(target(1))], 3);
        assert_eq!((counters.waits[&Some(target(1))].count(), counters.waits[&Some(target(1))].sum()), (2, 6_000_000));
    }

    #[test]
    fn an_attempt_that_failed_is_a_retry_if_the_task_waits_again() {
        let mut counters = Counters::default();
        let waits = Task { attempt: 1, ..Task::pushed(TaskOptions::default()) };
        counters.record(&target(1), 0, &waits);
        counters.record(&target(1), 1, &waits);
        assert_eq!(counters.retries[&Some(target(1))], 1, "a deferral is none");
        assert!(counters.ended.is_empty() && counters.runs.is_empty());
    }

    #[test]
    fn no_family_has_more_series_than_it_may_have_and_the_last_targets_share_one() {
        let mut counters = Counters::default();
        let statuses = FinalStatus::ALL;
        for number in 0..3 * SERIES_MAX {
            let task = launched(TaskOptions::default(), 0);
            counters.start(&target(number), &task, Timestamp::from_micros(0));
            let mut task = ended(Some("40001: x"), 10);
            if let Phase::Finished { end, .. } = &mut task.phase {
                end.status = statuses[number % statuses.len()];
            }
            counters.record(&target(number), 0, &task);
        }
        assert_eq!((counters.started.len(), counters.started[&None]), (SERIES_MAX, 2 * SERIES_MAX as u64 + 1));
        assert_eq!(counters.started.values().sum::<u64>(), 3 * SERIES_MAX as u64);
        assert!(counters.ended.len() <= SERIES_MAX, "{}", counters.ended.len());
        assert_eq!(counters.ended.values().sum::<u64>(), 3 * SERIES_MAX as u64);
        for family in [&counters.waits, &counters.runs] {
            assert_eq!(family.len(), HISTOGRAMS_MAX);
            assert!(family.len() * (TIME_BOUNDS.len() + 3) <= SERIES_MAX);
            assert_eq!(family.values().map(Histogram::count).sum::<u64>(), 3 * SERIES_MAX as u64);
        }
    }

    #[test]
    fn a_target_with_the_name_of_the_rest_shares_its_series() {
        let mut counters = Counters::default();
        let other = TargetName::new(OTHER).unwrap();
        counters.start(&other, &launched(TaskOptions::default(), 0), Timestamp::from_micros(0));
        counters.record(&other, 0, &ended(None, 1));
        assert!(counters.started.contains_key(&None) && counters.runs.contains_key(&None));
        assert!(counters.ended.keys().all(|(target, _)| target.is_none()) && !counters.ended.is_empty());
    }

    #[test]
    fn an_observation_falls_into_the_first_bucket_that_holds_it() {
        let mut histogram = Histogram::new(&[1, 10]);
        for value in [0, 1, 2, 10, 11] {
            histogram.add(value);
        }
        assert_eq!(histogram.cumulative().collect::<Vec<_>>(), [(1, 2), (10, 4)]);
        assert_eq!((histogram.count(), histogram.sum()), (5, 24));
    }
}
