//! Carrying out many operations at once: launches are marked first and reported at once, since they
//! are what targets wait for; what is written shares a transaction. All statements are sent before
//! the first answer is awaited.

use std::collections::{BTreeMap, VecDeque};

use futures_util::future::join;
use pgasync_core::{Command, Input, Lane, LaunchState, RowState, TaskId, Timestamp, WriteAnswer};
use pgasync_pg::Row;

use super::operations::Operations;
use super::rows::{Stored, head, row_of};
use super::send::{Part, Results};
use super::{Answers, Lead, LeadError, Op};

impl Lead {
    /// Carries out operations; commands for the core's store must be given in the order in which they
    /// came. `early` hears what need not wait for the rest.
    ///
    /// # Errors
    /// [`LeadError::Lost`] when the session goes: what was under way is then done or not.
    /// [`LeadError::Deposed`] when another leads: nothing was written.
    pub async fn carry_out(
        &mut self,
        ops: Vec<Op>,
        now: Timestamp,
        early: &mut (dyn FnMut(Answers) + Send),
    ) -> Result<Answers, LeadError> {
        let mut answers = Answers::default();
        let mut ops = VecDeque::from(ops);
        while !ops.is_empty() {
            let mut batch = Operations::take(&mut ops);
            let others = std::mem::take(&mut batch.others);
            self.carry_out_batch(&batch, early, &mut answers).await?;
            for op in others {
                self.carry_out_one(op, now, &mut answers).await?;
            }
        }
        Ok(answers)
    }

