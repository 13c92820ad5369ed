//! What the orchestrator wants done.

use crate::names::{Epoch, Run, SessionId, TargetName, TaskId};
use crate::plan::lane::Lane;
use crate::task::rejected::Rejected;
use crate::task::row_event::TaskEvent;
use crate::time::{MonotonicTime, Span};

use super::input::RequestId;

/// Something to do, with the [`Input`](crate::Input) that says it was done, if one does.
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
        /// Where.
        target: TargetName,
        /// Sessions of epochs before this one.
        before: Epoch,
    },
    /// End one session of this leader's own that was lost, and wait until it is gone:
    /// [`Input::SessionGone`](crate::Input::SessionGone).
    FenceSession {
        /// Where.
        target: TargetName,
        /// Which.
        session: SessionId,
    },
    /// Run the STARTUP routines: [`Input::StartupDone`](crate::Input::StartupDone).
    RunStartup,
    /// Run the LOOP routines: [`Input::RoutinesDone`](crate::Input::RoutinesDone).
    RunRoutines,
    /// Look for what is new: [`Input::Polled`](crate::Input::Polled).
    Poll {
        /// Whether pushes have to notify from now on; decided before the poll reads anything.
        sleep: Sleep,
        /// The tasks that are offered: those that no offer stands for any more are named in the
        /// answer.
        offered: Vec<TaskId>,
    },
    /// Say that the callers of `wait_for_latch` up to this number may go on. Nothing answers that.
    ServeLatch {
        /// The number.
        number: i64,
    },
    /// One step of keeping history and log short: [`Input::Maintained`](crate::Input::Maintained).
    Maintain,
    /// Read these rows, which others may have changed: an
    /// [`Input::Changed`](crate::Input::Changed) or [`Input::Taken`](crate::Input::Taken) for each.
    Reread {
        /// Which tasks.
        tasks: Vec<TaskId>,
    },
    /// Read the first heads of a lane: [`Input::Refilled`](crate::Input::Refilled).
    Refill {
        /// Which lane.
        lane: Lane,
        /// How many heads at most.
        heads_max: usize,
    },
    /// Promote what waited for a time that has come, and find what no query runs of and whose
    /// deadline has passed: [`Input::Swept`](crate::Input::Swept).
    Sweep {
        /// How many tasks at most.
        tasks_max: usize,
        /// Tasks that could not be promoted lately, and are left alone.
        skip: Vec<TaskId>,
    },
    /// Read the requests: [`Input::Requests`](crate::Input::Requests). What was committed before
    /// this command must be in the answer.
    ReadRequests {
        /// Says which answer belongs to it.
        serial: u64,
    },
    /// Write what happens to a task: [`Input::Written`](crate::Input::Written). At most one write
    /// about a task is under way at any time.
    Write(TaskEvent),
    /// Connect to the target: [`Input::Connected`](crate::Input::Connected) or
    /// [`Input::ConnectFailed`](crate::Input::ConnectFailed).
    Connect {
        /// The new session's number.
        session: SessionId,
        /// Where.
        target: TargetName,
    },
    /// Write down durably where the session is: [`Input::Registered`](crate::Input::Registered).
    Register {
        /// Which session.
        session: SessionId,
    },
    /// Close a session, or drop it if it does not answer. Once it runs nothing for certain:
    /// [`Input::SessionGone`](crate::Input::SessionGone).
    Disconnect {
        /// Which session.
        session: SessionId,
    },
    /// Mark that the task is about to be launched: [`Input::Marked`](crate::Input::Marked).
    Mark {
        /// Which task.
        task: TaskId,
        /// The run it is on.
        run: Run,
        /// The session that will run it; `None` ahead of its turn, when that will be whichever registered session of
        /// its target is free first.
        session: Option<SessionId>,
    },
    /// Fetch the text and send it: [`Input::Sent`](crate::Input::Sent), then
    /// [`Input::QueryEnded`](crate::Input::QueryEnded).
    Launch {
        /// Which task.
        task: TaskId,
        /// The run it is on.
        run: Run,
        /// The session that runs it, and no other.
        session: SessionId,
    },
    /// Ask the target to cancel what the session runs.
    Cancel {
        /// Which session.
        session: SessionId,
        /// What it runs.
        task: TaskId,
    },
    /// Have the target end the session, from another one.
    Terminate {
        /// Which session.
        session: SessionId,
        /// What it runs.
        task: TaskId,
    },
    /// Take sessions out of the registry, which are known to be gone:
    /// [`Input::Unregistered`](crate::Input::Unregistered).
    Unregister {
        /// Which sessions.
        sessions: Vec<Registered>,
    },
    /// Begin the launch marks anew, with those of exactly these tasks:
    /// [`Input::MarksRotated`](crate::Input::MarksRotated).
    RotateMarks {
        /// The tasks whose marks were sent and whose ends are not recorded, and their runs.
        launched: Vec<(TaskId, Run)>,
    },
    /// Delete a request that changes nothing, and say why where the requester may read it.
    Dismiss {
        /// Which request.
        request: RequestId,
        /// About which task.
        task: TaskId,
        /// Why.
        why: Rejected,
    },
    /// After the store was lost and is back: read the rows of these tasks, once nothing that was
    /// sent before can commit any more: [`Input::Resynced`](crate::Input::Resynced).
    Resync {
        /// Which tasks.
        tasks: Vec<TaskId>,
    },
    /// The session that leads was lost: connect anew and prove the lead:
    /// [`Input::StoreBack`](crate::Input::StoreBack), [`Input::Deposed`](crate::Input::Deposed) or
    /// [`Input::ProofFailed`](crate::Input::ProofFailed).
    ProveLead {
        /// After this time.
        after: Span,
    },
    /// Say goodbye: the next leader need not wait. It fences the sessions
    /// that are still registered.
    Resign,
    /// Nothing to do before this time, unless something happens.
    SleepUntil(MonotonicTime),
}

/// What a poll does to the wake-up of this leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Sleep {
    /// Nothing.
    Keep,
    /// From now on pushes shall notify.
    FallAsleep,
    /// Pushes need not notify.
    WakeUp,
}

/// A session in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Registered {
    /// One of this leader's.
    Own(SessionId),
    /// One of an older leader's, by its number in the registry.
    Older(i64),
}

impl Command {
    /// It goes through the session that holds the lead.
    #[must_use]
    pub const fn is_for_store(&self) -> bool {
        match self {
            Self::RunStartup
            | Self::RunRoutines
            | Self::Poll { .. }
            | Self::ServeLatch { .. }
            | Self::Maintain
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
