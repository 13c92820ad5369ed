//! Reading ended tasks that belong to a trace, in a session of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use pgasync_core::{TaskId, Timestamp};
use pgasync_pg::{ConnectionSettings, Row, Session};

use crate::leader::{ReviewError, pin_search_path};
use crate::wire::WireTimestamp;

/// One connection attempt to the server.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// An ended task whose `task_data` has a `traceparent`.
#[derive(Clone, Debug)]
pub struct TracedTask {
    /// The id.
    pub task: TaskId,
    /// The `traceparent` of `task_data`, as the client wrote it.
    pub traceparent: String,
    /// The `tracestate` of `task_data`.
    pub tracestate: Option<String>,
    /// The target.
    pub target: String,
    /// The concurrency pool.
    pub pool: String,
    /// The priority.
    pub priority: i32,
    /// The push.
    pub entered: Timestamp,
    /// The end.
    pub processed: Timestamp,
    /// The status, as `finish_status` has it.
    pub status: String,
    /// The error of a task that failed.
    pub error: Option<String>,
    /// Whether it counts as failed.
    pub failed: bool,
    /// The attempts since the push or the last restart, in order. None of a task that never started.
    pub attempts: Vec<TracedAttempt>,
}

/// An attempt of a task.
#[derive(Clone, Debug)]
pub struct TracedAttempt {
    /// The run, which grows with each launch.
    pub run: i32,
    /// The number of the attempt, from 1 on.
    pub attempt: i32,
    /// The claim.
    pub began: Timestamp,
    /// The end of the query.
    pub ended: Timestamp,
    /// The status.
    pub status: String,
    /// The error.
    pub error: Option<String>,
}

/// A session that reads ended tasks.
#[derive(Debug)]
pub struct TracedTaskReader(Session);

impl TracedTaskReader {
    /// Connects to the server.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn connect(server: &ConnectionSettings) -> Result<Self, ReviewError> {
        let settings = server.with_application_name("pgasync traces").with_connect_timeout(CONNECT_MAX);
        let session = settings.for_long().connect().await?;
        pin_search_path(&session).await?;
        Ok(Self(session))
    }

    /// Those of `tasks` that have ended and belong to a trace.
    ///
    /// # Errors
    /// When a query fails.
    pub async fn read(&self, tasks: &[TaskId]) -> Result<Vec<TracedTask>, ReviewError> {
        let ids: Vec<i64> = tasks.iter().map(|task| task.0).collect();
        let sql = "select t.task_id, t.target, coalesce(t.concurrency_pool, t.target) as pool, t.priority, t.entered,
              t.consumed, coalesce(t.yielded, t.processed) as ended, t.processed, t.finish_status::text as status,
              coalesce(t.failed, false) as failed, t.processing_error as error, t.run, coalesce(t.attempt, 0) as failures,
              t.task_data ->> 'traceparent' as traceparent, t.task_data ->> 'tracestate' as tracestate
            from async.task t
            where t.task_id = any($1::bigint[]) and t.processed is not null
              and jsonb_typeof(t.task_data -> 'traceparent') = 'string'";
        let rows = self.0.query(sql, &[&ids]).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let traced: Vec<i64> = rows.iter().map(|row| row.get("task_id")).collect();
        let mut attempts: BTreeMap<i64, Vec<TracedAttempt>> = BTreeMap::new();
        let sql = "select a.task_id, a.run, a.attempt, a.began, a.ended, a.status::text as status, a.error
            from async.attempt a
            where a.task_id = any($1::bigint[]) and a.began is not null
            order by a.task_id, a.run, a.attempt";
        for row in self.0.query(sql, &[&traced]).await? {
            let attempt: i32 = row.get("attempt");
            let earlier = attempts.entry(row.get("task_id")).or_default();
            // A restart counts from 1 again: what came before has had its spans.
            if earlier.last().is_some_and(|last| attempt <= last.attempt) {
                earlier.clear();
            }
            earlier.push(TracedAttempt {
                run: row.get("run"),
                attempt,
                began: time(&row, "began"),
                ended: time(&row, "ended"),
                status: row.get("status"),
                error: row.get("error"),
            });
        }
        Ok(rows.iter().map(|row| traced_task(row, attempts.remove(&row.get("task_id")).unwrap_or_default())).collect())
    }
}

/// The last attempt is in the row alone if it was the first one and succeeded.
fn traced_task(row: &Row, mut attempts: Vec<TracedAttempt>) -> TracedTask {
    let run = row.get("run");
    let consumed = row.get::<_, Option<WireTimestamp>>("consumed").map(|time| time.0);
    let (status, error): (String, Option<String>) = (row.get("status"), row.get("error"));
    if consumed.is_none() && row.get::<_, i32>("failures") == 0 {
        // It was restarted, and ended before it started again.
        attempts.clear();
    }
    if let Some(began) = consumed.filter(|_| attempts.last().is_none_or(|last| last.run != run)) {
        // A first attempt, after a restart too.
        attempts.clear();
        let (ended, status, error) = (time(row, "ended"), status.clone(), error.clone());
        attempts.push(TracedAttempt { run, attempt: 1, began, ended, status, error });
    }
    TracedTask {
        task: TaskId(row.get("task_id")),
        traceparent: row.get("traceparent"),
        tracestate: row.get("tracestate"),
        target: row.get("target"),
        pool: row.get("pool"),
        priority: row.get("priority"),
        entered: time(row, "entered"),
        processed: time(row, "processed"),
        status,
        error,
        failed: row.get("failed"),
        attempts,
    }
}

fn time(row: &Row, column: &str) -> Timestamp {
    row.get::<_, WireTimestamp>(column).0
}
