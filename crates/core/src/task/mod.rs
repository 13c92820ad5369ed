//! One task: its phases, its events, and its row.
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
pub(crate) mod retry;
pub(crate) mod row;
pub(crate) mod row_event;
pub(crate) mod status;
pub(crate) mod step;

use std::sync::Arc;

use crate::names::Run;
use crate::time::{Span, Timestamp};
use phase::{Completion, Phase, TaskTimes};
use retry::RetryPolicy;
use status::FinalStatus;

/// The options of a task. A push sets them, and no event changes them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TaskOptions {
    /// The task has no query. A client pulls the task and requests its end.
    pub client_pulled: bool,
    /// A request finishes the task, not the end of its query.
    pub asynchronous_finish: bool,
    /// A yielded task keeps its pool slot.
    pub track_yielded: bool,
    /// The timeout of the task itself, from its first claim.
    pub manual_timeout: Option<Span>,
    /// The task is not eligible before this time.
    pub run_at: Option<Timestamp>,
    /// The deadline of the whole task. Its `times_up` is never later.
    pub expires_at: Option<Timestamp>,
    /// What follows a failed attempt; `None` for nothing.
    pub retry: Option<Arc<RetryPolicy>>,
    /// The query writes a receipt, so the outcome of a lost run can be found out.
    pub receipt: bool,
}

/// One task: its options, its run, its failed attempts, and its phase.
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
    /// The options.
    pub options: TaskOptions,
    /// The present run.
    pub run: Run,
    /// The number of attempts that failed since the push or the last restart; 0 without a policy.
    pub attempt: i32,
    /// The phase.
    pub phase: Phase,
}

impl Task {
    /// A task as a push creates it.
    #[must_use]
    pub const fn pushed(options: TaskOptions) -> Self {
        let phase = Phase::Ready { eligible_when: options.run_at, times_up: options.expires_at };
        Self { options, run: Run::NONE, attempt: 0, phase }
    }

    /// A task that was pushed as EMPTY (with `FINISHED`) or as DOA (with `DOA`). It is finished
    /// from the beginning.
    #[must_use]
    pub const fn born_finished(options: TaskOptions, status: FinalStatus, now: Timestamp) -> Self {
        let end = Completion { status, processed: now, error: None, ended_by: None, tracked: None };
        let past = TaskTimes { consumed: Some(now), ..TaskTimes::NONE };
        Self { options, run: Run::NONE, attempt: 0, phase: Phase::Finished { end, past } }
    }

    /// Whether the task holds a pool slot.
    #[must_use]
    pub const fn holds_slot(&self) -> bool {
        match &self.phase {
            Phase::Ready { .. } => false,
            Phase::Offered { .. } | Phase::Claimed { .. } | Phase::Launched { .. } | Phase::Pulled { .. } => true,
            Phase::Yielded { tracked, .. } => *tracked,
            Phase::Finished { end, .. } => matches!(end.tracked, Some(true)),
        }
    }

    /// Whether the task holds a worker: it is claimed or launched.
    #[must_use]
    pub const fn holds_worker(&self) -> bool {
        matches!(self.phase, Phase::Claimed { .. } | Phase::Launched { .. })
    }
}
