//! Carrying out many operations at once. Marks go first and are reported at once, since targets
//! wait for launches. All writes share a transaction. Every statement is sent before the first
//! answer is awaited.

use std::collections::{BTreeMap, VecDeque};

use futures_util::future::join;
use pgasync_core::{Command, Input, Lane, LaunchState, RowState, TaskId, Timestamp, WriteAnswer};
use pgasync_pg::Row;

use super::operations::OperationBatch;
use super::rows::{StoredTask, head, row_of};
use super::send::{StatementKind, StatementResults};
use super::{LeaderError, LeaderSession, Operation, OperationResults};

impl LeaderSession {
    /// Carries out operations, which must be in the order in which the core emitted its commands.
    /// `on_marked` is called with the results of marks, before the other operations of their batch
    /// have ended.
    ///
    /// # Errors
    /// [`LeaderError::Lost`] when the session is lost: operations under way may have been carried
    /// out. [`LeaderError::Deposed`] when another orchestrator leads: nothing was written.
    pub async fn carry_out(
        &mut self,
        operations: Vec<Operation>,
        now: Timestamp,
        on_marked: &mut (dyn FnMut(OperationResults) + Send),
    ) -> Result<OperationResults, LeaderError> {
        let mut answers = OperationResults::default();
        let mut operations = VecDeque::from(operations);
        while !operations.is_empty() {
            let mut batch = OperationBatch::take(&mut operations);
            let others = std::mem::take(&mut batch.others);
            self.carry_out_batch(&batch, on_marked, &mut answers).await?;
            for operation in others {
                self.carry_out_one(operation, now, &mut answers).await?;
            }
        }
        Ok(answers)
    }

