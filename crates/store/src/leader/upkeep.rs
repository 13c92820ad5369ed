//! The periodic work of a leader: the sweep of due tasks, routines, publishing, and maintenance of
//! the history.

use pgasync_core::{Input, TaskId, Timestamp};

use super::rows::{lane, time};
use super::{LeaderError, LeaderSession, OperationResults};
use crate::wire::WireTimestamp;

impl LeaderSession {
    pub(super) async fn sweep(
        &mut self,
        tasks_max: usize,
        skip: &[TaskId],
        now: Timestamp,
        results: &mut OperationResults,
    ) -> Result<(), LeaderError> {
        let limit = i32::try_from(tasks_max).unwrap_or(i32::MAX);
        let skip: Vec<i64> = skip.iter().map(|task| task.0).collect();
        let all: [&(dyn pgasync_pg::types::ToSql + Sync); 3] = [&WireTimestamp(now), &limit, &skip];
        let rows = self.write_alone("sweeping due tasks", &self.statements.sweep, &all).await?;
        debug_assert_eq!(rows.len(), 1, "the function returns one row");
        let Some(row) = rows.first() else { return Ok(()) };
        let ids = |column| row.get::<_, Option<Vec<i64>>>(column).unwrap_or_default().into_iter().map(TaskId);
        let failed: Vec<TaskId> = ids("out_failed").collect();
        let errors = row.get::<_, Option<Vec<Option<String>>>>("out_errors").unwrap_or_default();
        let reported = failed.iter().copied().zip(errors);
        results.failures.extend(reported.filter_map(|(task, error)| Some((task, error?))));
        let names = |column| row.get::<_, Option<Vec<String>>>(column).unwrap_or_default();
        let pullable = row.get::<_, Option<Vec<bool>>>("out_pullable").unwrap_or_default();
        let promoted = names("out_pools")
            .into_iter()
            .zip(names("out_targets"))
            .zip(pullable)
            .filter_map(|((pool, target), pullable)| lane(&pool, &target, pullable))
            .collect();
        let overdue: Vec<TaskId> = ids("out_overdue").collect();
        let stored = if overdue.is_empty() { Vec::new() } else { self.rows(&overdue).await? };
        let overdue = stored.iter().filter_map(|stored| stored.snapshot(false)).collect();
        results.inputs.push(Input::Swept { overdue, promoted, next: time(row, "out_next"), failed });
        Ok(())
    }

    pub(super) async fn run_routines(
        &self,
        kind: &'static str,
        results: &mut OperationResults,
    ) -> Result<(), LeaderError> {
        self.write_alone("running routines", &self.statements.routines, &[&kind]).await?;
        let rows = self.query("reading what routines have changed", &self.statements.touched, &[]).await?;
        let touched: Vec<TaskId> =
            rows.iter().flat_map(|row| row.get::<_, Option<Vec<i64>>>(0)).flatten().map(TaskId).collect();
        self.reread(&touched, results).await?;
        results.inputs.push(Input::Triggered);
        Ok(())
    }

    pub(super) async fn publish(&self, published: &super::PublishedState) -> Result<(), LeaderError> {
        let slots: Vec<i32> = published.busy.iter().map(|(slot, ..)| *slot).collect();
        let targets: Vec<&str> = published.busy.iter().map(|(_, target, ..)| target.as_str()).collect();
        let tasks: Vec<i64> = published.busy.iter().map(|(_, _, task, _)| task.0).collect();
        let since: Vec<WireTimestamp> = published.busy.iter().map(|(.., since)| WireTimestamp(*since)).collect();
        let pools: Vec<&str> = published.pools.iter().map(|(pool, _)| pool.as_str()).collect();
        let taken: Vec<i32> = published.pools.iter().map(|(_, taken)| *taken).collect();
        let lost: Vec<&str> = published.lost.iter().map(|(target, ..)| target.as_str()).collect();
        let lost_since: Vec<WireTimestamp> = published.lost.iter().map(|(_, since, _)| WireTimestamp(*since)).collect();
        let errors: Vec<&str> = published.lost.iter().map(|(.., error)| error.as_str()).collect();
        let all: [&(dyn pgasync_pg::types::ToSql + Sync); 10] =
            [&published.workers, &slots, &targets, &tasks, &since, &pools, &taken, &lost, &lost_since, &errors];
        match self.write_alone("publishing", &self.statements.publish, &all).await {
            // The next state is published within a second.
            Err(LeaderError::Refused { .. }) => Ok(()),
            done => done.map(drop),
        }
    }

    /// Runs one step of maintenance. The core asks for it each second, which also keeps the server
    /// from ending an idle leader session.
    pub(super) async fn maintain(&mut self, now: Timestamp, results: &mut OperationResults) -> Result<(), LeaderError> {
        let all: [&(dyn pgasync_pg::types::ToSql + Sync); 3] =
            [&WireTimestamp(now), &self.history_after, &self.rows_written];
        match self.write_alone("maintenance", &self.statements.maintain, &all).await {
            Ok(rows) => {
                debug_assert_eq!(rows.len(), 1, "the function returns one row");
                let Some(row) = rows.first() else { return Ok(()) };
                self.history_after = row.get("out_after");
                self.rows_written += i64::from(row.get::<_, i32>("out_rows"));
                if row.get("out_vacuum") {
                    self.rows_written = 0;
                    results.vacuum = true;
                }
                results.inputs.push(Input::Maintained { more: self.history_after.is_some() });
                Ok(())
            }
            Err(error) => {
                self.history_after = None;
                Err(error)
            }
        }
    }
}
