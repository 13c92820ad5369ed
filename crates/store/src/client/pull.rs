//! Taking tasks that clients run themselves.

use pgasync_core::{Priority, Span, TargetName, TaskId, Timestamp};
use pgasync_pg::Row;
use pgasync_pg::types::Type;
use serde_json::Value;

use super::Client;
use super::error::{CallError, Refusal, error_methods};
use crate::wire::{WireInterval, WireTimestamp};

/// A task that the caller has taken, and finishes with [`Client::finish`].
#[derive(Clone, Debug, PartialEq)]
pub struct TakenTask {
    /// Its id.
    pub task: TaskId,
    /// Its priority.
    pub priority: Priority,
    /// When it times out; `None` for never.
    pub times_up: Option<Timestamp>,
    /// The time from the answer of the server until then.
    pub time_left: Option<Span>,
    /// The data that it was pushed with.
    pub data: Option<Value>,
}

/// Why no task could be taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// Clients cannot pull from this target.
    #[error("{0}")]
    NotPullable(Refusal),
    /// The limit is not positive.
    #[error("{0}")]
    Impossible(Refusal),
    /// The role may not use the target.
    #[error("{0}")]
    NotGranted(Refusal),
    /// Any other error. If it is [`CallError::Lost`], the server may have given tasks to the call.
    /// They time out at their deadline.
    #[error(transparent)]
    Failed(CallError),
}

error_methods!(TakeError { NotPullable, Impossible, NotGranted }, again_is_harmless: true);

impl Client {
    /// Takes up to `limit` tasks of a target that were pushed without a query. The call waits up to
    /// `patience` (at most a minute) for the first task, and occupies a session until it returns.
    ///
    /// # Errors
    /// When clients cannot pull from the target, or the server cannot be reached.
    pub async fn take(&self, target: &TargetName, limit: u32, patience: Span) -> Result<Vec<TakenTask>, TakeError> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let sql = "select t.task_id, t.priority, t.times_up, t.task_data, case when pg_catalog.isfinite(t.times_up)
              then t.times_up operator(pg_catalog.-) pg_catalog.clock_timestamp() end
            from async.get_tasks($1, $2, $3) t";
        let rows = self
            .query(
                "taking tasks",
                sql,
                &[(&target.as_str(), Type::TEXT), (&limit, Type::INT4), (&WireInterval(patience), Type::INTERVAL)],
            )
            .await?;
        Ok(rows.iter().map(taken).collect())
    }
}

fn taken(row: &Row) -> TakenTask {
    let times_up = row.get::<_, Option<WireTimestamp>>(2).map(|stamp| stamp.0);
    let times_up = times_up.filter(|time| *time != Timestamp::NEVER);
    TakenTask {
        task: TaskId(row.get(0)),
        priority: Priority(row.get(1)),
        times_up,
        time_left: row.get::<_, Option<WireInterval>>(4).map(|left| left.0),
        data: row.get(3),
    }
}

impl From<CallError> for TakeError {
    fn from(error: CallError) -> Self {
        let sort = |refusal: Refusal| match refusal.sqlstate.as_str() {
            "PA040" => Self::NotPullable(refusal),
            "PA082" => Self::NotGranted(refusal),
            _ => Self::Impossible(refusal),
        };
        error.refused_with(&["PA040", "PA041", "PA082"]).map_or_else(Self::Failed, sort)
    }
}
