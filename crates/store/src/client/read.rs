//! Reading tasks and the log.

use pgasync_core::{FinishStatus, PoolName, Priority, RowState, TargetName, TaskId, Timestamp};
use pgasync_pg::Row;
use pgasync_pg::types::Type;
use serde_json::Value;

use super::Client;
use super::error::{CallError, Refusal, answers};
use crate::wire::Stamp;

/// A task as it stands, without its text.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskStatus {
    /// Its id.
    pub task: TaskId,
    /// Where it runs.
    pub target: TargetName,
    /// The pool it counts against.
    pub pool: PoolName,
    /// Lower runs first.
    pub priority: Priority,
    /// Its phase, derived from the row.
    pub phase: RowState,
    /// How it ended, or what became of it last.
    pub status: Option<FinishStatus>,
    /// Whether it failed, once it has ended.
    pub failed: Option<bool>,
    /// Why, for people.
    pub error: Option<String>,
    /// When it was pushed.
    pub entered: Timestamp,
    /// When it was started.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// What its pusher gave along.
    pub data: Option<Value>,
}

/// A line of the server's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Its number; later lines have higher ones.
    pub number: i64,
    /// When.
    pub happened: Timestamp,
    /// `NOTICE`, `WARNING`, `ERROR`, ...
    pub level: String,
    /// The text, passwords masked.
    pub message: String,
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The role may not read it: see `async.grant_client` and `async.grant_admin`.
    #[error("{0}")]
    NotAllowed(Refusal),
    /// Anything else.
    #[error(transparent)]
    Failed(CallError),
}

answers!(ReadError { NotAllowed }, again_is_harmless: true);

impl Client {
    /// What became of tasks; those that do not exist (any more) are left out. By id.
    ///
    /// # Errors
    /// When the server cannot be reached, or the role may not read them.
    pub async fn tasks(&self, tasks: &[TaskId]) -> Result<Vec<TaskStatus>, ReadError> {
        let ids: Vec<i64> = tasks.iter().map(|task| task.0).collect();
        let sql = "select t.task_id, t.target, coalesce(t.concurrency_pool, t.target) as pool, t.priority,
              async.task_execution_state(t)::text as phase, t.finish_status::text, t.failed, t.processing_error,
              t.entered, t.consumed, t.processed, t.task_data
            from async.task t where t.task_id = any ($1) order by t.task_id";
        let rows = self.query("reading tasks", sql, &[(&ids, Type::INT8_ARRAY)]).await?;
        Ok(rows.iter().filter_map(status).collect())
    }

    /// What became of a task; `None` when there is none (any more).
    ///
    /// # Errors
    /// As [`Client::tasks`].
    pub async fn task(&self, task: TaskId) -> Result<Option<TaskStatus>, ReadError> {
        Ok(self.tasks(&[task]).await?.pop())
    }

    /// The lines of the log after number `after`, at most `limit` of them; without one the newest, at most 100. Oldest
    /// first. For administrators.
    ///
    /// # Errors
    /// As [`Client::tasks`].
    pub async fn log(&self, after: Option<i64>, limit: u32) -> Result<Vec<LogLine>, ReadError> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let sql = "select server_log, happened, level, message from async.tail_once($1, null, $2)";
        let rows = self.query("reading the log", sql, &[(&after, Type::INT8), (&limit, Type::INT4)]).await?;
        Ok(rows.iter().map(line).collect())
    }

    /// The last warnings and errors in the log, at most `limit` of them and a day old. Oldest first. For administrators.
    ///
    /// # Errors
    /// As [`Client::tasks`].
    pub async fn warnings(&self, limit: u32) -> Result<Vec<LogLine>, ReadError> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let sql = "select server_log, happened, level, message from async.server_log
            where happened > now() - interval '1 day' and level in ('WARNING', 'ERROR')
            order by happened desc, server_log desc limit $1";
        let rows = self.query("reading the log", sql, &[(&limit, Type::INT4)]).await?;
        Ok(rows.iter().rev().map(line).collect())
    }
}

fn line(row: &Row) -> LogLine {
    LogLine { number: row.get(0), happened: row.get::<_, Stamp>(1).0, level: row.get(2), message: row.get(3) }
}

/// `None` for a row that only a hand could have written: a name in it is none.
fn status(row: &Row) -> Option<TaskStatus> {
    let time = |column| row.get::<_, Option<Stamp>>(column).map(|stamp| stamp.0);
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

fn phase(label: &str) -> Option<RowState> {
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
