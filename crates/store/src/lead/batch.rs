//! Carrying out many operations at once: one transaction for what is written, all statements sent before the first
//! answer is awaited.

use std::collections::BTreeMap;
use std::pin::Pin;

use futures_util::future::join_all;
use pgasync_core::{
    Asked, Command, Found, Input, Kind, Request, RequestId, Row as TaskRow, RowState, Run, SessionId, Span, TaskId,
    Timestamp,
};
use tokio_postgres::{Error, Row};

use super::rows::{Stored, head, lane, span, status, time};
use super::writes::{Record, RecordArrays, Writes};
use super::{Answers, Lead, LeadError, Op};
use crate::wire::{Interval, Stamp};

/// Rows of requests read at once.
const REQUESTS_MAX: i64 = 1_000;

/// The marks are begun anew after so many.
const MARKS_MAX: usize = 50_000;

const PARK_FIRST: Span = Span::millis(50);

/// How often the wait of a parked row doubles.
const PARK_DOUBLINGS_MAX: u32 = 9;

type Call<'a> = Pin<Box<dyn Future<Output = Result<Vec<Row>, Error>> + Send + 'a>>;

/// What a statement of a batch was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Bracket,
    Register,
    Dismiss,
    Record,
    GiveBack,
    Claim,
    Mark,
    Offer,
    Withdraw,
    Heads,
}

impl Lead {
    /// Carries out operations; commands for the core's store must be given in the order in which they came.
    ///
    /// # Errors
    /// [`LeadError::Lost`] when the session goes: what was under way is then done or not.
    pub async fn carry_out(&mut self, ops: Vec<Op>, now: Timestamp) -> Result<Answers, LeadError> {
        let mut answers = Answers::default();
        let mut writes = Writes::default();
        let mut others = Vec::new();
        for command in std::mem::take(&mut self.again) {
            self.sort(Op::Core(command), &mut writes, &mut others);
        }
        for op in ops {
            self.sort(op, &mut writes, &mut others);
        }
        self.write(writes, now, &mut answers).await?;
        if self.marks > MARKS_MAX {
            let launched: Vec<i64> = self.marked.iter().map(|task| task.0).collect();
            self.query("beginning the launch marks anew", &self.statements.rotate_marks, &[&launched]).await?;
            self.marks = 0;
        }
        if answers.stirred {
            self.heed_triggers(&mut answers).await?;
        }
        for op in others {
            self.carry_out_one(op, now, &mut answers).await?;
        }
        Ok(answers)
    }

    fn sort(&self, op: Op, writes: &mut Writes, others: &mut Vec<Op>) {
        match op {
            Op::Register(session, registration) => writes.registrations.push((session, registration)),
            Op::Forget(session) => writes.forgotten.extend(self.registered.get(&session)),
            Op::ForgetOld(sessions) => writes.forgotten.extend(sessions),
            Op::Core(Command::Record { task, run, row, settles }) => {
                writes.records.push(Record { task, run, row, settles });
            }
            Op::Core(Command::GiveBack { task, run, row }) => writes.returns.push((task, run, row)),
            Op::Core(Command::Claim { task, row }) => writes.claims.push((task, row)),
            Op::Core(Command::Mark { task, run, session }) => writes.marks.push((task, run, session)),
            Op::Core(Command::Offer { task, row }) => writes.offers.push((task, row)),
            Op::Core(Command::Withdraw { task }) => writes.withdrawals.push(task),
            Op::Core(Command::Release { task, run }) => writes.releases.push((task, run)),
            Op::Core(Command::Dismiss { request, .. }) => writes.dismissals.push(request),
            Op::Core(Command::Refill { lane, heads_max }) => writes.refills.push((lane, heads_max)),
            other => others.push(other),
        }
    }

