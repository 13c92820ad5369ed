//! What waits, as the plan sees it: heads in lanes.

use crate::names::{PoolName, Priority, Run, TargetName, TaskId};
use crate::task::phase::Phase;
use crate::task::{Task, TaskOptions};
use crate::time::Timestamp;

/// The position of a task in the order: lower priority first, then the earlier push, then the lower
/// id.
///
/// Source: the manual's `order by priority, entered, task_id`. The id makes it total.
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
    /// Lower goes first.
    pub priority: Priority,
    /// When it was pushed.
    pub entered: Timestamp,
    /// Which task it is.
    pub task: TaskId,
}

/// How the tasks of a lane are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum LaneKind {
    /// The orchestrator sends their queries: each needs a worker.
    Run,
    /// Clients pull them: they need no worker.
    Pull,
}

/// The waiting tasks that can only block each other: one pool, one target, one kind.
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
    /// What they count against.
    pub pool: PoolName,
    /// Where they run.
    pub target: TargetName,
    /// How they run.
    pub kind: LaneKind,
}

/// A waiting task near the front of its lane: what is needed to choose and claim it, without its
/// text.
///
/// ```
/// use pgasync_core::*;
/// let position = QueuePosition { priority: Priority(0), entered: Timestamp::from_micros(0), task: TaskId(1) };
/// let head = Head { position, run: Run::NONE, options: TaskOptions::default(), times_up: None, text_bytes: 120 };
/// assert_eq!(head.task(), Task::pushed(TaskOptions::default()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Head {
    /// When it is its turn.
    pub position: QueuePosition,
    /// The run it was on last.
    pub run: Run,
    /// What was agreed about it.
    pub options: TaskOptions,
    /// The deadline that an earlier claim set.
    pub times_up: Option<Timestamp>,
    /// How long its text is.
    pub text_bytes: u64,
}

impl Head {
    /// The task, READY as it is.
    #[must_use]
    pub const fn task(&self) -> Task {
        let phase = Phase::Ready { eligible_when: None, times_up: self.times_up };
        Task { options: self.options, run: self.run, phase }
    }
}
