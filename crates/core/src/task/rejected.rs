//! Why an event was refused.

use super::event::EventName;
use super::phase::PhaseName;
use super::status::FinalStatus;
use crate::names::Run;
use crate::time::Timestamp;

/// An event that changes nothing, and why.
///
/// The words are those of `async.step_task`, but for events out of place: the table names what its
/// row lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Rejected {
    /// The task is over; only a restart moves it.
    #[error("the task has ended as {status}; only a restart moves it")]
    Finished {
        /// How it ended.
        status: FinalStatus,
    },
    /// This does not happen in this phase.
    #[error("{event:?} does not happen to a task that is {phase:?}")]
    OutOfPlace {
        /// Where the task stands.
        phase: PhaseName,
        /// What was tried.
        event: EventName,
    },
    /// The task waits for a later time.
    #[error("the task may not run yet")]
    NotEligible {
        /// The time it waits for.
        until: Timestamp,
    },
    /// There is nothing to release.
    #[error("the task holds no slot")]
    NoSlot,
    /// There is nothing to promote: the task does not wait for a time.
    #[error("the task waits for no time")]
    NotDeferred,
    /// The task's deadline has passed, so it does not start any more.
    #[error("the task's deadline has passed")]
    Overdue {
        /// The deadline.
        times_up: Timestamp,
    },
    /// The task's deadline lies ahead, or there is none.
    #[error("the task's deadline has not come")]
    NotOverdue,
    /// The task has no query; offer it instead of claiming it.
    #[error("the task is for clients to pull; offer it")]
    ClientPulled,
    /// The task has a query; claim it instead of offering it.
    #[error("the task has a query; claim it")]
    HasQuery,
    /// The event is about another run than the one the task is on.
    #[error("the task is on run {current}, this is about run {stale}")]
    StaleRun {
        /// The run the event is about.
        stale: Run,
        /// The run the task is on.
        current: Run,
    },
    /// Something else was asked before, and it stands.
    #[error("something else was asked of the running query before, and it stands")]
    Superseded,
    /// A deferral needs a duration.
    #[error("DEFERRED needs a duration; say how long the task should wait")]
    DurationMissing,
}
