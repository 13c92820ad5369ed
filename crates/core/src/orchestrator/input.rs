//! The inputs of the orchestrator.

use crate::names::{Epoch, Run, SessionId, TargetName, TaskId};
use crate::plan::lane::{Head, Lane, QueuePosition};
use crate::task::Task;
use crate::task::event::{Outcome, Request};
use crate::task::row::Row;
use crate::time::{MonotonicTime, Timestamp};

use super::command::{Command, Registered};
use super::settings::Settings;

/// A request's number in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RequestId(pub i64);

/// A task as the store saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TaskSnapshot {
    /// The position in the queue, and the id.
    pub position: QueuePosition,
    /// The lane: the pool and the target.
    pub lane: Lane,
    /// The state at that time.
    pub task: Task,
}

/// A request as the store read it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct StoredRequest {
    /// The request.
    pub id: RequestId,
    /// The content of the request.
    pub request: Request,
    /// The task of the request, as the store saw it with the request.
    pub about: TaskSnapshot,
}

/// The answer to a write.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum WriteAnswer {
    /// The row is what the core predicted.
    AsPredicted,
    /// The event was refused, or a trigger made something else of the row, which is this now.
    Row(Row),
    /// There is no such row.
    Gone,
    /// A client holds the row; nothing was written.
    Locked,
    /// The write raised this error; nothing was written.
    Failed(String),
}

