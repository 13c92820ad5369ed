//! Polling for new work and changed settings.

use futures_util::future::join_all;
use pgasync_core::{Head, Input, Lane, OpenWriters, QueuePosition, Sleep, TaskId, Timestamp};
use pgasync_pg::types::ToSql;
use pgasync_pg::{Error, Row, Statement};

use super::batch_results::changed;
use super::configuration::LeaderConfiguration;
use super::rows::{StoredTask, head, lane_of, position, time};
use super::{LeaderError, LeaderSession, OperationResults};
use crate::wire::WireTimestamp;

/// A poll reads at most this many tasks that arrived. If there are more, it reads their lanes, whose
/// heads are then read from the first of them on.
const ARRIVALS_MAX: i32 = 1_000;

/// A poll reads the lanes of at most this many tasks that arrived, which takes about 40 ms. If there are
/// more, it reads all lanes, whose heads are then read from the front.
const ARRIVALS_OF_LANES_MAX: i32 = 50_000;

/// The results of a poll that do not concern the core.
#[derive(Debug)]
pub struct PollResult {
    /// `async.control.enabled`: the leader may go on.
    pub enabled: bool,
    /// A forced successor asks the leader to resign.
    pub resign: bool,
    /// The server's time.
    pub now: Timestamp,
    /// The schema is no longer the one that this program installs.
    pub schema_replaced: bool,
    /// The configuration, if it has changed since the last poll.
    pub configuration: Option<Box<LeaderConfiguration>>,
}

/// What waits: lanes, or the tasks that arrived and the first time for which one of them waits.
#[derive(Default)]
struct Waiting {
    lanes: Vec<(Lane, Option<QueuePosition>)>,
    arrivals: Vec<(Lane, Head)>,
    due: Option<Timestamp>,
}

impl LeaderSession {
    pub(super) async fn poll(
        &mut self,
        sleep: Sleep,
        offered: &[TaskId],
        results: &mut OperationResults,
    ) -> Result<(), LeaderError> {
        let polled = self.read_changes(sleep, offered, results).await;
        if let Err(LeaderError::Refused { .. }) = &polled
            && let Some(now) = self.replaced_at().await?
        {
            results.polled =
                Some(PollResult { enabled: true, resign: false, now, schema_replaced: true, configuration: None });
        }
        polled
    }

    /// The server's time, if the schema is no longer the one that this program installs. The poll of
    /// this version may fail with another one, so it is asked separately.
    async fn replaced_at(&self) -> Result<Option<Timestamp>, LeaderError> {
        let sql = "select pg_catalog.to_regnamespace('async') is not null, pg_catalog.clock_timestamp()";
        let failed = |error: Error| LeaderError::of("looking for the schema", &error);
        let row = self.session.query_one(sql, &[]).await.map_err(failed)?;
        if !row.get::<_, bool>(0) {
            return Err(LeaderError::SchemaGone);
        }
        let fingerprint = self.session.query_one("select async.schema_fingerprint()", &[]).await.map_err(failed)?;
        let is_replaced = fingerprint.get::<_, &str>(0) != *pgasync_sql::FINGERPRINT;
        Ok(is_replaced.then(|| row.get::<_, WireTimestamp>(1).0))
    }

