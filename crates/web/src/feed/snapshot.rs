//! One reading of the whole server.

use std::sync::Arc;
use std::time::Duration;

use pgasync_core::{Span, Timestamp};
use pgasync_store::{
    Failure, LeaderStatistics, Minute, PhaseCounts, PoolOverview, Rights, RunningQuery, ScheduleOverview,
    TargetOverview, WaitingLane,
};
use tokio::time::Instant;

/// The parts of a snapshot are read one after the other. Each keeps its last value when its read fails.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// Grows with each snapshot.
    pub(crate) version: u64,
    /// When the read of its first part began.
    pub(crate) begun: Option<Instant>,
    /// The server's time then.
    pub(crate) now: Option<Timestamp>,
    /// Why the server cannot be read.
    pub(crate) problem: Option<String>,
    /// Why the dashboard shows nothing: its role has become the owner.
    pub(crate) locked: Option<String>,
    pub(crate) role: String,
    pub(crate) rights: Rights,
    pub(crate) phases: PhaseCounts,
    /// The last hour, the present minute last.
    pub(crate) minutes: Arc<Vec<Minute>>,
    pub(crate) running: Part<Vec<RunningQuery>>,
    pub(crate) lead: Part<Lead>,
    pub(crate) targets: Part<Vec<TargetOverview>>,
    /// When the reads of the parts from here on began.
    pub(crate) slow_begun: Option<Instant>,
    pub(crate) pools: Part<Vec<PoolOverview>>,
    pub(crate) waiting: Part<Vec<WaitingLane>>,
    pub(crate) failures: Part<Vec<Failure>>,
    pub(crate) schedules: Part<Vec<ScheduleOverview>>,
}

/// The leader and its workers.
#[derive(Clone, Debug)]
pub(crate) struct Lead {
    pub(crate) leader: LeaderStatistics,
    pub(crate) workers: i32,
    pub(crate) busy: i64,
}

/// A part of a snapshot, or why it is not there.
pub(crate) type Part<T> = Result<Arc<T>, Missing>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It was not read yet.
    NotYet,
    /// The role may not read it.
    NotAllowed,
    /// The server refused, or took too long.
    Failed(String),
}

impl Default for Snapshot {
    fn default() -> Self {
        Self {
            version: 0,
            begun: None,
            now: None,
            problem: None,
            locked: None,
            role: String::new(),
            rights: Rights::default(),
            phases: PhaseCounts::default(),
            minutes: Arc::default(),
            running: Err(Missing::NotYet),
            lead: Err(Missing::NotYet),
            targets: Err(Missing::NotYet),
            slow_begun: None,
            pools: Err(Missing::NotYet),
            waiting: Err(Missing::NotYet),
            failures: Err(Missing::NotYet),
            schedules: Err(Missing::NotYet),
        }
    }
}

impl Snapshot {
    pub(crate) fn is_younger_than(&self, age: Duration) -> bool {
        // A problem is shown at once. The stream brings its end.
        self.problem.is_some() || self.begun.is_some_and(|begun| begun.elapsed() < age)
    }

    /// The server's time now, by the clock of this process since it was read.
    pub(crate) fn present(&self) -> Option<Timestamp> {
        let since = i64::try_from(self.begun?.elapsed().as_micros()).unwrap_or(0);
        Some(self.now? + Span::micros(since))
    }

    /// What was pushed, what ended, and what failed in the last hour.
    pub(crate) fn last_hour(&self) -> (i64, i64, i64) {
        self.minutes.iter().fold((0, 0, 0), |(entered, ended, failed), minute| {
            (entered + minute.entered, ended + minute.ended, failed + minute.failed)
        })
    }
}
