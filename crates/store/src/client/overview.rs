//! The parts of an overview of the whole server. Each is one statement with a bounded result, so a
//! watcher can read each at its own pace.

use pgasync_core::{Span, TaskId, Timestamp};
use pgasync_pg::Row;
use pgasync_pg::types::Type;

use super::Client;
use super::read::ReadError;
use super::statistics::read::{failure, lane};
use super::statistics::{Failure, LeaderStatistics, WaitingLane};
use crate::wire::{WireInterval, WireTimestamp};

const OPERATION: &str = "reading the overview";

/// Tasks of a phase are counted up to this number; one more means that there are more.
pub const COUNT_MAX: i64 = 10_000;

const RUNNING_MAX: i64 = 50;
const FAILURES_MAX: i64 = 50;

/// The predicates are those of the partial indexes of the queue, so that nothing reads the history.
const COUNTS: &str = "select pg_catalog.clock_timestamp(),
    (select count(*) from (select from async.task t where t.consumed is null and t.processed is null
       and t.yielded is null and t.eligible_when is null and t.query is not null limit $1) c),
    (select count(*) from (select from async.task t where t.consumed is null and t.processed is null
       and t.yielded is null and t.eligible_when is null and t.query is null
       and t.tracked is distinct from true limit $1) c),
    (select count(*) from (select from async.task t where t.eligible_when is not null and t.processed is null limit $1) c),
    (select count(*) from (select from async.task t where (t.times_up is not null or t.yielded is not null)
       and t.processed is null and t.consumed is not null and t.yielded is null limit $1) c),
    (select count(*) from (select from async.task t where (t.times_up is not null or t.yielded is not null)
       and t.processed is null and t.yielded is not null limit $1) c)";

/// The range of the index on each column, and no sort.
const MINUTES: &str = "select m.minute, coalesce(e.entered, 0), coalesce(d.ended, 0), coalesce(d.failed, 0)
  from pg_catalog.generate_series(pg_catalog.date_trunc('minute', $1::pg_catalog.timestamptz),
    pg_catalog.clock_timestamp(), interval '1 minute') m(minute)
  left join (
    select pg_catalog.date_trunc('minute', t.entered) as minute, count(*) as entered
    from async.task t where t.entered operator(pg_catalog.>=) pg_catalog.date_trunc('minute', $1) group by 1
  ) e on e.minute operator(pg_catalog.=) m.minute
  left join (
    select pg_catalog.date_trunc('minute', t.processed) as minute, count(*) as ended,
      count(*) filter (where t.failed) as failed
    from async.task t where t.processed operator(pg_catalog.>=) pg_catalog.date_trunc('minute', $1) group by 1
  ) d on d.minute operator(pg_catalog.=) m.minute
  order by 1";

const RUNNING: &str = "select t.task_id, t.target, coalesce(t.concurrency_pool, t.target), t.consumed, t.times_up,
    t.query is null, pg_catalog.left(t.query, 200), t.source
  from async.task t
  where (t.times_up is not null or t.yielded is not null) and t.processed is null
    and t.consumed is not null and t.yielded is null
  order by t.consumed, t.task_id limit $1";

/// Without a leader in the past, `async.v_target_state` is empty.
const TARGETS: &str =
    "select t.target, coalesce(s.state, case when t.retired then 'retired' else 'unknown' end) as state,
    s.since, s.error, s.retry_at, s.patience_ends, t.active_workers as running, t.max_concurrency, t.max_sessions,
    t.connection_string, t.default_timeout, t.asynchronous_finish, t.session_reset, t.tags, t.retired, t.paused
  from async.v_target t left join async.v_target_state s on s.target operator(pg_catalog.=) t.target
  order by t.target";

/// As in `async.v_pool`, without a look at the lanes.
const POOLS: &str = "select n.concurrency_pool, coalesce(k.workers, 0) as running,
    async.pool_limit(n.concurrency_pool) as max_workers, n.retired, n.configured, c.starts_max, c.\"interval\",
    async.is_paused(n.concurrency_pool, null) as paused
  from (
    select a.concurrency_pool, pg_catalog.bool_and(a.retired) as retired, pg_catalog.bool_or(a.configured) as configured
    from (
      select c.concurrency_pool, c.retired, true as configured from async.concurrency_pool c
      union all
      select t.target, t.retired, false from async.target t
      union all
      select r.concurrency_pool, false, false from async.concurrency_pool_tracker r where r.workers operator(pg_catalog.>) 0
      union all
      select d.pool, false, false from async.discover_lanes() d
    ) a
    group by a.concurrency_pool
  ) n
  left join async.concurrency_pool_tracker k on k.concurrency_pool operator(pg_catalog.=) n.concurrency_pool
  left join async.concurrency_pool c on c.concurrency_pool operator(pg_catalog.=) n.concurrency_pool
  order by n.concurrency_pool";