    async fn read_changes(
        &mut self,
        sleep: Sleep,
        offered: &[TaskId],
        results: &mut OperationResults,
    ) -> Result<(), LeaderError> {
        let failed = |error: Error| LeaderError::of("polling", &error);
        let statements = &self.statements;
        let offered: Vec<i64> = offered.iter().map(|task| task.0).collect();
        let offered: &[&(dyn ToSql + Sync)] = &[&offered];
        let epoch: &[&(dyn ToSql + Sync)] = &[&self.epoch.0];
        let before = if let Sleep::AwaitWriters { before } = sleep { before } else { i64::MIN };
        let before: &[&(dyn ToSql + Sync)] = &[&before];
        // The leader falls asleep before it reads, so that a push that commits after the reads
        // wakes it, or is found open.
        let mut calls: Vec<(&Statement, &[&(dyn ToSql + Sync)])> = match sleep {
            Sleep::Keep => vec![],
            Sleep::FallAsleep => vec![(&statements.fall_asleep, epoch)],
            Sleep::AwaitWriters { .. } => vec![(&statements.await_writers, before)],
            Sleep::WakeUp => vec![(&statements.wake_up, epoch)],
        };
        let since = self.polled.clone().unwrap_or_default();
        let arrivals: &[&(dyn ToSql + Sync)] = &[&since, &(ARRIVALS_MAX + 1)];
        let waiting: (&Statement, &[&(dyn ToSql + Sync)]) =
            if self.polled.is_some() { (&statements.arrivals, arrivals) } else { (&statements.lanes, &[]) };
        calls.extend([(&statements.poll, &[][..]), waiting, (&statements.left_offers, offered)]);
        let session = &self.session;
        let read = join_all(calls.iter().map(|(statement, parameters)| session.query(*statement, parameters))).await;
        let mut read = read.into_iter();
        let mut next = || {
            let result = read.next();
            debug_assert!(result.is_some(), "each statement has a result");
            result.transpose().map_err(failed).map(Option::unwrap_or_default)
        };
        let slept: Vec<Row> = if sleep == Sleep::Keep { vec![] } else { next()? };
        let (states, waiting, left) = (next()?, next()?, next()?);
        let Some(state) = states.first() else {
            return Err(LeaderError::Refused { operation: "polling", reason: "async.leader is empty".into() });
        };
        let writers = slept.first().and_then(|row| match sleep {
            Sleep::FallAsleep | Sleep::AwaitWriters { .. } => {
                Some(OpenWriters { before: row.get::<_, Option<i64>>(0)?, open: row.get(1) })
            }
            Sleep::Keep | Sleep::WakeUp => None,
        });
        let snapshot: String = state.get("snapshot");
        let now = state.get::<_, WireTimestamp>("now").0;
        let Waiting { lanes, arrivals, due } = self.waiting(&waiting, now).await.map_err(failed)?;
        let (requests, latch) = (state.get("has_requests"), state.get("latch"));
        let left: Vec<TaskId> = left.iter().map(|row| TaskId(row.get(0))).collect();
        let version: String = state.get("configured");
        let mut configuration = None;
        if self.configuration_version.as_ref() != Some(&version) {
            let read = LeaderConfiguration::read(&self.session).await.map_err(failed)?;
            results.inputs.push(Input::Configured(Box::new(read.settings.clone())));
            configuration = Some(Box::new(read));
            self.configuration_version = Some(version);
        }
        self.reread(&left, results).await?;
        let due = [due, self.firing.news(time(state, "fires_at"), now)].into_iter().flatten().min();
        results.inputs.push(Input::Polled { lanes, arrivals, due, requests, latch, writers });
        // Arrivals are read from this snapshot on only when these have been passed on.
        self.polled = Some(snapshot);
        results.polled = Some(PollResult {
            enabled: state.get("enabled"),
            resign: state.get::<_, Option<i64>>("resign_epoch").is_some_and(|epoch| epoch >= self.epoch.0),
            now,
            schema_replaced: state.get::<_, &str>("fingerprint") != *pgasync_sql::FINGERPRINT,
            configuration,
        });
        Ok(())
    }

    /// The lanes of the first poll of a connection, and the arrivals of a later one. If there are too
    /// many, it reads lanes, and a sweep is due now.
    async fn waiting(&self, rows: &[Row], now: Timestamp) -> Result<Waiting, Error> {
        let all = |rows: &[Row]| rows.iter().filter_map(lane_of).map(|lane| (lane, None)).collect();
        let Some(since) = &self.polled else {
            return Ok(Waiting { lanes: all(rows), ..Waiting::default() });
        };
        if rows.len() > usize::try_from(ARRIVALS_MAX).unwrap_or(usize::MAX) {
            let read = self.session.query(&self.statements.arrival_lanes, &[since, &ARRIVALS_OF_LANES_MAX]).await?;
            // Then the row has nothing else.
            let lanes = if read.iter().any(|row| row.get("too_many")) {
                all(&self.session.query(&self.statements.lanes, &[]).await?)
            } else {
                read.iter().filter_map(|row| Some((lane_of(row)?, Some(position(row)?)))).collect()
            };
            return Ok(Waiting { lanes, due: Some(now), ..Waiting::default() });
        }
        let mut waiting = Waiting::default();
        for row in rows {
            let eligible_when = time(row, "eligible_when");
            waiting.due = [waiting.due, eligible_when, time(row, "times_up")].into_iter().flatten().min();
            if eligible_when.is_none()
                && let Some(lane) = lane_of(row)
                && let Some(head) = head(row, lane.kind)
            {
                waiting.arrivals.push((lane, head));
            }
        }
        Ok(waiting)
    }

    /// Reads tasks that something other than the leader has changed.
    pub(super) async fn reread(&self, tasks: &[TaskId], results: &mut OperationResults) -> Result<(), LeaderError> {
        if !tasks.is_empty() {
            changed(self.rows(tasks).await?, tasks, results);
        }
        Ok(())
    }

    pub(super) async fn rows(&self, tasks: &[TaskId]) -> Result<Vec<StoredTask>, LeaderError> {
        let ids: Vec<i64> = tasks.iter().map(|task| task.0).collect();
        let rows = self.query("reading tasks", &self.statements.rows, &[&ids]).await?;
        Ok(rows.iter().filter_map(StoredTask::read).collect())
    }

    pub(super) async fn query(
        &self,
        operation: &'static str,
        statement: &Statement,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, LeaderError> {
        self.session.query(statement, parameters).await.map_err(|error| LeaderError::of(operation, &error))
    }
}
