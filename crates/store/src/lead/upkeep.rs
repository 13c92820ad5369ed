//! What a leader does beside tasks: looking for what is due, heeding triggers, showing what runs, keeping history short.

use pgasync_core::{Input, Span, TaskId, Timestamp};

use super::rows::{lane, time};
use super::{Answers, Lead, LeadError};
use crate::wire::Stamp;

/// What the server refused is tried again after this time.
pub(super) const RETRY: Span = Span::seconds(1);

const MAINTENANCE_RETRY: Span = Span::seconds(60);

impl Lead {
    pub(super) async fn sweep(
        &mut self,
        tasks_max: usize,
        now: Timestamp,
        answers: &mut Answers,
    ) -> Result<(), LeadError> {
        let limit = i32::try_from(tasks_max).unwrap_or(i32::MAX);
        let skip = self.skipped(now);
        let all: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&Stamp(now), &limit, &skip];
        let rows = match self.query("looking for what is due", &self.statements.sweep, &all).await {
            Err(error) if error.may_be_tried_again() => {
                answers.troubles.push(error.to_string());
                let next = Some(now + RETRY);
                answers.inputs.push(Input::Swept { overdue: vec![], promoted: vec![], next });
                return Ok(());
            }
            done => done?,
        };
        let Some(row) = rows.first() else { return Ok(()) };
        let failed = row.get::<_, Option<Vec<i64>>>("out_failed").unwrap_or_default();
        let errors = row.get::<_, Option<Vec<Option<String>>>>("out_errors").unwrap_or_default();
        for (task, error) in failed.into_iter().zip(errors) {
            self.park(TaskId(task), "failed", error.as_deref(), now, answers);
        }
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
        let retry = self.parked.values().map(|(until, _)| *until).filter(|until| *until > now).min();
        let next = time(row, "out_next").into_iter().chain(retry).min();
        answers.inputs.push(Input::Swept { overdue, promoted, next });
        Ok(())
    }

    /// Triggers or routines ran in this session: they may have changed anything.
    pub(super) async fn heed_triggers(&mut self, answers: &mut Answers) -> Result<(), LeadError> {
        answers.stirred = true;
        let rows = self.query("seeing what triggers changed", &self.statements.touched, &[]).await?;
        let touched: Vec<TaskId> =
            rows.iter().flat_map(|row| row.get::<_, Option<Vec<i64>>>(0)).flatten().map(TaskId).collect();
        self.reread(&touched, answers).await?;
        answers.inputs.push(Input::Asking);
        Ok(())
    }

    pub(super) async fn publish(&self, published: &super::Published) -> Result<(), LeadError> {
        let slots: Vec<i32> = published.busy.iter().map(|(slot, ..)| *slot).collect();
        let targets: Vec<&str> = published.busy.iter().map(|(_, target, ..)| target.as_str()).collect();
        let tasks: Vec<i64> = published.busy.iter().map(|(_, _, task, _)| task.0).collect();
        let since: Vec<Stamp> = published.busy.iter().map(|(.., since)| Stamp(*since)).collect();
        let pools: Vec<&str> = published.pools.iter().map(|(pool, _)| pool.as_str()).collect();
        let taken: Vec<i32> = published.pools.iter().map(|(_, taken)| *taken).collect();
        let lost: Vec<&str> = published.lost.iter().map(|(target, ..)| target.as_str()).collect();
        let lost_since: Vec<Stamp> = published.lost.iter().map(|(_, since, _)| Stamp(*since)).collect();
        let errors: Vec<&str> = published.lost.iter().map(|(.., error)| error.as_str()).collect();
        let all: [&(dyn tokio_postgres::types::ToSql + Sync); 10] =
            [&published.workers, &slots, &targets, &tasks, &since, &pools, &taken, &lost, &lost_since, &errors];
        match self.query("publishing", &self.statements.publish, &all).await {
            // It is done again in a moment.
            Err(error) if error.may_be_tried_again() => Ok(()),
            done => done.map(drop),
        }
    }

    /// It is also what the server hears each second, which ends a session that says nothing.
    pub(super) async fn maintain(&mut self, now: Timestamp, answers: &mut Answers) -> Result<(), LeadError> {
        if now < self.maintain_at {
            let heard = self.session.batch_execute("").await;
            return heard.map_err(|error| LeadError::of("saying that it is there", &error));
        }
        let all: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&Stamp(now), &self.history_after, &self.written];
        match self.query("maintenance", &self.statements.maintain, &all).await {
            Ok(rows) => {
                let Some(row) = rows.first() else { return Ok(()) };
                self.history_after = row.get("out_after");
                self.written += i64::from(row.get::<_, i32>("out_rows"));
                answers.maintain_on = self.history_after.is_some();
                if row.get("out_vacuum") {
                    self.written = 0;
                    answers.vacuum = true;
                }
            }
            Err(error) if error.may_be_tried_again() => {
                answers.troubles.push(error.to_string());
                self.history_after = None;
                self.maintain_at = now + MAINTENANCE_RETRY;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
