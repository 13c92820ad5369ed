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
    pub(super) marks: Vec<(TaskId, Run, SessionId)>,
    pub(super) offers: Vec<(TaskId, Row)>,
    pub(super) withdrawals: Vec<TaskId>,
    pub(super) refills: Vec<(Lane, usize)>,
}

#[derive(Debug)]
pub(super) struct Record {
    pub(super) task: TaskId,
    pub(super) run: Run,
    pub(super) row: Row,
    pub(super) settles: Vec<RequestId>,
}

/// The arguments of `async.lead_record`.
#[derive(Debug, Default)]
pub(super) struct RecordArrays {
    pub(super) ids: Vec<i64>,
    pub(super) runs: Vec<i32>,
    pub(super) events: Vec<&'static str>,
    pub(super) statuses: Vec<Option<&'static str>>,
    pub(super) errors: Vec<Option<String>>,
    pub(super) durations: Vec<Option<Interval>>,
    pub(super) offered: Vec<i64>,
    pub(super) requests: Vec<i64>,
    pub(super) requests_of: Vec<i64>,
}

impl RecordArrays {
    pub(super) fn of(
        records: &[Record],
        running: &BTreeSet<TaskId>,
        offered: &BTreeSet<TaskId>,
        now: Timestamp,
    ) -> Self {
        let mut arrays = Self::default();
        for record in records {
            let (event, status) = record.event(running.contains(&record.task));
            arrays.ids.push(record.task.0);
            arrays.runs.push(record.run.0);
            arrays.events.push(event);
            arrays.statuses.push(status.map(FinishStatus::as_str));
            arrays.errors.push(record.row.processing_error.as_ref().map(|error| error.replace('\0', "?")));
            arrays.durations.push(record.row.eligible_when.map(|until| Interval(until - now)));
            if offered.contains(&record.task) {
                arrays.offered.push(record.task.0);
            }
            for request in &record.settles {
                arrays.requests.push(request.0);
                arrays.requests_of.push(record.task.0);
            }
        }
        arrays
    }
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
    /// How many statements write.
    pub(super) fn statements(&self) -> usize {
        [
            self.registrations.is_empty(),
            self.forgotten.is_empty(),
            self.dismissals.is_empty(),
            self.releases.is_empty(),
            self.records.is_empty(),
            self.returns.is_empty(),
            self.claims.is_empty(),
            self.marks.is_empty(),
            self.offers.is_empty(),
            self.withdrawals.is_empty(),
        ]
        .into_iter()
        .filter(|empty| !empty)
        .count()
    }

    pub(super) fn lanes(&self) -> Lanes {
        self.refills.iter().map(|(lane, _)| lane.clone()).collect()
    }
}
