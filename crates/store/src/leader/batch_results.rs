//! Turning the rows that the statements of a batch return into inputs for the core.

use std::collections::{BTreeMap, BTreeSet};

use pgasync_core::{Command, Head, Input, LaunchState, Refill, RowState, TaskId, WriteAnswer};
use pgasync_pg::Row;

use super::operations::OperationBatch;
use super::rows::{StoredTask, head, row_of};
use super::send::{BatchStatement, StatementResults};
use super::{LaunchText, LeaderError, LeaderSession, OperationResults};

impl LeaderSession {
    /// Turns the answers to the statements of a batch into inputs.
    ///
    /// # Errors
    /// When the session is lost, or another orchestrator leads.
    pub(super) fn read_results(
        &mut self,
        batch: &OperationBatch,
        statement_results: StatementResults,
        results: &mut OperationResults,
    ) -> Result<(), LeaderError> {
        let mut rows_by_kind: BTreeMap<BatchStatement, Vec<Row>> = BTreeMap::new();
        let mut refused: BTreeMap<BatchStatement, String> = BTreeMap::new();
        for (kind, result) in statement_results {
            match result.map_err(|error| LeaderError::of(kind.name(), &error)) {
                Ok(rows) => rows_by_kind.entry(kind).or_default().extend(rows),
                Err(LeaderError::Refused { operation, reason }) => {
                    results.warnings.push(format!("{operation} failed: {reason}"));
                    refused.insert(kind, reason);
                }
                Err(error) => return Err(error),
            }
        }
        debug_assert!(!refused.contains_key(&BatchStatement::Transaction), "attributed to the statement in it");
        for (kind, reason) in &refused {
            rows_by_kind.remove(kind);
            results.refuse(batch.commands_of(*kind), reason);
        }
        let rows = |kind: BatchStatement| rows_by_kind.get(&kind).map(Vec::as_slice);
        if let Some(rows) = rows(BatchStatement::Register) {
            self.registered(batch, rows, results);
        }
        if rows(BatchStatement::Unregister).is_some() {
            for sessions in &batch.unregistrations {
                results.inputs.push(Input::Unregistered { sessions: sessions.clone() });
            }
        }
        if let Some(rows) = rows(BatchStatement::Write) {
            self.rows_written.add(batch.writes.len());
            written(batch, rows, results);
        }
        if let Some(rows) = rows(BatchStatement::Heads) {
            refilled(batch, rows, results);
        }
        Ok(())
    }

    fn registered(&mut self, batch: &OperationBatch, rows: &[Row], results: &mut OperationResults) {
        for (session, registration) in &batch.registrations {
            let its = |row: &&Row| {
                row.get::<_, i32>("pid") == registration.pid
                    && row.get::<_, &str>("target") == registration.target.as_str()
            };
            let row = rows.iter().find(its);
            debug_assert!(row.is_some(), "the statement returns a row for each registration");
            if let Some(row) = row {
                self.registered.insert(*session, row.get("session_id"));
                results.sessions_at_self.extend(Some(*session).filter(|_| row.get("at_self")));
                results.inputs.push(Input::Registered { session: *session });
            }
        }
    }
}

impl OperationBatch {
    /// The commands that statements of a kind carry out.
    fn commands_of(&self, kind: BatchStatement) -> Vec<Command> {
        match kind {
            BatchStatement::Transaction => vec![],
            BatchStatement::Register => {
                self.registrations.iter().map(|(session, _)| Command::Register { session: *session }).collect()
            }
            BatchStatement::Unregister => {
                let command = |sessions: &Vec<_>| Command::Unregister { sessions: sessions.clone() };
                self.unregistrations.iter().map(command).collect()
            }
            BatchStatement::Dismiss => self.dismissals.iter().map(|(_, command)| command.clone()).collect(),
            BatchStatement::Write => self.writes.iter().cloned().map(Command::Write).collect(),
            BatchStatement::Heads => {
                let command = |Refill { lane, after, heads_max }: &Refill| Command::Refill {
                    lane: lane.clone(),
                    after: *after,
                    heads_max: *heads_max,
                };
                self.refills.iter().map(command).collect()
            }
        }
    }
}

impl OperationResults {
    /// Reports that these commands were refused.
    pub(super) fn refuse(&mut self, commands: impl IntoIterator<Item = Command>, reason: &str) {
        let refused = |command| Input::Refused { command: Box::new(command), reason: reason.to_owned() };
        self.inputs.extend(commands.into_iter().map(refused));
    }
}

/// The error of a task whose row is gone or has another run. `async.refuse_query` has the others.
const QUERY_GONE: &str = "the query of the task is gone";

