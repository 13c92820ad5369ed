//! What `configure` takes: the document as it was given.

use crate::time::Span;

/// The document that `configure` takes.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Document {
    /// Settings that concern all of it.
    pub control: Option<ControlEntry>,
    /// All targets, if given.
    pub targets: Option<Vec<TargetEntry>>,
    /// All pools with a size of their own, if given.
    pub concurrency_pools: Option<Vec<PoolEntry>>,
}

/// The object `control`: what is `None` keeps its value.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[expect(missing_docs, reason = "each is the column of the same name")]
pub struct ControlEntry {
    pub enabled: Option<bool>,
    pub workers: Option<i64>,
    pub idle_sleep: Option<Span>,
    pub busy_sleep: Option<Span>,
    pub heavy_maintenance_sleep: Option<Span>,
    pub light_maintenance_sleep: Option<Span>,
    pub task_keep_duration: Option<Span>,
    pub default_timeout: Option<Span>,
    pub advisory_mutex_id: Option<i32>,
    pub self_target: Option<String>,
    pub self_connection_string: Option<String>,
    pub self_concurrency: Option<i64>,
    pub paused: Option<bool>,
    pub default_concurrency_pool_workers: Option<i64>,
    pub debug_log: Option<bool>,
    pub target_patience: Option<Span>,
    pub takeover_grace: Option<Span>,
}

/// One of `targets`: what is `None` keeps its value, or has its default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[expect(missing_docs, reason = "each is the column of the same name")]
pub struct TargetEntry {
    pub target: String,
    pub max_workers: Option<i64>,
    pub max_concurrency: Option<i64>,
    pub connection_string: Option<String>,
    pub asynchronous_finish: Option<bool>,
    pub default_timeout: Option<Span>,
    pub concurrency_track_yielded: Option<bool>,
    pub session_reset: Option<bool>,
    pub retired: Option<bool>,
}

/// One of `concurrency_pools`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[expect(missing_docs, reason = "each is the column of the same name")]
pub struct PoolEntry {
    pub concurrency_pool: String,
    pub max_workers: Option<i64>,
    pub retired: Option<bool>,
}
