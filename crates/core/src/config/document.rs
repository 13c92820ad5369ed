//! What `configure` takes: the document as it was given.

use crate::time::Span;

/// The document that `configure` takes. It serializes as what `Document::from_json` reads, and
/// deserializes through the same checks.
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
    /// Settings that concern all of it.
    pub control: Option<ControlEntry>,
    /// All targets, if given: those that are left out are retired.
    pub targets: Option<Vec<TargetEntry>>,
    /// All pools with a size of their own, if given: those that are left out are retired.
    pub concurrency_pools: Option<Vec<PoolEntry>>,
}

/// The object `control`: what is `None` keeps its value. [`Control`](crate::Control) explains what
/// each means.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ControlEntry {
    /// Whether a leader works at all: one that finds `false` ends cleanly.
    pub enabled: Option<bool>,
    /// How many queries run at once, all targets together; 1 or more.
    pub workers: Option<i64>,
    /// The longest time between two polls of a leader without work; up to a day.
    ///
    pub idle_sleep: Option<Span>,
    /// The time between two polls of a leader that waits for queries; up to a day.
    pub busy_sleep: Option<Span>,
    /// How long after a heavy maintenance (old tasks go) the next begins.
    pub heavy_maintenance_sleep: Option<Span>,
    /// How long after a light maintenance (the queue is vacuumed) the next begins.
    pub light_maintenance_sleep: Option<Span>,
    /// How long a finished task stays in the table.
    pub task_keep_duration: Option<Span>,
    /// The time limit of a task for which neither the task nor its target has one; above zero.
    pub default_timeout: Option<Span>,
    /// The key of the advisory lock that a leader holds.
    pub advisory_mutex_id: Option<i32>,
    /// The name of the server itself as a target.
    pub self_target: Option<String>,
    /// How the server reaches itself; what it leaves out is this server's.
    pub self_connection_string: Option<String>,
    /// How many sessions to itself the server holds, and the size of its own pool; 1 or more.
    ///
    pub self_concurrency: Option<i64>,
    /// Whether nothing new is launched; what runs goes on.
    pub paused: Option<bool>,
    /// The size of a pool without a configured size; 0 admits no task.
    pub default_concurrency_pool_workers: Option<i64>,
    /// The routines that a leader calls when it begins, each as the text behind `CALL`.
    pub startup_routines: Option<Vec<String>>,
    /// The routines that a leader calls once a cycle, each as the text behind `CALL`.
    pub loop_routines: Option<Vec<String>>,
    /// Whether the log has a line for each task.
    pub debug_log: Option<bool>,
    /// How long tasks wait for a target that cannot be reached before they fail.
    pub target_patience: Option<Span>,
    /// How long a new leader waits before it resolves what an unresponsive one ran.
    pub takeover_grace: Option<Span>,
}

/// An element of `targets`: a field that is `None` keeps its value, or has its default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TargetEntry {
    /// The target's name; not blank.
    pub target: String,
    /// The size of its pool: how many of its tasks run at once; 0 or more. Default: 8.
    pub max_workers: Option<i64>,
    /// The same under its column's name; where both are given they must agree.
    pub max_concurrency: Option<i64>,
    /// How to reach it, as libpq reads it. A new target needs one, unless it finishes
    /// asynchronously: then clients may pull its tasks.
    pub connection_string: Option<String>,
    /// The end of the query does not finish the task: a request does. Default: false.
    pub asynchronous_finish: Option<bool>,
    /// The time limit of a task without one of its own; above zero. Default: the one in `control`.
    pub default_timeout: Option<Span>,
    /// Yielded tasks keep their slot. Default: false.
    pub concurrency_track_yielded: Option<bool>,
    /// Each task finds a clean session. Default: true.
    pub session_reset: Option<bool>,
    /// No new task is claimed; tasks that are claimed finish. Default: false, also where the field
    /// is not given again.
    pub retired: Option<bool>,
}

/// An element of `concurrency_pools`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoolEntry {
    /// The pool's name; not blank.
    pub concurrency_pool: String,
    /// How many tasks at once; 0 or more. A new pool needs one; otherwise `None` keeps the value.
    pub max_workers: Option<i64>,
    /// No new task is claimed; tasks that are claimed finish. Default: false, also where the field
    /// is not given again.
    pub retired: Option<bool>,
}