/// The text of a row of `async.lead_mark`, or the reason why it must not be launched.
fn text(row: &Row) -> Result<LaunchText, String> {
    match row.get::<_, Option<String>>("query") {
        Some(query) => Ok(LaunchText {
            query,
            may_reach_self: row.get("may_reach_self"),
            answer_bytes_max: row.get::<_, Option<i32>>("answer_bytes_max").and_then(|max| u64::try_from(max).ok()),
            receipt: row.get("receipt"),
        }),
        None => Err(row.get::<_, Option<String>>("refused").unwrap_or_else(|| QUERY_GONE.to_owned())),
    }
}

/// Reports marked tasks, with the texts to launch.
pub(super) fn launchable(batch: &OperationBatch, rows: &[Row], results: &mut OperationResults) {
    let texts: BTreeMap<TaskId, &Row> = rows.iter().map(|row| (TaskId(row.get("task_id")), row)).collect();
    for (task, run, session) in &batch.marks {
        // A batch may mark a task twice: its session was lost before the first mark was written. So
        // the text is copied for each mark.
        results.texts.push((*task, *run, texts.get(task).map_or_else(|| Err(QUERY_GONE.to_owned()), |row| text(row))));
        results.inputs.push(Input::Marked { task: *task, run: *run, session: *session });
    }
}

/// Turns the rows of the writer into inputs. The writer returns only the rows that differ from the
/// prediction of the core, so an event without a row was written as predicted.
fn written(batch: &OperationBatch, rows: &[Row], results: &mut OperationResults) {
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
        let answer = differing.get(&event.task).map_or(WriteAnswer::AsPredicted, |row| write_answer(row));
        if let WriteAnswer::Failed(error) = &answer {
            results.failures.push((event.task, error.clone()));
        }
        results.inputs.push(Input::Written { task: event.task, run: event.run, answer });
    }
    for (task, row) in touched {
        let row = row_of(row);
        let pulled = row.state() == RowState::Running;
        results.inputs.push(if pulled { Input::Taken { task, row } } else { Input::Changed { task, row: Some(row) } });
    }
    if triggered {
        results.inputs.push(Input::Triggered);
    }
}

fn write_answer(row: &Row) -> WriteAnswer {
    match row.get::<_, &str>("outcome") {
        "gone" => WriteAnswer::Gone,
        "locked" => WriteAnswer::Locked,
        "failed" => WriteAnswer::Failed(row.get::<_, Option<String>>("error").unwrap_or_default()),
        _ => WriteAnswer::Row(row_of(row)),
    }
}

fn refilled(batch: &OperationBatch, rows: &[Row], results: &mut OperationResults) {
    // One pass: a batch may refill many lanes.
    let mut heads_by_lane: Vec<Vec<Head>> = batch.refills.iter().map(|_| Vec::new()).collect();
    for row in rows {
        let place = usize::try_from(row.get::<_, i64>("lane")).ok().and_then(|number| number.checked_sub(1));
        let lane = place.and_then(|place| Some((heads_by_lane.get_mut(place)?, &batch.refills.get(place)?.lane)));
        debug_assert!(lane.is_some(), "a head of lane {place:?}, which was not asked for");
        if let Some((heads, lane)) = lane {
            heads.extend(head(row, lane.kind));
        }
    }
    for (Refill { lane, heads_max, .. }, mut heads) in batch.refills.iter().zip(heads_by_lane) {
        heads.sort_unstable_by_key(|head| head.position);
        let more = heads.len() > *heads_max;
        heads.truncate(*heads_max);
        results.inputs.push(Input::Refilled { lane: lane.clone(), heads, more });
    }
}

/// Turns tasks that were read again into inputs. A task of `tasks` that is missing was deleted.
pub(super) fn changed(stored: Vec<StoredTask>, tasks: &[TaskId], results: &mut OperationResults) {
    let mut gone: BTreeSet<TaskId> = tasks.iter().copied().collect();
    for stored in stored {
        let task = stored.id();
        gone.remove(&task);
        if stored.row.state() == RowState::Ready {
            results.inputs.push(Input::Waiting(vec![stored.lane.clone()]));
        }
        let pulled = stored.row.state() == RowState::Running && stored.options.client_pulled;
        debug_assert!(stored.row.task(stored.options, LaunchState::Claimed).is_ok() || !pulled);
        results.inputs.push(if pulled {
            Input::Taken { task, row: stored.row }
        } else {
            Input::Changed { task, row: Some(stored.row) }
        });
    }
    results.inputs.extend(gone.into_iter().map(|task| Input::Changed { task, row: None }));
}
