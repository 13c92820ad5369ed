//! The commands of the orchestrator.

use crate::names::{Epoch, Run, SessionId, TargetName, TaskId};
use crate::plan::lane::{Lane, QueuePosition};
use crate::task::rejected::Rejected;
use crate::task::row_event::TaskEvent;
use crate::time::{MonotonicTime, Span};

use super::input::RequestId;

/// A command to the driver. Its documentation names the [`Input`](crate::Input) that answers it, if
/// one does.
///
/// Commands for the store ([`Command::is_for_store`]) are carried out in order, through the one
/// session that holds the lead; consecutive ones may share a transaction.
///
/// ```
/// use pgasync_core::{Command, MonotonicTime, Run, SessionId, TaskId};
/// // A mark is durable before the launch that it is about goes to the target.
/// let (task, run, session) = (TaskId(1), Run(1), SessionId(7));
/// assert!(Command::Mark { task, run, session: Some(session) }.is_for_store());
/// assert!(!Command::Launch { task, run, session }.is_for_store());
/// assert!(!Command::SleepUntil(MonotonicTime::NEVER).is_for_store());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Command {
    /// End every session at the target that is registered under an older epoch, and wait until
    /// they are gone: [`Input::Fenced`](crate::Input::Fenced).
    Fence {
        /// The target.
        target: TargetName,
        /// Sessions of epochs before this one.
        before: Epoch,
    },
    /// End one session of this leader's own that was lost, and wait until it is gone:
    /// [`Input::SessionGone`](crate::Input::SessionGone).
    FenceSession {
        /// The target.
        target: TargetName,
        /// The session.
        session: SessionId,
    },
    /// Run the STARTUP routines: [`Input::StartupDone`](crate::Input::StartupDone).
    RunStartup,
    /// Run the LOOP routines: [`Input::RoutinesDone`](crate::Input::RoutinesDone).
    RunRoutines,
    /// Poll for new work: [`Input::Polled`](crate::Input::Polled).
    Poll {
        /// Whether pushes have to notify from now on; decided before the poll reads anything.
        sleep: Sleep,
        /// The tasks that are offered: those that no offer stands for any more are named in the
        /// answer.
        offered: Vec<TaskId>,
    },
    /// Let the callers of `wait_for_latch` up to this number continue. No input answers this.
    ServeLatch {
        /// The number.
        number: i64,
    },
    /// Read these rows, which others may have changed: an
    /// [`Input::Changed`](crate::Input::Changed) or [`Input::Taken`](crate::Input::Taken) for each.
    Reread {
        /// The tasks.
        tasks: Vec<TaskId>,
    },
    /// Read heads of a lane: [`Input::Refilled`](crate::Input::Refilled).
    Refill {
        /// The lane.
        lane: Lane,
        /// The heads after this position, or the first ones.
        after: Option<QueuePosition>,
        /// How many heads at most.
        heads_max: usize,
    },
    /// Promote the tasks whose time has come, find the tasks without a query whose deadline has
    /// passed, and push the tasks of schedules that are due: [`Input::Swept`](crate::Input::Swept).
    Sweep {
        /// How many tasks at most.
        tasks_max: usize,
        /// Tasks that could not be promoted lately: the sweep leaves them alone.
        skip: Vec<TaskId>,
    },
    /// Read the requests: [`Input::Requests`](crate::Input::Requests). What was committed before
    /// this command must be in the answer.
    ReadRequests {
        /// The number by which the answer names this read.
        serial: u64,
    },
    /// Write an event of a task: [`Input::Written`](crate::Input::Written). At most one write
    /// about a task is under way at any time.
    Write(TaskEvent),
    /// Connect to the target: [`Input::Connected`](crate::Input::Connected) or
    /// [`Input::ConnectFailed`](crate::Input::ConnectFailed).
    Connect {
        /// The new session's number.
        session: SessionId,
        /// The target.
        target: TargetName,
    },
    /// Register the session durably: [`Input::Registered`](crate::Input::Registered).
    Register {
        /// The session.
        session: SessionId,
    },
    /// Close a session, or drop it if it does not answer. Once it runs nothing for certain:
    /// [`Input::SessionGone`](crate::Input::SessionGone), unless [`Command::FenceSession`] follows, which has
    /// the same answer.
    Disconnect {
        /// The session.
        session: SessionId,
    },
    /// Mark that the task is about to be launched: [`Input::Marked`](crate::Input::Marked).
    Mark {
        /// The task.
        task: TaskId,
        /// The run it is on.
        run: Run,
        /// The session that will run it; `None` ahead of its turn, when that will be whichever
        /// registered session of its target is free first.
        session: Option<SessionId>,
    },
    /// Fetch the text and send it: [`Input::Sent`](crate::Input::Sent), then
    /// [`Input::QueryEnded`](crate::Input::QueryEnded).
    Launch {
        /// The task.
        task: TaskId,
        /// The run it is on.
        run: Run,
        /// The session that runs it, and no other.
        session: SessionId,
    },
    /// Ask the target to cancel what the session runs.
    Cancel {
        /// The session.
        session: SessionId,
        /// The task that the session runs.
        task: TaskId,
    },
    /// End the session, from another session of the target.
    Terminate {
        /// The session.
        session: SessionId,
        /// The task that the session runs.
        task: TaskId,
    },
    /// Remove sessions from the registry that are known to be gone:
    /// [`Input::Unregistered`](crate::Input::Unregistered).
    Unregister {
        /// The sessions.
        sessions: Vec<Registered>,
    },
    /// Rotate the log of launch marks; afterwards it has the marks of exactly these tasks:
    /// [`Input::MarksRotated`](crate::Input::MarksRotated).
    RotateMarks {
        /// The tasks whose marks were sent and whose ends are not recorded, and their runs.
        launched: Vec<(TaskId, Run)>,
    },
    /// Delete a request that changes nothing, and record the reason where the requester may read
    /// it.
    Dismiss {
        /// The request.
        request: RequestId,
        /// The task of the request.
        task: TaskId,
        /// The reason.
        why: Rejected,
    },
    /// After the store was lost and is back: read the rows of these tasks, once nothing that was
    /// sent before can commit any more: [`Input::Resynced`](crate::Input::Resynced).
    Resync {
        /// The tasks.
        tasks: Vec<TaskId>,
    },
    /// Connect to the server anew, because the leader session was lost, and prove the lead:
    /// [`Input::StoreBack`](crate::Input::StoreBack), [`Input::Deposed`](crate::Input::Deposed) or
    /// [`Input::ProofFailed`](crate::Input::ProofFailed).
    ProveLead {
        /// After this time.
        after: Span,
    },
    /// Give up the lead, so that the next leader need not wait. The next leader fences the sessions
    /// that are still registered.
    Resign,
    /// Send [`Input::Tick`](crate::Input::Tick) at this time.
    SleepUntil(MonotonicTime),
}

