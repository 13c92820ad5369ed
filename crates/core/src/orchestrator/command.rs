//! What the orchestrator wants done.

use crate::names::{Epoch, Run, SessionId, TargetName, TaskId};
use crate::plan::lane::Lane;
use crate::task::rejected::Rejected;
use crate::task::row::Row;
use crate::time::Timestamp;

use super::input::RequestId;

/// Something to do, with the [`Input`](crate::Input) that says it was done, if one does.
///
/// Commands for the store ([`Command::is_for_store`]) are carried out in order, through the one
/// session that holds the lead; consecutive ones may share a transaction.
///
/// ```
/// use pgasync_core::{Command, Run, SessionId, TaskId, Timestamp};
/// // A mark is durable before the launch that it is about goes to the target.
/// let (task, run, session) = (TaskId(1), Run(1), SessionId(7));
/// assert!(Command::Mark { task, run, session: Some(session) }.is_for_store());
/// assert!(!Command::Launch { task, run, session }.is_for_store());
/// assert!(!Command::SleepUntil(Timestamp::NEVER).is_for_store());
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
    },
    /// Read the requests: [`Input::Requests`](crate::Input::Requests). What was committed before
    /// this command must be in the answer.
    ReadRequests {
        /// Says which answer belongs to it.
        serial: u64,
    },
    /// Write that the task is claimed, if it is READY and on the run before:
    /// [`Input::Claimed`](crate::Input::Claimed).
    Claim {
        /// Which task.
        task: TaskId,
        /// What its row becomes.
        row: Row,
    },
    /// Write that a claim is returned: [`Input::GivenBack`](crate::Input::GivenBack).
    GiveBack {
        /// Which task.
        task: TaskId,
        /// The run whose claim it is.
        run: Run,
        /// What its row becomes.
        row: Row,
    },
    /// Hold the task out to clients that pull: [`Input::Offered`](crate::Input::Offered), and
    /// later perhaps [`Input::Taken`](crate::Input::Taken).
    Offer {
        /// Which task.
        task: TaskId,
        /// What its row becomes.
        row: Row,
    },
    /// Take an offer back: [`Input::Withdrawn`](crate::Input::Withdrawn) or
    /// [`Input::Taken`](crate::Input::Taken).
    Withdraw {
        /// Which task.
        task: TaskId,
    },
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
    /// Close a session, or drop it if it does not answer. Once it runs nothing for certain, take
    /// it out of the registry: [`Input::SessionGone`](crate::Input::SessionGone).
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
    /// Write what became of a task, if it is on this run and not over, and delete the requests that
    /// led to it, all or nothing. Then read back what the row is:
    /// [`Input::Recorded`](crate::Input::Recorded).
    Record {
        /// Which task.
        task: TaskId,
        /// The run that the write is about.
        run: Run,
        /// What its row becomes.
        row: Row,
        /// Requests that are settled by it.
        settles: Vec<RequestId>,
    },
    /// Write that a finished task's slot is free (`tracked` false). Nobody answers that; it is said
    /// again when the store was lost meanwhile.
    Release {
        /// Which task.
        task: TaskId,
        /// The run it ended.
        run: Run,
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
    /// After the store was lost and is back: read the rows of these tasks:
    /// [`Input::Resynced`](crate::Input::Resynced).
    Resync {
        /// Which tasks.
        tasks: Vec<TaskId>,
    },
    /// Say goodbye: the next leader need not wait. Sessions that are still registered are his to
    /// fence.
    Resign,
    /// Nothing to do before this time, unless something happens.
    SleepUntil(Timestamp),
}

impl Command {
    /// It goes through the session that holds the lead.
    #[must_use]
    pub const fn is_for_store(&self) -> bool {
        match self {
            Self::RunStartup
            | Self::Refill { .. }
            | Self::Sweep { .. }
            | Self::ReadRequests { .. }
            | Self::Claim { .. }
            | Self::GiveBack { .. }
            | Self::Offer { .. }
            | Self::Withdraw { .. }
            | Self::Register { .. }
            | Self::Mark { .. }
            | Self::Record { .. }
            | Self::Release { .. }
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
            | Self::SleepUntil(_) => false,
        }
    }
}
