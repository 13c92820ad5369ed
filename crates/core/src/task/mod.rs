//! The life of one task: its phases, the events, and the row.
//!
//! ```
//! use pgasync_core::{Event, Outcome, Phase, Task, TaskOptions, Timestamp};
//! let now = Timestamp::from_micros(0);
//! let task = Task::pushed(TaskOptions::default());
//! let task = task.step(&Event::Claim { default_timeout: None }, now)?;
//! let task = task.step(&Event::Launch, now)?;
//! let ended = Event::QueryEnded { run: task.run, outcome: Outcome::Ok };
//! let task = task.step(&ended, now)?;
//! assert_eq!(task.row().failed, Some(false));
//! assert!(task.step(&ended, now).is_err(), "a finished task refuses every event but restart");
//! # Ok::<(), pgasync_core::Rejected>(())
//! ```

pub(crate) mod diagram;
pub(crate) mod event;
pub(crate) mod intention;
pub(crate) mod phase;
pub(crate) mod rejected;
pub(crate) mod row;
pub(crate) mod row_event;
pub(crate) mod status;
pub(crate) mod step;

use crate::names::Run;
use crate::time::{Span, Timestamp};
use phase::{Completion, Phase, TaskTimes};
use status::FinalStatus;

/// What was agreed about a task when it was pushed; it does not change while the task lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TaskOptions {
    /// The task has no query: a client pulls it and requests its end.
    pub client_pulled: bool,
    /// The end of the query is not the end of the task: a request ends it.
    pub asynchronous_finish: bool,
    /// A yielded task keeps its pool slot.
    pub track_yielded: bool,
    /// The task's own limit on how long it may take, from its first claim.
    pub manual_timeout: Option<Span>,
}

/// One task: what was agreed, which run it is on, and where it stands.
///
/// ```
/// use pgasync_core::{Event, Outcome, Task, TaskOptions, Timestamp};
/// let now = Timestamp::from_micros(0);
/// let task = Task::pushed(TaskOptions::default());
/// let task = task.step(&Event::Claim { default_timeout: None }, now)?;
/// let task = task.step(&Event::Launch, now)?;
/// let ended = Event::QueryEnded { run: task.run, outcome: Outcome::Ok };
/// let task = task.step(&ended, now)?;
/// assert_eq!(task.row().failed, Some(false));
/// assert!(task.step(&ended, now).is_err(), "a finished task refuses every event but restart");
/// # Ok::<(), pgasync_core::Rejected>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Task {
    /// What was agreed when it was pushed.
    pub options: TaskOptions,
    /// The run it is on.
    pub run: Run,
    /// Where it stands.
    pub phase: Phase,
}

impl Task {
    /// A task as a push leaves it.
    #[must_use]
    pub const fn pushed(options: TaskOptions) -> Self {
        let phase = Phase::Ready { eligible_when: None, times_up: None };
        Self { options, run: Run::NONE, phase }
    }

    /// A task pushed EMPTY (`FINISHED`) or dead on arrival (`DOA`): it ends as it begins.
    #[must_use]
    pub const fn born_finished(options: TaskOptions, status: FinalStatus, now: Timestamp) -> Self {
        let end = Completion { status, processed: now, error: None, tracked: None };
        let past = TaskTimes { consumed: Some(now), ..TaskTimes::NONE };
        Self { options, run: Run::NONE, phase: Phase::Finished { end, past } }
    }

    /// The task counts against its pool.
    #[must_use]
    pub const fn holds_slot(&self) -> bool {
        match &self.phase {
            Phase::Ready { .. } => false,
            Phase::Offered { .. } | Phase::Claimed { .. } | Phase::Launched { .. } | Phase::Pulled { .. } => true,
            Phase::Yielded { tracked, .. } => *tracked,
            Phase::Finished { end, .. } => matches!(end.tracked, Some(true)),
        }
    }

    /// The task counts against the workers: it has a query that is claimed or launched.
    #[must_use]
    pub const fn holds_worker(&self) -> bool {
        matches!(self.phase, Phase::Claimed { .. } | Phase::Launched { .. })
    }
}
