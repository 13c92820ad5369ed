//! The waiting tasks in the plan: heads in lanes.

use crate::names::{PoolName, Priority, Run, TargetName, TaskId};
use crate::task::phase::Phase;
use crate::task::{Task, TaskOptions};
use crate::time::Timestamp;

/// The position of a task in the queue: the lower priority first, then the earlier push, then the
/// lower id.
///
/// The order is that of `order by priority, entered, task_id` in SQL. The id makes it total.
///
/// ```
/// use pgasync_core::{Priority, Span, TaskId, Timestamp, QueuePosition};
/// let entered = Timestamp::from_micros(0);
/// let first = QueuePosition { priority: Priority(0), entered, task: TaskId(1) };
/// assert!(first < QueuePosition { task: TaskId(2), ..first });
/// assert!(first < QueuePosition { entered: entered + Span::micros(1), task: TaskId(0), ..first });
/// assert!(QueuePosition { priority: Priority(-1), task: TaskId(9), ..first } < first);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct QueuePosition {
    /// The priority. Lower values run first.
    pub priority: Priority,
    /// The time of the push.
    pub entered: Timestamp,
    /// The task.
    pub task: TaskId,
}

impl QueuePosition {
    /// A position before this one, and after each task that comes before it.
    pub(crate) fn before(self) -> Self {
        Self { task: TaskId(self.task.0.saturating_sub(1)), ..self }
    }
}

/// How the tasks of a lane are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum LaneKind {
    /// The orchestrator runs their queries, so each task needs a worker.
    Run,
    /// Clients pull them, so they need no worker.
    Pull,
}

/// The waiting tasks of one pool, one target and one kind. They are blocked together or not at all.
///
/// ```
/// use pgasync_core::{LaneKind, Lane, PoolName, TargetName};
/// let target = TargetName::new("sales")?;
/// let own = Lane { pool: PoolName::of(None, &target), target: target.clone(), kind: LaneKind::Run };
/// let reports = Lane { pool: PoolName::new("reports")?, target, kind: LaneKind::Run };
/// assert_ne!(own, reports, "a full pool holds up one of them");
/// # Ok::<(), pgasync_core::BadName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Lane {
    /// The pool that the tasks count against.
    pub pool: PoolName,
    /// The target.
    pub target: TargetName,
    /// The kind.
    pub kind: LaneKind,
}

/// A waiting task at the front of its lane, with the values that are needed to choose and claim it,
/// but without the text of its query.
///
/// ```
/// use pgasync_core::*;
/// let position = QueuePosition { priority: Priority(0), entered: Timestamp::from_micros(0), task: TaskId(1) };
/// let head = Head { position, run: Run::NONE, attempt: 0, options: TaskOptions::default(), times_up: None, text_bytes: 120 };
/// assert_eq!(head.task(), Task::pushed(TaskOptions::default()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Head {
    /// Its position in the queue.
    pub position: QueuePosition,
    /// The run of its last claim.
    pub run: Run,
    /// The number of its failed attempts, if it has a retry policy.
    pub attempt: i32,
    /// Its options.
    pub options: TaskOptions,
    /// The deadline that an earlier claim set, or else `expires_at`.
    pub times_up: Option<Timestamp>,
    /// The length of its query in bytes.
    pub text_bytes: u64,
}

impl Head {
    /// The time from which the task could run.
    #[must_use]
    pub fn eligible_since(&self) -> Timestamp {
        self.options.run_at.map_or(self.position.entered, |run_at| run_at.max(self.position.entered))
    }

    /// The task in its phase, READY.
    #[must_use]
    pub fn task(&self) -> Task {
        let phase = Phase::Ready { eligible_when: None, times_up: self.times_up };
        Task { options: self.options.clone(), run: self.run, attempt: self.attempt, phase }
    }
}
