//! Statistics from the views for operators.

use pgasync_core::{Epoch, Span, TaskId, Timestamp};
use pgasync_pg::Row;

use super::Client;
use super::read::ReadError;
use crate::wire::{WireInterval, WireTimestamp};

/// The number of running tasks that are returned.
const RUNNING_MAX: usize = 20;

/// The number of groups of failures that are returned.
const FAILURES_MAX: usize = 20;

/// The predicates are those of the partial indexes of the queue.
const WAITING_TASKS: &str = "select
    (select count(*) from async.task where consumed is null and processed is null and yielded is null
        and eligible_when is null and query is not null)
    + (select count(*) from async.task where consumed is null and processed is null and yielded is null
        and eligible_when is null and query is null and tracked is distinct from true)";

const OPERATION: &str = "reading statistics";

const PERIODS: &str = "select entered, ended, finished, failed, canceled, timed_out, ended_per_second from async.v_throughput order by period";

/// The state of a server. The values that the leader publishes are about a second old at most.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// The leader.
    pub leader: LeaderStatistics,
    /// The number of workers.
    pub workers: i32,
    /// The number of busy workers.
    pub workers_busy: i64,
    /// Tasks of the last five seconds.
    pub last_seconds: Period,
    /// Tasks of the last minute.
    pub last_minute: Period,
    /// Tasks of the last hour.
    pub last_hour: Period,
    /// Every pool that is configured, in use, or has waiting tasks.
    pub pools: Vec<PoolStatistics>,
    /// Every target.
    pub targets: Vec<TargetStatistics>,
    /// The lanes with waiting tasks, and why they wait.
    pub waiting: Vec<WaitingLane>,
    /// The tasks that have run longest, at most 20.
    pub running: Vec<RunningTask>,
    /// The largest groups of failures, at most 20.
    pub failures: Vec<Failure>,
    /// The number of READY tasks that are neither deferred nor offered. Counting a million takes some
    /// tenths of a second.
    pub waiting_tasks: i64,
}

/// The leader, or the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderStatistics {
    /// Whether a leader exists. Without one, the fields about its session are `None`.
    pub leads: bool,
    /// `sql` or `rust`; without a leader, the engine of the last one.
    pub engine: Option<String>,
    /// Its epoch; without a leader, the epoch of the last one.
    pub epoch: Option<Epoch>,
    /// The pid of its backend.
    pub pid: Option<i32>,
    /// The address of its client; `local` for a Unix socket.
    pub host: Option<String>,
    /// The `application_name` of its session.
    pub application: Option<String>,
    /// Since when it leads.
    pub since: Option<Timestamp>,
    /// The time since its last commit.
    pub quiet: Option<Span>,
    /// `async.control.enabled`.
    pub enabled: bool,
    /// `async.control.paused`.
    pub paused: bool,
    /// The number of standbys that are connected.
    pub standbys: i32,
    /// How long a standby waits for the lost leader to return.
    pub takeover_grace: Option<Span>,
}

/// Failed and timed out tasks of the last 24 hours with the same target, status and error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Their target.
    pub target: String,
    /// Their status.
    pub finish_status: String,
    /// The SQLSTATE of their error, if it has one.
    pub sqlstate: Option<String>,
    /// The first line of their error, with N for each number.
    pub message: String,
    /// Their number.
    pub tasks: i64,
    /// When the last of them ended.
    pub last_failed: Option<Timestamp>,
    /// The one with the largest id.
    pub last_task: TaskId,
}

/// The tasks of a period.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Period {
    /// Pushed.
    pub entered: i64,
    /// Ended with any status.
    pub ended: i64,
    /// FINISHED.
    pub finished: i64,
    /// Ended with another status.
    pub failed: i64,
    /// Of those, CANCELED.
    pub canceled: i64,
    /// Of those, `TIMED_OUT`.
    pub timed_out: i64,
    /// The average number of ended tasks per second.
    pub ended_per_second: f64,
}

/// A concurrency pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolStatistics {
    /// Its name.
    pub pool: String,
    /// Tasks that hold a slot of it.
    pub running: i32,
    /// The size of the pool.
    pub max_workers: i32,
    /// Tasks that wait for a slot. At most 10,000 are counted for each target.
    pub waiting: i64,
    /// Whether there are more.
    pub more: bool,
    /// The time that the oldest has waited.
    pub waiting_for: Option<Span>,
    /// Whether the last configuration left the pool out.
    pub retired: bool,
    /// Whether no task of it starts.
    pub paused: bool,
}

