//! The writes of a batch, as arrays.

use std::collections::BTreeSet;

use pgasync_core::{FinishStatus, Lane, RequestId, Row, RowState, Run, SessionId, TaskId, Timestamp};

use super::{Lanes, Registration};
use crate::wire::Interval;

/// Many operations, by what they need.
#[derive(Debug, Default)]
pub(super) struct Writes {
    pub(super) registrations: Vec<(SessionId, Registration)>,
    pub(super) forgotten: Vec<i64>,
    pub(super) dismissals: Vec<RequestId>,
    pub(super) releases: Vec<(TaskId, Run)>,
    pub(super) records: Vec<Record>,
    pub(super) returns: Vec<(TaskId, Run, Row)>,
    pub(super) claims: Vec<(TaskId, Row)>,
    pub(super) marks: Vec<(TaskId, Run, Option<SessionId>)>,
    pub(super) offers: Vec<(TaskId, Row)>,
    pub(super) withdrawals: Vec<TaskId>,
    pub(super) refills: Vec<(Lane, usize)>,
    /// Requests are to be read, under this number.
    pub(super) reads: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Record {
    pub(super) task: TaskId,
    pub(super) run: Run,
    pub(super) row: Row,
    pub(super) settles: Vec<RequestId>,
}

/// The arguments of `async.lead_write`.
#[derive(Debug, Default)]
pub(super) struct WriteArrays {
    pub(super) ids: Vec<i64>,
    pub(super) runs: Vec<i32>,
    pub(super) events: Vec<&'static str>,
    pub(super) statuses: Vec<Option<&'static str>>,
    pub(super) errors: Vec<Option<String>>,
    pub(super) durations: Vec<Option<Interval>>,
    pub(super) timeouts: Vec<Option<Interval>>,
    pub(super) offered: Vec<i64>,
    pub(super) requests: Vec<i64>,
    pub(super) requests_of: Vec<i64>,
}

impl WriteArrays {
    pub(super) fn of(writes: &Writes, running: &BTreeSet<TaskId>, offered: &BTreeSet<TaskId>, now: Timestamp) -> Self {
        let mut arrays = Self::default();
        for record in &writes.records {
            let (event, status) = record.event(running.contains(&record.task));
            arrays.ids.push(record.task.0);
            arrays.runs.push(record.run.0);
            arrays.events.push(event);
            arrays.statuses.push(status.map(FinishStatus::as_str));
            arrays.errors.push(record.row.processing_error.as_ref().map(|error| error.replace('\0', "?")));
            arrays.durations.push(record.row.eligible_when.map(|until| Interval(until - now)));
            arrays.timeouts.push(None);
            if offered.contains(&record.task) {
                arrays.offered.push(record.task.0);
            }
            for request in &record.settles {
                arrays.requests.push(request.0);
                arrays.requests_of.push(record.task.0);
            }
        }
        for (task, row) in &writes.claims {
            arrays.ids.push(task.0);
            arrays.runs.push(row.run - 1);
            arrays.events.push("CLAIM");
            arrays.statuses.push(None);
            arrays.errors.push(None);
            arrays.durations.push(None);
            arrays.timeouts.push(timeout(row));
        }
        arrays
    }
}

/// What the target, or else the configuration, allows a task that names no timeout.
fn timeout(row: &Row) -> Option<Interval> {
    let (consumed, times_up) = (row.consumed?, row.times_up?);
    (times_up != Timestamp::NEVER).then(|| Interval(times_up - consumed))
}

impl Record {
    /// The event in `async.step_task` that makes the row what the core made of it, and the status that goes with it.
    ///
    /// A query that ended without anything asked of it gets no status: then a trigger may still ask for something.
    fn event(&self, runs: bool) -> (&'static str, Option<FinishStatus>) {
        let status = match self.row.state() {
            RowState::Finished | RowState::Yielded => self.row.finish_status,
            RowState::Ready | RowState::Running if self.row.eligible_when.is_some() => Some(FinishStatus::Deferred),
            RowState::Ready | RowState::Running => Some(FinishStatus::Paused),
        };
        if !runs {
            return ("REQUEST", status);
        }
        if self.row.processed.is_some() && self.row.tracked == Some(true) {
            return ("UNREACHABLE", None);
        }
        let plain = self.settles.is_empty();
        match status {
            Some(FinishStatus::Finished | FinishStatus::Yielded) if plain => ("END_OK", None),
            Some(FinishStatus::Failed) if plain => ("END_ERROR", None),
            _ => ("END_ERROR", status),
        }
    }
}

impl Writes {
    /// Whether rows of the queue are written, or launches marked.
    pub(super) fn changes(&self) -> bool {
        self.rows() > 0 || !self.marks.is_empty()
    }

    /// How many rows of the queue they write.
    pub(super) fn rows(&self) -> i64 {
        let ends = self.records.len() + self.returns.len() + self.withdrawals.len();
        i64::try_from(ends + self.claims.len() + self.offers.len()).unwrap_or(i64::MAX)
    }

    pub(super) fn lanes(&self) -> Lanes {
        self.refills.iter().map(|(lane, _)| lane.clone()).collect()
    }
}
