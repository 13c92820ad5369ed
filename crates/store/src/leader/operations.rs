//! The operations of a batch, sorted by the statement that carries them out.

use std::collections::VecDeque;

use pgasync_core::{Command, Refill, Registered, RequestId, ResultText, RowEvent, Run, SessionId, TaskEvent, TaskId};

use super::composite::Composite;
use super::row_event::WireEvent;
use super::{Operation, Registration};

/// No result is added to a batch whose results have more bytes than this.
const RESULT_BYTES_MAX: u64 = 16 << 20;

#[derive(Debug, Default)]
pub(super) struct OperationBatch {
    pub(super) registrations: Vec<(SessionId, Registration)>,
    pub(super) unregistrations: Vec<Vec<Registered>>,
    pub(super) dismissals: Vec<(RequestId, Command)>,
    pub(super) writes: Vec<TaskEvent>,
    pub(super) marks: Vec<(TaskId, Run, Option<SessionId>)>,
    pub(super) refills: Vec<Refill>,
    /// The serial number of a read of the requests.
    pub(super) reads: Option<u64>,
    /// Operations that follow the batch, one after the other.
    pub(super) single_operations: Vec<Operation>,
}

impl OperationBatch {
    /// Takes operations that may share a batch. Marks are sent before everything else in their
    /// batch, so marks that follow a rotation wait for the next batch. The results in a batch have a
    /// limit, because a message of the protocol has one.
    pub(super) fn take(operations: &mut VecDeque<Operation>) -> Self {
        let mut batch = Self::default();
        let mut result_bytes = 0;
        while let Some(operation) = operations.pop_front() {
            let mut last = matches!(operation, Operation::Core(Command::RotateMarks { .. }));
            if let Operation::Core(Command::Write(written)) = &operation {
                result_bytes += written.event.result().map_or(0, ResultText::bytes);
                last = result_bytes > RESULT_BYTES_MAX;
            }
            batch.add(operation);
            if last {
                break;
            }
        }
        batch
    }

    fn add(&mut self, operation: Operation) {
        match operation {
            Operation::Register(session, registration) => self.registrations.push((session, registration)),
            Operation::Core(Command::Unregister { sessions }) => {
                // The registration may be part of the same batch.
                self.registrations.retain(|(session, _)| !sessions.contains(&Registered::Own(*session)));
                self.unregistrations.push(sessions);
            }
            Operation::Core(Command::Write(event)) => self.writes.push(event),
            Operation::Core(Command::Mark { task, run, session }) => self.marks.push((task, run, session)),
            Operation::Core(Command::Refill { lane, after, heads_max }) => {
                self.refills.push(Refill { lane, after, heads_max });
            }
            Operation::Core(Command::ReadRequests { serial }) => self.reads = Some(serial),
            Operation::Core(command @ Command::Dismiss { request, .. }) => self.dismissals.push((request, command)),
            other => self.single_operations.push(other),
        }
    }
}

/// The arguments of `async.write_all`.
#[derive(Debug, Default)]
pub(super) struct WriteArguments {
    pub(super) claims: Vec<i64>,
    pub(super) claim_runs: Vec<i32>,
    pub(super) claims_at: Vec<crate::wire::WireTimestamp>,
    pub(super) claim_timeouts: Vec<Option<crate::wire::WireInterval>>,
    pub(super) ends: Vec<i64>,
    pub(super) end_runs: Vec<i32>,
    pub(super) ends_at: Vec<crate::wire::WireTimestamp>,
    pub(super) events: Vec<Composite<WireEvent>>,
}

impl WriteArguments {
    /// Plain claims and plain ends travel as arrays, everything else as events.
    pub(super) fn of(writes: &[TaskEvent]) -> Self {
        let mut arguments = Self::default();
        for written in writes {
            let event = RowEvent::of(&written.event, written.launch.as_ref());
            debug_assert!(event.is_some(), "{:?} changes no row", written.event);
            let Some(event) = event else { continue };
            let at = crate::wire::WireTimestamp(written.at);
            if event.name == "CLAIM" {
                arguments.claims.push(written.task.0);
                arguments.claim_runs.push(written.run.0);
                arguments.claims_at.push(at);
                arguments.claim_timeouts.push(event.timeout.map(crate::wire::WireInterval));
            } else if event.is_plain_end() && written.settles.is_empty() {
                arguments.ends.push(written.task.0);
                arguments.end_runs.push(written.run.0);
                arguments.ends_at.push(at);
            } else {
                arguments.events.push(Composite(WireEvent::new(written, event)));
            }
        }
        arguments
    }
}
