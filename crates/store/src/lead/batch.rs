//! Carrying out many operations at once: launches are marked first and reported at once, since they are what targets
//! wait for; what is written shares a transaction. All statements are sent before the first answer is awaited.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join;
use pgasync_core::{Command, Input, Timestamp};
use tokio_postgres::Row;

use super::outcome::refilled;
use super::send::{Part, Results};
use super::upkeep::RETRY;
use super::writes::{Record, Writes};
use super::{Answers, Lead, LeadError, Op};

/// The marks are begun anew after so many.
const MARKS_MAX: usize = 50_000;

impl Lead {
    /// Carries out operations; commands for the core's store must be given in the order in which they came. `early`
    /// hears what need not wait for the rest.
    ///
    /// # Errors
    /// [`LeadError::Lost`] when the session goes: what was under way is then done or not.
    pub async fn carry_out(
        &mut self,
        ops: Vec<Op>,
        now: Timestamp,
        early: &mut (dyn FnMut(Answers) + Send),
    ) -> Result<Answers, LeadError> {
        let mut answers = Answers::default();
        let mut writes = Writes::default();
        let mut others = Vec::new();
        if self.again_at <= now {
            for op in std::mem::take(&mut self.again) {
                self.sort(op, &mut writes, &mut others);
            }
        }
        for op in ops {
            self.sort(op, &mut writes, &mut others);
        }
        self.write(writes, now, early, &mut answers).await?;
        if self.marks > MARKS_MAX {
            let launched: Vec<i64> = self.marked.iter().map(|task| task.0).collect();
            self.query("beginning the launch marks anew", &self.statements.rotate_marks, &[&launched]).await?;
            self.marks = 0;
        }
        if answers.stirred {
            self.heed_triggers(&mut answers).await?;
        }
        for op in others {
            let look = matches!(op, Op::Look | Op::FallAsleep);
            let vital = matches!(op, Op::Core(Command::Resync { .. } | Command::RunStartup) | Op::Goodbye { .. });
            // What it says of a trouble with the log would end there as well.
            let quiet = matches!(op, Op::Log { .. });
            match self.carry_out_one(op, now, &mut answers).await {
                Err(error) if error.may_be_tried_again() && !vital => {
                    answers.look_failed |= look;
                    answers.troubles.extend((!quiet).then(|| error.to_string()));
                }
                done => done?,
            }
        }
        Ok(answers)
    }

    fn sort(&mut self, op: Op, writes: &mut Writes, others: &mut Vec<Op>) {
        match op {
            Op::Register(session, registration) => writes.registrations.push((session, registration)),
            Op::Forget(session) => {
                // It may be about to be registered.
                writes.registrations.retain(|(other, _)| *other != session);
                self.again.retain(|op| !matches!(op, Op::Register(other, _) if *other == session));
                writes.forgotten.extend(self.registered.get(&session));
            }
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
            Op::Core(Command::ReadRequests { serial }) => writes.reads = Some(serial),
            other => others.push(other),
        }
    }

