//! Polling for what is new.

use futures_util::future::join_all;
use pgasync_core::{Input, Sleep, TaskId, Timestamp};
use pgasync_pg::types::ToSql;
use pgasync_pg::{Error, Row, Statement};

use super::batch::changed;
use super::configuration::Configuration;
use super::rows::{Stored, lane};
use super::{Answers, Lead, LeadError};
use crate::wire::Stamp;

/// What a poll saw besides what the core hears.
#[derive(Debug)]
pub struct Seen {
    /// The orchestrator may go on leading.
    pub enabled: bool,
    /// A forced takeover asks it to resign.
    pub resign: bool,
    /// The server's time.
    pub now: Timestamp,
    /// The schema is another one than this program's.
    pub replaced: bool,
    /// The configuration, when it is another than at the last poll.
    pub configuration: Option<Box<Configuration>>,
}

impl Lead {
    pub(super) async fn poll(
        &mut self,
        sleep: Sleep,
        offered: &[TaskId],
        answers: &mut Answers,
    ) -> Result<(), LeadError> {
        let failed = |error: Error| LeadError::of("polling", &error);
        let statements = &self.statements;
        let offered: Vec<i64> = offered.iter().map(|task| task.0).collect();
        let offered: &[&(dyn ToSql + Sync)] = &[&offered];
        // The sleep begins before anything is read, so that no push falls between the two.
        let mut calls: Vec<(&Statement, &[&(dyn ToSql + Sync)])> = match sleep {
            Sleep::Keep => vec![],
            Sleep::FallAsleep => vec![(&statements.fall_asleep, &[])],
            Sleep::WakeUp => vec![(&statements.wake_up, &[])],
        };
        calls.extend([(&statements.poll, &[][..]), (&statements.lanes, &[]), (&statements.left_offers, offered)]);
        let session = &self.session;
        let read = join_all(calls.iter().map(|(statement, parameters)| session.query(*statement, parameters))).await;
        let mut read = read.into_iter();
        let mut next = || read.next().transpose().map_err(failed).map(Option::unwrap_or_default);
        let slept: Vec<Row> = if sleep == Sleep::Keep { vec![] } else { next()? };
        let (seen, lanes, left) = (next()?, next()?, next()?);
        let Some(seen) = seen.first() else {
            return Err(LeadError::Refused { operation: "polling", reason: "async.leader is empty".into() });
        };
        let asleep = slept.first().filter(|_| sleep == Sleep::FallAsleep).map(|row| row.get(0));
        let lanes = lanes.iter().filter_map(|row| lane(row.get("pool"), row.get("target"), row.get("pullable")));
        let (lanes, requests, latch) = (lanes.collect(), seen.get("asked"), seen.get("latch"));
        let left: Vec<TaskId> = left.iter().map(|row| TaskId(row.get(0))).collect();
        let configured: String = seen.get("configured");
        let mut configuration = None;
        if self.configured.as_ref() != Some(&configured) {
            let read = Configuration::read(&self.session).await.map_err(failed)?;
            answers.inputs.push(Input::Configured(Box::new(read.settings.clone())));
            configuration = Some(Box::new(read));
            self.configured = Some(configured);
        }
        self.reread(&left, answers).await?;
        answers.inputs.push(Input::Polled { lanes, requests, latch, asleep });
        answers.seen = Some(Seen {
            enabled: seen.get("enabled"),
            resign: seen.get::<_, Option<i64>>("resign_epoch").is_some_and(|epoch| epoch >= self.epoch.0),
            now: seen.get::<_, Stamp>("now").0,
            replaced: seen.get::<_, &str>("fingerprint") != *pgasync_sql::FINGERPRINT,
            configuration,
        });
        Ok(())
    }

    /// Tells the core what rows became that something else changed.
    pub(super) async fn reread(&self, tasks: &[TaskId], answers: &mut Answers) -> Result<(), LeadError> {
        if !tasks.is_empty() {
            changed(self.rows(tasks).await?, tasks, answers);
        }
        Ok(())
    }

    pub(super) async fn rows(&self, tasks: &[TaskId]) -> Result<Vec<Stored>, LeadError> {
        let ids: Vec<i64> = tasks.iter().map(|task| task.0).collect();
        let rows = self.query("reading tasks", &self.statements.rows, &[&ids]).await?;
        Ok(rows.iter().filter_map(Stored::read).collect())
    }

    pub(super) async fn query(
        &self,
        operation: &'static str,
        statement: &Statement,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, LeadError> {
        self.session.query(statement, parameters).await.map_err(|error| LeadError::of(operation, &error))
    }
}