    async fn carry_out_one(
        &mut self,
        operation: Operation,
        now: Timestamp,
        answers: &mut OperationResults,
    ) -> Result<(), LeaderError> {
        let command = match &operation {
            Operation::Core(command) => Some(command.clone()),
            Operation::Register(..) | Operation::Publish(_) | Operation::Log { .. } | Operation::Goodbye { .. } => None,
        };
        // The leader cannot go on without these two, so their refusal counts as a lost session.
        let vital = matches!(operation, Operation::Goodbye { .. } | Operation::Core(Command::Resync { .. }));
        // A warning that the log cannot be written would have to be written to the log.
        let quiet = matches!(operation, Operation::Log { .. });
        let done = match operation {
            Operation::Core(command) => self.carry_out_command(command, now, answers).await,
            Operation::Publish(published) => self.publish(&published).await,
            Operation::Log { level, message } => {
                self.query("writing the log", &self.statements.log, &[&level, &message]).await.map(drop)
            }
            Operation::Goodbye { why } => {
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
                answers.troubles.extend((!quiet).then(|| format!("{operation} failed: {reason}")));
                if let Some(command) = command {
                    answers.inputs.push(Input::Refused { command: Box::new(command), reason });
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
        answers: &mut OperationResults,
    ) -> Result<(), LeaderError> {
        match command {
            Command::Sweep { tasks_max, skip } => self.sweep(tasks_max, &skip, now, answers).await,
            Command::Resync { tasks } => {
                let rows = self.rows(&tasks).await?;
                let rows = rows.into_iter().map(|stored| (stored.id(), stored.row));
                answers.inputs.push(Input::Resynced(rows.collect()));
                Ok(())
            }
            Command::RotateMarks { launched } => {
                let ids: Vec<i64> = launched.iter().map(|(task, _)| task.0).collect();
                let runs: Vec<i32> = launched.iter().map(|(_, run)| run.0).collect();
                let all: [&(dyn pgasync_pg::types::ToSql + Sync); 3] = [&self.epoch.0, &ids, &runs];
                self.query("rotating the launch marks", &self.statements.rotate_marks, &all).await?;
                answers.inputs.push(Input::MarksRotated);
                Ok(())
            }
            Command::RunStartup => {
                self.run_routines("STARTUP", answers).await?;
                answers.inputs.push(Input::StartupDone);
                Ok(())
            }
            Command::RunRoutines => {
                self.run_routines("LOOP", answers).await?;
                answers.inputs.push(Input::RoutinesDone);
                Ok(())
            }
            Command::Reread { tasks } => self.reread(&tasks, answers).await,
            Command::Poll { sleep, offered } => self.poll(sleep, &offered, answers).await,
            Command::ServeLatch { number } => {
                self.query("serving the latch", &self.statements.serve_latch, &[&number]).await.map(drop)
            }
            Command::Maintain => self.maintain(now, answers).await,
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
        answers: &mut OperationResults,
    ) -> Result<(), LeaderError> {
        let first = async {
            let mark = async { if batch.marks.is_empty() { Ok(vec![]) } else { self.mark(batch).await } };
            let read = async { if batch.reads.is_none() { Ok(vec![]) } else { self.first_requests().await } };
            let (marked, requests) = join(mark, read).await;
            let marked = marked.map_err(|error| LeaderError::of("marking launches", &error));
            let requests = requests.map_err(|error| LeaderError::of("reading requests", &error));
            let mut answers = OperationResults::default();
            match marked {
                Ok(rows) => launchable(batch, &rows, &mut answers),
                Err(LeaderError::Refused { operation, reason }) => {
                    answers.troubles.push(format!("{operation} failed: {reason}"));
                    answers.refuse(batch.marks.iter().map(|mark| mark_command(*mark)), &reason);
                }
                Err(error) => return Err(error),
            }
            if let (Some(serial), Ok([])) = (batch.reads, requests.as_deref()) {
                answers.inputs.push(Input::Requests { serial, asked: vec![], last: true });
            }
            if !answers.inputs.is_empty() {
                on_marked(answers);
            }
            // An error of the requests is handled below, so that it does not take the results of
            // the marks with it.
            requests
        };
        let (requests, results) = join(first, self.send(batch, None)).await;
        // The requests were read before the writes of this batch, so the core has to handle them
        // first.
        match requests {
            Ok(requests) if requests.is_empty() => {}
            Ok(requests) => {
                if let Some(serial) = batch.reads {
                    self.read_requests(serial, requests, answers).await?;
                }
            }
            Err(LeaderError::Refused { operation, reason }) => {
                answers.troubles.push(format!("{operation} failed: {reason}"));
                answers.refuse(batch.reads.map(|serial| Command::ReadRequests { serial }), &reason);
            }
            Err(error) => return Err(error),
        }
        let results = self.retry_separately(batch, results, answers).await?;
        self.read_results(batch, results, answers)
    }

    /// When a statement of the batch was refused, its transaction is rolled back. Then each kind of
    /// statement is sent again in a transaction of its own, so that only the one that the server
    /// refuses fails.
    async fn retry_separately(
        &self,
        batch: &OperationBatch,
        results: StatementResults,
        answers: &mut OperationResults,
    ) -> Result<StatementResults, LeaderError> {
        let failed = |(_, result): &(StatementKind, Result<Vec<Row>, _>)| result.is_err();
        let Some(error) = results.iter().find_map(|(_, result)| result.as_ref().err()) else { return Ok(results) };
        let error = LeaderError::of("a batch", error);
        if !matches!(error, LeaderError::Refused { .. }) {
            return Err(error);
        }
        answers.troubles.push(error.to_string());
        if results.iter().filter(|result| failed(result)).all(|(kind, _)| *kind == StatementKind::Heads) {
            // The heads are read after the commit, so the writes stand.
            return Ok(results);
        }
        let mut separate = Vec::new();
        for kind in StatementKind::ALL {
            separate.extend(attribute_to(kind, self.send(batch, Some(kind)).await));
        }
        Ok(separate)
    }

    fn read_results(
        &mut self,
        batch: &OperationBatch,
        results: StatementResults,
        answers: &mut OperationResults,
    ) -> Result<(), LeaderError> {
        let mut answered: BTreeMap<StatementKind, Vec<Row>> = BTreeMap::new();
        let mut refused: BTreeMap<StatementKind, String> = BTreeMap::new();
        for (kind, result) in results {
            match result.map_err(|error| LeaderError::of(kind.name(), &error)) {
                Ok(rows) => answered.entry(kind).or_default().extend(rows),
                Err(LeaderError::Refused { operation, reason }) => {
                    answers.troubles.push(format!("{operation} failed: {reason}"));
                    refused.insert(kind, reason);
                }
                Err(error) => return Err(error),
            }
        }
        debug_assert!(!refused.contains_key(&StatementKind::Transaction), "attributed to the statement in it");
        for (kind, reason) in &refused {
            answered.remove(kind);
            answers.refuse(batch.commands_of(*kind), reason);
        }
        let rows = |kind: StatementKind| answered.get(&kind).map(Vec::as_slice);
        if let Some(rows) = rows(StatementKind::Register) {
            self.registered(batch, rows, answers);
        }
        if rows(StatementKind::Unregister).is_some() {
            for sessions in &batch.unregistrations {
                answers.inputs.push(Input::Unregistered { sessions: sessions.clone() });
            }
        }
        if let Some(rows) = rows(StatementKind::Write) {
            self.rows_written += i64::try_from(batch.writes.len()).unwrap_or(i64::MAX);
            written(batch, rows, answers);
        }
        if let Some(rows) = rows(StatementKind::Heads) {
            refilled(batch, rows, answers);
        }
        Ok(())
    }

    fn registered(&mut self, batch: &OperationBatch, rows: &[Row], answers: &mut OperationResults) {
        for (session, registration) in &batch.registrations {
            let its = |row: &&Row| {
                row.get::<_, i32>("pid") == registration.pid
                    && row.get::<_, &str>("target") == registration.target.as_str()
            };
            if let Some(row) = rows.iter().find(its) {
                self.registered.insert(*session, row.get("session_id"));
                answers.inputs.push(Input::Registered { session: *session });
            }
        }
    }
}

impl OperationBatch {
    /// The commands that statements of a kind carry out.
    fn commands_of(&self, kind: StatementKind) -> Vec<Command> {
        match kind {
            StatementKind::Transaction => vec![],
            StatementKind::Register => {
                self.registrations.iter().map(|(session, _)| Command::Register { session: *session }).collect()
            }
            StatementKind::Unregister => {
                let command = |sessions: &Vec<_>| Command::Unregister { sessions: sessions.clone() };
                self.unregistrations.iter().map(command).collect()
            }
            StatementKind::Dismiss => self.dismissals.iter().map(|(_, command)| command.clone()).collect(),
            StatementKind::Write => self.writes.iter().cloned().map(Command::Write).collect(),
            StatementKind::Heads => {
                let command =
                    |(lane, heads_max): &(Lane, usize)| Command::Refill { lane: lane.clone(), heads_max: *heads_max };
                self.refills.iter().map(command).collect()
            }
        }
    }
}

impl OperationResults {
    /// Reports that these commands were refused.
    fn refuse(&mut self, commands: impl IntoIterator<Item = Command>, reason: &str) {
        let refused = |command| Input::Refused { command: Box::new(command), reason: reason.to_owned() };
        self.inputs.extend(commands.into_iter().map(refused));
    }
}

const fn mark_command((task, run, session): (TaskId, pgasync_core::Run, Option<pgasync_core::SessionId>)) -> Command {
    Command::Mark { task, run, session }
}

/// Results of a transaction that held statements of one kind. An error of its begin or commit is an
/// error of that kind: the statement changed nothing, and the transactions of other kinds stand.
fn attribute_to<R, E>(
    kind: StatementKind,
    results: impl IntoIterator<Item = (StatementKind, Result<R, E>)>,
) -> impl Iterator<Item = (StatementKind, Result<R, E>)> {
    results.into_iter().map(move |(sent, result)| (if result.is_err() { kind } else { sent }, result))
}

/// Marked tasks, with the texts to launch.
fn launchable(batch: &OperationBatch, rows: &[Row], answers: &mut OperationResults) {
    let texts: BTreeMap<TaskId, Option<&str>> =
        rows.iter().map(|row| (TaskId(row.get("task_id")), row.get("query"))).collect();
    for (task, run, session) in &batch.marks {
        // A task may be marked twice in a batch, when its session was lost before the first mark
        // was written.
        answers.texts.push((*task, *run, texts.get(task).copied().flatten().map(ToOwned::to_owned)));
        answers.inputs.push(Input::Marked { task: *task, run: *run, session: *session });
    }
}

/// The writer returns only the rows that differ from what the core predicts.
fn written(batch: &OperationBatch, rows: &[Row], answers: &mut OperationResults) {
    let mut triggered = false;
    let mut differing: BTreeMap<TaskId, &Row> = BTreeMap::new();
    let mut touched = Vec::new();
    for row in rows {
        match (row.get::<_, Option<i64>>("task_id"), row.get::<_, &str>("outcome")) {
            (None, _) => triggered = true,
            (Some(task), "touched") => touched.push((TaskId(task), row)),
            (Some(task), _) => drop(differing.insert(TaskId(task), row)),
        }
    }
    for event in &batch.writes {
        let answer = differing.get(&event.task).map_or(WriteAnswer::AsPredicted, |row| answer(row));
        if let WriteAnswer::Failed(error) = &answer {
            answers.failures.push((event.task, error.clone()));
        }
        answers.inputs.push(Input::Written { task: event.task, run: event.run, answer });
    }
    for (task, row) in touched {
        let row = row_of(row);
        let pulled = row.state() == RowState::Running;
        answers.inputs.push(if pulled { Input::Taken { task, row } } else { Input::Changed { task, row: Some(row) } });
    }
    if triggered {
        answers.inputs.push(Input::Triggered);
    }
}

fn answer(row: &Row) -> WriteAnswer {
    match row.get::<_, &str>("outcome") {
        "gone" => WriteAnswer::Gone,
        "locked" => WriteAnswer::Locked,
        "failed" => WriteAnswer::Failed(row.get::<_, Option<String>>("error").unwrap_or_default()),
        _ => WriteAnswer::Row(row_of(row)),
    }
}

fn refilled(batch: &OperationBatch, rows: &[Row], answers: &mut OperationResults) {
    for (place, (lane, heads_max)) in batch.refills.iter().enumerate() {
        let number = i64::try_from(place + 1).unwrap_or(i64::MAX);
        let mut heads: Vec<_> = rows
            .iter()
            .filter(|row| row.get::<_, i64>("lane") == number)
            .filter_map(|row| head(row, lane.kind))
            .collect();
        heads.sort_by_key(|head| head.position);
        let more = heads.len() > *heads_max;
        heads.truncate(*heads_max);
        answers.inputs.push(Input::Refilled { lane: lane.clone(), heads, more });
    }
}

/// Turns tasks that were read again into inputs. A task of `asked` that is missing was deleted.
pub(super) fn changed(stored: Vec<StoredTask>, asked: &[TaskId], answers: &mut OperationResults) {
    let mut gone: Vec<TaskId> = asked.to_vec();
    for stored in stored {
        let task = stored.id();
        gone.retain(|other| *other != task);
        if stored.row.state() == RowState::Ready {
            answers.inputs.push(Input::Waiting(vec![stored.lane.clone()]));
        }
        let pulled = stored.row.state() == RowState::Running && stored.options.client_pulled;
        debug_assert!(stored.row.task(stored.options, LaunchState::Claimed).is_ok() || !pulled);
        answers.inputs.push(if pulled {
            Input::Taken { task, row: stored.row }
        } else {
            Input::Changed { task, row: Some(stored.row) }
        });
    }
    answers.inputs.extend(gone.into_iter().map(|task| Input::Changed { task, row: None }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_commit_refuses_only_the_statement_in_it() {
        use StatementKind::{Register, Transaction, Write};
        let sent = |commit| [(Transaction, Ok(())), (Write, Ok(())), (Transaction, commit)];
        let refused: Vec<StatementKind> = attribute_to(Write, sent(Err("disk full")))
            .chain(attribute_to(Register, [(Transaction, Ok(())), (Register, Ok(())), (Transaction, Ok(()))]))
            .filter_map(|(kind, result)| result.is_err().then_some(kind))
            .collect();
        assert_eq!(refused, [Write]);
    }
}
