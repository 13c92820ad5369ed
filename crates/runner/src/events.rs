//! What the engine's tasks tell it.

use pgasync_core::{Input, SessionId, TargetName};
use pgasync_store::{Answers, Lead, Op, VacuumError};
use tokio::sync::mpsc::UnboundedSender;

use crate::line::Opened;

/// Something happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// For the core as it is.
    Core(Input),
    /// The leader's session carried out so many operations.
    Answered { count: usize, answers: Box<Answers> },
    /// The leader's session is gone, and with it what was ordered and may not have been done.
    LeadLost { lead: Box<Lead>, untold: Vec<Op>, reason: String },
    /// It is back, and the lead stands; whether Postgres crashed and lost the launch marks.
    LeadBack { lead: Box<Lead>, marks_lost: bool },
    /// The lead cannot be proved yet.
    ProofFailed(Box<Lead>),
    /// The locks are given up.
    SteppedDown,
    /// Another orchestrator leads.
    Deposed,
    /// A push or a request was committed while the leader slept.
    Notified,
    /// A session with a target is open, or is not.
    Opened { session: SessionId, result: Result<Box<Opened>, String> },
    /// A session with a target was closed and runs nothing.
    Closed { session: SessionId },
    /// Sessions of older leaders are gone.
    Fenced { target: TargetName, numbers: Vec<i64> },
    /// A session of this leader that was lost is gone.
    Gone { session: SessionId },
    /// The host of a lost session of this leader does not answer.
    Unreachable { session: SessionId },
    /// Hosts of sessions of older leaders at a target do not answer.
    FenceFailed { target: TargetName },
    /// The queue was vacuumed, or was not.
    Vacuumed(Result<(), VacuumError>),
    /// Something an operator may want to know.
    Trouble(String),
}

/// Where they tell it.
pub(crate) type Events = UnboundedSender<Event>;
