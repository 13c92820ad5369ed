//! The limit on series: what comes after it shares the label value `other`.

use pgasync_core::{OTHER, SERIES_MAX};
use prometheus::proto::{Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

/// Gauges by name. Those after the limit are combined in the order of their names.
pub(crate) fn gauges<'a>(
    name: &str,
    help: &str,
    label: &str,
    values: impl Iterator<Item = (&'a str, f64)>,
    combine: impl Fn(f64, f64) -> f64,
) -> MetricFamily {
    let mut metrics = Vec::new();
    let mut rest: Option<f64> = None;
    for (value_of, value) in values {
        // A target may be called `other`, and a label must not appear twice.
        if metrics.len() + 1 < SERIES_MAX && value_of != OTHER {
            metrics.push(gauge(&[(label, value_of)], value));
        } else {
            rest = Some(rest.map_or(value, |rest| combine(rest, value)));
        }
    }
    metrics.extend(rest.map(|value| gauge(&[(label, OTHER)], value)));
    family(name, help, MetricType::GAUGE, metrics)
}

pub(crate) fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

pub(crate) fn gauge(labels: &[(&str, &str)], value: f64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut metric = labelled(labels);
    metric.set_gauge(gauge);
    metric
}

pub(crate) fn counter(labels: &[(&str, &str)], value: u64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(float(value));
    let mut metric = labelled(labels);
    metric.set_counter(counter);
    metric
}

/// A histogram of the core, whose values are divided by `unit`.
pub(crate) fn histogram(labels: &[(&str, &str)], counted: &pgasync_core::Histogram, unit: f64) -> Metric {
    let mut histogram = Histogram::default();
    let buckets = counted.cumulative().map(|(bound, count)| {
        let mut bucket = prometheus::proto::Bucket::default();
        bucket.set_upper_bound(float(bound) / unit);
        bucket.set_cumulative_count(count);
        bucket
    });
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(counted.count());
    histogram.set_sample_sum(float(counted.sum()) / unit);
    let mut metric = labelled(labels);
    metric.set_histogram(histogram);
    metric
}

fn labelled(labels: &[(&str, &str)]) -> Metric {
    let pairs = labels.iter().map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    });
    Metric::from_label(pairs.collect())
}

/// Prometheus knows only floating-point numbers.
#[allow(clippy::cast_precision_loss, reason = "a count above 2^53 is rounded")]
pub(crate) const fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauges_after_the_limit_are_combined() {
        let names: Vec<String> = (0..SERIES_MAX + 10).map(|number| format!("t{number:05}")).collect();
        let values = names.iter().map(|name| (name.as_str(), 2.0));
        let family = gauges("g", "h", "target", values.chain([(OTHER, 1.0)]), |a, b| a + b);
        assert_eq!(family.get_metric().len(), SERIES_MAX);
        let last = &family.get_metric()[SERIES_MAX - 1];
        assert_eq!((last.get_label()[0].value(), last.get_gauge().get_value()), (OTHER, 23.0));
    }

    #[test]
    fn a_target_that_is_called_other_has_one_series_with_the_rest() {
        let family = gauges("g", "h", "target", [("a", 1.0), (OTHER, 2.0)].into_iter(), f64::min);
        assert_eq!(family.get_metric().len(), 2);
    }
}