    async fn carry_out_one(&mut self, op: Op, now: Timestamp, answers: &mut Answers) -> Result<(), LeadError> {
        match op {
            Op::Core(Command::ReadRequests { serial }) => self.read_requests(serial, answers).await,
            Op::Core(Command::Sweep { tasks_max }) => self.sweep(tasks_max, now, answers).await,
            Op::Core(Command::Resync { tasks }) => {
                let rows = self.rows(&tasks).await?;
                let rows = rows.into_iter().map(|stored| (stored.id(), stored.row));
                answers.inputs.push(Input::Resynced(rows.collect()));
                Ok(())
            }
            Op::Core(Command::RunStartup) => {
                self.query("running the STARTUP routines", &self.statements.routines, &[&"STARTUP"]).await?;
                answers.inputs.push(Input::StartupDone);
                self.heed_triggers(answers).await
            }
            Op::Routines => {
                self.query("running the LOOP routines", &self.statements.routines, &[&"LOOP"]).await?;
                self.heed_triggers(answers).await
            }
            Op::Reread(tasks) => self.reread(&tasks, answers).await,
            Op::Look => self.look(now, answers).await,
            Op::FallAsleep => {
                let rows = self.query("falling asleep", &self.statements.fall_asleep, &[]).await?;
                answers.asleep = rows.first().map(|row| row.get(0));
                self.look(now, answers).await
            }
            Op::WakeUp => self.query("waking up", &self.statements.wake_up, &[]).await.map(drop),
            Op::ServeLatch(number) => {
                self.query("serving the latch", &self.statements.serve_latch, &[&number]).await.map(drop)
            }
            Op::Publish(published) => self.publish(&published).await,
            Op::Maintain => self.maintain(now, answers).await,
            Op::Log { level, message } => {
                self.query("writing the log", &self.statements.log, &[&level, &message]).await.map(drop)
            }
            Op::Goodbye { why } => self.query("saying goodbye", &self.statements.goodbye, &[&why]).await.map(drop),
            // Sorted before, or the runner's.
            Op::Core(_) | Op::Register(..) | Op::Forget(_) | Op::ForgetOld(_) => Ok(()),
        }
    }

    async fn write(&mut self, writes: Writes, now: Timestamp, answers: &mut Answers) -> Result<(), LeadError> {
        let mut results = self.send(&writes, now, None).await;
        if let Some(error) = first_error(&results) {
            let error = LeadError::of("a batch", error);
            if !error.may_be_tried_again() {
                return Err(error);
            }
            // Something in it cannot be done: each kind on its own, so that only the culprit fails.
            answers.troubles.push(error.to_string());
            results = Vec::new();
            for part in [
                Part::Register,
                Part::Dismiss,
                Part::Record,
                Part::GiveBack,
                Part::Withdraw,
                Part::Claim,
                Part::Offer,
                Part::Mark,
                Part::Heads,
            ] {
                results.extend(self.send(&writes, now, Some(part)).await);
            }
        }
        answers.wrote = answers.wrote || writes.statements() > 0;
        let mut answered = BTreeMap::new();
        for (part, result) in results {
            match result {
                Ok(rows) => {
                    answered.entry(part as u8).or_insert_with(Vec::new).extend(rows);
                }
                Err(error) => {
                    let error = LeadError::of(part.name(), &error);
                    if !error.may_be_tried_again() || !matches!(part, Part::Record | Part::Claim) {
                        return Err(error);
                    }
                    answers.troubles.push(error.to_string());
                }
            }
        }
        let mut rows = |part: Part| answered.remove(&(part as u8));
        self.registered(&writes, &rows(Part::Register).unwrap_or_default(), answers);
        self.recorded(&writes, rows(Part::Record), answers).await?;
        self.given_back(&writes, &rows(Part::GiveBack).unwrap_or_default(), answers);
        self.withdrawn(&writes, &rows(Part::Withdraw).unwrap_or_default(), answers).await?;
        self.claimed(&writes, rows(Part::Claim), now, answers);
        self.offered(&writes, &rows(Part::Offer).unwrap_or_default(), now, answers);
        self.marked(&writes, &rows(Part::Mark).unwrap_or_default(), answers);
        refilled(&writes, &rows(Part::Heads).unwrap_or_default(), answers);
        Ok(())
    }

