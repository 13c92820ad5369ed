//! Events that the tokio tasks of the leader send to its loop.

use pgasync_core::{Input, SessionId, TargetName};
use pgasync_store::{LaneBacklog, LeaderSession, Operation, OperationResults};
use tokio::sync::mpsc::UnboundedSender;

use crate::target_session::OpenedSession;

#[derive(Debug)]
pub(crate) enum LeaderEvent {
    /// An input that goes to the core unchanged.
    Core(Input),
    /// The leader session has carried out `count` more operations. Some results arrive earlier,
    /// with a count of 0.
    Results { count: usize, results: Box<OperationResults> },
    /// The leader session is lost. Operations under way may have been carried out. `unwritten` are
    /// those that the core does not repeat.
    LeaderSessionLost { session: Box<LeaderSession>, unwritten: Vec<Operation>, reason: String },
    /// A new leader session has proved the lead. `marks_lost`: Postgres crashed, and the launch
    /// marks are lost.
    LeadProved { session: Box<LeaderSession>, marks_lost: bool },
    /// The lead cannot be proved yet.
    ProofFailed(Box<LeaderSession>),
    /// The locks are released.
    SteppedDown,
    /// Another orchestrator leads.
    Deposed,
    /// The schema does not exist any more.
    SchemaGone,
    /// A push or a request was committed while the leader was asleep.
    Notified,
    /// A session with a target is open, or could not be opened.
    Opened { session: SessionId, result: Result<Box<OpenedSession>, String> },
    /// A session with a target was closed while it was idle.
    Closed { session: SessionId },
    /// The sessions of older leaders at a target are gone.
    Fenced { target: TargetName, numbers: Vec<i64> },
    /// A lost session of this leader is gone.
    Gone { session: SessionId },
    /// The host of a lost session of this leader does not answer.
    Unreachable { session: SessionId },
    /// Hosts of sessions of older leaders at a target do not answer.
    FenceFailed { target: TargetName },
    /// What waits, in each lane.
    Backlog(Vec<LaneBacklog>),
    /// A warning for the log.
    Warning(String),
}

pub(crate) type EventSender = UnboundedSender<LeaderEvent>;
