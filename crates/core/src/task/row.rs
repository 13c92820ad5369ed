//! The columns of `async.task` that the model owns, and the way to and from a [`Task`].

use super::intention::Intention;
use super::phase::{Completion, Phase, TaskTimes};
use super::status::{FinalStatus, FinishStatus};
use super::{Task, TaskOptions};
use crate::names::Run;
use crate::time::Timestamp;

/// The columns that the model owns, as plain values.
///
/// ```
/// use pgasync_core::{Row, RowState, Task, TaskOptions};
/// let row = Task::pushed(TaskOptions::default()).row();
/// assert_eq!(row, Row::default());
/// assert_eq!(row.state(), RowState::Ready);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Row {
    /// When it was claimed or taken; null while it waits.
    pub consumed: Option<Timestamp>,
    /// When it ended; null before.
    pub processed: Option<Timestamp>,
    /// When it yielded; null if it did not, and again when it waits.
    pub yielded: Option<Timestamp>,
    /// How it ended, or `YIELDED`; null otherwise.
    pub finish_status: Option<FinishStatus>,
    /// Whether it ended in any other way than `FINISHED`; null before.
    pub failed: Option<bool>,
    /// The reason of its end; null before the end, and after an end without a reason.
    pub processing_error: Option<String>,
    /// Its deadline, from its first claim on; `infinity` ([`Timestamp::NEVER`]) where it has none.
    pub times_up: Option<Timestamp>,
    /// Whether it counts against its pool: true from the claim or offer on, false once it ended,
    /// null where it never did or gave the slot back by yielding.
    pub tracked: Option<bool>,
    /// Not before this time, after a deferral or a pause; null otherwise.
    pub eligible_when: Option<Timestamp>,
    /// How often it was claimed or taken ([`Run`]); 0 when pushed, and kept by a restart.
    pub run: i32,
}

/// The state that the table knows, the result of `task_execution_state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum RowState {
    /// READY: it waits.
    Ready,
    /// RUNNING: it is claimed or taken.
    Running,
    /// YIELDED: its query is over, the task is not.
    Yielded,
    /// FINISHED: over, however it ended.
    Finished,
}

/// What the leader knows of a RUNNING row besides the row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum LaunchState {
    /// Nothing was sent.
    #[default]
    Claimed,
    /// The query may be running, and this was asked of it.
    Launched(Option<Intention>),
}

/// A row that no task's life leads to: it was changed by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum MalformedRow {
    /// `processed` is set and `finish_status` is not one that ends a task.
    #[error("the row is processed, but its finish_status does not end a task; set one that does")]
    NoFinalStatus,
}

impl Row {
    /// The state that follows from the columns; it is never stored.
    #[must_use]
    pub const fn state(&self) -> RowState {
        if self.processed.is_some() {
            RowState::Finished
        } else if self.yielded.is_some() {
            RowState::Yielded
        } else if self.consumed.is_some() {
            RowState::Running
        } else {
            RowState::Ready
        }
    }

    /// Reads a row; `launch` is what the leader knows besides of a RUNNING row.
    ///
    /// # Errors
    /// [`MalformedRow`] when no task's life leads to this row.
    pub fn task(&self, options: TaskOptions, launch: LaunchState) -> Result<Task, MalformedRow> {
        let phase = match self.state() {
            RowState::Finished => self.finished()?,
            RowState::Yielded => self.yielded(),
            RowState::Running => self.running(options, launch),
            RowState::Ready if self.tracked == Some(true) && options.client_pulled => {
                Phase::Offered { times_up: self.times_up }
            }
            RowState::Ready => Phase::Ready { eligible_when: self.eligible_when, times_up: self.times_up },
        };
        Ok(Task { options, run: Run(self.run), phase })
    }

    fn finished(&self) -> Result<Phase, MalformedRow> {
        let status = self.finish_status.and_then(FinishStatus::terminal).ok_or(MalformedRow::NoFinalStatus)?;
        let past = TaskTimes { consumed: self.consumed, yielded: self.yielded, times_up: self.times_up };
        let end = Completion {
            status,
            processed: self.processed.unwrap_or(Timestamp::NEVER),
            error: self.processing_error.clone(),
            tracked: self.tracked,
        };
        Ok(Phase::Finished { end, past })
    }

    fn yielded(&self) -> Phase {
        Phase::Yielded {
            consumed: self.consumed,
            yielded: self.yielded.unwrap_or(Timestamp::NEVER),
            times_up: self.times_up,
            tracked: self.tracked == Some(true),
        }
    }

    fn running(&self, options: TaskOptions, launch: LaunchState) -> Phase {
        let consumed = self.consumed.unwrap_or(Timestamp::NEVER);
        let times_up = self.times_up;
        if options.client_pulled {
            return Phase::Pulled { consumed, times_up };
        }
        match launch {
            LaunchState::Claimed => Phase::Claimed { consumed, times_up },
            LaunchState::Launched(intention) => Phase::Launched { consumed, times_up, intention },
        }
    }
}

impl Task {
    /// The row of this task.
    #[must_use]
    pub fn row(&self) -> Row {
        let TaskTimes { consumed, yielded, times_up } = self.phase.past();
        let base = Row { consumed, yielded, times_up, run: self.run.0, ..Row::default() };
        match &self.phase {
            Phase::Ready { eligible_when, .. } => Row { eligible_when: *eligible_when, ..base },
            Phase::Offered { .. } | Phase::Claimed { .. } | Phase::Launched { .. } | Phase::Pulled { .. } => {
                Row { tracked: Some(true), ..base }
            }
            Phase::Yielded { tracked, .. } => {
                Row { finish_status: Some(FinishStatus::Yielded), tracked: tracked.then_some(true), ..base }
            }
            Phase::Finished { end, .. } => finished(base, end),
        }
    }
}

fn finished(base: Row, end: &Completion) -> Row {
    let status: FinalStatus = end.status;
    Row {
        processed: Some(end.processed),
        finish_status: Some(status.into()),
        failed: Some(status.failed()),
        processing_error: end.error.clone(),
        tracked: end.tracked,
        ..base
    }
}
