//! Reading schedules, and pushing the task of one now.

use pgasync_core::{Span, TaskId, Timestamp};
use pgasync_pg::Row;
use pgasync_pg::types::Type;

use super::error::CallError;
use super::push::PushError;
use super::read::ReadError;
use super::{Client, Pushed};
use crate::wire::{WireInterval, WireTimestamp};

const READ: &str =
    "select s.schedule, s.\"when\", s.time_zone, s.target, pg_catalog.left(s.query, 2000) as query, s.owner,
    s.configured, s.paused, s.overlap, s.next_time, s.last_fired, s.last_task_id, s.last_status, s.waiting,
    s.last_skipped, s.last_refused, s.last_refusal, s.concurrency_pool, s.timeout, s.source
  from async.v_schedule s where $1::pg_catalog.text is null or s.schedule operator(pg_catalog.=) $1
  order by s.schedule limit $2";

/// Reads the task of a schedule as the role sees it, and pushes it with the grants of the role.
const RUN: &str = "select p.task_id, p.duplicate
  from async.push_many((
    select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
      'query', s.query, 'target', g.target, 'priority', s.priority, 'concurrency_pool', s.concurrency_pool,
      'timeout', s.timeout, 'task_data', s.task_data, 'track_yielded', s.track_yielded, 'source', s.source,
      'retry', s.retry, 'expires_at', pg_catalog.clock_timestamp() operator(pg_catalog.+) s.expires_after)),
      '[]'::pg_catalog.jsonb)
    from async.v_schedule s
    cross join lateral pg_catalog.unnest(case
      when pg_catalog.left(s.target, 4) operator(pg_catalog.=) 'tag:' then async.targets(pg_catalog.substr(s.target, 5))
      else array[s.target] end) as g(target)
    where s.schedule operator(pg_catalog.=) $1 and s.query is not null)) p";

/// A schedule, as `async.v_schedule` shows it to the role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleOverview {
    /// Its name.
    pub schedule: String,
    /// A cron expression or an interval.
    pub when: String,
    /// The zone of the expression.
    pub time_zone: String,
    /// A target, or `tag:NAME`.
    pub target: String,
    /// The beginning of its query; `None` if the role may not read it.
    pub query: Option<String>,
    /// The role whose grants count.
    pub owner: Option<String>,
    /// Whether the configuration has made it.
    pub configured: bool,
    /// Whether its times pass.
    pub paused: bool,
    /// What a time does while a task of it is unfinished.
    pub overlap: String,
    /// The next time.
    pub next_time: Option<Timestamp>,
    /// The last push.
    pub last_fired: Option<Timestamp>,
    /// The task of the last push.
    pub last_task: Option<TaskId>,
    /// Its status or its phase.
    pub last_status: Option<String>,
    /// Times that wait for the end of a task.
    pub waiting: i64,
    /// The last time that passed.
    pub last_skipped: Option<Timestamp>,
    /// The last refused push.
    pub last_refused: Option<Timestamp>,
    /// Why.
    pub last_refusal: Option<String>,
    /// The pool of its tasks.
    pub pool: Option<String>,
    /// The timeout of its tasks.
    pub timeout: Option<Span>,
    /// The source of its tasks.
    pub source: Option<String>,
}

impl Client {
    /// The schedules by name, at most `limit`.
    ///
    /// # Errors
    /// When the server cannot be reached, or the role may not read them.
    pub async fn schedules(&self, limit: u32) -> Result<Vec<ScheduleOverview>, ReadError> {
        let parameters: (Option<&str>, i64) = (None, i64::from(limit));
        let rows =
            self.query("reading schedules", READ, &[(&parameters.0, Type::TEXT), (&parameters.1, Type::INT8)]).await?;
        Ok(rows.iter().map(schedule).collect())
    }

    /// Pushes the task of a schedule now, with its options and the grants of this role, and returns the
    /// tasks: one for each target. The times of the schedule stay as they are. Empty if there is no such
    /// schedule, or the role may not read its query, or no target has its tag.
    ///
    /// # Errors
    /// As [`Client::push_many`].
    pub async fn run_schedule(&self, name: &str) -> Result<Vec<Pushed>, PushError> {
        let rows = self.query("running a schedule now", RUN, &[(&name, Type::TEXT)]).await;
        let pushed = |row: &Row| Pushed {
            task: row.get::<_, Option<i64>>(0).map(TaskId),
            duplicate: row.get::<_, Option<bool>>(1).unwrap_or(false),
        };
        Ok(rows.map_err(|error: CallError| PushError::from(error))?.iter().map(pushed).collect())
    }
}

fn schedule(row: &Row) -> ScheduleOverview {
    let time = |column| row.get::<_, Option<WireTimestamp>>(column).map(|stamp| stamp.0);
    ScheduleOverview {
        schedule: row.get("schedule"),
        when: row.get("when"),
        time_zone: row.get("time_zone"),
        target: row.get("target"),
        query: row.get("query"),
        owner: row.get("owner"),
        configured: row.get("configured"),
        paused: row.get("paused"),
        overlap: row.get("overlap"),
        next_time: time("next_time"),
        last_fired: time("last_fired"),
        last_task: row.get::<_, Option<i64>>("last_task_id").map(TaskId),
        last_status: row.get("last_status"),
        waiting: row.get("waiting"),
        last_skipped: time("last_skipped"),
        last_refused: time("last_refused"),
        last_refusal: row.get("last_refusal"),
        pool: row.get("concurrency_pool"),
        timeout: row.get::<_, Option<WireInterval>>("timeout").map(|interval| interval.0),
        source: row.get("source"),
    }
}
