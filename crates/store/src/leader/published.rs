//! The state of a leader that the views show.

use bytes::BytesMut;
use pgasync_core::{PoolName, TargetName, TaskId, Timestamp};
use pgasync_pg::types::{IsNull, ToSql, Type};

use super::composite::{EncodingError, Fields, unknown_field};
use crate::wire::WireTimestamp;

/// The state of a leader that the views show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishedState {
    /// The number of workers.
    pub workers: i32,
    /// The sessions that run a task.
    pub busy: Vec<PublishedSession>,
    /// The pools in use.
    pub pools: Vec<PublishedPool>,
    /// The targets that cannot be reached.
    pub lost: Vec<PublishedOutage>,
}

/// A session that runs a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedSession {
    /// The session slot.
    pub session_slot: i32,
    /// The target.
    pub target: TargetName,
    /// The task.
    pub task: TaskId,
    /// When the task was launched.
    pub since: Timestamp,
}

/// A pool in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedPool {
    /// The pool.
    pub pool: PoolName,
    /// The number of its slots that are taken.
    pub taken: i32,
}

/// A target that cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedOutage {
    /// The target.
    pub target: TargetName,
    /// When the first of the failed connection attempts ended.
    pub since: Timestamp,
    /// The last error.
    pub error: String,
}

impl Fields for PublishedSession {
    const TYPE: &'static str = "worker";

    fn put(&self, field: &str, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodingError> {
        match field {
            "slot" => self.session_slot.to_sql(ty, out),
            // The server computes the name.
            "name" => Ok(IsNull::Yes),
            "target" => self.target.as_str().to_sql(ty, out),
            "task_id" => self.task.0.to_sql(ty, out),
            "running_since" => WireTimestamp(self.since).to_sql(ty, out),
            other => Err(unknown_field::<Self>(other)),
        }
    }
}

impl Fields for PublishedPool {
    const TYPE: &'static str = "concurrency_pool_tracker";

    fn put(&self, field: &str, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodingError> {
        match field {
            "concurrency_pool" => self.pool.as_str().to_sql(ty, out),
            "workers" => self.taken.to_sql(ty, out),
            // The server knows the limit.
            "max_workers" => Ok(IsNull::Yes),
            other => Err(unknown_field::<Self>(other)),
        }
    }
}

impl Fields for PublishedOutage {
    const TYPE: &'static str = "target_outage";

    fn put(&self, field: &str, ty: &Type, out: &mut BytesMut) -> Result<IsNull, EncodingError> {
        match field {
            "target" => self.target.as_str().to_sql(ty, out),
            "since" => WireTimestamp(self.since).to_sql(ty, out),
            "error" => self.error.to_sql(ty, out),
            // The Rust engine does not publish the time of its next attempt.
            "retry_at" => Ok(IsNull::Yes),
            other => Err(unknown_field::<Self>(other)),
        }
    }
}