    async fn carry_out_one(&mut self, op: Op, now: Timestamp, answers: &mut Answers) -> Result<(), LeadError> {
        match op {
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

    async fn write(
        &mut self,
        writes: Writes,
        now: Timestamp,
        early: &mut (dyn FnMut(Answers) + Send),
        answers: &mut Answers,
    ) -> Result<(), LeadError> {
        let first = async {
            let mark = async { if writes.marks.is_empty() { Ok(vec![]) } else { self.mark(&writes).await } };
            let read = async { if writes.reads.is_none() { Ok(vec![]) } else { self.first_requests().await } };
            let (marked, asked) = join(mark, read).await;
            let marked = marked.map_err(|error| LeadError::of("marking launches", &error))?;
            let asked = asked.map_err(|error| LeadError::of("reading requests", &error))?;
            let mut answers = Self::launchable(&writes, &marked);
            if let (Some(serial), true) = (writes.reads, asked.is_empty()) {
                answers.inputs.push(Input::Requests { serial, asked: vec![], last: true });
            }
            if !answers.inputs.is_empty() {
                early(answers);
            }
            Ok(asked)
        };
        let (asked, results) = join(first, self.send(&writes, now, None)).await;
        let asked = asked?;
        self.marks += writes.marks.len();
        self.marked.extend(writes.marks.iter().map(|(task, ..)| *task));
        // They were read before anything of this batch was written, so they are told first.
        if let (Some(serial), false) = (writes.reads, asked.is_empty()) {
            self.read_requests(serial, asked, answers).await?;
        }
        let results = self.try_apart(&writes, now, results, answers).await?;
        self.take_in(writes, results, now, answers).await
    }

    /// When something in a batch cannot be done: each kind on its own, so that only the culprit fails.
    async fn try_apart(
        &self,
        writes: &Writes,
        now: Timestamp,
        results: Results,
        answers: &mut Answers,
    ) -> Result<Results, LeadError> {
        let failed = |(_, result): &(Part, Result<Vec<Row>, _>)| result.is_err();
        let Some(error) = results.iter().find_map(|(_, result)| result.as_ref().err()) else { return Ok(results) };
        let error = LeadError::of("a batch", error);
        if !error.may_be_tried_again() {
            return Err(error);
        }
        answers.troubles.push(error.to_string());
        if results.iter().filter(|result| failed(result)).all(|(part, _)| *part == Part::Heads) {
            // They are read after the commit: what was written stands.
            let mut results: Results = results.into_iter().filter(|result| !failed(result)).collect();
            results.extend(self.send(writes, now, Some(Part::Heads)).await);
            return Ok(results);
        }
        let mut apart = Vec::new();
        for part in Part::ALL {
            apart.extend(self.send(writes, now, Some(part)).await);
        }
        Ok(apart)
    }

    async fn take_in(
        &mut self,
        mut writes: Writes,
        results: Results,
        now: Timestamp,
        answers: &mut Answers,
    ) -> Result<(), LeadError> {
        answers.wrote = answers.wrote || writes.changes();
        self.written += writes.rows();
        let mut answered = BTreeMap::new();
        let mut refused = BTreeSet::new();
        for (part, result) in results {
            match result {
                Ok(rows) => {
                    answered.entry(part).or_insert_with(Vec::new).extend(rows);
                }
                Err(error) => {
                    let error = LeadError::of(part.name(), &error);
                    if !error.may_be_tried_again() || part == Part::Bracket {
                        return Err(error);
                    }
                    answers.troubles.push(error.to_string());
                    refused.insert(part);
                }
            }
        }
        self.put_off(&mut writes, &refused, now);
        let mut rows = |part: Part| answered.remove(&part);
        self.registered(&writes, &rows(Part::Register).unwrap_or_default(), answers);
        self.written(&writes, rows(Part::Write), now, answers).await?;
        self.given_back(&writes, &rows(Part::GiveBack).unwrap_or_default(), answers);
        self.withdrawn(&writes, &rows(Part::Withdraw).unwrap_or_default(), answers).await?;
        self.offered(&writes, &rows(Part::Offer).unwrap_or_default(), now, answers);
        self.released(&writes, &rows(Part::Release).unwrap_or_default());
        refilled(&writes, &rows(Part::Heads).unwrap_or_default(), answers);
        Ok(())
    }

    /// What the server refused although it stood alone is taken out, and tried again in a while. Records, claims and
    /// offers are not: the core is told that they failed, and asks again; a request that was not dismissed is read again.
    fn put_off(&mut self, writes: &mut Writes, refused: &BTreeSet<Part>, now: Timestamp) {
        for part in refused {
            let again: Vec<Op> = match part {
                Part::Register => {
                    std::mem::take(&mut writes.registrations).into_iter().map(|(s, r)| Op::Register(s, r)).collect()
                }
                Part::Forget => vec![Op::ForgetOld(std::mem::take(&mut writes.forgotten))],
                Part::Release => commands(&mut writes.releases, |(task, run)| Command::Release { task, run }),
                Part::Withdraw => commands(&mut writes.withdrawals, |task| Command::Withdraw { task }),
                Part::GiveBack => {
                    commands(&mut writes.returns, |(task, run, row)| Command::GiveBack { task, run, row })
                }
                Part::Heads => commands(&mut writes.refills, |(lane, heads_max)| Command::Refill { lane, heads_max }),
                Part::Bracket | Part::Dismiss | Part::Write | Part::Offer => continue,
            };
            self.again.extend(again);
            self.again_at = now + RETRY;
        }
    }
}

fn commands<T>(writes: &mut Vec<T>, command: impl Fn(T) -> Command) -> Vec<Op> {
    std::mem::take(writes).into_iter().map(|write| Op::Core(command(write))).collect()
}
