//! Looking what is new.

use futures_util::future::join_all;
use pgasync_core::{Input, RowState, TaskId, Timestamp};

use super::configuration::Configuration;
use super::rows::{Stored, lane};
use super::{Answers, Lead, LeadError};
use crate::wire::Stamp;

/// What was seen.
#[derive(Debug)]
pub struct Look {
    /// The orchestrator may go on leading.
    pub enabled: bool,
    /// A forced takeover asks it to resign.
    pub resign: bool,
    /// Up to which number callers wait for a cycle that begins now.
    pub latch: i64,
    /// The server's time.
    pub now: Timestamp,
    /// The configuration, when it is another than at the last look.
    pub configuration: Option<Box<Configuration>>,
    /// When something may be tried again that could not be written, if there is such a thing.
    pub retries_at: Option<Timestamp>,
}

impl Lead {
    pub(super) async fn look(&mut self, now: Timestamp, answers: &mut Answers) -> Result<(), LeadError> {
        let lost = |error: tokio_postgres::Error| LeadError::of("looking what is new", &error);
        self.unpark(now);
        let session = &self.session;
        let none: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[];
        let mut both =
            join_all([session.query(&self.statements.look, none), session.query(&self.statements.lanes, none)])
                .await
                .into_iter();
        let mut next = || both.next().transpose().map_err(lost).map(Option::unwrap_or_default);
        let (seen, lanes) = (next()?, next()?);
        let lanes = lanes.iter().filter_map(|row| lane(row.get("pool"), row.get("target"), row.get("pullable")));
        answers.inputs.push(Input::Waiting(lanes.collect()));
        let Some(seen) = seen.first() else {
            return Err(LeadError::Refused {
                operation: "looking what is new",
                reason: "async.leader is empty".into(),
            });
        };
        if seen.get("asked") {
            answers.inputs.push(Input::Asking);
        }
        self.look_at_offers(answers).await?;
        let configured: String = seen.get("configured");
        let mut configuration = None;
        if self.configured.as_ref() != Some(&configured) {
            let read = Configuration::read(&self.session).await.map_err(lost)?;
            answers.inputs.push(Input::Configured(Box::new(read.settings.clone())));
            configuration = Some(Box::new(read));
            self.configured = Some(configured);
        }
        answers.look = Some(Look {
            enabled: seen.get("enabled"),
            resign: seen.get::<_, Option<i64>>("resign_epoch").is_some_and(|epoch| epoch >= self.epoch.0),
            latch: seen.get("latch"),
            now: seen.get::<_, Stamp>("now").0,
            configuration,
            retries_at: self.retries_at(now),
        });
        Ok(())
    }

    /// Offers that clients took.
    async fn look_at_offers(&mut self, answers: &mut Answers) -> Result<(), LeadError> {
        if self.offered.is_empty() {
            return Ok(());
        }
        let offered: Vec<i64> = self.offered.iter().map(|task| task.0).collect();
        let rows = self.query("looking at offers", &self.statements.left_offers, &[&offered]).await?;
        let left: Vec<TaskId> = rows.iter().map(|row| TaskId(row.get(0))).collect();
        self.reread(&left, answers).await
    }

    /// Tells the core what rows became that somebody else changed.
    pub(super) async fn reread(&mut self, tasks: &[TaskId], answers: &mut Answers) -> Result<(), LeadError> {
        if tasks.is_empty() {
            return Ok(());
        }
        let mut gone: Vec<TaskId> = tasks.to_vec();
        for stored in self.rows(tasks).await? {
            gone.retain(|task| *task != stored.id());
            self.offered.remove(&stored.id());
            let task = stored.id();
            if stored.row.state() == RowState::Ready {
                answers.inputs.push(Input::Waiting(vec![stored.lane.clone()]));
            }
            if stored.row.state() == RowState::Running && stored.terms.client_pulled {
                answers.inputs.push(Input::Taken { task, row: stored.row });
            } else {
                answers.inputs.push(Input::Changed { task, row: Some(stored.row) });
            }
        }
        for task in gone {
            self.offered.remove(&task);
            answers.inputs.push(Input::Changed { task, row: None });
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
        statement: &tokio_postgres::Statement,
        parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<Vec<tokio_postgres::Row>, LeadError> {
        self.session.query(statement, parameters).await.map_err(|error| LeadError::of(operation, &error))
    }
}
