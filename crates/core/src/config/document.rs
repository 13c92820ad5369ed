//! The document that `configure` takes.

use crate::schedule::{CatchUp, Overlap};
use crate::time::Span;

/// The document that `configure` takes. It serializes to JSON that `Document::from_json` reads, and
/// deserializes with the same checks.
///
/// ```
/// use pgasync_core::{Configuration, Document, PoolEntry};
/// let reports =
///     PoolEntry { concurrency_pool: "reports".to_owned(), max_workers: Some(2), ..PoolEntry::default() };
/// let mut configuration = Configuration::default();
/// configuration.apply(&Document { concurrency_pools: Some(vec![reports]), ..Document::default() })?;
/// assert_eq!(configuration.pools["reports"].max_workers, 2);
/// # Ok::<(), pgasync_core::Refused>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// The settings of the whole orchestrator.
    pub control: Option<ControlEntry>,
    /// The list of all targets. Targets that a given list leaves out are retired.
    pub targets: Option<Vec<TargetEntry>>,
    /// The list of all configured pools. Pools that a given list leaves out are retired.
    pub concurrency_pools: Option<Vec<PoolEntry>>,
    /// The list of all retry policies. Policies that a given list leaves out are removed.
    pub retry_policies: Option<Vec<RetryPolicyEntry>>,
    /// The list of all schedules of the configuration. Schedules that a given list leaves out are
    /// removed. Those that `async.schedule` has made stay.
    pub schedules: Option<Vec<ScheduleEntry>>,
}

/// The object `control`. A field that is `None` keeps its value. The fields are explained at
/// [`Control`](crate::Control).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ControlEntry {
    /// Whether an orchestrator may lead.
    pub enabled: Option<bool>,
    /// The number of workers; 1 or more.
    pub workers: Option<i64>,
    /// The longest time between two polls of a leader without work; up to a day.
    pub idle_sleep: Option<Span>,
    /// The time between two polls, or two runs of the LOOP routines, while queries run; up to a
    /// day.
    pub busy_sleep: Option<Span>,
    /// The time between two deletions of old tasks.
    pub heavy_maintenance_sleep: Option<Span>,
    /// The time between two deletions of old log lines.
    pub light_maintenance_sleep: Option<Span>,
    /// The time for which finished tasks and log lines are kept.
    pub task_keep_duration: Option<Span>,
    /// The timeout of a task if neither the task nor its target has one; above zero.
    pub default_timeout: Option<Span>,
    /// The key of an advisory lock that the leader holds besides its own.
    pub advisory_mutex_id: Option<i32>,
    /// The name of the server itself as a target.
    pub self_target: Option<String>,
    /// The connection string to the server itself.
    pub self_connection_string: Option<String>,
    /// The size of the pool of the server as a target; 1 or more.
    pub self_concurrency: Option<i64>,
    /// Whether launches are suspended.
    pub paused: Option<bool>,
    /// The size of a pool without a configured size; 0 admits no task.
    pub default_concurrency_pool_workers: Option<i64>,
    /// The routines that a leader calls when it begins to lead, each as the text after `CALL`.
    pub startup_routines: Option<Vec<String>>,
    /// The routines that a leader calls repeatedly, each as the text after `CALL`.
    pub loop_routines: Option<Vec<String>>,
    /// Whether the log keeps lines of level DEBUG.
    pub debug_log: Option<bool>,
    /// The time that tasks wait for an unreachable target before they fail.
    pub target_patience: Option<Span>,
    /// The time that a successor waits before it takes the lead of a `pgasync run` that was lost.
    pub takeover_grace: Option<Span>,
    /// The retry policy of tasks whose target has no default; `none` is none.
    pub default_retry: Option<String>,
    /// The most bytes of the rows that are kept of one task; 1024 to 16777216.
    pub result_bytes_max: Option<i64>,
    /// How long receipts stay at their targets after their tasks have ended.
    pub receipt_keep: Option<Span>,
}