    /// Sends all statements of the writes, or those of one part, and waits for their answers.
    async fn send(&self, writes: &Writes, now: Timestamp, only: Option<Part>) -> Vec<(Part, Result<Vec<Row>, Error>)> {
        let mut calls: Vec<(Part, Call<'_>)> = Vec::new();
        self.add_small(writes, &mut calls);
        self.add_ends(writes, now, &mut calls);
        self.add_begins(writes, now, &mut calls);
        calls.retain(|(part, _)| only.is_none_or(|only| only == *part));
        if calls.len() > 1 {
            calls.insert(0, (Part::Bracket, Box::pin(self.session.query(&self.statements.begin, &[]))));
            calls.push((Part::Bracket, Box::pin(self.session.query(&self.statements.commit, &[]))));
        }
        if !writes.refills.is_empty() && only.is_none_or(|only| only == Part::Heads) {
            calls.push((Part::Heads, self.read_heads(writes, now)));
        }
        let (parts, calls): (Vec<_>, Vec<_>) = calls.into_iter().unzip();
        parts.into_iter().zip(join_all(calls).await).collect()
    }

    fn add_small<'a>(&'a self, writes: &Writes, calls: &mut Vec<(Part, Call<'a>)>) {
        let statements = &self.statements;
        if !writes.registrations.is_empty() {
            let all = || writes.registrations.iter().map(|(_, registration)| registration);
            let slots: Vec<i32> = all().map(|r| r.slot).collect();
            let targets: Vec<String> = all().map(|r| r.target.to_string()).collect();
            let strings: Vec<String> = all().map(|r| r.connection_string.to_string()).collect();
            let roles: Vec<String> = all().map(|r| r.role.clone()).collect();
            let pids: Vec<i32> = all().map(|r| r.pid).collect();
            let starts: Vec<String> = all().map(|r| r.backend_start.clone()).collect();
            calls.push((
                Part::Register,
                Box::pin(async move {
                    let epoch = self.epoch.0;
                    let all: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
                        [&epoch, &slots, &targets, &strings, &roles, &pids, &starts];
                    self.session.query(&statements.register, &all).await
                }),
            ));
        }
        if !writes.forgotten.is_empty() {
            let ids = writes.forgotten.clone();
            calls.push((Part::Bracket, Box::pin(async move { self.session.query(&statements.forget, &[&ids]).await })));
        }
        if !writes.dismissals.is_empty() {
            let ids: Vec<i64> = writes.dismissals.iter().map(|request| request.0).collect();
            calls
                .push((Part::Dismiss, Box::pin(async move { self.session.query(&statements.dismiss, &[&ids]).await })));
        }
    }

    fn add_ends<'a>(&'a self, writes: &Writes, now: Timestamp, calls: &mut Vec<(Part, Call<'a>)>) {
        let statements = &self.statements;
        if !writes.releases.is_empty() {
            let ids: Vec<i64> = writes.releases.iter().map(|(task, _)| task.0).collect();
            let runs: Vec<i32> = writes.releases.iter().map(|(_, run)| run.0).collect();
            calls.push((
                Part::Record,
                Box::pin(async move { self.session.query(&statements.release, &[&ids, &runs]).await.map(|_| vec![]) }),
            ));
        }
        if !writes.records.is_empty() {
            let a = RecordArrays::of(&writes.records, &self.running, &self.offered, now);
            calls.push((
                Part::Record,
                Box::pin(async move {
                    let all: [&(dyn tokio_postgres::types::ToSql + Sync); 10] = [
                        &Stamp(now),
                        &a.ids,
                        &a.runs,
                        &a.events,
                        &a.statuses,
                        &a.errors,
                        &a.durations,
                        &a.offered,
                        &a.requests,
                        &a.requests_of,
                    ];
                    self.session.query(&statements.record, &all).await
                }),
            ));
        }
        if !writes.returns.is_empty() {
            let ids: Vec<i64> = writes.returns.iter().map(|(task, ..)| task.0).collect();
            let runs: Vec<i32> = writes.returns.iter().map(|(_, run, _)| run.0).collect();
            calls.push((
                Part::GiveBack,
                Box::pin(async move { self.session.query(&statements.give_back, &[&Stamp(now), &ids, &runs]).await }),
            ));
        }
        if !writes.withdrawals.is_empty() {
            let ids: Vec<i64> = writes.withdrawals.iter().map(|task| task.0).collect();
            calls.push((
                Part::Withdraw,
                Box::pin(async move { self.session.query(&statements.withdraw, &[&ids]).await }),
            ));
        }
    }

    fn add_begins<'a>(&'a self, writes: &Writes, now: Timestamp, calls: &mut Vec<(Part, Call<'a>)>) {
        let statements = &self.statements;
        if !writes.claims.is_empty() {
            let ids: Vec<i64> = writes.claims.iter().map(|(task, _)| task.0).collect();
            let runs: Vec<i32> = writes.claims.iter().map(|(_, row)| row.run - 1).collect();
            let timeouts: Vec<Option<Interval>> = writes.claims.iter().map(|(_, row)| timeout(row)).collect();
            calls.push((
                Part::Claim,
                Box::pin(
                    async move { self.session.query(&statements.claim, &[&Stamp(now), &ids, &runs, &timeouts]).await },
                ),
            ));
        }
        if !writes.offers.is_empty() {
            let ids: Vec<i64> = writes.offers.iter().map(|(task, _)| task.0).collect();
            calls.push((
                Part::Offer,
                Box::pin(async move { self.session.query(&statements.offer, &[&Stamp(now), &ids]).await }),
            ));
        }
        if !writes.marks.is_empty() {
            let ids: Vec<i64> = writes.marks.iter().map(|(task, ..)| task.0).collect();
            let runs: Vec<i32> = writes.marks.iter().map(|(_, run, _)| run.0).collect();
            let sessions: Vec<i64> =
                writes.marks.iter().map(|(_, _, session)| self.registered.get(session).copied().unwrap_or(0)).collect();
            calls.push((
                Part::Mark,
                Box::pin(async move { self.session.query(&statements.mark, &[&ids, &runs, &sessions]).await }),
            ));
        }
    }

    fn read_heads(&self, writes: &Writes, now: Timestamp) -> Call<'_> {
        let lanes = writes.lanes();
        let pools: Vec<String> = lanes.iter().map(|lane| lane.pool.to_string()).collect();
        let targets: Vec<String> = lanes.iter().map(|lane| lane.target.to_string()).collect();
        let pullable: Vec<bool> = lanes.iter().map(|lane| lane.kind == Kind::Pull).collect();
        // One more tells whether there are more.
        let limits: Vec<i32> =
            writes.refills.iter().map(|(_, heads)| i32::try_from(*heads).unwrap_or(i32::MAX - 1) + 1).collect();
        let skip = self.skipped(now);
        let statement = &self.statements.heads;
        Box::pin(async move { self.session.query(statement, &[&pools, &targets, &pullable, &limits, &skip]).await })
    }

