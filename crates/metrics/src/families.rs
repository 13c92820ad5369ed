//! The names, types and labels of the metrics. `docs/metrics.md` lists them, and `async.v_metric` has the
//! same ones.

use std::collections::BTreeMap;

use pgasync_core::{Counters, Histogram, OTHER, TargetLabel, TargetName};
use pgasync_runner::{Figures, LaneBacklog};
use prometheus::proto::{MetricFamily, MetricType};

use crate::series::{counter, family, float, gauge, gauges, histogram};

const MICROS: f64 = 1_000_000.0;

/// The families of a process; without figures, it does not lead.
pub(crate) fn families(figures: Option<&Figures>, version: &str) -> Vec<MetricFamily> {
    let build = [("version", version), ("engine", "rust")];
    let leads = figures.is_some_and(|figures| figures.leads);
    let mut families = vec![
        family(
            "pgasync_build_info",
            "1, with the version and the engine.",
            MetricType::GAUGE,
            vec![gauge(&build, 1.0)],
        ),
        one("pgasync_leader", "1 if this process leads, otherwise 0.", f64::from(u8::from(leads))),
    ];
    if let Some(figures) = figures {
        families.extend(counted(&figures.counters));
        families.extend(of_the_leader(figures));
        families.extend(by_name(figures));
        if let Some((counted_at, lanes)) = &figures.backlog {
            families.extend(backlog(lanes, counted_at.elapsed().as_secs_f64()));
        }
    }
    // The encoder refuses a family without a series.
    families.retain(|family| !family.get_metric().is_empty());
    families
}

fn one(name: &str, help: &str, value: f64) -> MetricFamily {
    family(name, help, MetricType::GAUGE, vec![gauge(&[], value)])
}

/// Without labels.
fn of_the_leader(figures: &Figures) -> [MetricFamily; 5] {
    let times =
        |name, help, counted, unit| family(name, help, MetricType::HISTOGRAM, vec![histogram(&[], counted, unit)]);
    [
        times("pgasync_batch_tasks", "Tasks whose rows one write of the leader has.", &figures.batches, 1.0),
        times(
            "pgasync_loop_seconds",
            "How long the loop of the leader works between two waits.",
            &figures.loops,
            MICROS,
        ),
        one("pgasync_workers_busy", "Workers that run a task.", f64::from(figures.workers_busy)),
        one("pgasync_workers_max", "Workers.", f64::from(figures.workers_max)),
        one("pgasync_fences_open", "Targets at which lost sessions must end first.", float(figures.fences_open)),
    ]
}

/// The gauges of pools and targets.
fn by_name(figures: &Figures) -> [MetricFamily; 4] {
    let pools = || figures.pools.iter().map(|(pool, slots)| (pool.as_str(), *slots));
    let sum = |sum: f64, value: f64| sum + value;
    [
        gauges(
            "pgasync_pool_slots_used",
            "Slots of the pool that are taken.",
            "pool",
            pools().map(|(pool, (used, _))| (pool, f64::from(used))),
            sum,
        ),
        gauges(
            "pgasync_pool_slots_max",
            "Slots of the pool.",
            "pool",
            pools().map(|(pool, (_, max))| (pool, f64::from(max))),
            sum,
        ),
        gauges(
            "pgasync_sessions",
            "Open sessions at the target.",
            "target",
            figures.sessions.iter().map(|(target, count)| (target.as_str(), float(*count))),
            sum,
        ),
        gauges(
            "pgasync_target_up",
            "0 if the last attempt to connect to the target failed, otherwise 1.",
            "target",
            figures.targets.iter().map(|(target, up)| (target.as_str(), f64::from(u8::from(*up)))),
            f64::min,
        ),
    ]
}

/// What was counted by target.
fn counted(counters: &Counters) -> [MetricFamily; 5] {
    let by_target = |name, help, values: &BTreeMap<TargetLabel, u64>| {
        let metrics = values.iter().map(|(target, value)| counter(&[("target", text(target))], *value));
        family(name, help, MetricType::COUNTER, metrics.collect())
    };
    let times = |name, help, values: &BTreeMap<TargetLabel, Histogram>| {
        let metrics = values.iter().map(|(target, times)| histogram(&[("target", text(target))], times, MICROS));
        family(name, help, MetricType::HISTOGRAM, metrics.collect())
    };
    let ended = counters.ended.iter().map(|((target, ending), value)| {
        let (status, class) = (ending.status.to_string(), ending.class());
        counter(&[("target", text(target)), ("status", &status), ("sqlstate_class", class)], *value)
    });
    [
        by_target("pgasync_tasks_started_total", "Queries that were launched.", &counters.started),
        family("pgasync_tasks_ended_total", "Tasks that ended.", MetricType::COUNTER, ended.collect()),
        by_target("pgasync_retries_total", "Failed attempts that are followed by another one.", &counters.retries),
        times("pgasync_task_wait_seconds", "From the push, or run_at, to the start of a task.", &counters.waits),
        times("pgasync_task_run_seconds", "From the start of a task to the end of its query.", &counters.runs),
    ]
}

fn text(target: &TargetLabel) -> &str {
    target.as_ref().map_or(OTHER, TargetName::as_str)
}

/// What waits at each target, and for how long, `seconds` after it was counted.
fn backlog(lanes: &[LaneBacklog], seconds: f64) -> [MetricFamily; 2] {
    let mut targets: BTreeMap<&str, (u64, f64)> = BTreeMap::new();
    for lane in lanes {
        let of_target = targets.entry(lane.lane.target.as_str()).or_default();
        of_target.0 += lane.waiting;
        of_target.1 = of_target.1.max(lane.oldest + seconds);
    }
    [
        gauges(
            "pgasync_tasks_waiting",
            "Tasks that may run and wait, counted up to a limit.",
            "target",
            targets.iter().map(|(target, (waiting, _))| (*target, float(*waiting))),
            |sum, value| sum + value,
        ),
        gauges(
            "pgasync_oldest_waiting_seconds",
            "Since the push of the oldest task that may run and waits.",
            "target",
            targets.iter().map(|(target, (_, oldest))| (*target, *oldest)),
            f64::max,
        ),
    ]
}
