//! Intentions: requests and deadlines of launched tasks. They take effect when the query ends.

use super::event::Request;
use super::rejected::Rejected;
use super::status::{FinalStatus, FinishStatus};
use super::step::TIMED_OUT;
use crate::names::RoleName;
use crate::time::Span;

/// The effect of a request or the deadline on a launched task. It takes effect when the query ends.
///
/// ```
/// use pgasync_core::{FinalStatus, Intention, Request};
/// let cancel = Intention::of(&Request::cancel("no longer wanted"))?;
/// // A request replaces the deadline. Of two requests, the first one remains.
/// assert_eq!(Intention::DEADLINE.replaced_by(cancel.clone()), Some(cancel.clone()));
/// let finish = Intention::Finish { status: FinalStatus::Finished, error: None, requested_by: None };
/// assert_eq!(cancel.replaced_by(finish), None);
/// # Ok::<(), pgasync_core::Rejected>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Intention {
    /// Cancel the task. If the query succeeds first, the task is FINISHED.
    Cancel {
        /// The message of the request.
        message: Option<String>,
        /// The role that made the request.
        requested_by: Option<RoleName>,
    },
    /// Time the task out. If the query succeeds first, the task is FINISHED.
    Timeout {
        /// The message of the request. `None` if the deadline caused the intention. Any request
        /// replaces the intention of the deadline, so a task that defers itself at the last moment
        /// is deferred.
        message: Option<String>,
        /// The role that made the request.
        requested_by: Option<RoleName>,
    },
    /// Stop the query and return the task to the queue. If the query succeeds first, the task is
    /// FINISHED.
    Pause {
        /// The time to wait; `None` is no time.
        duration: Option<Span>,
    },
    /// Finish the task with a status, for any outcome of the query.
    Finish {
        /// The status.
        status: FinalStatus,
        /// The message.
        error: Option<String>,
        /// The role that made the request.
        requested_by: Option<RoleName>,
    },
    /// Make the task YIELDED, for any outcome of the query.
    Yield,
    /// Return the task to the queue, for any outcome of the query.
    Defer {
        /// The time to wait, from the end of the query.
        duration: Span,
    },
}

impl Intention {
    /// The intention of the deadline.
    pub const DEADLINE: Self = Self::Timeout { message: None, requested_by: None };

    /// The intention of a request for a launched task.
    ///
    /// # Errors
    /// [`Rejected::DurationMissing`] for a deferral without a duration.
    pub fn of(request: &Request) -> Result<Self, Rejected> {
        let Request { status, error, duration, requested_by } = request;
        let finish = |status| Self::Finish { status, error: error.clone(), requested_by: requested_by.clone() };
        Ok(match status {
            FinishStatus::Canceled => Self::Cancel { message: error.clone(), requested_by: requested_by.clone() },
            FinishStatus::Paused => Self::Pause { duration: *duration },
            FinishStatus::Yielded => Self::Yield,
            FinishStatus::Deferred => Self::Defer { duration: duration.ok_or(Rejected::DurationMissing)? },
            FinishStatus::Finished => finish(FinalStatus::Finished),
            FinishStatus::Failed => finish(FinalStatus::Failed),
            FinishStatus::TimedOut => {
                let message = Some(error.clone().unwrap_or_else(|| TIMED_OUT.to_owned()));
                Self::Timeout { message, requested_by: requested_by.clone() }
            }
            FinishStatus::Doa => finish(FinalStatus::Doa),
        })
    }

    /// The status, the message and the duration of the intention.
    #[must_use]
    pub fn parts(&self) -> (FinishStatus, Option<String>, Option<Span>) {
        match self.clone() {
            Self::Cancel { message, .. } => (FinishStatus::Canceled, message, None),
            Self::Timeout { message, .. } => (FinishStatus::TimedOut, message, None),
            Self::Pause { duration } => (FinishStatus::Paused, None, duration),
            Self::Finish { status, error, .. } => (status.into(), error, None),
            Self::Yield => (FinishStatus::Yielded, None, None),
            Self::Defer { duration } => (FinishStatus::Deferred, None, Some(duration)),
        }
    }

    /// The role whose request ends the task; `None` if no request does.
    #[must_use]
    pub const fn requested_by(&self) -> Option<&RoleName> {
        match self {
            Self::Cancel { requested_by, .. }
            | Self::Timeout { requested_by, .. }
            | Self::Finish { requested_by, .. } => requested_by.as_ref(),
            Self::Pause { .. } | Self::Yield | Self::Defer { .. } => None,
        }
    }

    /// Whether the intention ends the task.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        match self {
            Self::Cancel { .. } | Self::Timeout { .. } | Self::Finish { .. } => true,
            Self::Pause { .. } | Self::Yield | Self::Defer { .. } => false,
        }
    }

    /// Whether the query gets a grace period to end by itself before it is cancelled. With these
    /// intentions the query has usually ended already, and its result has not arrived yet.
    #[must_use]
    pub const fn waits_for_the_end(&self) -> bool {
        match self {
            Self::Finish { .. } | Self::Yield | Self::Defer { .. } => true,
            Self::Cancel { .. } | Self::Timeout { .. } | Self::Pause { .. } => false,
        }
    }

    /// The intention that results from `other` after `self`: a terminal intention replaces one that
    /// is not terminal, any intention replaces that of the deadline, and otherwise the first one
    /// remains. `None` when `other` changes nothing.
    #[must_use]
    pub fn replaced_by(&self, other: Self) -> Option<Self> {
        let by_deadline = matches!(self, Self::Timeout { message: None, .. });
        (by_deadline || other.is_terminal() && !self.is_terminal()).then_some(other)
    }
}
