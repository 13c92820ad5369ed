//! Publishing the counters of the leader for `async.v_metric`, at most once in five seconds, and only when
//! tasks have started or ended.

use std::time::{Duration, Instant};

use pgasync_core::{Counters, Histogram, OTHER, TargetLabel, TargetName};
use pgasync_store::PublishedMetric;

use crate::clock::instant;

const PUBLISH_INTERVAL: Duration = Duration::from_secs(5);

/// Between two comparisons with what was published.
const COMPARE_INTERVAL: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(crate) struct MetricsPublisher {
    next: Instant,
    last: Counters,
}

impl MetricsPublisher {
    pub(crate) fn new() -> Self {
        Self { next: instant(), last: Counters::default() }
    }

    /// The counters to publish, if it is time and they have changed.
    pub(crate) fn publish(
        &mut self,
        counters: &Counters,
        batches: &Histogram,
        loops: &Histogram,
    ) -> Option<Vec<PublishedMetric>> {
        let now = instant();
        if now < self.next {
            return None;
        }
        // The loop itself is counted all the time.
        if self.last == *counters {
            self.next = now + COMPARE_INTERVAL;
            return None;
        }
        self.next = now + PUBLISH_INTERVAL;
        self.last = counters.clone();
        let mut all = vec![
            histogram("pgasync_batch_tasks", Vec::new(), batches, 1.0),
            histogram("pgasync_loop_seconds", Vec::new(), loops, MICROS),
        ];
        let target = |label: &TargetLabel| ("target", label.as_ref().map_or(OTHER, TargetName::as_str).to_owned());
        all.extend(
            counters.started.iter().map(|(label, n)| counter("pgasync_tasks_started_total", vec![target(label)], *n)),
        );
        all.extend(counters.retries.iter().map(|(label, n)| counter("pgasync_retries_total", vec![target(label)], *n)));
        all.extend(counters.ended.iter().map(|((label, ending), n)| {
            let (status, class) = (ending.status.to_string(), ending.class().to_owned());
            let labels = vec![target(label), ("status", status), ("sqlstate_class", class)];
            counter("pgasync_tasks_ended_total", labels, *n)
        }));
        for (name, family) in
            [("pgasync_task_wait_seconds", &counters.waits), ("pgasync_task_run_seconds", &counters.runs)]
        {
            all.extend(family.iter().map(|(label, times)| histogram(name, vec![target(label)], times, MICROS)));
        }
        Some(all)
    }
}

const MICROS: f64 = 1_000_000.0;

fn counter(metric: &'static str, labels: Vec<(&'static str, String)>, count: u64) -> PublishedMetric {
    PublishedMetric { metric, labels, value: float(count), buckets: None }
}

fn histogram(
    metric: &'static str,
    labels: Vec<(&'static str, String)>,
    counted: &Histogram,
    unit: f64,
) -> PublishedMetric {
    let buckets = counted.counts().iter().map(|count| i64::try_from(*count).unwrap_or(i64::MAX)).collect();
    PublishedMetric { metric, labels, value: float(counted.sum()) / unit, buckets: Some(buckets) }
}

#[allow(clippy::cast_precision_loss, reason = "a count above 2^53 is rounded")]
const fn float(number: u64) -> f64 {
    number as f64
}
