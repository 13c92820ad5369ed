//! Reading tasks and the log.

use pgasync_core::{FinishStatus, PoolName, Priority, RowState, TargetName, TaskId, Timestamp};
use pgasync_pg::Row;
use pgasync_pg::types::Type;
use serde_json::Value;

use super::Client;
use super::error::{CallError, Refusal, error_methods};
use crate::wire::WireTimestamp;

/// The state of a task, without its query.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskStatus {
    /// Its id.
    pub task: TaskId,
    /// Its target.
    pub target: TargetName,
    /// The pool that it counts against.
    pub pool: PoolName,
    /// Lower values run first.
    pub priority: Priority,
    /// Its phase, derived from the row.
    pub phase: RowState,
    /// How it ended, or the last status that it had.
    pub status: Option<FinishStatus>,
    /// Whether it failed, once it has ended.
    pub failed: Option<bool>,
    /// The error or message, as text.
    pub error: Option<String>,
    /// When it was pushed.
    pub entered: Timestamp,
    /// When it was started.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// The data that it was pushed with.
    pub data: Option<Value>,
}

/// A line of the server's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Its number; later lines have higher ones.
    pub number: i64,
    /// When it was written.
    pub happened: Timestamp,
    /// `NOTICE`, `WARNING`, `ERROR`, ...
    pub level: String,
    /// The text, with masked passwords.
    pub message: String,
}

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The role lacks a privilege: see `async.grant_client` and `async.grant_admin`.
    #[error("{0}")]
    NotAllowed(Refusal),
    /// Any other error.
    #[error(transparent)]
    Failed(CallError),
}

error_methods!(ReadError { NotAllowed }, again_is_harmless: true);

/// The last warnings, the latest first.
pub(super) const WARNINGS: &str = "select server_log, happened, level, message from async.server_log
  where happened operator(pg_catalog.>) (pg_catalog.now() operator(pg_catalog.-) interval '1 day')
    and level operator(pg_catalog.=) any (array['WARNING', 'ERROR']::pg_catalog.text[])
  order by happened desc, server_log desc limit $1";

impl Client {
    /// The states of tasks, by id. Tasks that do not exist are left out.
    ///
    /// # Errors
    /// When the server cannot be reached, or the role may not read them.
    pub async fn tasks(&self, tasks: &[TaskId]) -> Result<Vec<TaskStatus>, ReadError> {
        let ids: Vec<i64> = tasks.iter().map(|task| task.0).collect();
        let sql = "select t.task_id, t.target, coalesce(t.concurrency_pool, t.target) as pool, t.priority,
              async.task_execution_state(t)::pg_catalog.text as phase, t.finish_status::pg_catalog.text, t.failed, t.processing_error,
              t.entered, t.consumed, t.processed, t.task_data
            from async.task t where t.task_id operator(pg_catalog.=) any ($1) order by t.task_id";
        let rows = self.query("reading tasks", sql, &[(&ids, Type::INT8_ARRAY)]).await?;
        Ok(rows.iter().filter_map(status).collect())
    }

    /// The state of a task; `None` when it does not exist.
    ///
    /// # Errors
    /// As [`Client::tasks`].
    pub async fn task(&self, task: TaskId) -> Result<Option<TaskStatus>, ReadError> {
        Ok(self.tasks(&[task]).await?.pop())
    }

    /// At most `limit` lines of the log after number `after`, oldest first. Without a number, the
    /// newest lines, at most 100. For administrators.
    ///
    /// # Errors
    /// As [`Client::tasks`].
    pub async fn log(&self, after: Option<i64>, limit: u32) -> Result<Vec<LogLine>, ReadError> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let sql = "select server_log, happened, level, message from async.tail_once($1, null, $2)";
        let rows = self.query("reading the log", sql, &[(&after, Type::INT8), (&limit, Type::INT4)]).await?;
        Ok(rows.iter().map(line).collect())
    }

    /// The last warnings and errors of the last day, at most `limit`, oldest first. For
    /// administrators.
    ///
    /// # Errors
    /// As [`Client::tasks`].
    pub async fn warnings(&self, limit: u32) -> Result<Vec<LogLine>, ReadError> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let rows = self.query("reading the log", WARNINGS, &[(&limit, Type::INT4)]).await?;
        Ok(rows.iter().rev().map(line).collect())
    }
}

pub(super) fn line(row: &Row) -> LogLine {
    LogLine { number: row.get(0), happened: row.get::<_, WireTimestamp>(1).0, level: row.get(2), message: row.get(3) }
}

/// `None` when a name in the row is invalid. Only an update by hand can cause that.
pub(super) fn status(row: &Row) -> Option<TaskStatus> {
    let time = |column| row.get::<_, Option<WireTimestamp>>(column).map(|stamp| stamp.0);
    Some(TaskStatus {
        task: TaskId(row.get("task_id")),
        target: TargetName::new(row.get::<_, &str>("target")).ok()?,
        pool: PoolName::new(row.get::<_, &str>("pool")).ok()?,
        priority: Priority(row.get("priority")),
        phase: phase(row.get("phase"))?,
        status: row
            .get::<_, Option<&str>>("finish_status")
            .and_then(|label| FinishStatus::ALL.into_iter().find(|status| status.as_str() == label)),
        failed: row.get("failed"),
        error: row.get("processing_error"),
        entered: time("entered")?,
        started: time("consumed"),
        ended: time("processed"),
        data: row.get("task_data"),
    })
}

pub(super) fn phase(label: &str) -> Option<RowState> {
    match label {
        "READY" => Some(RowState::Ready),
        "RUNNING" => Some(RowState::Running),
        "YIELDED" => Some(RowState::Yielded),
        "FINISHED" => Some(RowState::Finished),
        _ => None,
    }
}

impl From<CallError> for ReadError {
    fn from(error: CallError) -> Self {
        error.refused_with(&["42501"]).map_or_else(Self::Failed, Self::NotAllowed)
    }
}
