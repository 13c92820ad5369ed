//! Reading rows that `async.lead_rows` and similar functions return.

use std::sync::Arc;

use pgasync_core::{
    FinishStatus, Head, Intention, Lane, LaneKind, LaunchState, PoolName, Priority, QueuePosition, RoleName,
    Row as TaskRow, Run, Span, TargetName, TaskId, TaskOptions, TaskSnapshot, Timestamp,
};
use pgasync_pg::Row;

use super::retry::retry_policy;
use crate::wire::{WireInterval, WireTimestamp};

/// A task as the table has it, without its query.
#[derive(Clone, Debug)]
pub(super) struct StoredTask {
    pub(super) position: QueuePosition,
    pub(super) lane: Lane,
    pub(super) options: TaskOptions,
    pub(super) row: TaskRow,
}

impl StoredTask {
    pub(super) const fn id(&self) -> TaskId {
        self.position.task
    }

    /// The task as the core takes it; `None` for a row that no sequence of transitions leads to.
    pub(super) fn snapshot(&self, launched: bool) -> Option<TaskSnapshot> {
        let launch = if launched { LaunchState::Launched(None::<Intention>) } else { LaunchState::Claimed };
        let task = self.row.task(self.options.clone(), launch).ok()?;
        Some(TaskSnapshot { position: self.position, lane: self.lane.clone(), task })
    }

    /// `None` when a name in the row is invalid. Only an update by hand can cause that.
    pub(super) fn read(row: &Row) -> Option<Self> {
        let client_pulled: bool = row.get("client_pulled");
        let task = TaskId(row.get("task_id"));
        Some(Self {
            position: QueuePosition { priority: Priority(row.get("priority")), entered: time(row, "entered")?, task },
            lane: lane(row.get("pool"), row.get("target"), client_pulled)?,
            options: options(row, task, client_pulled),
            row: row_with(row, row.get("run")),
        })
    }
}

/// The columns that the core predicts, of a row that the writer returns.
pub(super) fn row_of(row: &Row) -> TaskRow {
    row_with(row, row.get("row_run"))
}

fn row_with(row: &Row, run: i32) -> TaskRow {
    TaskRow {
        consumed: time(row, "consumed"),
        processed: time(row, "processed"),
        yielded: time(row, "yielded"),
        finish_status: row.get::<_, Option<&str>>("finish_status").and_then(status),
        failed: row.get("failed"),
        processing_error: row.get("processing_error"),
        times_up: time(row, "times_up"),
        tracked: row.get("tracked"),
        eligible_when: time(row, "eligible_when"),
        run,
        attempt: row.get("attempt"),
        ended_by: role(row, "ended_by"),
    }
}

/// The position of a row.
pub(super) fn position(row: &Row) -> Option<QueuePosition> {
    Some(QueuePosition {
        priority: Priority(row.get("priority")),
        entered: time(row, "entered")?,
        task: TaskId(row.get("task_id")),
    })
}

/// A row of `async.lead_heads` or `async.lead_arrivals`.
pub(super) fn head(row: &Row, kind: LaneKind) -> Option<Head> {
    let position = position(row)?;
    Some(Head {
        position,
        run: Run(row.get("run")),
        attempt: row.get("attempt"),
        options: options(row, position.task, kind == LaneKind::Pull),
        times_up: time(row, "times_up"),
        text_bytes: u64::try_from(row.get::<_, i32>("text_bytes")).unwrap_or(0),
    })
}

/// A lane by its names; `None` when one of them is invalid. Only an update by hand can cause that.
pub(super) fn lane(pool: &str, target: &str, pullable: bool) -> Option<Lane> {
    let kind = if pullable { LaneKind::Pull } else { LaneKind::Run };
    Some(Lane { pool: PoolName::new(pool).ok()?, target: TargetName::new(target).ok()?, kind })
}

/// The lane of a row of `async.discover_lanes`, `async.lead_arrivals` or `async.arrival_lanes`.
pub(super) fn lane_of(row: &Row) -> Option<Lane> {
    lane(row.get("pool"), row.get("target"), row.get("pullable"))
}

pub(super) fn time(row: &Row, column: &str) -> Option<Timestamp> {
    row.get::<_, Option<WireTimestamp>>(column).map(|stamp| stamp.0)
}

pub(super) fn span(row: &Row, column: &str) -> Option<Span> {
    row.get::<_, Option<WireInterval>>(column).map(|interval| interval.0)
}

pub(super) fn role(row: &Row, column: &str) -> Option<RoleName> {
    row.get::<_, Option<&str>>(column).and_then(|name| RoleName::new(name).ok())
}

pub(super) fn status(label: &str) -> Option<FinishStatus> {
    FinishStatus::ALL.into_iter().find(|status| status.as_str() == label)
}

fn options(row: &Row, task: TaskId, client_pulled: bool) -> TaskOptions {
    TaskOptions {
        client_pulled,
        asynchronous_finish: row.get("asynchronous_finish"),
        track_yielded: row.get("track_yielded"),
        manual_timeout: span(row, "manual_timeout"),
        run_at: time(row, "run_at"),
        expires_at: time(row, "expires_at"),
        retry: row.get::<_, Option<&str>>("retry").and_then(|copy| retry_policy(task, copy)).map(Arc::new),
        receipt: row.get("receipt"),
    }
}
