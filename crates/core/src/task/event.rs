//! The events of a task.

use std::sync::Arc;

use super::status::FinishStatus;
use crate::names::{RoleName, Run};
use crate::time::Span;

/// An event of one task.
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
    /// The time of a deferral has passed, and the task is in its lane again.
    Promote,
    /// The leader claims the task, in order to launch it.
    Claim {
        /// The timeout of the target, or else of the configuration, for a task without its own;
        /// `None` is no limit.
        default_timeout: Option<Span>,
    },
    /// The leader returns a task that it has claimed and not launched.
    GiveBack {
        /// As in [`Event::Claim`]. The deadline that this claim set is removed.
        default_timeout: Option<Span>,
    },
    /// The leader has marked the launch and sends the query.
    Launch,
    /// The query has ended, or its session is gone.
    QueryEnded {
        /// The run of the query.
        run: Run,
        /// How it ended.
        outcome: Outcome,
    },
    /// The leader offers the task to clients.
    Offer {
        /// As in [`Event::Claim`], for the client that takes the offer.
        default_timeout: Option<Span>,
    },
    /// The leader withdraws the offer.
    Withdraw,
    /// A client takes the offered task.
    Take {
        /// As in [`Event::Claim`].
        default_timeout: Option<Span>,
    },
    /// A request of a client.
    Request(Request),
    /// The deadline is checked against the time.
    Deadline,
    /// The deadline has passed and the target cannot be reached, so nothing can end the query.
    Abandon {
        /// What is known of the query, as text.
        known: String,
    },
    /// The task has waited as long as it may for a target that cannot be reached.
    GiveUp {
        /// The error of the target.
        error: String,
    },
    /// The session for which a finished task kept its pool slot is gone.
    Release,
    /// A client restarts a finished task.
    Restart,
}

/// How a query ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Outcome {
    /// The query succeeded.
    Ok,
    /// The query of a task whose rows are kept succeeded.
    OkWith(ResultText),
    /// The target reported this error.
    Error(String),
    /// The session is gone, and the outcome is unknown. The text says what is known.
    Unknown(String),
}

impl Outcome {
    /// Whether the query succeeded.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        matches!(self, Self::Ok | Self::OkWith(_))
    }
}

/// What a target answered about the rows of a query, for `async.read_result`. The core does not read
/// it. Copies share their memory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ResultText(Arc<str>);

impl ResultText {
    /// A text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The size of the text in memory.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::try_from(self.0.len()).unwrap_or(u64::MAX)
    }
}

/// A request of `finish`, `cancel`, `defer`, or for a pause.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Request {
    /// The status that the request asks for.
    pub status: FinishStatus,
    /// The message. It is stored if the status ends the task.
    pub error: Option<String>,
    /// The time to wait, for `PAUSED` (optional) and `DEFERRED` (required).
    pub duration: Option<Span>,
    /// The role that made the request; `None` for the leader's own.
    pub requested_by: Option<RoleName>,
}

impl Request {
    /// A request for a status, without a message or a duration.
    #[must_use]
    pub const fn finish(status: FinishStatus) -> Self {
        Self { status, error: None, duration: None, requested_by: None }
    }

    /// A request to cancel the task, with a message.
    #[must_use]
    pub fn cancel(message: impl Into<String>) -> Self {
        Self { error: Some(message.into()), ..Self::finish(FinishStatus::Canceled) }
    }

    /// A request to return the task to the queue for `duration`.
    #[must_use]
    pub const fn defer(duration: Span) -> Self {
        Self { status: FinishStatus::Deferred, error: None, duration: Some(duration), requested_by: None }
    }

    /// The same request, made by this role.
    #[must_use]
    pub fn of(self, role: RoleName) -> Self {
        Self { requested_by: Some(role), ..self }
    }
}

/// The name of an event, without its values.
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
    /// [`Event::GiveUp`].
    GiveUp,
    /// [`Event::Release`].
    Release,
    /// [`Event::Restart`].
    Restart,
}

impl Event {
    /// What is written about the rows of the query besides.
    #[must_use]
    pub const fn result(&self) -> Option<&ResultText> {
        if let Self::QueryEnded { outcome: Outcome::OkWith(result), .. } = self { Some(result) } else { None }
    }

    /// The name of this event.
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
            Self::GiveUp { .. } => EventName::GiveUp,
            Self::Release => EventName::Release,
            Self::Restart => EventName::Restart,
        }
    }
}
