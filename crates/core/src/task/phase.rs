//! The phases of a task.

use super::intention::Intention;
use super::status::FinalStatus;
use crate::names::RoleName;
use crate::time::Timestamp;

/// The phase of a task, with the values that exist only in this phase.
///
/// The table has four states, READY, RUNNING, YIELDED and FINISHED, which follow from the columns
/// ([`Row`](crate::Row)). The leader knows more, and divides READY and RUNNING into several phases.
///
/// ```
/// use pgasync_core::{Event, Phase, PhaseName, RowState, Task, TaskOptions, Timestamp};
/// let now = Timestamp::from_micros(0);
/// let task = Task::pushed(TaskOptions::default()).step(&Event::Claim { default_timeout: None }, now)?;
/// assert_eq!(task.phase.name(), PhaseName::Claimed);
/// assert_eq!(task.row().state(), RowState::Running, "the row is the same when the task is launched");
/// let task = task.step(&Event::GiveBack { default_timeout: None }, now)?;
/// assert_eq!(task.phase, Phase::Ready { eligible_when: None, times_up: None });
/// # Ok::<(), pgasync_core::Rejected>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Phase {
    /// READY: the task waits.
    Ready {
        /// The task is not eligible before this time.
        eligible_when: Option<Timestamp>,
        /// The deadline that an earlier claim set, or else `expires_at`.
        times_up: Option<Timestamp>,
    },
    /// READY, and offered to clients. The offer holds a pool slot.
    Offered {
        /// Not after this time.
        times_up: Option<Timestamp>,
    },
    /// RUNNING, and the query was not sent yet.
    Claimed {
        /// When it was claimed.
        consumed: Timestamp,
        /// Not after this time.
        times_up: Option<Timestamp>,
    },
    /// RUNNING, and the query may be running at the target.
    Launched {
        /// When it was claimed.
        consumed: Timestamp,
        /// Not after this time.
        times_up: Option<Timestamp>,
        /// The intention that takes effect when the query ends.
        intention: Option<Intention>,
    },
    /// RUNNING, and taken by a client.
    Pulled {
        /// When it was taken.
        consumed: Timestamp,
        /// Not after this time.
        times_up: Option<Timestamp>,
    },
    /// YIELDED: the query has ended, and a request decides how the task ends.
    Yielded {
        /// When it was claimed or taken, if it was.
        consumed: Option<Timestamp>,
        /// When it yielded.
        yielded: Timestamp,
        /// Not after this time.
        times_up: Option<Timestamp>,
        /// Whether it still holds its pool slot.
        tracked: bool,
    },
    /// FINISHED, with any status.
    Finished {
        /// How it ended.
        end: Completion,
        /// The times in its row.
        past: TaskTimes,
    },
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Completion {
    /// The status.
    pub status: FinalStatus,
    /// When it ended.
    pub processed: Timestamp,
    /// The message or the error.
    pub error: Option<String>,
    /// The role whose request ended the task; `None` if no request did.
    pub ended_by: Option<RoleName>,
    /// `Some(true)` while the task keeps its pool slot for a session that cannot be reached. `None`
    /// if the task held no slot when it ended.
    pub tracked: Option<bool>,
}

/// The times in the row that the end of a task does not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TaskTimes {
    /// When it was claimed or taken last; `None` if it was not.
    pub consumed: Option<Timestamp>,
    /// When it yielded; `None` if it did not.
    pub yielded: Option<Timestamp>,
    /// The deadline, which the first claim or take sets; `expires_at` before.
    pub times_up: Option<Timestamp>,
}

impl TaskTimes {
    /// The times of a task that was only pushed.
    pub const NONE: Self = Self { consumed: None, yielded: None, times_up: None };
}

/// The name of a phase, without its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum PhaseName {
    /// [`Phase::Ready`].
    Ready,
    /// [`Phase::Offered`].
    Offered,
    /// [`Phase::Claimed`].
    Claimed,
    /// [`Phase::Launched`].
    Launched,
    /// [`Phase::Pulled`].
    Pulled,
    /// [`Phase::Yielded`].
    Yielded,
    /// [`Phase::Finished`].
    Finished,
}

impl Phase {
    /// The name of this phase.
    #[must_use]
    pub const fn name(&self) -> PhaseName {
        match self {
            Self::Ready { .. } => PhaseName::Ready,
            Self::Offered { .. } => PhaseName::Offered,
            Self::Claimed { .. } => PhaseName::Claimed,
            Self::Launched { .. } => PhaseName::Launched,
            Self::Pulled { .. } => PhaseName::Pulled,
            Self::Yielded { .. } => PhaseName::Yielded,
            Self::Finished { .. } => PhaseName::Finished,
        }
    }

    /// The deadline, if one is set.
    #[must_use]
    pub const fn times_up(&self) -> Option<Timestamp> {
        match self {
            Self::Ready { times_up, .. }
            | Self::Offered { times_up }
            | Self::Claimed { times_up, .. }
            | Self::Launched { times_up, .. }
            | Self::Pulled { times_up, .. }
            | Self::Yielded { times_up, .. } => *times_up,
            Self::Finished { past, .. } => past.times_up,
        }
    }

    /// The first time at which a task that waits is to be promoted, or is overdue.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        match self {
            Self::Ready { eligible_when, times_up } => eligible_when.iter().chain(times_up).min().copied(),
            Self::Offered { times_up } => *times_up,
            Self::Claimed { .. }
            | Self::Launched { .. }
            | Self::Pulled { .. }
            | Self::Yielded { .. }
            | Self::Finished { .. } => None,
        }
    }

    /// The times in the row that an end would not change.
    pub(crate) const fn past(&self) -> TaskTimes {
        match *self {
            Self::Ready { times_up, .. } | Self::Offered { times_up } => TaskTimes { times_up, ..TaskTimes::NONE },
            Self::Claimed { consumed, times_up, .. }
            | Self::Launched { consumed, times_up, .. }
            | Self::Pulled { consumed, times_up } => {
                TaskTimes { consumed: Some(consumed), times_up, ..TaskTimes::NONE }
            }
            Self::Yielded { consumed, yielded, times_up, .. } => {
                TaskTimes { consumed, yielded: Some(yielded), times_up }
            }
            Self::Finished { past, .. } => past,
        }
    }
}
