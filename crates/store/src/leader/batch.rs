//! Carrying out many operations at once. Marks are sent first, and their results are reported at
//! once, because launches wait for them. All writes share a transaction. Every statement is sent
//! before the first answer is awaited.

use std::collections::VecDeque;

use futures_util::future::join;
use pgasync_core::{Command, Input, Run, SessionId, TaskId, Timestamp};
use pgasync_pg::Row;

use super::batch_results::launchable;
use super::operations::OperationBatch;
use super::send::{BatchStatement, StatementResults};
use super::{LeaderError, LeaderSession, Operation, OperationResults};

impl LeaderSession {
    /// Carries out operations, which must be in the order in which the core emitted its commands.
    /// `on_marked` is called with the results of marks, before the other operations of their batch
    /// have ended.
    ///
    /// # Errors
    /// [`LeaderError::Lost`] when the session is lost: operations under way may have been carried
    /// out. [`LeaderError::Deposed`] when another orchestrator leads: the statement that found this
    /// wrote nothing. [`LeaderError::Refused`] when the server refuses an operation without which
    /// the leader cannot continue. Other refusals are part of the results.
    pub async fn carry_out(
        &mut self,
        operations: Vec<Operation>,
        now: Timestamp,
        on_marked: &mut (dyn FnMut(OperationResults) + Send),
    ) -> Result<OperationResults, LeaderError> {
        let mut results = OperationResults::default();
        let mut operations = VecDeque::from(operations);
        while !operations.is_empty() {
            let mut batch = OperationBatch::take(&mut operations);
            let single_operations = std::mem::take(&mut batch.single_operations);
            self.carry_out_batch(&batch, on_marked, &mut results).await?;
            for operation in single_operations {
                self.carry_out_one(operation, now, &mut results).await?;
            }
        }
        Ok(results)
    }

    async fn carry_out_one(
        &mut self,
        operation: Operation,
        now: Timestamp,
        results: &mut OperationResults,
    ) -> Result<(), LeaderError> {
        let command = match &operation {
            Operation::Core(command) => Some(command.clone()),
            Operation::Register(..)
            | Operation::Publish(_)
            | Operation::PublishMetrics(_)
            | Operation::Log { .. }
            | Operation::RecordResignation { .. } => None,
        };
        // The leader cannot continue without these two, so the caller treats their refusal like a
        // lost session.
        let vital = matches!(operation, Operation::RecordResignation { .. } | Operation::Core(Command::Resync { .. }));
        // A failure to write to the log is not reported, because the report would be a write to the
        // log.
        let quiet = matches!(operation, Operation::Log { .. });
        let done = match operation {
            Operation::Core(command) => self.carry_out_command(command, now, results).await,
            Operation::Publish(published) => {
                let done = self.publish(&published).await;
                results.publish_refused |= matches!(done, Err(LeaderError::Refused { .. }));
                done
            }
            Operation::PublishMetrics(metrics) => self.publish_metrics(metrics).await,
            Operation::Log { level, message } => {
                self.query("writing the log", &self.statements.log, &[&level, &message]).await.map(drop)
            }
            Operation::RecordResignation { why } => {
                let statement = &self.statements.goodbye;
                self.write_alone("recording the goodbye", statement, &[&why]).await.map(drop)
            }
            Operation::Register(..) => {
                debug_assert!(false, "registrations share the batch");
                Ok(())
            }
        };
        match done {
            Err(LeaderError::Refused { operation, reason }) if !vital => {
                results.warnings.extend((!quiet).then(|| format!("{operation} failed: {reason}")));
                if let Some(command) = command {
                    results.inputs.push(Input::Refused { command: Box::new(command), reason });
                }
                Ok(())
            }
            done => done,
        }
    }

    async fn carry_out_command(
        &mut self,
        command: Command,
        now: Timestamp,
        results: &mut OperationResults,
    ) -> Result<(), LeaderError> {
        match command {
            Command::Sweep { tasks_max, skip } => self.sweep(tasks_max, &skip, now, results).await,
            Command::Resync { tasks } => {
                let rows = self.rows(&tasks).await?;
                let rows = rows.into_iter().map(|stored| (stored.id(), stored.row));
                results.inputs.push(Input::Resynced(rows.collect()));
                Ok(())
            }
            Command::RotateMarks { launched } => {
                let ids: Vec<i64> = launched.iter().map(|(task, _)| task.0).collect();
                let runs: Vec<i32> = launched.iter().map(|(_, run)| run.0).collect();
                let all: [&(dyn pgasync_pg::types::ToSql + Sync); 3] = [&self.epoch.0, &ids, &runs];
                self.query("rotating the launch marks", &self.statements.rotate_marks, &all).await?;
                results.inputs.push(Input::MarksRotated);
                Ok(())
            }
            Command::RunStartup => {
                self.run_routines("STARTUP", results).await?;
                results.inputs.push(Input::StartupDone);
                Ok(())
            }
            Command::RunRoutines => {
                self.run_routines("LOOP", results).await?;
                results.inputs.push(Input::RoutinesDone);
                Ok(())
            }
            Command::Reread { tasks } => self.reread(&tasks, results).await,
            Command::Poll { sleep, offered } => self.poll(sleep, &offered, results).await,
            Command::ServeLatch { number } => {
                self.query("serving the latch", &self.statements.serve_latch, &[&number]).await.map(drop)
            }
            _ => {
                debug_assert!(false, "{command:?} shares the batch, or is not for the store");
                Ok(())
            }
        }
    }

