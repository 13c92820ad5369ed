//! Everything about one task: its row, its open requests, its ended attempts.

use pgasync_core::{Span, TaskId, Timestamp};
use pgasync_pg::Row;
use pgasync_pg::types::Type;
use serde_json::Value;

use super::Client;
use super::find::{FoundTask, TaskFilter};
use super::read::ReadError;
use crate::wire::{WireInterval, WireTimestamp};

const OPERATION: &str = "reading a task";

const ROW: &str = "select t.query as full_query, t.processing_error as full_error, t.run, t.yielded, t.eligible_when,
    t.times_up, t.run_at, t.expires_at, t.manual_timeout, t.asynchronous_finish, t.tracked, t.pushed_by::pg_catalog.text,
    t.unique_key, t.retry, t.schedule, t.scheduled_for, t.keep_result_for is not null as keep_result, t.task_data,
    t.ended_by
  from async.task t where t.task_id operator(pg_catalog.=) $1";

const REQUESTS: &str = "select r.status::pg_catalog.text, r.error_message, r.duration, r.requested,
    r.requested_by
  from async.request r where r.task_id operator(pg_catalog.=) $1 order by r.request_id";

const ATTEMPTS: &str = "select a.run, a.attempt, a.began, a.ended, a.status::pg_catalog.text, a.error,
    a.ended_by
  from async.attempt a where a.task_id operator(pg_catalog.=) $1 order by a.run";

/// A task with everything that is known about it.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskDetails {
    /// The task, with its whole query and error.
    pub task: FoundTask,
    /// The number of its last claim.
    pub run: i32,
    /// When its query ended, if it finishes later.
    pub yielded: Option<Timestamp>,
    /// The time that a deferral gave it.
    pub eligible_when: Option<Timestamp>,
    /// Its deadline.
    pub times_up: Option<Timestamp>,
    /// The time before which it does not run.
    pub run_at: Option<Timestamp>,
    /// The deadline of its waiting and running.
    pub expires_at: Option<Timestamp>,
    /// Its own timeout.
    pub timeout: Option<Span>,
    /// Whether it finishes by a call.
    pub asynchronous_finish: Option<bool>,
    /// Whether it keeps its pool slot.
    pub tracked: Option<bool>,
    /// The role that pushed it.
    pub pushed_by: Option<String>,
    /// The role whose request ended it.
    pub ended_by: Option<String>,
    /// Its unique key.
    pub unique_key: Option<String>,
    /// Its retry policy, as the push copied it.
    pub retry: Option<Value>,
    /// The schedule that pushed it.
    pub schedule: Option<String>,
    /// The time of the schedule.
    pub scheduled_for: Option<Timestamp>,
    /// Whether its rows are kept.
    pub keep_result: bool,
    /// The data that it was pushed with.
    pub data: Option<Value>,
    /// Requests that the leader has not applied yet.
    pub requests: Vec<OpenRequest>,
    /// Attempts that have ended.
    pub attempts: Vec<EndedAttempt>,
}

/// A request for a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRequest {
    /// The status that is asked for.
    pub status: String,
    /// The message.
    pub message: Option<String>,
    /// The duration of a deferral.
    pub duration: Option<Span>,
    /// When it was made.
    pub requested: Timestamp,
    /// The role that made it; `None` for one of the engine.
    pub requested_by: Option<String>,
}

/// An attempt of a task with a retry policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedAttempt {
    /// The run.
    pub run: i32,
    /// Its number since the push or the last restart.
    pub attempt: i32,
    /// When it began; `None` if the task was not claimed.
    pub began: Option<Timestamp>,
    /// When it ended.
    pub ended: Timestamp,
    /// How it ended.
    pub status: String,
    /// The error.
    pub error: Option<String>,
    /// The role whose request ended it.
    pub ended_by: Option<String>,
}

impl Client {
    /// Everything about a task; `None` when it does not exist. Requests and attempts that the role may
    /// not read are left out.
    ///
    /// # Errors
    /// When the server cannot be reached, or the role may not read tasks.
    pub async fn details(&self, task: TaskId) -> Result<Option<TaskDetails>, ReadError> {
        let filter = TaskFilter { tasks: vec![task], ..TaskFilter::default() };
        let Some(found) = self.find(&filter, None, 1).await?.pop() else { return Ok(None) };
        let read =
            async |sql: &str| self.query(OPERATION, sql, &[(&task.0, Type::INT8)]).await.map_err(ReadError::from);
        let rows = read(ROW).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let mut details = details(found, row);
        details.requests = allowed(read(REQUESTS).await)?.iter().map(request).collect();
        details.attempts = allowed(read(ATTEMPTS).await)?.iter().map(attempt).collect();
        Ok(Some(details))
    }
}

fn allowed(rows: Result<Vec<Row>, ReadError>) -> Result<Vec<Row>, ReadError> {
    match rows {
        Err(ReadError::NotAllowed(_)) => Ok(Vec::new()),
        rows => rows,
    }
}

fn details(task: FoundTask, row: &Row) -> TaskDetails {
    TaskDetails {
        task: FoundTask { query: row.get("full_query"), error: row.get("full_error"), ..task },
        run: row.get("run"),
        yielded: time(row, "yielded"),
        eligible_when: time(row, "eligible_when"),
        times_up: time(row, "times_up"),
        run_at: time(row, "run_at"),
        expires_at: time(row, "expires_at"),
        timeout: row.get::<_, Option<WireInterval>>("manual_timeout").map(|interval| interval.0),
        asynchronous_finish: row.get("asynchronous_finish"),
        tracked: row.get("tracked"),
        pushed_by: row.get("pushed_by"),
        ended_by: row.get("ended_by"),
        unique_key: row.get("unique_key"),
        retry: row.get("retry"),
        schedule: row.get("schedule"),
        scheduled_for: time(row, "scheduled_for"),
        keep_result: row.get("keep_result"),
        data: row.get("task_data"),
        requests: Vec::new(),
        attempts: Vec::new(),
    }
}

fn request(row: &Row) -> OpenRequest {
    OpenRequest {
        status: row.get(0),
        message: row.get(1),
        duration: row.get::<_, Option<WireInterval>>(2).map(|interval| interval.0),
        requested: row.get::<_, WireTimestamp>(3).0,
        requested_by: row.get(4),
    }
}

fn attempt(row: &Row) -> EndedAttempt {
    EndedAttempt {
        run: row.get(0),
        attempt: row.get(1),
        began: row.get::<_, Option<WireTimestamp>>(2).map(|stamp| stamp.0),
        ended: row.get::<_, WireTimestamp>(3).0,
        status: row.get(4),
        error: row.get(5),
        ended_by: row.get(6),
    }
}

fn time(row: &Row, column: &str) -> Option<Timestamp> {
    row.get::<_, Option<WireTimestamp>>(column).map(|stamp| stamp.0)
}
