//! What was asked of a query that runs: it happens when the query ends, not before.

use super::event::Request;
use super::rejected::Rejected;
use super::status::{FinalStatus, FinishStatus};
use super::step::TIMED_OUT;
use crate::time::Span;

/// What becomes of a launched task when its query ends.
///
/// ```
/// use pgasync_core::{FinalStatus, Intention, Request};
/// let deadline = Intention::Timeout { message: None };
/// let cancel = Intention::of(&Request::cancel("no longer wanted"))?;
/// // The deadline gives way to a request; between two requests the first one stands.
/// assert_eq!(deadline.replaced_by(cancel.clone()), Some(cancel.clone()));
/// assert_eq!(cancel.replaced_by(Intention::Finish { status: FinalStatus::Finished, error: None }), None);
/// # Ok::<(), pgasync_core::Rejected>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Intention {
    /// End it; a query that committed first is FINISHED all the same.
    Cancel {
        /// The message of the request.
        message: Option<String>,
    },
    /// End it, because its time is up; a query that committed first is FINISHED all the same.
    Timeout {
        /// The message of the request. `None` is the deadline's own, which gives way to whatever is
        /// asked for: a query that deferred itself at the last moment is deferred.
        message: Option<String>,
    },
    /// Stop it and let it wait again; a query that committed first is FINISHED all the same.
    Pause {
        /// How long to wait, if at all.
        duration: Option<Span>,
    },
    /// End it so, however its query ends.
    Finish {
        /// The status it ends with.
        status: FinalStatus,
        /// The message it ends with.
        error: Option<String>,
    },
    /// Let it yield, however its query ends.
    Yield,
    /// Let it wait and run again, however its query ends.
    Defer {
        /// How long to wait, from the query's end.
        duration: Span,
    },
}

impl Intention {
    /// Reads a request that reaches a running query.
    ///
    /// # Errors
    /// [`Rejected::DurationMissing`] for a deferral without a duration.
    pub fn of(request: &Request) -> Result<Self, Rejected> {
        let Request { status, error, duration } = request;
        Ok(match status {
            FinishStatus::Canceled => Self::Cancel { message: error.clone() },
            FinishStatus::Paused => Self::Pause { duration: *duration },
            FinishStatus::Yielded => Self::Yield,
            FinishStatus::Deferred => Self::Defer { duration: duration.ok_or(Rejected::DurationMissing)? },
            FinishStatus::Finished => finish(FinalStatus::Finished, error),
            FinishStatus::Failed => finish(FinalStatus::Failed, error),
            FinishStatus::TimedOut => {
                Self::Timeout { message: Some(error.clone().unwrap_or_else(|| TIMED_OUT.to_owned())) }
            }
            FinishStatus::Doa => finish(FinalStatus::Doa, error),
        })
    }

    /// The status, the message and the duration that it stands for.
    #[must_use]
    pub fn parts(&self) -> (FinishStatus, Option<String>, Option<Span>) {
        match self.clone() {
            Self::Cancel { message } => (FinishStatus::Canceled, message, None),
            Self::Timeout { message } => (FinishStatus::TimedOut, message, None),
            Self::Pause { duration } => (FinishStatus::Paused, None, duration),
            Self::Finish { status, error } => (status.into(), error, None),
            Self::Yield => (FinishStatus::Yielded, None, None),
            Self::Defer { duration } => (FinishStatus::Deferred, None, Some(duration)),
        }
    }

    /// It ends the task.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        match self {
            Self::Cancel { .. } | Self::Timeout { .. } | Self::Finish { .. } => true,
            Self::Pause { .. } | Self::Yield | Self::Defer { .. } => false,
        }
    }

    /// The query gets a grace period to end by itself before it is cancelled: mostly it has
    /// committed already and its result is on the way.
    #[must_use]
    pub const fn waits_for_the_end(&self) -> bool {
        match self {
            Self::Finish { .. } | Self::Yield | Self::Defer { .. } => true,
            Self::Cancel { .. } | Self::Timeout { .. } | Self::Pause { .. } => false,
        }
    }

    /// What stands when `other` is asked for after `self`: an end replaces what is not one,
    /// anything replaces the deadline, and otherwise the first stands. `None` when `other` changes
    /// nothing.
    #[must_use]
    pub fn replaced_by(&self, other: Self) -> Option<Self> {
        let by_deadline = matches!(self, Self::Timeout { message: None });
        (by_deadline || other.is_terminal() && !self.is_terminal()).then_some(other)
    }
}

fn finish(status: FinalStatus, error: &Option<String>) -> Intention {
    Intention::Finish { status, error: error.clone() }
}