    async fn carry_out_one(&mut self, op: Op, now: Timestamp, answers: &mut Answers) -> Result<(), LeadError> {
        let command = match &op {
            Op::Core(command) => Some(command.clone()),
            Op::Register(..) | Op::Publish(_) | Op::Log { .. } | Op::Goodbye { .. } => None,
        };
        let vital = matches!(op, Op::Goodbye { .. } | Op::Core(Command::Resync { .. }));
        // What it says of a trouble with the log would end there as well.
        let quiet = matches!(op, Op::Log { .. });
        let done = match op {
            Op::Core(command) => self.carry_out_command(command, now, answers).await,
            Op::Publish(published) => self.publish(&published).await,
            Op::Log { level, message } => {
                self.query("writing the log", &self.statements.log, &[&level, &message]).await.map(drop)
            }
            Op::Goodbye { why } => {
                let statement = &self.statements.goodbye;
                self.write_alone("saying goodbye", statement, &[&why]).await.map(drop)
            }
            // Shared the batch.
            Op::Register(..) => Ok(()),
        };
        match done {
            Err(LeadError::Refused { operation, reason }) if !vital => {
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
        answers: &mut Answers,
    ) -> Result<(), LeadError> {
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
                self.query("beginning the launch marks anew", &self.statements.rotate_marks, &all).await?;
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
            // Shared the batch, or the runner's.
            _ => Ok(()),
        }
    }

    async fn carry_out_batch(
        &mut self,
        batch: &Operations,
        early: &mut (dyn FnMut(Answers) + Send),
        answers: &mut Answers,
    ) -> Result<(), LeadError> {
        let first = async {
            let mark = async { if batch.marks.is_empty() { Ok(vec![]) } else { self.mark(batch).await } };
            let read = async { if batch.reads.is_none() { Ok(vec![]) } else { self.first_requests().await } };
            let (marked, requests) = join(mark, read).await;
            let marked = marked.map_err(|error| LeadError::of("marking launches", &error));
            let requests = requests.map_err(|error| LeadError::of("reading requests", &error));
            let mut answers = Answers::default();
            match marked {
                Ok(rows) => launchable(batch, &rows, &mut answers),
                Err(LeadError::Refused { operation, reason }) => {
                    answers.troubles.push(format!("{operation} failed: {reason}"));
                    answers.refuse(batch.marks.iter().map(|mark| mark_command(*mark)), &reason);
                }
                Err(error) => return Err(error),
            }
            if let (Some(serial), Ok([])) = (batch.reads, requests.as_deref()) {
                answers.inputs.push(Input::Requests { serial, asked: vec![], last: true });
            }
            if !answers.inputs.is_empty() {
                early(answers);
            }
            // Marks have their answers, whatever came of the requests.
            requests
        };
        let (requests, results) = join(first, self.send(batch, None)).await;
        // They were read before anything of this batch was written, so they are told first.
        match requests {
            Ok(requests) if requests.is_empty() => {}
            Ok(requests) => {
                if let Some(serial) = batch.reads {
                    self.read_requests(serial, requests, answers).await?;
                }
            }
            Err(LeadError::Refused { operation, reason }) => {
                answers.troubles.push(format!("{operation} failed: {reason}"));
                answers.refuse(batch.reads.map(|serial| Command::ReadRequests { serial }), &reason);
            }
            Err(error) => return Err(error),
        }
        let results = self.try_apart(batch, results, answers).await?;
        self.take_in(batch, results, answers)
    }

    /// When something in a batch is refused: each kind on its own, so that only the culprit fails.
    async fn try_apart(
        &self,
        batch: &Operations,
        results: Results,
        answers: &mut Answers,
    ) -> Result<Results, LeadError> {
        let failed = |(_, result): &(Part, Result<Vec<Row>, _>)| result.is_err();
        let Some(error) = results.iter().find_map(|(_, result)| result.as_ref().err()) else { return Ok(results) };
        let error = LeadError::of("a batch", error);
        if !matches!(error, LeadError::Refused { .. }) {
            return Err(error);
        }
        answers.troubles.push(error.to_string());
        if results.iter().filter(|result| failed(result)).all(|(part, _)| *part == Part::Heads) {
            // They are read after the commit: what was written stands.
            return Ok(results);
        }
        let mut apart = Vec::new();
        for part in Part::ALL {
            apart.extend(self.send(batch, Some(part)).await);
        }
        Ok(apart)
    }

    fn take_in(&mut self, batch: &Operations, results: Results, answers: &mut Answers) -> Result<(), LeadError> {
        let mut answered: BTreeMap<Part, Vec<Row>> = BTreeMap::new();
        let mut refused: BTreeMap<Part, String> = BTreeMap::new();
        for (part, result) in results {
            match result.map_err(|error| LeadError::of(part.name(), &error)) {
                Ok(rows) => answered.entry(part).or_default().extend(rows),
                Err(LeadError::Refused { operation, reason }) => {
                    answers.troubles.push(format!("{operation} failed: {reason}"));
                    refused.insert(part, reason);
                }
                Err(error) => return Err(error),
            }
        }
        // A transaction of one part that cannot be begun or committed did nothing.
        if let Some(reason) = refused.remove(&Part::Bracket) {
            for part in Part::ALL {
                refused.entry(part).or_insert_with(|| reason.clone());
            }
        }
        for (part, reason) in &refused {
            answered.remove(part);
            answers.refuse(batch.commands_of(*part), reason);
        }
        let rows = |part: Part| answered.get(&part).map(Vec::as_slice);
        if let Some(rows) = rows(Part::Register) {
            self.registered(batch, rows, answers);
        }
        if rows(Part::Unregister).is_some() {
            for sessions in &batch.unregistrations {
                answers.inputs.push(Input::Unregistered { sessions: sessions.clone() });
            }
        }
        if let Some(rows) = rows(Part::Write) {
            self.written += i64::try_from(batch.writes.len()).unwrap_or(i64::MAX);
            written(batch, rows, answers);
        }
        if let Some(rows) = rows(Part::Heads) {
            refilled(batch, rows, answers);
        }
        Ok(())
    }

    fn registered(&mut self, batch: &Operations, rows: &[Row], answers: &mut Answers) {
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

impl Operations {
    /// The commands that a part of the batch carries out.
    fn commands_of(&self, part: Part) -> Vec<Command> {
        match part {
            Part::Bracket => vec![],
            Part::Register => {
                self.registrations.iter().map(|(session, _)| Command::Register { session: *session }).collect()
            }
            Part::Unregister => {
                let command = |sessions: &Vec<_>| Command::Unregister { sessions: sessions.clone() };
                self.unregistrations.iter().map(command).collect()
            }
            Part::Dismiss => self.dismissals.iter().map(|(_, command)| command.clone()).collect(),
            Part::Write => self.writes.iter().cloned().map(Command::Write).collect(),
            Part::Heads => {
                let command =
                    |(lane, heads_max): &(Lane, usize)| Command::Refill { lane: lane.clone(), heads_max: *heads_max };
                self.refills.iter().map(command).collect()
            }
        }
    }
}

impl Answers {
    /// Nothing came of these commands.
    fn refuse(&mut self, commands: impl IntoIterator<Item = Command>, reason: &str) {
        let refused = |command| Input::Refused { command: Box::new(command), reason: reason.to_owned() };
        self.inputs.extend(commands.into_iter().map(refused));
    }
}

const fn mark_command((task, run, session): (TaskId, pgasync_core::Run, Option<pgasync_core::SessionId>)) -> Command {
    Command::Mark { task, run, session }
}

/// What is marked may be launched, once its text is there.
fn launchable(batch: &Operations, rows: &[Row], answers: &mut Answers) {
    let texts: BTreeMap<TaskId, Option<&str>> =
        rows.iter().map(|row| (TaskId(row.get("task_id")), row.get("query"))).collect();
    for (task, run, session) in &batch.marks {
        // A task may be marked twice in a batch, when its session was lost before the first mark was written.
        answers.texts.push((*task, *run, texts.get(task).copied().flatten().map(ToOwned::to_owned)));
        answers.inputs.push(Input::Marked { task: *task, run: *run, session: *session });
    }
}

/// Silence means as predicted; the rows that differ are named.
fn written(batch: &Operations, rows: &[Row], answers: &mut Answers) {
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

fn refilled(batch: &Operations, rows: &[Row], answers: &mut Answers) {
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

/// Rows as the core takes them, when something else changed them.
pub(super) fn changed(stored: Vec<Stored>, asked: &[TaskId], answers: &mut Answers) {
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