/// What a poll changes about the notifications of pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Sleep {
    /// The poll changes nothing about them.
    Keep,
    /// Pushes notify from now on.
    FallAsleep,
    /// Pushes notify already, except for transactions with an id below `before` that may have found
    /// the leader awake: the poll tells whether one is open.
    AwaitWriters {
        /// [`OpenWriters::before`](crate::OpenWriters::before) of the answer to `FallAsleep`.
        before: i64,
    },
    /// Pushes need not notify.
    WakeUp,
}

/// A session in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Registered {
    /// A session of this leader.
    Own(SessionId),
    /// A session of an older leader, by its number in the registry.
    Older(i64),
}

impl Command {
    /// Whether the command goes through the leader session.
    #[must_use]
    pub const fn is_for_store(&self) -> bool {
        match self {
            Self::RunStartup
            | Self::RunRoutines
            | Self::Poll { .. }
            | Self::ServeLatch { .. }
            | Self::Reread { .. }
            | Self::Refill { .. }
            | Self::Sweep { .. }
            | Self::ReadRequests { .. }
            | Self::Write(_)
            | Self::Register { .. }
            | Self::Unregister { .. }
            | Self::RotateMarks { .. }
            | Self::Mark { .. }
            | Self::Dismiss { .. }
            | Self::Resync { .. }
            | Self::Resign => true,
            Self::Fence { .. }
            | Self::FenceSession { .. }
            | Self::Connect { .. }
            | Self::Disconnect { .. }
            | Self::Launch { .. }
            | Self::Cancel { .. }
            | Self::Terminate { .. }
            | Self::ProveLead { .. }
            | Self::SleepUntil(_) => false,
        }
    }
}
