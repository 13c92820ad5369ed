//! What the orchestrator is told.

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
    /// Its place in the order, and its id.
    pub position: QueuePosition,
    /// What it counts against, and where it runs.
    pub lane: Lane,
    /// Where it stood.
    pub task: Task,
}

/// A request as the store read it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct StoredRequest {
    /// Which request.
    pub id: RequestId,
    /// What is wanted.
    pub request: Request,
    /// The task it is about, as it stood when the request was read.
    pub about: TaskSnapshot,
}

/// What came of a write.
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

/// What the orchestrator is told.
///
/// ```
/// use pgasync_core::*;
/// let now = Now::from_micros(0);
/// let mut orchestrator = Orchestrator::new(Settings::default(), 42);
/// // An orchestrator that was not elected leads nothing, whatever it is told.
/// orchestrator.handle(Input::Tick, now);
/// assert_eq!(orchestrator.poll_command(), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Input {
    /// Time has passed. If it came too early for what was said last,
    /// [`Command::SleepUntil`](crate::Command::SleepUntil) is said again.
    Tick,
    /// The settings are these from now on.
    Configured(Box<Settings>),
    /// The lock is ours, and the epoch is raised.
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
    /// Another leads.
    Deposed,
    /// The session that holds the lead is lost; what became of the last writes is not known.
    StoreLost,
    /// Another session leads in the same epoch, and the lost one is known to be gone: nothing that
    /// was sent before can commit any more.
    StoreBack,
    /// The launch marks are lost: Postgres restarted after a crash.
    MarksLost,
    /// Answers [`Command::ProveLead`](crate::Command::ProveLead): the server cannot be reached.
    ProofFailed,
    /// The store refused a command as a whole; nothing came of it.
    Refused {
        /// Which command.
        command: Box<Command>,
        /// What the server said.
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
        /// The lanes that have waiting tasks.
        lanes: Vec<Lane>,
        /// There are requests.
        requests: bool,
        /// Up to which number callers wait for a cycle that begins now.
        latch: i64,
        /// Whether pushes notify now, after [`Sleep::FallAsleep`](crate::Sleep::FallAsleep).
        asleep: Option<bool>,
    },
    /// A push or a request notified.
    Notified,
    /// Answers [`Command::Maintain`](crate::Command::Maintain).
    Maintained {
        /// There is more to do at once.
        more: bool,
    },
    /// No session of an older epoch is left at the target.
    Fenced {
        /// Where.
        target: TargetName,
        /// The numbers in the registry of those that were there.
        sessions: Vec<i64>,
    },
    /// An attempt to end the sessions of older epochs at the target failed: its host cannot be
    /// reached.
    FenceFailed {
        /// Where.
        target: TargetName,
    },
    /// An attempt to end a lost session failed: its host cannot be reached.
    SessionUnreachable {
        /// Which session.
        session: SessionId,
    },
    /// Answers [`Command::Unregister`](crate::Command::Unregister), committed.
    Unregistered {
        /// The command's.
        sessions: Vec<Registered>,
    },
    /// Answers [`Command::RotateMarks`](crate::Command::RotateMarks), committed.
    MarksRotated,
    /// The orchestrator is to end: nothing new from now on, and what still runs at this time is
    /// stopped and waits again.
    Shutdown {
        /// Until when queries may end by themselves.
        drain_until: MonotonicTime,
    },
    /// The store may have something new to run in these lanes: a push, a restart.
    Waiting(Vec<Lane>),
    /// Answers [`Command::Refill`](crate::Command::Refill).
    Refilled {
        /// Which lane.
        lane: Lane,
        /// Its first heads, in order.
        heads: Vec<Head>,
        /// There are others after them.
        more: bool,
    },
    /// Answers [`Command::Sweep`](crate::Command::Sweep).
    Swept {
        /// Overdue tasks of which no query runs.
        overdue: Vec<TaskSnapshot>,
        /// Lanes in which something was promoted.
        promoted: Vec<Lane>,
        /// When the next task is to be promoted or overdue, as far as the store knows; the past if
        /// there were more than were asked for.
        next: Option<Timestamp>,
        /// Tasks that could not be promoted.
        failed: Vec<TaskId>,
    },
    /// There may be new requests.
    Asking,
    /// Answers [`Command::ReadRequests`](crate::Command::ReadRequests), perhaps in several parts.
    Requests {
        /// The command's.
        serial: u64,
        /// What is asked, the oldest first; what was not settled or dismissed is read again.
        asked: Vec<StoredRequest>,
        /// This is the last part.
        last: bool,
    },
    /// Answers [`Command::Write`](crate::Command::Write), committed.
    Written {
        /// Which task.
        task: TaskId,
        /// The run that the event named.
        run: Run,
        /// What came of it.
        answer: WriteAnswer,
    },
    /// User triggers ran with a write: they may have asked for something.
    Triggered,
    /// Something else than this leader's commands changed the row of a task that no query runs of: a
    /// routine, a trigger, an operator.
    Changed {
        /// Which task.
        task: TaskId,
        /// What its row is now, if there is one.
        row: Option<Row>,
    },
    /// A client took what was offered.
    Taken {
        /// Which task.
        task: TaskId,
        /// What its row became.
        row: Row,
    },
    /// Answers [`Command::Mark`](crate::Command::Mark), committed.
    Marked {
        /// Which task.
        task: TaskId,
        /// The run it is on.
        run: Run,
        /// The command's.
        session: Option<SessionId>,
    },
    /// Answers [`Command::Connect`](crate::Command::Connect).
    Connected {
        /// Which session.
        session: SessionId,
    },
    /// Answers [`Command::Connect`](crate::Command::Connect).
    ConnectFailed {
        /// Which session.
        session: SessionId,
        /// What the connection said.
        error: String,
    },
    /// Answers [`Command::Register`](crate::Command::Register), committed.
    Registered {
        /// Which session.
        session: SessionId,
    },
    /// The text is on its way, and is no longer held in memory.
    Sent {
        /// Which task.
        task: TaskId,
        /// The run it is on.
        run: Run,
    },
    /// The target says that a query is over.
    QueryEnded {
        /// The session that ran it.
        session: SessionId,
        /// Which task.
        task: TaskId,
        /// The run it was on.
        run: Run,
        /// How it ended.
        outcome: Outcome,
    },
    /// The connection is gone; the session at the target may live on.
    SessionLost {
        /// Which session.
        session: SessionId,
    },
    /// The session at the target is known to be gone.
    SessionGone {
        /// Which session.
        session: SessionId,
    },
}
