//! The figures of a leader: what it has counted, and what it holds now.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pgasync_core::{Counters, Histogram, Input, Orchestrator, PoolName, TargetName};
use pgasync_store::{LaneBacklog, PublishedMetric};

use crate::clock::instant;
use crate::monitor::Monitor;
use crate::publish_metrics::MetricsPublisher;
use crate::target_sessions::TargetSessions;

/// Between two copies of the figures.
const COPY_INTERVAL: Duration = Duration::from_secs(1);

/// The upper bounds of the buckets of batches, in tasks.
const BATCH_BOUNDS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024];

/// The upper bounds of the buckets of the loop, in microseconds: 10 µs to 10 s.
const LOOP_BOUNDS: &[u64] = &[10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// A copy of the figures of a leader. Lengths of time are in microseconds.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Whether it leads. It does not know so while it has no session with the server.
    pub leads: bool,
    /// What was counted by target.
    pub counters: Counters,
    /// Tasks whose rows one batch of the leader session wrote.
    pub batches: Histogram,
    /// How long the loop worked between two waits.
    pub loops: Histogram,
    /// Workers that are busy.
    pub workers_busy: u32,
    /// Workers.
    pub workers_max: u32,
    /// The pools that are configured or in use: taken slots, and the limit.
    pub pools: BTreeMap<PoolName, (u32, u32)>,
    /// Open sessions of each target.
    pub sessions: BTreeMap<TargetName, u64>,
    /// Each target, and whether the last attempt to connect succeeded.
    pub targets: BTreeMap<TargetName, bool>,
    /// Targets at which lost sessions must end before their tasks are resolved.
    pub fences_open: u64,
    /// What waits, and when it was counted; `None` until it was.
    pub backlog: Option<(Instant, Vec<LaneBacklog>)>,
}

/// Collects the figures of a leader for its monitor.
#[derive(Debug)]
pub(crate) struct FiguresKeeper {
    monitor: Monitor,
    next: Instant,
    batches: Histogram,
    loops: Histogram,
    backlog: Option<(Instant, Vec<LaneBacklog>)>,
    publisher: MetricsPublisher,
}

impl FiguresKeeper {
    pub(crate) fn new(monitor: Monitor) -> Self {
        let (batches, loops) = (Histogram::new(BATCH_BOUNDS), Histogram::new(LOOP_BOUNDS));
        Self { monitor, next: instant(), batches, loops, backlog: None, publisher: MetricsPublisher::new() }
    }

    pub(crate) const fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// The answers to a batch of the leader session.
    pub(crate) fn note_answers(&mut self, inputs: &[Input]) {
        let written = inputs.iter().filter(|input| matches!(input, Input::Written { .. })).count();
        if written > 0 {
            self.batches.add(written as u64);
        }
    }

    /// The loop has worked for this time.
    pub(crate) fn note_loop(&mut self, worked: Duration) {
        self.loops.add(u64::try_from(worked.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn note_backlog(&mut self, backlog: Vec<LaneBacklog>) {
        self.backlog = Some((instant(), backlog));
    }

    /// The counters to publish, if it is time and they have changed.
    pub(crate) fn publish(&mut self, core: &Orchestrator) -> Option<Vec<PublishedMetric>> {
        self.publisher.publish(core.counters(), &self.batches, &self.loops)
    }

    /// Leaves a copy of the figures in the monitor, if it is time.
    pub(crate) fn copy_if_due(&mut self, leads: bool, core: &Orchestrator, sessions: &TargetSessions) {
        let now = instant();
        if !self.monitor.keeps_figures() || now < self.next {
            return;
        }
        self.next = now + COPY_INTERVAL;
        let settings = core.settings();
        let mut pools: BTreeMap<PoolName, (u32, u32)> = settings
            .pools
            .keys()
            .cloned()
            .chain(settings.targets.keys().map(|target| PoolName::of(None, target)))
            .map(|pool| {
                let limit = settings.limit(&pool);
                (pool, (0, limit))
            })
            .collect();
        for (pool, taken) in core.occupancy() {
            pools.entry(pool.clone()).or_insert_with(|| (0, settings.limit(pool))).0 = taken;
        }
        self.monitor.set_figures(Some(Figures {
            leads,
            counters: core.counters().clone(),
            batches: self.batches.clone(),
            loops: self.loops.clone(),
            workers_busy: core.workers_busy(),
            workers_max: settings.workers,
            pools,
            sessions: sessions.open_by_target(),
            targets: settings.targets.keys().map(|name| (name.clone(), !sessions.lost.contains_key(name))).collect(),
            fences_open: core.fences_open() as u64,
            backlog: self.backlog.clone(),
        }));
    }
}

impl Drop for FiguresKeeper {
    /// A process that does not lead has no figures.
    fn drop(&mut self) {
        self.monitor.set_figures(None);
    }
}
