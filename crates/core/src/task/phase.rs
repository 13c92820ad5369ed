//! Where a task stands.

use super::intention::Intention;
use super::status::FinalStatus;
use crate::time::Timestamp;

/// Where a task stands, with what is true there and nowhere else.
///
/// The table knows four states, READY, RUNNING, YIELDED and finished, all derived from columns
/// ([`Row`](crate::Row)). The finer distinctions are what the leader knows besides.
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
    /// READY: it waits to be chosen.
    Ready {
        /// Not before this time.
        eligible_when: Option<Timestamp>,
        /// Not after this time; set by an earlier claim.
        times_up: Option<Timestamp>,
    },
    /// READY and held out to pulling clients, with a pool slot.
    Offered {
        /// Not after this time.
        times_up: Option<Timestamp>,
    },
    /// RUNNING by the row; its query was not sent yet.
    Claimed {
        /// When it was claimed.
        consumed: Timestamp,
        /// Not after this time.
        times_up: Option<Timestamp>,
    },
    /// RUNNING, and its query may be running at the target.
    Launched {
        /// When it was claimed.
        consumed: Timestamp,
        /// Not after this time.
        times_up: Option<Timestamp>,
        /// What becomes of it when its query ends.
        intention: Option<Intention>,
    },
    /// RUNNING in a client's hands.
    Pulled {
        /// When it was taken.
        consumed: Timestamp,
        /// Not after this time.
        times_up: Option<Timestamp>,
    },
    /// YIELDED: its query is over, and a request decides how the task ends.
    Yielded {
        /// When it was claimed, if it was.
        consumed: Option<Timestamp>,
        /// When it yielded.
        yielded: Timestamp,
        /// Not after this time.
        times_up: Option<Timestamp>,
        /// It still counts against its pool.
        tracked: bool,
    },
    /// Over.
    Finished {
        /// How it ended.
        end: Completion,
        /// What it had been through.
        past: TaskTimes,
    },
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Completion {
    /// The status it ended with.
    pub status: FinalStatus,
    /// When it ended.
    pub processed: Timestamp,
    /// Why.
    pub error: Option<String>,
    /// `Some(true)` while a session that cannot be reached still holds the slot, `None` for a task
    /// that never had a slot.
    pub tracked: Option<bool>,
}

/// The times in the row, which the end of a task leaves as they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TaskTimes {
    /// When it was claimed or taken last; `None` if it never was.
    pub consumed: Option<Timestamp>,
    /// When it yielded; `None` if it did not.
    pub yielded: Option<Timestamp>,
    /// The deadline that its first claim set; `None` before that.
    pub times_up: Option<Timestamp>,
}

impl TaskTimes {
    /// It was pushed, and that was all.
    pub const NONE: Self = Self { consumed: None, yielded: None, times_up: None };
}

/// A phase's name, without what it carries.
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
    /// Which phase this is.
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

    /// The deadline, where one is set.
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

    /// The columns that an end would leave as they are.
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