    fn registered(&mut self, writes: &Writes, rows: &[Row], answers: &mut Answers) {
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

    async fn recorded(
        &mut self,
        writes: &Writes,
        rows: Option<Vec<Row>>,
        answers: &mut Answers,
    ) -> Result<(), LeadError> {
        let mut found: BTreeMap<TaskId, Found> = BTreeMap::new();
        let mut read_back = Vec::new();
        for row in rows.iter().flatten() {
            let task = TaskId(row.get("out_task_id"));
            match row.get::<_, &str>("out_outcome") {
                "gone" => {
                    found.insert(task, Found::Deleted);
                }
                "locked" => {}
                "failed" => {
                    let error: Option<&str> = row.get("out_error");
                    answers.troubles.push(format!("task {task} cannot be written: {}", error.unwrap_or_default()));
                }
                _ if row.get("out_read_back") => read_back.push(task),
                _ => {
                    if let Some(record) = writes.records.iter().find(|record| record.task == task) {
                        found.insert(task, Found::Row(record.row.clone()));
                    }
                }
            }
        }
        if !read_back.is_empty() {
            answers.stirred = true;
            let mut strays = Vec::new();
            for mut stored in self.rows(&read_back).await? {
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
            for task in read_back {
                found.entry(task).or_insert(Found::Deleted);
            }
        }
        for record in &writes.records {
            let found = found.remove(&record.task).unwrap_or(Found::Unwritable);
            if found != Found::Unwritable {
                self.running.remove(&record.task);
                self.marked.remove(&record.task);
                self.offered.remove(&record.task);
            }
            answers.inputs.push(Input::Recorded { task: record.task, run: record.run, found });
        }
        Ok(())
    }

    fn given_back(&mut self, writes: &Writes, rows: &[Row], answers: &mut Answers) {
        for (task, run, row) in &writes.returns {
            let outcome = outcome(rows, *task);
            if matches!(outcome, Some("locked" | "failed")) {
                self.again.push(Command::GiveBack { task: *task, run: *run, row: row.clone() });
                continue;
            }
            self.running.remove(task);
            self.marked.remove(task);
            answers.inputs.push(Input::GivenBack { task: *task, run: *run });
        }
    }

    async fn withdrawn(&mut self, writes: &Writes, rows: &[Row], answers: &mut Answers) -> Result<(), LeadError> {
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
                    self.again.push(Command::Withdraw { task: *task });
                }
                _ => {
                    self.offered.remove(task);
                    answers.inputs.push(Input::Withdrawn { task: *task });
                }
            }
        }
        Ok(())
    }

    fn claimed(&mut self, writes: &Writes, rows: Option<Vec<Row>>, now: Timestamp, answers: &mut Answers) {
        let rows = rows.unwrap_or_default();
        for (task, row) in &writes.claims {
            let claimed = outcome(&rows, *task) == Some("applied");
            if claimed {
                self.running.insert(*task);
            }
            self.park(*task, outcome(&rows, *task).unwrap_or("failed"), now, answers);
            answers.inputs.push(Input::Claimed { task: *task, run: Run(row.run), claimed });
        }
    }

    fn offered(&mut self, writes: &Writes, rows: &[Row], now: Timestamp, answers: &mut Answers) {
        for (task, _) in &writes.offers {
            let offered = outcome(rows, *task) == Some("applied");
            if offered {
                self.offered.insert(*task);
            }
            self.park(*task, outcome(rows, *task).unwrap_or("failed"), now, answers);
            answers.inputs.push(Input::Offered { task: *task, offered });
        }
    }

    /// Leaves a row alone for a while that could not be written.
    fn park(&mut self, task: TaskId, outcome: &str, now: Timestamp, answers: &mut Answers) {
        if !matches!(outcome, "locked" | "failed") {
            self.parked.remove(&task);
            return;
        }
        let failures = self.parked.get(&task).map_or(0, |(_, failures)| *failures);
        let wait = PARK_FIRST.times(1 << failures.min(PARK_DOUBLINGS_MAX));
        self.parked.insert(task, (now + wait, failures + 1));
        if outcome == "failed" {
            answers.troubles.push(format!("task {task} cannot be claimed (try {})", failures + 1));
        }
    }

    fn marked(&mut self, writes: &Writes, rows: &[Row], answers: &mut Answers) {
        self.marks += writes.marks.len();
        for (task, run, session) in &writes.marks {
            self.marked.insert(*task);
            let text = rows.iter().find(|row| row.get::<_, i64>("task_id") == task.0);
            answers.texts.push((*task, *run, text.and_then(|row| row.get("query"))));
            answers.inputs.push(Input::Marked { task: *task, run: *run, session: *session });
        }
    }

    async fn read_requests(&mut self, serial: u64, answers: &mut Answers) -> Result<(), LeadError> {
        let mut after = 0_i64;
        loop {
            let rows = self.query("reading requests", &self.statements.requests, &[&after, &REQUESTS_MAX]).await?;
            let last = i64::try_from(rows.len()).is_ok_and(|read| read < REQUESTS_MAX);
            let mut asked = Vec::new();
            if let Some(row) = rows.last() {
                after = row.get("request_id");
                asked = self.asked(&rows, answers).await?;
            }
            answers.inputs.push(Input::Requests { serial, asked, last });
            if last {
                return Ok(());
            }
        }
    }

    async fn asked(&mut self, rows: &[Row], answers: &mut Answers) -> Result<Vec<Asked>, LeadError> {
        let mut tasks: Vec<TaskId> = rows.iter().map(|row| TaskId(row.get("task_id"))).collect();
        tasks.sort_unstable();
        tasks.dedup();
        let stored: BTreeMap<TaskId, Stored> =
            self.rows(&tasks).await?.into_iter().map(|stored| (stored.id(), stored)).collect();
        // A client that took an offer may have finished it before anybody looked.
        for stored in stored.values().filter(|stored| self.offered.contains(&stored.id())) {
            if stored.row.state() == RowState::Running {
                answers.inputs.push(Input::Taken { task: stored.id(), row: stored.row.clone() });
            }
        }
        let mut asked = Vec::new();
        let mut pointless = Vec::new();
        for row in rows {
            let id: i64 = row.get("request_id");
            let about = stored.get(&TaskId(row.get("task_id"))).and_then(|stored| stored.sighting(false));
            match (about, status(row.get("status"))) {
                (Some(about), Some(status)) => {
                    let request = Request { status, error: row.get("error_message"), duration: span(row, "duration") };
                    asked.push(Asked { id: RequestId(id), request, about });
                }
                _ => pointless.push(id),
            }
        }
        if !pointless.is_empty() {
            self.query("forgetting requests for deleted tasks", &self.statements.dismiss, &[&pointless]).await?;
        }
        Ok(asked)
    }

    async fn sweep(&mut self, tasks_max: usize, now: Timestamp, answers: &mut Answers) -> Result<(), LeadError> {
        let limit = i32::try_from(tasks_max).unwrap_or(i32::MAX);
        let rows = self.query("looking for what is due", &self.statements.sweep, &[&Stamp(now), &limit]).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let names = |column| row.get::<_, Option<Vec<String>>>(column).unwrap_or_default();
        let pullable = row.get::<_, Option<Vec<bool>>>("out_pullable").unwrap_or_default();
        let promoted = names("out_pools")
            .into_iter()
            .zip(names("out_targets"))
            .zip(pullable)
            .filter_map(|((pool, target), pullable)| lane(&pool, &target, pullable))
            .collect();
        let overdue: Vec<TaskId> =
            row.get::<_, Option<Vec<i64>>>("out_overdue").unwrap_or_default().into_iter().map(TaskId).collect();
        let stored = if overdue.is_empty() { Vec::new() } else { self.rows(&overdue).await? };
        let overdue = stored.iter().filter_map(|stored| stored.sighting(false)).collect();
        answers.inputs.push(Input::Swept { overdue, promoted, next: time(row, "out_next") });
        Ok(())
    }

    /// Triggers or routines ran in this session: they may have changed anything.
    async fn heed_triggers(&mut self, answers: &mut Answers) -> Result<(), LeadError> {
        answers.stirred = true;
        let rows = self.query("seeing what triggers changed", &self.statements.touched, &[]).await?;
        let touched: Vec<TaskId> =
            rows.iter().flat_map(|row| row.get::<_, Option<Vec<i64>>>(0)).flatten().map(TaskId).collect();
        self.reread(&touched, answers).await?;
        answers.inputs.push(Input::Asking);
        Ok(())
    }

    async fn publish(&self, published: &super::Published) -> Result<(), LeadError> {
        let slots: Vec<i32> = published.busy.iter().map(|(slot, ..)| *slot).collect();
        let targets: Vec<&str> = published.busy.iter().map(|(_, target, ..)| target.as_str()).collect();
        let tasks: Vec<i64> = published.busy.iter().map(|(_, _, task, _)| task.0).collect();
        let since: Vec<Stamp> = published.busy.iter().map(|(.., since)| Stamp(*since)).collect();
        let pools: Vec<&str> = published.pools.iter().map(|(pool, _)| pool.as_str()).collect();
        let taken: Vec<i32> = published.pools.iter().map(|(_, taken)| *taken).collect();
        let all: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
            [&published.workers, &slots, &targets, &tasks, &since, &pools, &taken];
        match self.query("publishing", &self.statements.publish, &all).await {
            // It is done again in a moment.
            Err(error) if error.may_be_tried_again() => Ok(()),
            done => done.map(drop),
        }
    }

    async fn maintain(&mut self, now: Timestamp, answers: &mut Answers) -> Result<(), LeadError> {
        let done = self.query("maintenance", &self.statements.maintain, &[&Stamp(now), &self.history_after]).await;
        match done {
            Ok(rows) => {
                self.history_after = rows.first().and_then(|row| row.get("out_after"));
                answers.maintain_on = self.history_after.is_some();
            }
            Err(error) if error.may_be_tried_again() => {
                answers.troubles.push(error.to_string());
                self.history_after = None;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl Part {
    const fn name(self) -> &'static str {
        match self {
            Self::Bracket => "a transaction",
            Self::Register => "registering sessions",
            Self::Dismiss => "dismissing requests",
            Self::Record => "recording",
            Self::GiveBack => "returning claims",
            Self::Claim => "claiming",
            Self::Mark => "marking launches",
            Self::Offer => "offering",
            Self::Withdraw => "withdrawing offers",
            Self::Heads => "reading what waits",
        }
    }
}

fn refilled(writes: &Writes, rows: &[Row], answers: &mut Answers) {
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

/// What the target, or else the configuration, allows a task that names no timeout.
fn timeout(row: &TaskRow) -> Option<Interval> {
    let (consumed, times_up) = (row.consumed?, row.times_up?);
    (times_up != Timestamp::NEVER).then(|| Interval(times_up - consumed))
}

fn first_error(results: &[(Part, Result<Vec<Row>, Error>)]) -> Option<&Error> {
    results.iter().find_map(|(_, result)| result.as_ref().err())
}

impl Lead {
    /// The registry's number of a session.
    #[must_use]
    pub fn number_of(&self, session: SessionId) -> Option<i64> {
        self.registered.get(&session).copied()
    }
}
