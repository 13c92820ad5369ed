//! What became of the writes of a batch, in the core's words.

use std::collections::BTreeMap;

use pgasync_core::{Command, Found, Input, RowState, Run, Span, TaskId, Timestamp};
use tokio_postgres::Row;

use super::rows::head;
use super::writes::Writes;
use super::{Answers, Lead, LeadError, Op};

const PARK_FIRST: Span = Span::millis(50);

/// How often the wait of a parked row doubles.
const PARK_DOUBLINGS_MAX: u32 = 9;

impl Lead {
    pub(super) fn registered(&mut self, writes: &Writes, rows: &[Row], answers: &mut Answers) {
        self.registered.retain(|_, number| !writes.forgotten.contains(number));
        for (session, registration) in &writes.registrations {
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

    /// Of the write of records and claims, the rows that are not as planned.
    pub(super) async fn written(
        &mut self,
        writes: &Writes,
        rows: Option<Vec<Row>>,
        now: Timestamp,
        answers: &mut Answers,
    ) -> Result<(), LeadError> {
        let done = rows.is_some();
        let rows = rows.unwrap_or_default();
        let odd: BTreeMap<TaskId, &Row> = rows.iter().map(|row| (TaskId(row.get("out_task_id")), row)).collect();
        self.recorded(writes, done, &odd, answers).await?;
        for (task, row) in &writes.claims {
            let outcome = match odd.get(task) {
                Some(row) => row.get("out_outcome"),
                None if done => "applied",
                None => "failed",
            };
            let claimed = outcome == "applied";
            if claimed {
                self.running.insert(*task);
            }
            let error = odd.get(task).and_then(|row| row.get::<_, Option<&str>>("out_error"));
            self.park(*task, outcome, error, now, answers);
            answers.inputs.push(Input::Claimed { task: *task, run: Run(row.run), claimed });
        }
        Ok(())
    }

    async fn recorded(
        &mut self,
        writes: &Writes,
        done: bool,
        odd: &BTreeMap<TaskId, &Row>,
        answers: &mut Answers,
    ) -> Result<(), LeadError> {
        let mut found: BTreeMap<TaskId, Found> = BTreeMap::new();
        let mut read_back = Vec::new();
        for record in &writes.records {
            let task = record.task;
            let Some(row) = odd.get(&task) else {
                found.insert(task, if done { Found::Row(record.row.clone()) } else { Found::Unwritable });
                continue;
            };
            match row.get::<_, &str>("out_outcome") {
                "gone" => {
                    found.insert(task, Found::Deleted);
                }
                "locked" => {}
                "failed" => {
                    let tries = self.unwritable.entry(task).or_insert(0);
                    *tries += 1;
                    // The first time, and then each time that it has taken twice as many tries.
                    if tries.is_power_of_two() {
                        let error: &str = row.get::<_, Option<&str>>("out_error").unwrap_or_default();
                        answers.troubles.push(format!("task {task} cannot be written (try {tries}): {error}"));
                    }
                }
                _ => read_back.push(task),
            }
        }
        if !read_back.is_empty() {
            answers.stirred = true;
            self.read_back(writes, read_back, &mut found).await?;
        }
        for record in &writes.records {
            let found = found.remove(&record.task).unwrap_or(Found::Unwritable);
            if found != Found::Unwritable {
                self.unwritable.remove(&record.task);
                self.running.remove(&record.task);
                // A task that is over while nobody knows whether its query is: a successor has to know as well.
                if !matches!(&found, Found::Row(row) if row.processed.is_some() && row.tracked == Some(true)) {
                    self.marked.remove(&record.task);
                }
                self.offered.remove(&record.task);
            }
            answers.inputs.push(Input::Recorded { task: record.task, run: record.run, found });
        }
        Ok(())
    }

    /// Reads what rows became that triggers, or somebody else, changed.
    async fn read_back(
        &self,
        writes: &Writes,
        tasks: Vec<TaskId>,
        found: &mut BTreeMap<TaskId, Found>,
    ) -> Result<(), LeadError> {
        let mut strays = Vec::new();
        for mut stored in self.rows(&tasks).await? {
            let record = writes.records.iter().find(|record| record.task == stored.id());
            let keeps = record.is_none_or(|record| record.row.tracked == Some(true));
            if !keeps && stored.row.state() == RowState::Finished && stored.row.tracked == Some(true) {
                // Finished by hand while its query ran, which has ended now.
                strays.push((stored.id(), Run(stored.row.run)));
                stored.row.tracked = Some(false);
            }
            found.insert(stored.id(), Found::Row(stored.row));
        }
        if !strays.is_empty() {
            let ids: Vec<i64> = strays.iter().map(|(task, _)| task.0).collect();
            let runs: Vec<i32> = strays.iter().map(|(_, run)| run.0).collect();
            self.query("freeing slots", &self.statements.release, &[&ids, &runs]).await?;
        }
        for task in tasks {
            found.entry(task).or_insert(Found::Deleted);
        }
        Ok(())
    }

    /// Of the freeing of slots, the rows that could not be written.
    pub(super) fn released(&mut self, writes: &Writes, rows: &[Row]) {
        let failed: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        for (task, run) in &writes.releases {
            if failed.contains(&task.0) {
                self.again.push(Op::Core(Command::Release { task: *task, run: *run }));
            } else if !self.running.contains(task) {
                self.marked.remove(task);
            }
        }
    }

    pub(super) fn given_back(&mut self, writes: &Writes, rows: &[Row], answers: &mut Answers) {
        for (task, run, row) in &writes.returns {
            let outcome = outcome(rows, *task);
            if matches!(outcome, Some("locked" | "failed")) {
                self.again.push(Op::Core(Command::GiveBack { task: *task, run: *run, row: row.clone() }));
                continue;
            }
            self.running.remove(task);
            self.marked.remove(task);
            answers.inputs.push(Input::GivenBack { task: *task, run: *run });
        }
    }

    pub(super) async fn withdrawn(
        &mut self,
        writes: &Writes,
        rows: &[Row],
        answers: &mut Answers,
    ) -> Result<(), LeadError> {
        let back: Vec<i64> = rows.iter().flat_map(|row| row.get::<_, Vec<i64>>(0)).collect();
        let left: Vec<TaskId> = writes.withdrawals.iter().copied().filter(|task| !back.contains(&task.0)).collect();
        let stored = if left.is_empty() { Vec::new() } else { self.rows(&left).await? };
        for task in &writes.withdrawals {
            let now = stored.iter().find(|stored| stored.id() == *task);
            match now.map(|stored| (stored.row.state(), stored)) {
                Some((RowState::Running, stored)) => {
                    self.offered.remove(task);
                    answers.inputs.push(Input::Taken { task: *task, row: stored.row.clone() });
                }
                // A client has it in his hands at this moment.
                Some((RowState::Ready, stored)) if stored.row.tracked == Some(true) => {
                    self.again.push(Op::Core(Command::Withdraw { task: *task }));
                }
                _ => {
                    self.offered.remove(task);
                    answers.inputs.push(Input::Withdrawn { task: *task });
                }
            }
        }
        Ok(())
    }

    pub(super) fn offered(&mut self, writes: &Writes, rows: &[Row], now: Timestamp, answers: &mut Answers) {
        for (task, _) in &writes.offers {
            let offered = outcome(rows, *task) == Some("applied");
            if offered {
                self.offered.insert(*task);
            }
            self.park(*task, outcome(rows, *task).unwrap_or("failed"), None, now, answers);
            answers.inputs.push(Input::Offered { task: *task, offered });
        }
    }

    /// Leaves a row alone for a while that could not be written.
    pub(super) fn park(
        &mut self,
        task: TaskId,
        outcome: &str,
        error: Option<&str>,
        now: Timestamp,
        answers: &mut Answers,
    ) {
        if !matches!(outcome, "locked" | "failed") {
            self.parked.remove(&task);
            return;
        }
        let failures = self.parked.get(&task).map_or(0, |(_, failures)| *failures);
        let wait = PARK_FIRST.times(1 << failures.min(PARK_DOUBLINGS_MAX));
        self.parked.insert(task, (now + wait, failures + 1));
        // The first time, and then each time that it has taken twice as many tries.
        if outcome == "failed" && (failures + 1).is_power_of_two() {
            let error = error.map(|error| format!(": {error}")).unwrap_or_default();
            answers.troubles.push(format!("task {task} cannot be written (try {}){error}", failures + 1));
        }
    }

    /// What is marked may be launched, once its text is there.
    pub(super) fn launchable(writes: &Writes, rows: &[Row]) -> Answers {
        let texts: BTreeMap<TaskId, Option<&str>> =
            rows.iter().map(|row| (TaskId(row.get("task_id")), row.get("query"))).collect();
        let mut answers = Answers { wrote: !writes.marks.is_empty(), ..Answers::default() };
        for (task, run, session) in &writes.marks {
            // One may be marked twice in a batch, when its session was lost before the first mark was written.
            answers.texts.push((*task, *run, texts.get(task).copied().flatten().map(ToOwned::to_owned)));
            answers.inputs.push(Input::Marked { task: *task, run: *run, session: *session });
        }
        answers
    }
}

pub(super) fn refilled(writes: &Writes, rows: &[Row], answers: &mut Answers) {
    for (place, (lane, heads_max)) in writes.refills.iter().enumerate() {
        let number = i64::try_from(place + 1).unwrap_or(i64::MAX);
        let mut heads: Vec<_> = rows
            .iter()
            .filter(|row| row.get::<_, i64>("lane") == number)
            .filter_map(|row| head(row, lane.kind))
            .collect();
        heads.sort_by_key(|head| head.turn);
        let more = heads.len() > *heads_max;
        heads.truncate(*heads_max);
        answers.inputs.push(Input::Refilled { lane: lane.clone(), heads, more });
    }
}

fn outcome(rows: &[Row], task: TaskId) -> Option<&str> {
    rows.iter().find(|row| row.get::<_, i64>("out_task_id") == task.0).map(|row| row.get("out_outcome"))
}