    async fn carry_out_batch(
        &mut self,
        batch: &OperationBatch,
        on_marked: &mut (dyn FnMut(OperationResults) + Send),
        results: &mut OperationResults,
    ) -> Result<(), LeaderError> {
        let first = async {
            let mark = async { if batch.marks.is_empty() { Ok(vec![]) } else { self.mark(batch).await } };
            let read = async { if batch.reads.is_none() { Ok(vec![]) } else { self.first_requests().await } };
            let (marked, requests) = join(mark, read).await;
            let marked = marked.map_err(|error| LeaderError::of("marking launches", &error));
            let requests = requests.map_err(|error| LeaderError::of("reading requests", &error));
            let mut results = OperationResults::default();
            match marked {
                Ok(rows) => launchable(batch, &rows, &mut results),
                Err(LeaderError::Refused { operation, reason }) => {
                    results.warnings.push(format!("{operation} failed: {reason}"));
                    results.refuse(batch.marks.iter().map(|mark| mark_command(*mark)), &reason);
                }
                Err(error) => return Err(error),
            }
            if let (Some(serial), Ok([])) = (batch.reads, requests.as_deref()) {
                results.inputs.push(Input::Requests { serial, asked: vec![], last: true });
            }
            if !results.inputs.is_empty() {
                on_marked(results);
            }
            // An error of the requests is handled below, so that the results of the marks are not
            // lost with it.
            requests
        };
        let (requests, statement_results) = join(first, self.send(batch, None)).await;
        // The requests were read before the writes of this batch, so their inputs precede those of
        // the writes.
        match requests {
            Ok(requests) if requests.is_empty() => {}
            Ok(requests) => match batch.reads {
                Some(serial) => self.read_requests(serial, requests, results).await?,
                None => debug_assert!(false, "requests were read without a command"),
            },
            Err(LeaderError::Refused { operation, reason }) => {
                results.warnings.push(format!("{operation} failed: {reason}"));
                results.refuse(batch.reads.map(|serial| Command::ReadRequests { serial }), &reason);
            }
            Err(error) => return Err(error),
        }
        let statement_results = self.retry_separately(batch, statement_results, results).await?;
        self.read_results(batch, statement_results, results)
    }

    /// The refusal of a statement rolls the transaction of the batch back. This function then sends
    /// each kind of statement again in a transaction of its own, so that only the refused kind
    /// fails.
    async fn retry_separately(
        &self,
        batch: &OperationBatch,
        statement_results: StatementResults,
        results: &mut OperationResults,
    ) -> Result<StatementResults, LeaderError> {
        let failed = |(_, result): &(BatchStatement, Result<Vec<Row>, _>)| result.is_err();
        let Some(error) = statement_results.iter().find_map(|(_, result)| result.as_ref().err()) else {
            return Ok(statement_results);
        };
        let error = LeaderError::of("a batch", error);
        if !matches!(error, LeaderError::Refused { .. }) {
            return Err(error);
        }
        results.warnings.push(error.to_string());
        if statement_results.iter().filter(|result| failed(result)).all(|(kind, _)| *kind == BatchStatement::Heads) {
            // The heads are read after the commit, so the writes stand.
            return Ok(statement_results);
        }
        let mut separate = Vec::new();
        for kind in BatchStatement::ALL {
            separate.extend(attribute_to(kind, self.send(batch, Some(kind)).await));
        }
        Ok(separate)
    }
}

const fn mark_command((task, run, session): (TaskId, Run, Option<SessionId>)) -> Command {
    Command::Mark { task, run, session }
}

/// Results of a transaction that held statements of one kind. An error of its begin or commit is an
/// error of that kind: the statement changed nothing, and the transactions of other kinds stand.
fn attribute_to<R, E>(
    kind: BatchStatement,
    results: impl IntoIterator<Item = (BatchStatement, Result<R, E>)>,
) -> impl Iterator<Item = (BatchStatement, Result<R, E>)> {
    results.into_iter().map(move |(sent, result)| (if result.is_err() { kind } else { sent }, result))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_commit_refuses_only_the_statement_in_it() {
        use BatchStatement::{Register, Transaction, Write};
        let sent = |commit| [(Transaction, Ok(())), (Write, Ok(())), (Transaction, commit)];
        let refused: Vec<BatchStatement> = attribute_to(Write, sent(Err("disk full")))
            .chain(attribute_to(Register, [(Transaction, Ok(())), (Register, Ok(())), (Transaction, Ok(()))]))
            .filter_map(|(kind, result)| result.is_err().then_some(kind))
            .collect();
        assert_eq!(refused, [Write]);
    }
}
