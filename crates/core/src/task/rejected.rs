//! Why an event was rejected.

use super::event::EventName;
use super::phase::PhaseName;
use super::status::FinalStatus;
use crate::names::Run;
use crate::time::Timestamp;

/// Why an event changes nothing.
///
/// The messages are those of `async.step_task`, except for [`Rejected::OutOfPlace`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Rejected {
    /// The task is finished. Only a restart, or the release of its pool slot, changes it.
    #[error("the task has ended as {status}; only a restart moves it")]
    Finished {
        /// How it ended.
        status: FinalStatus,
    },
    /// The event does not exist in this phase.
    #[error("{event:?} does not happen to a task that is {phase:?}")]
    OutOfPlace {
        /// The phase of the task.
        phase: PhaseName,
        /// The event.
        event: EventName,
    },
    /// The task waits for a later time.
    #[error("the task may not run yet")]
    NotEligible {
        /// The time from which it is eligible.
        until: Timestamp,
    },
    /// The task holds no pool slot, so there is none to release.
    #[error("the task holds no slot")]
    NoSlot,
    /// The task was not deferred, so it cannot be promoted.
    #[error("the task waits for no time")]
    NotDeferred,
    /// The deadline of the task has passed, so it cannot start.
    #[error("the task's deadline has passed")]
    Overdue {
        /// The deadline.
        times_up: Timestamp,
    },
    /// The deadline of the task has not passed, or there is none.
    #[error("the task's deadline has not come")]
    NotOverdue,
    /// The task has a receipt: a lost run waits for what it says.
    #[error("the task has a receipt, which says how it ends")]
    HasReceipt,
    /// The task has expired, so it cannot be restarted.
    #[error("the task has expired; push it anew")]
    Expired {
        /// When it expired.
        expires_at: Timestamp,
    },
    /// The task has no query. It can be offered, not claimed.
    #[error("the task is for clients to pull; offer it")]
    ClientPulled,
    /// The task has a query. It can be claimed, not offered.
    #[error("the task has a query; claim it")]
    HasQuery,
    /// The event names another run than the present one.
    #[error("the task is on run {current}, this is about run {stale}")]
    StaleRun {
        /// The run that the event names.
        stale: Run,
        /// The present run of the task.
        current: Run,
    },
    /// An earlier intention remains in effect.
    #[error("something else was asked of the running query before, and it stands")]
    Superseded,
    /// A deferral has no duration.
    #[error("DEFERRED needs a duration; say how long the task should wait")]
    DurationMissing,
}
