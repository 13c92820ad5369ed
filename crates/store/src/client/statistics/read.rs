//! Reading statistics from the views for operators.

use pgasync_core::{Epoch, Span, TaskId, Timestamp};
use pgasync_pg::Row;
use pgasync_pg::types::{ToSql, Type};

use super::{
    Failure, LeaderStatistics, Period, PoolStatistics, RunningTask, Statistics, StatisticsScope, TargetState,
    TargetStatistics, WaitingLane,
};
use crate::client::Client;
use crate::client::read::{ReadError, WARNINGS, line};
use crate::wire::{WireInterval, WireTimestamp};

const OPERATION: &str = "reading statistics";

/// A takeover changes the leader once, so a second reading suffices.
const READS_MAX: usize = 3;

const NOTHING: &str = "select null where false";

const LEADER: &str = "select v.*, (select c.workers from async.control c limit 1) as workers,
    async.active_workers() as busy
  from async.v_leader v";

/// The leader at the end of the transaction. Locks are seen as they are, and not as of the snapshot.
const LEADER_PID: &str = "select s.pid from async.leader_session() s";

const PERIODS: &str = "select v.entered, v.ended, v.finished, v.failed, v.canceled, v.timed_out, v.ended_per_second
  from async.v_throughput v
  where v.period operator(pg_catalog.<=) pg_catalog.make_interval(secs => $1)
  order by v.period";

/// The characters of a query are limited.
const RUNNING: &str = "select v.task_id, v.target, v.concurrency_pool, v.running_for, v.slot, v.source,
    pg_catalog.left(v.query, 400) as query
  from async.v_running_task v
  where ($1 is null or pg_catalog.strpos(pg_catalog.lower(v.target), pg_catalog.lower($1)) operator(pg_catalog.>) 0)
    and ($2 is null or pg_catalog.strpos(pg_catalog.lower(v.query), pg_catalog.lower($2)) operator(pg_catalog.>) 0)
  order by v.since, v.task_id
  limit $3";

const FAILURES: &str =
    "select v.target, v.finish_status::pg_catalog.text, v.sqlstate, v.message, v.tasks, v.last_failed,
    v.last_task_id
  from async.v_failure v
  limit 20";

/// The predicates are those of the partial indexes of the queue.
const WAITING_TASKS: &str = "select
    (select pg_catalog.count(*) from async.task t where t.consumed is null and t.processed is null
        and t.yielded is null and t.eligible_when is null and t.query is not null)
    operator(pg_catalog.+)
    (select pg_catalog.count(*) from async.task t where t.consumed is null and t.processed is null
        and t.yielded is null and t.eligible_when is null and t.query is null and t.tracked is distinct from true)";

/// The warnings that are returned.
const WARNINGS_MAX: i32 = 5;

impl Client {
    /// The leader. For administrators.
    ///
    /// # Errors
    /// As [`Client::statistics`].
    pub async fn leader(&self) -> Result<LeaderStatistics, ReadError> {
        let rows = self.query("reading the leader", "select * from async.v_leader", &[]).await?;
        Ok(rows.first().map_or_else(LeaderStatistics::none, LeaderStatistics::read))
    }

    /// The state of the server: its leader, running tasks, waiting tasks and the reasons. For
    /// administrators.
    ///
    /// # Errors
    /// When the server cannot be reached, or the role may not read the views.
    pub async fn statistics(&self) -> Result<Statistics, ReadError> {
        self.statistics_of(&StatisticsScope::default()).await
    }

    /// As [`Client::statistics`], without what the scope excludes. The cost grows with the number of
    /// pools and targets, and with the tasks that ended in the last minute, and not with the backlog.
    ///
    /// All of it is of one moment. The rows come from one snapshot. Whether a leader exists is no row,
    /// so the reading is repeated if that changed meanwhile.
    ///
    /// # Errors
    /// As [`Client::statistics`].
    pub async fn statistics_of(&self, scope: &StatisticsScope) -> Result<Statistics, ReadError> {
        let mut read = self.read_statistics(scope).await?;
        for _ in 1..READS_MAX {
            if read.1 {
                break;
            }
            read = self.read_statistics(scope).await?;
        }
        Ok(read.0)
    }