/// Where the tasks are. A number of [`COUNT_MAX`] + 1 means that there are more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhaseCounts {
    /// READY, to be launched.
    pub ready: i64,
    /// READY, to be taken by a client.
    pub pullable: i64,
    /// READY after a time.
    pub deferred: i64,
    /// RUNNING.
    pub running: i64,
    /// YIELDED.
    pub yielded: i64,
}

/// The tasks of a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minute {
    /// Its begin.
    pub begin: Timestamp,
    /// Tasks that were pushed.
    pub entered: i64,
    /// Tasks that ended, with any status.
    pub ended: i64,
    /// Of those, the ones that failed.
    pub failed: i64,
}

/// A task that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningQuery {
    /// Its id.
    pub task: TaskId,
    /// Its target.
    pub target: String,
    /// The pool that it counts against.
    pub pool: String,
    /// Its start.
    pub since: Timestamp,
    /// Its deadline.
    pub times_up: Option<Timestamp>,
    /// Whether a client has taken it.
    pub pulled: bool,
    /// The beginning of its query.
    pub query: Option<String>,
    /// The origin that the push named.
    pub source: Option<String>,
}

/// A concurrency pool and its occupancy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolOverview {
    /// Its name.
    pub pool: String,
    /// Tasks that hold a slot of it.
    pub running: i32,
    /// Its size.
    pub max_workers: i32,
    /// Whether the last configuration left it out.
    pub retired: bool,
    /// Whether no task of it starts.
    pub paused: bool,
    /// Whether it is in the configuration; otherwise it is the pool of a target, or has the default size.
    pub configured: bool,
    /// How many of its tasks start in an interval, if that is limited.
    pub starts: Option<(i32, Span)>,
}

/// A target, its settings and its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetOverview {
    /// Its name.
    pub target: String,
    /// `ok`, `lost`, `fencing`, `paused`, `retired` or `unknown`.
    pub state: String,
    /// Since when it is lost.
    pub since: Option<Timestamp>,
    /// The error of the last attempt to connect.
    pub error: Option<String>,
    /// The next attempt.
    pub retry_at: Option<Timestamp>,
    /// When waiting tasks begin to fail.
    pub patience_ends: Option<Timestamp>,
    /// Running queries.
    pub running: i64,
    /// The size of its pool.
    pub max_concurrency: i32,
    /// The limit on its sessions.
    pub max_sessions: Option<i32>,
    /// Its connection string, with a masked password.
    pub connection: Option<String>,
    /// The timeout of tasks without one.
    pub default_timeout: Option<Span>,
    /// Whether its tasks finish by a call.
    pub asynchronous_finish: bool,
    /// Whether its sessions are reset after each task.
    pub session_reset: bool,
    /// Its tags.
    pub tags: Vec<String>,
    /// Whether it takes no new tasks.
    pub retired: bool,
    /// Whether no task starts there.
    pub paused: bool,
}

impl Client {
    /// The server's time, and where the tasks are. The cost has a limit, whatever the backlog is.
    ///
    /// # Errors
    /// When the server cannot be reached, or the role may not read tasks.
    pub async fn phase_counts(&self) -> Result<(Timestamp, PhaseCounts), ReadError> {
        let rows = self.query(OPERATION, COUNTS, &[(&(COUNT_MAX + 1), Type::INT8)]).await?;
        let row = rows.first().expect("a query without a condition returns a row");
        let counts = PhaseCounts {
            ready: row.get(1),
            pullable: row.get(2),
            deferred: row.get(3),
            running: row.get(4),
            yielded: row.get(5),
        };
        Ok((row.get::<_, WireTimestamp>(0).0, counts))
    }

    /// What was pushed and what ended in each minute since the one of `since`. The cost grows with the
    /// tasks of that time.
    ///
    /// # Errors
    /// As [`Client::phase_counts`].
    pub async fn minutes(&self, since: Timestamp) -> Result<Vec<Minute>, ReadError> {
        let rows = self.query(OPERATION, MINUTES, &[(&WireTimestamp(since), Type::TIMESTAMPTZ)]).await?;
        let minute = |row: &Row| Minute {
            begin: row.get::<_, WireTimestamp>(0).0,
            entered: row.get(1),
            ended: row.get(2),
            failed: row.get(3),
        };
        Ok(rows.iter().map(minute).collect())
    }