/// An element of `targets`. A field that is `None` keeps its value; for a new target it gets its
/// default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TargetEntry {
    /// The target's name; not blank.
    pub target: String,
    /// The size of its pool; 0 or more. Default: 8.
    pub max_workers: Option<i64>,
    /// The size of its pool, under the name of the column. If both fields are given, they must be
    /// equal.
    pub max_concurrency: Option<i64>,
    /// The connection string, in a form that libpq reads. A new target needs one, unless it
    /// finishes asynchronously: then clients may pull its tasks.
    pub connection_string: Option<String>,
    /// Tasks are finished by a request, not by the end of their query. Default: false.
    pub asynchronous_finish: Option<bool>,
    /// The timeout of tasks that have none; above zero. Default: the one in `control`.
    pub default_timeout: Option<Span>,
    /// The most sessions that the leader has there, over all pools; above zero. Default: no limit.
    pub max_sessions: Option<i64>,
    /// YIELDED tasks keep their pool slot. Default: false.
    pub concurrency_track_yielded: Option<bool>,
    /// Each task starts in a clean session. Default: true.
    pub session_reset: Option<bool>,
    /// The target has the table for the receipts of tasks. Default: false.
    pub receipts: Option<bool>,
    /// The tags of the target, by which `async.targets` finds it. Default: none.
    pub tags: Option<Vec<String>>,
    /// The retry policy of tasks that name none; `none` is none. Default: that of `control`.
    pub default_retry: Option<String>,
    /// No task starts there. `None` keeps the value, also where the target was retired. Default: false.
    pub paused: Option<bool>,
    /// No new task is claimed; tasks that are claimed finish. Default: false, also where the field
    /// is not given again.
    pub retired: Option<bool>,
}

/// An element of `concurrency_pools`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoolEntry {
    /// The pool's name; not blank.
    pub concurrency_pool: String,
    /// The size of the pool; 0 or more. It is required for a new pool. `None` keeps the value.
    pub max_workers: Option<i64>,
    /// The most tasks of the pool that start in `interval`; 0 is no limit. Default: 0.
    pub starts_max: Option<i64>,
    /// The time in which at most `starts_max` tasks start; above zero. It is required if there is a
    /// limit.
    pub interval: Option<Span>,
    /// No task of the pool starts. `None` keeps the value. Default: false.
    pub paused: Option<bool>,
    /// No new task is claimed; tasks that are claimed finish. Default: false, also where the field
    /// is not given again.
    pub retired: Option<bool>,
}

/// An element of `retry_policies`. A field that is `None` keeps its value; for a new policy it gets
/// its default, which [`RetryPolicyConfiguration`](crate::RetryPolicyConfiguration) names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RetryPolicyEntry {
    /// The policy's name; not blank, and not `none`.
    pub retry_policy: String,
    /// How many attempts there are, the first one included; 1 to 1000.
    pub max_attempts: Option<i64>,
    /// The delay before the second attempt.
    pub delay: Option<Span>,
    /// Each further delay is this multiple of the one before, in thousandths; 1000 to 100000.
    pub backoff: Option<u32>,
    /// The longest delay.
    pub delay_max: Option<Span>,
    /// The share of a delay by which the jitter shortens it at most, in thousandths; up to 1000.
    pub jitter: Option<u32>,
    /// Which errors are retried: codes, classes of two characters, and the names `transient`, `any`
    /// and `reported`; up to 100.
    pub sqlstates: Option<Vec<String>>,
    /// Timeouts are retried.
    pub timeouts: Option<bool>,
    /// Tasks that waited in vain for their target are retried.
    pub unreachable: Option<bool>,
    /// Unknown outcomes are retried, if the tasks may run twice.
    pub unknown: Option<bool>,
    /// The effects of the tasks may happen twice.
    pub may_run_twice: Option<bool>,
}

/// An element of `schedules`. A field that is `None` keeps its value; for a new schedule it gets its
/// default. The fields are explained at [`ScheduleConfiguration`](crate::ScheduleConfiguration).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScheduleEntry {
    /// The schedule's name; not blank.
    pub schedule: String,
    /// The times. They are required for a new schedule.
    pub when: Option<String>,
    /// The target, or `tag:NAME`. It is required for a new schedule.
    pub target: Option<String>,
    /// The time zone of the fields of `when`.
    pub time_zone: Option<String>,
    /// The query.
    pub query: Option<String>,
    /// What a time does while a task of the schedule has not finished.
    pub overlap: Option<Overlap>,
    /// Which times fire later if no leader could fire them; [`CatchUp::All`] only with
    /// [`Overlap::BufferAll`] and [`Overlap::AllowAll`].
    pub catch_up: Option<CatchUp>,
    /// The priority of its tasks.
    pub priority: Option<i32>,
    /// The pool of its tasks.
    pub concurrency_pool: Option<String>,
    /// The timeout of its tasks; above zero.
    pub timeout: Option<Span>,
    /// The data of its tasks, as JSON.
    pub task_data: Option<String>,
    /// Its tasks keep their pool slots while they are yielded.
    pub track_yielded: Option<bool>,
    /// The source of its tasks.
    pub source: Option<String>,
    /// The retry policy of its tasks; `none` is none.
    pub retry: Option<String>,
    /// How long after its push a task expires; above zero.
    pub expires_after: Option<Span>,
    /// Its tasks have receipts.
    pub receipt: Option<bool>,
    /// It does not fire.
    pub paused: Option<bool>,
}
