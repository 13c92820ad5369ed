//! How it goes: what the views tell an operator.

use pgasync_core::{Epoch, Span, TaskId, Timestamp};
use pgasync_pg::Row;

use super::Client;
use super::read::ReadError;
use crate::wire::{Interval, Stamp};

/// The longest running tasks that are given.
const RUNNING_MAX: usize = 20;

const OPERATION: &str = "reading statistics";

const PERIODS: &str = "select entered, ended, finished, failed, canceled, timed_out, ended_per_second from async.v_throughput order by period";

/// How a server does. What the leader publishes in it is at most a second old.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// Who leads.
    pub leader: Leader,
    /// How many queries may run at once.
    pub workers: i32,
    /// How many do.
    pub workers_busy: i64,
    /// What came and ended in the last minute.
    pub last_minute: Period,
    /// What came and ended in the last hour.
    pub last_hour: Period,
    /// Every pool that is configured, in use or waited for.
    pub pools: Vec<PoolStatistics>,
    /// Every target.
    pub targets: Vec<TargetStatistics>,
    /// Where tasks wait, and why.
    pub waiting: Vec<WaitingLane>,
    /// What runs longest, at most 20 tasks.
    pub running: Vec<RunningTask>,
}

/// Who leads, or led last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// Somebody leads. What else is said of a session is `None` while nobody does.
    pub leads: bool,
    /// `sql` or `rust`; the last leader's while nobody leads.
    pub engine: Option<String>,
    /// Its number; the last leader's while nobody leads.
    pub epoch: Option<Epoch>,
    /// Its backend.
    pub pid: Option<i32>,
    /// Where the session comes from; `local` for a Unix socket.
    pub host: Option<String>,
    /// What the session calls itself.
    pub application: Option<String>,
    /// Since when it leads.
    pub since: Option<Timestamp>,
    /// How long ago it last committed.
    pub quiet: Option<Span>,
    /// `async.control.enabled`.
    pub enabled: bool,
    /// `async.control.paused`.
    pub paused: bool,
}

/// What came and ended within a time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Period {
    /// Pushed.
    pub entered: i64,
    /// Ended, one way or another.
    pub ended: i64,
    /// FINISHED.
    pub finished: i64,
    /// All other ends.
    pub failed: i64,
    /// Of those, CANCELED.
    pub canceled: i64,
    /// Of those, `TIMED_OUT`.
    pub timed_out: i64,
    /// Ends a second, on the average.
    pub ended_per_second: f64,
}

/// A concurrency pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolStatistics {
    /// Its name.
    pub pool: String,
    /// Tasks that hold a slot of it.
    pub running: i32,
    /// How many may.
    pub max_workers: i32,
    /// Tasks that wait for one; of each target at most 10,000 are counted.
    pub waiting: i64,
    /// There are more than that.
    pub more: bool,
    /// How long the oldest has waited.
    pub waiting_for: Option<Span>,
    /// The last configuration left it out.
    pub retired: bool,
}

/// How it stands with a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetState {
    /// Nothing speaks against it.
    Ok,
    /// It cannot be reached.
    Lost,
    /// Sessions of a lost orchestrator are being ended there.
    Fencing,
    /// It takes no new tasks.
    Retired,
    /// Nobody leads, so nobody looks.
    Unknown,
}

/// A target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetStatistics {
    /// Its name.
    pub target: String,
    /// How it stands with it.
    pub state: TargetState,
    /// Since when it is lost.
    pub since: Option<Timestamp>,
    /// What the last attempt to reach it said.
    pub error: Option<String>,
    /// When it is met again, where the engine says so.
    pub retry_at: Option<Timestamp>,
    /// When tasks that have waited since it was lost begin to fail.
    pub patience_ends: Option<Timestamp>,
    /// Queries that run there.
    pub running: i64,
}

/// Tasks of one pool and target that wait for the same thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingLane {
    /// The pool.
    pub pool: String,
    /// The target.
    pub target: String,
    /// `query`, `pull`, `offered` or `deferred`.
    pub kind: String,
    /// How many, counted up to 10,000.
    pub waiting: i64,
    /// There are more than that.
    pub more: bool,
    /// How long the oldest has waited.
    pub waiting_for: Option<Span>,
    /// Which comes first.
    pub first: Option<TaskId>,
    /// Why that one waits, for people.
    pub reason: String,
}

/// A task that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningTask {
    /// Its id.
    pub task: TaskId,
    /// Where.
    pub target: String,
    /// The pool that it counts against.
    pub pool: String,
    /// For how long.
    pub running_for: Span,
    /// The worker's slot; `None` for one that a client took.
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
            Self::Retired => "retired",
            Self::Unknown => "unknown",
        }
    }
}

impl Client {
    /// Who leads. For administrators.
    ///
    /// # Errors
    /// As [`Client::statistics`].
    pub async fn leader(&self) -> Result<Leader, ReadError> {
        let rows = self.query("looking who leads", "select * from async.v_leader", &[]).await?;
        Ok(rows.first().map_or_else(Leader::nobody, Leader::read))
    }

    /// How the server does: who leads, what runs, what waits and why. Its cost grows with pools, targets and what ended
    /// in the last hour, not with what waits. For administrators.
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
        Ok(Statistics {
            leader: rows.first().map_or_else(Leader::nobody, Leader::read),
            workers: rows.first().map_or(0, |row| row.get("workers")),
            workers_busy: rows.first().map_or(0, |row| row.get("busy")),
            last_minute: periods.first().copied().unwrap_or_default(),
            last_hour: periods.get(1).copied().unwrap_or_default(),
            pools: pools.iter().map(pool).collect(),
            targets: targets.iter().map(target).collect(),
            waiting: waiting.iter().map(lane).collect(),
            running: running.iter().map(running_task).collect(),
        })
    }
}

impl Leader {
    const fn nobody() -> Self {
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
    }
}

fn target(row: &Row) -> TargetStatistics {
    TargetStatistics {
        target: row.get("target"),
        state: match row.get("state") {
            "ok" => TargetState::Ok,
            "lost" => TargetState::Lost,
            "fencing" => TargetState::Fencing,
            "retired" => TargetState::Retired,
            _ => TargetState::Unknown,
        },
        since: time(row, "since"),
        error: row.get("error"),
        retry_at: time(row, "retry_at"),
        patience_ends: time(row, "patience_ends"),
        running: row.get("running"),
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

fn time(row: &Row, column: &str) -> Option<Timestamp> {
    row.get::<_, Option<Stamp>>(column).map(|stamp| stamp.0)
}

fn span(row: &Row, column: &str) -> Option<Span> {
    row.get::<_, Option<Interval>>(column).map(|interval| interval.0)
}