    /// The tasks that have run longest, at most 50.
    ///
    /// # Errors
    /// As [`Client::phase_counts`].
    pub async fn running(&self) -> Result<Vec<RunningQuery>, ReadError> {
        let rows = self.query(OPERATION, RUNNING, &[(&RUNNING_MAX, Type::INT8)]).await?;
        Ok(rows.iter().map(running).collect())
    }

    /// The leader, the number of workers, and of busy ones. For administrators.
    ///
    /// # Errors
    /// When the server cannot be reached, or the role may not read the view.
    pub async fn lead(&self) -> Result<(LeaderStatistics, i32, i64), ReadError> {
        let sql =
            "select v.*, (select c.workers from async.control c limit 1) as workers, async.active_workers() as busy
            from async.v_leader v";
        let rows = self.query(OPERATION, sql, &[]).await?;
        let Some(row) = rows.first() else { return Ok((LeaderStatistics::none(), 0, 0)) };
        Ok((LeaderStatistics::read(row), row.get("workers"), row.get("busy")))
    }

    /// Every pool that is configured, in use, or has waiting tasks, without the waiting tasks, which
    /// [`Client::why_waiting`] counts. For administrators.
    ///
    /// # Errors
    /// As [`Client::lead`].
    pub async fn pools(&self) -> Result<Vec<PoolOverview>, ReadError> {
        Ok(self.query(OPERATION, POOLS, &[]).await?.iter().map(pool).collect())
    }

    /// Every target. For administrators.
    ///
    /// # Errors
    /// As [`Client::lead`].
    pub async fn target_overviews(&self) -> Result<Vec<TargetOverview>, ReadError> {
        Ok(self.query(OPERATION, TARGETS, &[]).await?.iter().map(target).collect())
    }

    /// The lanes with waiting tasks, and why they wait. For administrators.
    ///
    /// # Errors
    /// As [`Client::lead`].
    pub async fn why_waiting(&self) -> Result<Vec<WaitingLane>, ReadError> {
        let rows = self.query(OPERATION, "select * from async.v_why_waiting", &[]).await?;
        Ok(rows.iter().map(lane).collect())
    }

    /// The largest groups of failures of the last 24 hours, at most 50. For administrators.
    ///
    /// # Errors
    /// As [`Client::lead`].
    pub async fn failures(&self) -> Result<Vec<Failure>, ReadError> {
        let sql = "select target, finish_status::pg_catalog.text, sqlstate, message, tasks, last_failed, last_task_id
            from async.v_failure limit $1";
        let rows = self.query(OPERATION, sql, &[(&FAILURES_MAX, Type::INT8)]).await?;
        Ok(rows.iter().map(failure).collect())
    }
}

fn pool(row: &Row) -> PoolOverview {
    let starts: Option<i32> = row.get("starts_max");
    let interval = row.get::<_, Option<WireInterval>>("interval").map(|interval| interval.0);
    PoolOverview {
        pool: row.get("concurrency_pool"),
        running: row.get("running"),
        max_workers: row.get("max_workers"),
        retired: row.get("retired"),
        paused: row.get("paused"),
        configured: row.get("configured"),
        starts: starts.filter(|starts| *starts > 0).zip(interval),
    }
}

fn running(row: &Row) -> RunningQuery {
    RunningQuery {
        task: TaskId(row.get(0)),
        target: row.get(1),
        pool: row.get(2),
        since: row.get::<_, WireTimestamp>(3).0,
        times_up: row.get::<_, Option<WireTimestamp>>(4).map(|stamp| stamp.0),
        pulled: row.get(5),
        query: row.get(6),
        source: row.get(7),
    }
}

fn target(row: &Row) -> TargetOverview {
    let time = |column| row.get::<_, Option<WireTimestamp>>(column).map(|stamp| stamp.0);
    TargetOverview {
        target: row.get("target"),
        state: row.get("state"),
        since: time("since"),
        error: row.get("error"),
        retry_at: time("retry_at"),
        patience_ends: time("patience_ends"),
        running: row.get("running"),
        max_concurrency: row.get("max_concurrency"),
        max_sessions: row.get("max_sessions"),
        connection: row.get("connection_string"),
        default_timeout: row.get::<_, Option<WireInterval>>("default_timeout").map(|interval| interval.0),
        asynchronous_finish: row.get("asynchronous_finish"),
        session_reset: row.get("session_reset"),
        tags: row.get("tags"),
        retired: row.get("retired"),
        paused: row.get("paused"),
    }
}