/// An input of the orchestrator: an answer to a command, or news.
///
/// ```
/// use pgasync_core::*;
/// let now = Now::from_micros(0);
/// let mut orchestrator = Orchestrator::new(Settings::default(), 42);
/// // An orchestrator that was not elected emits no commands.
/// orchestrator.handle(Input::Tick, now);
/// assert_eq!(orchestrator.poll_command(), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Input {
    /// Time has passed. If the tick comes too early,
    /// [`Command::SleepUntil`](crate::Command::SleepUntil) is emitted again.
    Tick,
    /// The configuration changed: these are the settings from now on.
    Configured(Box<Settings>),
    /// This orchestrator holds the lock of the leader, and the epoch is raised.
    Elected {
        /// The new epoch.
        epoch: Epoch,
        /// Targets with registered sessions of older epochs.
        fence: Vec<TargetName>,
        /// Every task that has `tracked` set or is RUNNING. RUNNING ones with a query are
        /// [`Phase::Launched`](crate::Phase::Launched) if they are marked (or marks were lost) and
        /// [`Phase::Claimed`](crate::Phase::Claimed) if they are not.
        inherited: Vec<TaskSnapshot>,
        /// The lanes that have READY tasks.
        lanes: Vec<Lane>,
    },
    /// Another orchestrator leads.
    Deposed,
    /// The leader session is lost. Whether the last writes were committed is not known.
    StoreLost,
    /// A new leader session holds the lock in the same epoch, and the lost one is known to be gone:
    /// nothing that was sent before can commit any more.
    StoreBack,
    /// The launch marks are lost: Postgres restarted after a crash.
    MarksLost,
    /// Answers [`Command::ProveLead`](crate::Command::ProveLead): the server cannot be reached.
    ProofFailed,
    /// The store refused a command as a whole: it changed nothing.
    Refused {
        /// The command.
        command: Box<Command>,
        /// The error of the server.
        reason: String,
    },
    /// Answers [`Command::Resync`](crate::Command::Resync): the rows that exist.
    Resynced(Vec<(TaskId, Row)>),
    /// The STARTUP routines have run.
    StartupDone,
    /// Answers [`Command::RunRoutines`](crate::Command::RunRoutines).
    RoutinesDone,
    /// Answers [`Command::Poll`](crate::Command::Poll).
    Polled {
        /// The lanes that may have any number of further waiting tasks, and the position after which
        /// these are: all lanes with waiting tasks, without a position, in the first poll of a
        /// connection to the store; and if too many tasks arrived, their lanes.
        lanes: Vec<(Lane, Option<QueuePosition>)>,
        /// Every task that became READY since the last poll by the write of a client, and waits,
        /// except those in `lanes`. A task may be reported more than once.
        arrivals: Vec<(Lane, Head)>,
        /// The first time at which a task that became READY since the last poll is to be promoted, or
        /// is overdue, or at which a schedule fires, if that has changed or has come; or any earlier
        /// time, if too many tasks arrived. `None` if there is no such time.
        due: Option<Timestamp>,
        /// Whether there are requests.
        requests: bool,
        /// Up to which number callers wait for a cycle that begins now.
        latch: i64,
        /// The transactions that may have found the leader awake, after
        /// [`Sleep::FallAsleep`](crate::Sleep::FallAsleep) and
        /// [`Sleep::AwaitWriters`](crate::Sleep::AwaitWriters). `None` after `FallAsleep`: it could
        /// not fall asleep.
        writers: Option<OpenWriters>,
    },
    /// A push or a request notified.
    Notified,
    /// No session of an older epoch is left at the target.
    Fenced {
        /// The target.
        target: TargetName,
        /// The numbers in the registry of those that were there.
        sessions: Vec<i64>,
    },
    /// An attempt to end the sessions of older epochs at the target failed: its host cannot be
    /// reached.
    FenceFailed {
        /// The target.
        target: TargetName,
    },
    /// An attempt to end a lost session failed: its host cannot be reached.
    SessionUnreachable {
        /// The session.
        session: SessionId,
    },
    /// Answers [`Command::Unregister`](crate::Command::Unregister), committed.
    Unregistered {
        /// As in the command.
        sessions: Vec<Registered>,
    },
    /// Answers [`Command::RotateMarks`](crate::Command::RotateMarks), committed.
    MarksRotated,
    /// Shut down: nothing new is launched from now on, and the queries that still run at this time
    /// are stopped. Their tasks wait again.
    Shutdown {
        /// Until when queries may end by themselves.
        drain_until: MonotonicTime,
    },
    /// The store may have something new to run in these lanes: a push, a restart.
    Waiting(Vec<Lane>),
    /// The first waiting tasks of lanes, read beside the polls: an update by hand may have made them
    /// READY, or moved them. They may be older than other answers.
    Reviewed(Vec<(Lane, Head)>),
    /// Answers [`Command::Refill`](crate::Command::Refill).
    Refilled {
        /// The lane.
        lane: Lane,
        /// The heads, in order.
        heads: Vec<Head>,
        /// Whether the lane has others after them.
        more: bool,
    },
    /// Answers [`Command::Sweep`](crate::Command::Sweep).
    Swept {
        /// Overdue tasks of which no query runs.
        overdue: Vec<TaskSnapshot>,
        /// Lanes in which something was promoted.
        promoted: Vec<Lane>,
        /// When the next task is to be promoted or overdue, or the next schedule fires, as far as the
        /// store knows; the past if there were more than were asked for.
        next: Option<Timestamp>,
        /// Tasks that could not be promoted.
        failed: Vec<TaskId>,
    },
    /// There may be new requests.
    Asking,
    /// Answers [`Command::ReadRequests`](crate::Command::ReadRequests), perhaps in several parts.
    Requests {
        /// As in the command.
        serial: u64,
        /// The requests, the oldest first. A request that is not settled or dismissed is read
        /// again.
        asked: Vec<StoredRequest>,
        /// Whether this is the last part of the answer.
        last: bool,
    },
    /// Answers [`Command::Write`](crate::Command::Write), committed.
    Written {
        /// The task.
        task: TaskId,
        /// The run that the event named.
        run: Run,
        /// The answer.
        answer: WriteAnswer,
    },
    /// User triggers ran with a write: they may have made requests.
    Triggered,
    /// Something else than this leader's commands changed the row of a task that no query runs of:
    /// a routine, a trigger, an operator.
    Changed {
        /// The task.
        task: TaskId,
        /// The row, if it exists.
        row: Option<Row>,
    },
    /// A client took an offered task.
    Taken {
        /// The task.
        task: TaskId,
        /// The row of the task.
        row: Row,
    },
    /// Answers [`Command::Mark`](crate::Command::Mark), committed.
    Marked {
        /// The task.
        task: TaskId,
        /// The run it is on.
        run: Run,
        /// As in the command.
        session: Option<SessionId>,
    },
    /// Answers [`Command::Connect`](crate::Command::Connect).
    Connected {
        /// The session.
        session: SessionId,
    },
    /// Answers [`Command::Connect`](crate::Command::Connect).
    ConnectFailed {
        /// The session.
        session: SessionId,
        /// The error of the connection.
        error: String,
    },
    /// Answers [`Command::Register`](crate::Command::Register), committed.
    Registered {
        /// The session.
        session: SessionId,
    },
    /// The text was sent to the target, and the driver no longer holds it in memory.
    Sent {
        /// The task.
        task: TaskId,
        /// The run it is on.
        run: Run,
    },
    /// A fence found out how a lost run of a task with a receipt ended. Comes before
    /// [`Input::SessionGone`] of its session, or before [`Input::Fenced`].
    Resolved {
        /// The task.
        task: TaskId,
        /// The lost run.
        run: Run,
        /// Success, if the receipt is there; an error, if it was voided; unknown, if an operator wrote the
        /// session off.
        outcome: Outcome,
    },
    /// A query ended.
    QueryEnded {
        /// The session that ran it.
        session: SessionId,
        /// The task.
        task: TaskId,
        /// The run it was on.
        run: Run,
        /// The outcome.
        outcome: Outcome,
    },
    /// The connection to the target is lost. The session may live on at the target.
    SessionLost {
        /// The session.
        session: SessionId,
    },
    /// The session is known to be gone at the target.
    SessionGone {
        /// The session.
        session: SessionId,
    },
}

/// The pushes and requests that may have found the leader awake, and so do not notify it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct OpenWriters {
    /// The ids of their transactions are below this one.
    pub before: i64,
    /// Whether one of them was open before the poll read anything.
    pub open: bool,
}