    /// The statistics, and whether one leader led from the first statement to the last, or none did.
    async fn read_statistics(&self, scope: &StatisticsScope) -> Result<(Statistics, bool), ReadError> {
        let running_max = i64::from(scope.running_max);
        let running: [(&(dyn ToSql + Sync), Type); 3] =
            [(&scope.running_target, Type::TEXT), (&scope.running_text, Type::TEXT), (&running_max, Type::INT8)];
        let longest = if scope.last_hour { 3_600.0 } else { 60.0 };
        let none = |is_wanted: bool, sql: &'static str| if is_wanted { sql } else { NOTHING };
        let mut rows = self
            .query_snapshot(
                OPERATION,
                &[
                    (LEADER, &[]),
                    (PERIODS, &[(&longest, Type::FLOAT8)]),
                    ("select * from async.v_pool", &[]),
                    ("select * from async.v_target_state", &[]),
                    ("select * from async.v_why_waiting", &[]),
                    (RUNNING, &running),
                    (none(scope.failures, FAILURES), &[]),
                    (none(scope.waiting_tasks, WAITING_TASKS), &[]),
                    (WARNINGS, &[(&WARNINGS_MAX, Type::INT4)]),
                    (LEADER_PID, &[]),
                ],
            )
            .await?
            .into_iter();
        let mut next = || rows.next().unwrap_or_default();
        let (leader, periods) = (next(), next());
        let periods: Vec<Period> = periods.iter().map(period).collect();
        let statistics = Statistics {
            leader: leader.first().map_or_else(LeaderStatistics::none, LeaderStatistics::read),
            workers: leader.first().map_or(0, |row| row.get("workers")),
            workers_busy: leader.first().map_or(0, |row| row.get("busy")),
            last_seconds: periods.first().copied().unwrap_or_default(),
            last_minute: periods.get(1).copied().unwrap_or_default(),
            last_hour: periods.get(2).copied(),
            pools: next().iter().map(pool).collect(),
            targets: next().iter().map(target).collect(),
            waiting: next().iter().map(lane).collect(),
            running: next().iter().map(running_task).collect(),
            failures: next().iter().map(failure).collect(),
            waiting_tasks: next().first().map(|row| row.get(0)),
            warnings: next().iter().rev().map(line).collect(),
        };
        let pid_at_end = next().first().and_then(|row| row.get(0));
        let is_steady = statistics.leader.pid == pid_at_end;
        Ok((statistics, is_steady))
    }
}

impl LeaderStatistics {
    const fn none() -> Self {
        Self {
            leads: false,
            engine: None,
            epoch: None,
            pid: None,
            host: None,
            application: None,
            since: None,
            quiet: None,
            enabled: false,
            paused: false,
            standbys: 0,
            takeover_grace: None,
        }
    }

    fn read(row: &Row) -> Self {
        Self {
            leads: row.get("leads"),
            engine: row.get("engine"),
            epoch: row.get::<_, Option<i64>>("epoch").map(Epoch),
            pid: row.get("pid"),
            host: row.get("host"),
            application: row.get("application"),
            since: time(row, "since"),
            quiet: span(row, "quiet"),
            enabled: row.get("enabled"),
            paused: row.get("paused"),
            standbys: row.get("standbys"),
            takeover_grace: span(row, "takeover_grace"),
        }
    }
}

fn period(row: &Row) -> Period {
    Period {
        entered: row.get("entered"),
        ended: row.get("ended"),
        finished: row.get("finished"),
        failed: row.get("failed"),
        canceled: row.get("canceled"),
        timed_out: row.get("timed_out"),
        ended_per_second: row.get("ended_per_second"),
    }
}

fn pool(row: &Row) -> PoolStatistics {
    PoolStatistics {
        pool: row.get("concurrency_pool"),
        running: row.get("running"),
        max_workers: row.get("max_workers"),
        waiting: row.get("waiting"),
        more: row.get("more"),
        waiting_for: span(row, "waiting_for"),
        retired: row.get("retired"),
        paused: row.get("paused"),
    }
}

fn target(row: &Row) -> TargetStatistics {
    TargetStatistics {
        target: row.get("target"),
        state: match row.get("state") {
            "ok" => TargetState::Ok,
            "lost" => TargetState::Lost,
            "fencing" => TargetState::Fencing,
            "paused" => TargetState::Paused,
            "retired" => TargetState::Retired,
            _ => TargetState::Unknown,
        },
        since: time(row, "since"),
        error: row.get("error"),
        retry_at: time(row, "retry_at"),
        patience_ends: time(row, "patience_ends"),
        running: row.get("running"),
        paused: row.get("paused"),
    }
}

fn lane(row: &Row) -> WaitingLane {
    WaitingLane {
        pool: row.get("concurrency_pool"),
        target: row.get("target"),
        kind: row.get("kind"),
        waiting: row.get("waiting"),
        more: row.get("more"),
        waiting_for: span(row, "waiting_for"),
        first: row.get::<_, Option<i64>>("first_task_id").map(TaskId),
        reason: row.get("reason"),
    }
}

fn running_task(row: &Row) -> RunningTask {
    RunningTask {
        task: TaskId(row.get("task_id")),
        target: row.get("target"),
        pool: row.get("concurrency_pool"),
        running_for: span(row, "running_for").unwrap_or(Span::ZERO),
        slot: row.get("slot"),
        source: row.get("source"),
        query: row.get("query"),
    }
}

fn failure(row: &Row) -> Failure {
    Failure {
        target: row.get("target"),
        finish_status: row.get("finish_status"),
        sqlstate: row.get("sqlstate"),
        message: row.get::<_, Option<String>>("message").unwrap_or_default(),
        tasks: row.get("tasks"),
        last_failed: time(row, "last_failed"),
        last_task: TaskId(row.get("last_task_id")),
    }
}

fn time(row: &Row, column: &str) -> Option<Timestamp> {
    row.get::<_, Option<WireTimestamp>>(column).map(|stamp| stamp.0)
}

fn span(row: &Row, column: &str) -> Option<Span> {
    row.get::<_, Option<WireInterval>>(column).map(|interval| interval.0)
}
