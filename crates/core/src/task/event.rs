//! What may happen to a task.

use super::status::FinishStatus;
use crate::names::Run;
use crate::time::Span;

/// Something that happens to one task.
///
/// ```
/// use pgasync_core::{Event, Request, Span, Task, TaskOptions, Timestamp};
/// let now = Timestamp::from_micros(0);
/// let deferral = Event::Request(Request::defer(Span::seconds(60)));
/// let deferred = Task::pushed(TaskOptions::default()).step(&deferral, now)?;
/// let claim = Event::Claim { default_timeout: None };
/// assert!(deferred.step(&claim, now).is_err());
/// assert!(deferred.step(&claim, now + Span::seconds(60)).is_ok());
/// # Ok::<(), pgasync_core::Rejected>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Event {
    /// A deferral is over: the task waits at the head of its lane again.
    Promote,
    /// The leader takes the task, to launch it.
    Claim {
        /// What the target, or else the configuration, allows a task that names no timeout;
        /// `None` is for ever.
        default_timeout: Option<Span>,
    },
    /// The leader returns what it claimed and did not launch.
    GiveBack {
        /// As in [`Event::Claim`]: a deadline that this claim set goes with it.
        default_timeout: Option<Span>,
    },
    /// The leader has marked the launch and sends the query.
    Launch,
    /// The target reports that the query ended, or that its session did.
    QueryEnded {
        /// The run whose query it was.
        run: Run,
        /// How it ended.
        outcome: Outcome,
    },
    /// The leader holds the task out to the clients that pull.
    Offer {
        /// As in [`Event::Claim`]: what a client that takes the offer is allowed.
        default_timeout: Option<Span>,
    },
    /// The leader takes an offer back.
    Withdraw,
    /// A client takes what was offered.
    Take {
        /// As in [`Event::Claim`].
        default_timeout: Option<Span>,
    },
    /// A client asks for something.
    Request(Request),
    /// The time is compared with the deadline, which may have passed.
    Deadline,
    /// The deadline has passed and the target cannot be reached, so nothing can end the query.
    Abandon {
        /// What is known of the query.
        known: String,
    },
    /// The session that kept the slot of a finished task is known to be gone.
    Release,
    /// A client wants a finished task to run again.
    Restart,
}

/// How a query ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Outcome {
    /// It committed.
    Ok,
    /// The target reported this error, and nothing was committed since.
    Error(String),
    /// Its session is known to be gone, and the outcome is unknown; the text is what is known.
    Unknown(String),
}

/// What `finish`, `cancel`, `defer` and pause ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Request {
    /// What the task should become.
    pub status: FinishStatus,
    /// The message that goes with it; kept when the status ends the task.
    pub error: Option<String>,
    /// How long to wait, for `PAUSED` (optional) and `DEFERRED` (required).
    pub duration: Option<Span>,
}

impl Request {
    /// Make the task this, saying nothing more.
    #[must_use]
    pub const fn finish(status: FinishStatus) -> Self {
        Self { status, error: None, duration: None }
    }

    /// End the task, with this message.
    #[must_use]
    pub fn cancel(message: impl Into<String>) -> Self {
        Self { status: FinishStatus::Canceled, error: Some(message.into()), duration: None }
    }

    /// Let the task wait this long, then run it again.
    #[must_use]
    pub const fn defer(duration: Span) -> Self {
        Self { status: FinishStatus::Deferred, error: None, duration: Some(duration) }
    }
}

/// An event's name, without what it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum EventName {
    /// [`Event::Promote`].
    Promote,
    /// [`Event::Claim`].
    Claim,
    /// [`Event::GiveBack`].
    GiveBack,
    /// [`Event::Launch`].
    Launch,
    /// [`Event::QueryEnded`].
    QueryEnded,
    /// [`Event::Offer`].
    Offer,
    /// [`Event::Withdraw`].
    Withdraw,
    /// [`Event::Take`].
    Take,
    /// [`Event::Request`].
    Request,
    /// [`Event::Deadline`].
    Deadline,
    /// [`Event::Abandon`].
    Abandon,
    /// [`Event::Release`].
    Release,
    /// [`Event::Restart`].
    Restart,
}

impl Event {
    /// Which event this is.
    #[must_use]
    pub const fn name(&self) -> EventName {
        match self {
            Self::Promote => EventName::Promote,
            Self::Claim { .. } => EventName::Claim,
            Self::GiveBack { .. } => EventName::GiveBack,
            Self::Launch => EventName::Launch,
            Self::QueryEnded { .. } => EventName::QueryEnded,
            Self::Offer { .. } => EventName::Offer,
            Self::Withdraw => EventName::Withdraw,
            Self::Take { .. } => EventName::Take,
            Self::Request(_) => EventName::Request,
            Self::Deadline => EventName::Deadline,
            Self::Abandon { .. } => EventName::Abandon,
            Self::Release => EventName::Release,
            Self::Restart => EventName::Restart,
        }
    }
}
