//! The columns of `async.task` that the core predicts, and their conversion to and from a [`Task`].

use super::intention::Intention;
use super::phase::{Completion, Phase, TaskTimes};
use super::status::{FinalStatus, FinishStatus};
use super::{Task, TaskOptions};
use crate::names::{RoleName, Run};
use crate::time::Timestamp;

/// The columns of `async.task` that the core predicts.
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
    /// When it was claimed or taken; null while it is READY.
    pub consumed: Option<Timestamp>,
    /// When it ended; null before.
    pub processed: Option<Timestamp>,
    /// When it yielded; null if it did not, and while it is READY.
    pub yielded: Option<Timestamp>,
    /// The status with which it ended, or `YIELDED`; null otherwise.
    pub finish_status: Option<FinishStatus>,
    /// Whether it ended with another status than `FINISHED`; null before the end.
    pub failed: Option<bool>,
    /// The error or message of its end; null before the end, and after an end without one.
    pub processing_error: Option<String>,
    /// Its deadline, from its first claim on; `infinity` ([`Timestamp::NEVER`]) if it has none. Before
    /// that, `expires_at`.
    pub times_up: Option<Timestamp>,
    /// True while the task holds a pool slot. False after the end of a task that held one. Null
    /// otherwise.
    pub tracked: Option<bool>,
    /// The time from which it is eligible: `run_at`, or that of a deferral or a pause; null otherwise.
    pub eligible_when: Option<Timestamp>,
    /// The number of its claims and takes ([`Run`]); 0 for a pushed task. A restart does not change
    /// it.
    pub run: i32,
    /// The number of failed attempts of a task with a retry policy; 0 without one.
    pub attempt: i32,
    /// The role whose request ended the task; null before the end, and after any other end.
    pub ended_by: Option<RoleName>,
}

/// The state of a row, the result of `async.task_execution_state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum RowState {
    /// READY: the task waits.
    Ready,
    /// RUNNING: the task is claimed or taken.
    Running,
    /// YIELDED: the query has ended, and the task has not.
    Yielded,
    /// FINISHED: the task has ended, with any status.
    Finished,
}

/// What the leader knows of a RUNNING task, beyond its row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum LaunchState {
    /// The query was not sent.
    #[default]
    Claimed,
    /// The query may be running, with this intention.
    Launched(Option<Intention>),
}

/// Why a row is the row of no task. Only an update by hand can cause that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum MalformedRow {
    /// `processed` is set and `finish_status` is not one that ends a task.
    #[error("the row is processed, but its finish_status does not end a task; set one that does")]
    NoFinalStatus,
}

impl Row {
    /// The state that follows from the columns. No column stores it.
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

    /// Whether the result of a query that ended with this row is kept: the query was the last one of the
    /// task. A task that returned to the queue runs again.
    #[must_use]
    pub const fn keeps_result(&self) -> bool {
        matches!(self.state(), RowState::Yielded | RowState::Finished)
    }

    /// The task of this row. `launch` is what the leader knows of a RUNNING task beyond its row.
    ///
    /// # Errors
    /// [`MalformedRow`] when no task can have this row.
    pub fn task(&self, options: TaskOptions, launch: LaunchState) -> Result<Task, MalformedRow> {
        let phase = match self.state() {
            RowState::Finished => self.finished()?,
            RowState::Yielded => self.yielded(),
            RowState::Running => self.running(&options, launch),
            RowState::Ready if self.tracked == Some(true) && options.client_pulled => {
                Phase::Offered { times_up: self.times_up }
            }
            RowState::Ready => Phase::Ready { eligible_when: self.eligible_when, times_up: self.times_up },
        };
        Ok(Task { options, run: Run(self.run), attempt: self.attempt, phase })
    }

    fn finished(&self) -> Result<Phase, MalformedRow> {
        let status = self.finish_status.and_then(FinishStatus::terminal).ok_or(MalformedRow::NoFinalStatus)?;
        let past = TaskTimes { consumed: self.consumed, yielded: self.yielded, times_up: self.times_up };
        let end = Completion {
            status,
            processed: stored(self.processed),
            error: self.processing_error.clone(),
            ended_by: self.ended_by.clone(),
            tracked: self.tracked,
        };
        Ok(Phase::Finished { end, past })
    }

    fn yielded(&self) -> Phase {
        Phase::Yielded {
            consumed: self.consumed,
            yielded: stored(self.yielded),
            times_up: self.times_up,
            tracked: self.tracked == Some(true),
        }
    }

    fn running(&self, options: &TaskOptions, launch: LaunchState) -> Phase {
        let consumed = stored(self.consumed);
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

/// The time that makes the state of the row what it is.
fn stored(time: Option<Timestamp>) -> Timestamp {
    debug_assert!(time.is_some(), "the state of the row follows from this column");
    time.unwrap_or(Timestamp::NEVER)
}

impl Task {
    /// The row of this task.
    #[must_use]
    pub fn row(&self) -> Row {
        let TaskTimes { consumed, yielded, times_up } = self.phase.past();
        let base = Row { consumed, yielded, times_up, run: self.run.0, attempt: self.attempt, ..Row::default() };
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
        ended_by: end.ended_by.clone(),
        tracked: end.tracked,
        ..base
    }
}
