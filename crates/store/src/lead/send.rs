//! The statements of a batch: all are sent before the first answer is awaited.

use std::pin::Pin;

use futures_util::future::join_all;
use pgasync_core::{LaneKind, Registered, SessionId};
use pgasync_pg::types::ToSql;
use pgasync_pg::{Error, Row, Statement};

use super::operations::{Operations, WriteArguments};
use super::{Lead, LeadError};

type Call<'a> = Pin<Box<dyn Future<Output = Result<Vec<Row>, Error>> + Send + 'a>>;

/// What a statement of a batch was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Bracket,
    Register,
    Unregister,
    Dismiss,
    Write,
    Heads,
}

pub(super) type Results = Vec<(Part, Result<Vec<Row>, Error>)>;

impl Part {
    /// In the order in which they are sent.
    pub(super) const ALL: [Self; 5] = [Self::Register, Self::Unregister, Self::Dismiss, Self::Write, Self::Heads];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Bracket => "a transaction",
            Self::Register => "registering sessions",
            Self::Unregister => "unregistering sessions",
            Self::Dismiss => "dismissing requests",
            Self::Write => "writing tasks",
            Self::Heads => "reading what waits",
        }
    }
}

impl Lead {
    /// Sends the writes, in one transaction, or those of one part; then what is to be read of the queue.
    pub(super) async fn send(&self, batch: &Operations, only: Option<Part>) -> Results {
        let mut calls: Vec<(Part, Call<'_>)> = Vec::new();
        let is_wanted = |part: Part| only.is_none_or(|only| only == part);
        self.add_sessions(batch, &mut calls);
        calls.retain(|(part, _)| is_wanted(*part));
        let writes = !batch.writes.is_empty() && is_wanted(Part::Write);
        if writes && calls.is_empty() {
            // What a busy leader sends most: one statement instead of four.
            calls.push((Part::Write, self.write_tasks(batch, true)));
        } else if writes || !calls.is_empty() {
            calls.extend(writes.then(|| (Part::Write, self.write_tasks(batch, false))));
            calls.insert(0, (Part::Bracket, self.call(&self.statements.hold_epoch, vec![Box::new(self.epoch.0)])));
            calls.insert(0, (Part::Bracket, self.call(&self.statements.begin, vec![])));
            calls.push((Part::Bracket, self.call(&self.statements.commit, vec![])));
        }
        if !batch.refills.is_empty() && is_wanted(Part::Heads) {
            calls.push((Part::Heads, self.read_heads(batch)));
        }
        let (parts, calls): (Vec<_>, Vec<_>) = calls.into_iter().unzip();
        parts.into_iter().zip(join_all(calls).await).collect()
    }

    /// Marks launches, and hands out the texts of what is marked. Unlogged, so nothing is flushed.
    pub(super) async fn mark(&self, batch: &Operations) -> Result<Vec<Row>, Error> {
        let ids: Vec<i64> = batch.marks.iter().map(|(task, ..)| task.0).collect();
        let runs: Vec<i32> = batch.marks.iter().map(|(_, run, _)| run.0).collect();
        // 0 is any session of the task's target.
        let number = |session: &Option<SessionId>| {
            session.and_then(|session| self.registered.get(&session).copied()).unwrap_or(0)
        };
        let sessions: Vec<i64> = batch.marks.iter().map(|(.., session)| number(session)).collect();
        self.session.query(&self.statements.mark, &[&self.epoch.0, &ids, &runs, &sessions]).await
    }

    /// A write outside of a batch, in a transaction of its own.
    pub(super) async fn write_alone(
        &self,
        operation: &'static str,
        statement: &Statement,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, LeadError> {
        let (begun, held, written, committed) = futures_util::future::join4(
            self.session.query(&self.statements.begin, &[]),
            self.session.query(&self.statements.hold_epoch, &[&self.epoch.0]),
            self.session.query(statement, parameters),
            self.session.query(&self.statements.commit, &[]),
        )
        .await;
        let failed = |error: Error| LeadError::of(operation, &error);
        begun.map_err(failed)?;
        held.map_err(failed)?;
        let rows = written.map_err(failed)?;
        committed.map_err(failed)?;
        Ok(rows)
    }

    fn call<'a>(&'a self, statement: &'a Statement, parameters: Vec<Box<dyn ToSql + Sync + Send>>) -> Call<'a> {
        Box::pin(async move {
            let all: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|one| &**one as &(dyn ToSql + Sync)).collect();
            self.session.query(statement, &all).await
        })
    }

    fn add_sessions<'a>(&'a self, batch: &Operations, calls: &mut Vec<(Part, Call<'a>)>) {
        let statements = &self.statements;
        if !batch.registrations.is_empty() {
            let all = || batch.registrations.iter().map(|(_, registration)| registration);
            let slots: Vec<i32> = all().map(|r| r.slot).collect();
            let targets: Vec<String> = all().map(|r| r.target.to_string()).collect();
            let strings: Vec<String> = all().map(|r| r.connection_string.to_string()).collect();
            let roles: Vec<String> = all().map(|r| r.role.clone()).collect();
            let pids: Vec<i32> = all().map(|r| r.pid).collect();
            let starts: Vec<String> = all().map(|r| r.backend_start.clone()).collect();
            let started: Vec<Option<String>> = all().map(|r| r.server.started.clone()).collect();
            let addresses: Vec<Option<String>> = all().map(|r| r.server.address.clone()).collect();
            let ports: Vec<Option<i32>> = all().map(|r| r.server.port).collect();
            let systems: Vec<Option<String>> = all().map(|r| r.server.system_identifier.clone()).collect();
            let timelines: Vec<Option<i32>> = all().map(|r| r.server.timeline).collect();
            let parameters: Vec<Box<dyn ToSql + Sync + Send>> = vec![
                Box::new(self.epoch.0),
                Box::new(slots),
                Box::new(targets),
                Box::new(strings),
                Box::new(roles),
                Box::new(pids),
                Box::new(starts),
                Box::new(started),
                Box::new(addresses),
                Box::new(ports),
                Box::new(systems),
                Box::new(timelines),
            ];
            calls.push((Part::Register, self.call(&statements.register, parameters)));
        }
        let number = |session: &Registered| match session {
            Registered::Own(session) => self.registered.get(session).copied(),
            Registered::Older(number) => Some(*number),
        };
        if !batch.unregistrations.is_empty() {
            let numbers: Vec<i64> = batch.unregistrations.iter().flatten().filter_map(number).collect();
            calls.push((Part::Unregister, self.call(&statements.forget, vec![Box::new(numbers)])));
        }
        if !batch.dismissals.is_empty() {
            let ids: Vec<i64> = batch.dismissals.iter().map(|(request, _)| request.0).collect();
            calls.push((Part::Dismiss, self.call(&statements.dismiss, vec![Box::new(ids)])));
        }
    }

    /// Writes the tasks of a batch: within a transaction that holds the epoch, or as a transaction that does so.
    fn write_tasks<'a>(&'a self, batch: &Operations, alone: bool) -> Call<'a> {
        let a = WriteArguments::of(&batch.writes);
        let mut parameters: Vec<Box<dyn ToSql + Sync + Send>> = vec![
            Box::new(a.claims),
            Box::new(a.claim_runs),
            Box::new(a.claims_at),
            Box::new(a.claim_timeouts),
            Box::new(a.ends),
            Box::new(a.end_runs),
            Box::new(a.ends_at),
            Box::new(a.events),
        ];
        if alone {
            parameters.push(Box::new(self.epoch.0));
            self.call(&self.statements.write_alone, parameters)
        } else {
            self.call(&self.statements.write, parameters)
        }
    }

    fn read_heads(&self, batch: &Operations) -> Call<'_> {
        let lanes = || batch.refills.iter().map(|(lane, _)| lane);
        let pools: Vec<String> = lanes().map(|lane| lane.pool.to_string()).collect();
        let targets: Vec<String> = lanes().map(|lane| lane.target.to_string()).collect();
        let pullable: Vec<bool> = lanes().map(|lane| lane.kind == LaneKind::Pull).collect();
        // One more tells whether there are more.
        let limits: Vec<i32> =
            batch.refills.iter().map(|(_, heads)| i32::try_from(*heads).unwrap_or(i32::MAX - 1) + 1).collect();
        let parameters: Vec<Box<dyn ToSql + Sync + Send>> =
            vec![Box::new(pools), Box::new(targets), Box::new(pullable), Box::new(limits)];
        self.call(&self.statements.heads, parameters)
    }
}
