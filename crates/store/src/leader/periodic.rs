//! The periodic work of a leader: the sweep of due tasks, routines and publishing.

use pgasync_core::{Input, Span, TaskId, Timestamp};

use super::composite::Composite;
use super::rows::{lane, time};
use super::{LeaderError, LeaderSession, OperationResults};
use crate::wire::WireTimestamp;

/// When schedules are fired again after the server refused it.
const FIRE_AGAIN: Span = Span::seconds(1);

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
        let fires_at = self.fire_if_due(time(row, "out_fires_at"), now, results).await?;
        let next = [time(row, "out_next"), fires_at].into_iter().flatten().min();
        results.inputs.push(Input::Swept { overdue, promoted, next, failed });
        Ok(())
    }

    /// Fires the schedules that are due, and returns when the next one is. If that is refused, the
    /// sweep stands.
    async fn fire_if_due(
        &mut self,
        fires_at: Option<Timestamp>,
        now: Timestamp,
        results: &mut OperationResults,
    ) -> Result<Option<Timestamp>, LeaderError> {
        if fires_at.is_none_or(|at| at > now) {
            return Ok(fires_at);
        }
        match self.write_alone("firing schedules", &self.statements.fire, &[]).await {
            Ok(rows) => {
                self.changed_in_session(results).await?;
                Ok(rows.first().and_then(|row| time(row, "next")))
            }
            Err(LeaderError::Refused { operation, reason }) => {
                results.warnings.push(format!("{operation} failed: {reason}"));
                Ok(Some(now + FIRE_AGAIN))
            }
            Err(error) => Err(error),
        }
    }

    /// Reads the tasks that routines or triggers of users have changed in this session.
    async fn changed_in_session(&self, results: &mut OperationResults) -> Result<(), LeaderError> {
        let rows = self.query("reading what was changed in the session", &self.statements.changed_tasks, &[]).await?;
        let changed: Vec<TaskId> =
            rows.iter().flat_map(|row| row.get::<_, Option<Vec<i64>>>(0)).flatten().map(TaskId).collect();
        self.reread(&changed, results).await
    }

    pub(super) async fn run_routines(
        &self,
        kind: &'static str,
        results: &mut OperationResults,
    ) -> Result<(), LeaderError> {
        self.write_alone("running routines", &self.statements.routines, &[&kind]).await?;
        self.changed_in_session(results).await?;
        results.inputs.push(Input::Triggered);
        Ok(())
    }

    pub(super) async fn publish(&self, published: &super::PublishedState) -> Result<(), LeaderError> {
        let busy: Vec<_> = published.busy.iter().cloned().map(Composite).collect();
        let pools: Vec<_> = published.pools.iter().cloned().map(Composite).collect();
        let lost: Vec<_> = published.lost.iter().cloned().map(Composite).collect();
        let all: [&(dyn pgasync_pg::types::ToSql + Sync); 4] = [&published.workers, &busy, &pools, &lost];
        self.write_alone("publishing", &self.statements.publish, &all).await.map(drop)
    }

    pub(super) async fn publish_metrics(&self, metrics: Vec<super::PublishedMetric>) -> Result<(), LeaderError> {
        let metrics: Vec<_> = metrics.into_iter().map(Composite).collect();
        let all: [&(dyn pgasync_pg::types::ToSql + Sync); 2] = [&self.epoch.0, &metrics];
        self.write_alone("publishing the metrics", &self.statements.publish_metrics, &all).await.map(drop)
    }
}