/// The state of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetState {
    /// Tasks may run there.
    Ok,
    /// It cannot be reached.
    Lost,
    /// Sessions of an older leader are being ended there.
    Fencing,
    /// It can be reached, and no task starts there.
    Paused,
    /// It takes no new tasks.
    Retired,
    /// No leader exists, so the state is unknown.
    Unknown,
}

/// A target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetStatistics {
    /// Its name.
    pub target: String,
    /// Its state.
    pub state: TargetState,
    /// Since when it is lost, in the state [`TargetState::Lost`].
    pub since: Option<Timestamp>,
    /// The error of the last connection attempt.
    pub error: Option<String>,
    /// When the leader reconnects, if its engine publishes that.
    pub retry_at: Option<Timestamp>,
    /// When tasks that wait since the loss begin to fail.
    pub patience_ends: Option<Timestamp>,
    /// The number of running queries.
    pub running: i64,
    /// Whether no task starts there, in any state.
    pub paused: bool,
}

/// Tasks of one pool and target that wait for the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingLane {
    /// The pool.
    pub pool: String,
    /// The target.
    pub target: String,
    /// `query`, `pull`, `offered` or `deferred`.
    pub kind: String,
    /// The number of tasks, counted up to 10,000.
    pub waiting: i64,
    /// Whether there are more.
    pub more: bool,
    /// The time that the oldest has waited.
    pub waiting_for: Option<Span>,
    /// The first of them.
    pub first: Option<TaskId>,
    /// The reason why the first one waits, as text.
    pub reason: String,
}

/// A task that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningTask {
    /// Its id.
    pub task: TaskId,
    /// Its target.
    pub target: String,
    /// The pool that it counts against.
    pub pool: String,
    /// The time since its start.
    pub running_for: Span,
    /// The session slot of the leader; `None` for a task that a client has taken.
    pub slot: Option<i32>,
}

impl TargetState {
    /// Its name in the views.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Lost => "lost",
            Self::Fencing => "fencing",
            Self::Paused => "paused",
            Self::Retired => "retired",
            Self::Unknown => "unknown",
        }
    }
}

impl Client {
    /// The leader. For administrators.
    ///
    /// # Errors
    /// As [`Client::statistics`].
    pub async fn leader(&self) -> Result<LeaderStatistics, ReadError> {
        let rows = self.query("reading the leader", "select * from async.v_leader", &[]).await?;
        Ok(rows.first().map_or_else(LeaderStatistics::none, LeaderStatistics::read))
    }

    /// The state of the server: its leader, running tasks, waiting tasks and the reasons. The cost
    /// grows with the number of pools, targets, and tasks that ended in the last hour, and not with
    /// the backlog. For administrators.
    ///
    /// # Errors
    /// When the server cannot be reached, or the role may not read the views.
    pub async fn statistics(&self) -> Result<Statistics, ReadError> {
        let read = async |sql: &str| self.query(OPERATION, sql, &[]).await;
        let rows = read(
            "select v.*, (select workers from async.control limit 1) as workers, async.active_workers() as busy
             from async.v_leader v",
        )
        .await?;
        let periods: Vec<Period> = read(PERIODS).await?.iter().map(period).collect();
        let pools = read("select * from async.v_pool").await?;
        let targets = read("select * from async.v_target_state").await?;
        let waiting = read("select * from async.v_why_waiting").await?;
        let sql = format!("select * from async.v_running_task limit {RUNNING_MAX}");
        let running = read(&sql).await?;
        let sql = format!(
            "select target, finish_status::text, sqlstate, message, tasks, last_failed, last_task_id
             from async.v_failure limit {FAILURES_MAX}"
        );
        let failures = read(&sql).await?;
        let counted = read(WAITING_TASKS).await?;
        Ok(Statistics {
            leader: rows.first().map_or_else(LeaderStatistics::none, LeaderStatistics::read),
            workers: rows.first().map_or(0, |row| row.get("workers")),
            workers_busy: rows.first().map_or(0, |row| row.get("busy")),
            last_seconds: periods.first().copied().unwrap_or_default(),
            last_minute: periods.get(1).copied().unwrap_or_default(),
            last_hour: periods.get(2).copied().unwrap_or_default(),
            pools: pools.iter().map(pool).collect(),
            targets: targets.iter().map(target).collect(),
            waiting: waiting.iter().map(lane).collect(),
            running: running.iter().map(running_task).collect(),
            failures: failures.iter().map(failure).collect(),
            waiting_tasks: counted.first().map_or(0, |row| row.get(0)),
        })
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
