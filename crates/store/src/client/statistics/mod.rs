//! Statistics from the views for operators.

mod read;

use pgasync_core::{Epoch, Span, TaskId, Timestamp};

use super::read::LogLine;

/// What a reading of [`Statistics`] contains. The default is everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatisticsScope {
    /// Whether every waiting task is counted. Counting a million takes some tenths of a second.
    pub waiting_tasks: bool,
    /// Whether the last hour is read. The cost grows with its tasks.
    pub last_hour: bool,
    /// Whether the failures of the last 24 hours are read. The cost grows with the tasks of that time.
    pub failures: bool,
    /// The most running tasks.
    pub running_max: u32,
    /// Only running tasks at targets with this text in the name, in any case.
    pub running_target: Option<String>,
    /// Only running tasks with this text in the query, in any case.
    pub running_text: Option<String>,
}

/// The state of a server at one moment. The values that the leader publishes are about a second old at
/// most.
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
    /// Tasks of the last hour, if it was read.
    pub last_hour: Option<Period>,
    /// Every pool that is configured, in use, or has waiting tasks.
    pub pools: Vec<PoolStatistics>,
    /// Every target.
    pub targets: Vec<TargetStatistics>,
    /// The lanes with waiting tasks, and why they wait.
    pub waiting: Vec<WaitingLane>,
    /// The tasks that have run longest.
    pub running: Vec<RunningTask>,
    /// The largest groups of failures, at most 20.
    pub failures: Vec<Failure>,
    /// The number of READY tasks that are neither deferred nor offered, if they were counted.
    pub waiting_tasks: Option<i64>,
    /// The last warnings and errors of the log within a day, at most five, oldest first.
    pub warnings: Vec<LogLine>,
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
    /// The first line of their error, with # for each number.
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
    /// The source that the push named.
    pub source: Option<String>,
    /// The beginning of its query; `None` for a task that a client has taken.
    pub query: Option<String>,
}

impl Default for StatisticsScope {
    fn default() -> Self {
        Self {
            waiting_tasks: true,
            last_hour: true,
            failures: true,
            running_max: 20,
            running_target: None,
            running_text: None,
        }
    }
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
