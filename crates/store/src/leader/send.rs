//! The statements of a batch. All are sent before the first answer is awaited.

use std::pin::Pin;

use futures_util::future::join_all;
use pgasync_core::{LaneKind, Registered, SessionId, Timestamp};
use pgasync_pg::types::ToSql;
use pgasync_pg::{Error, Row, Statement};

use super::composite::Composite;
use super::operations::{OperationBatch, WriteArguments};
use super::{LeaderError, LeaderSession};
use crate::wire::WireTimestamp;

/// `-infinity`: no task was pushed before.
const FIRST: Timestamp = Timestamp::from_micros(i64::MIN);

type Call<'a> = Pin<Box<dyn Future<Output = Result<Vec<Row>, Error>> + Send + 'a>>;

/// The kind of a statement of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum BatchStatement {
    /// Begin, `async.hold_epoch` or commit.
    Transaction,
    Register,
    Unregister,
    Dismiss,
    Write,
    Heads,
}

pub(super) type StatementResults = Vec<(BatchStatement, Result<Vec<Row>, Error>)>;

impl BatchStatement {
    /// The kinds within a transaction, and then the heads, in the order in which they are sent.
    pub(super) const ALL: [Self; 5] = [Self::Register, Self::Unregister, Self::Dismiss, Self::Write, Self::Heads];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Transaction => "a transaction",
            Self::Register => "registering sessions",
            Self::Unregister => "unregistering sessions",
            Self::Dismiss => "dismissing requests",
            Self::Write => "writing tasks",
            Self::Heads => "reading the heads",
        }
    }
}

impl LeaderSession {
    /// Sends the writes in one transaction, then the reads of the queue. With `only`, sends the
    /// statements of that kind alone.
    pub(super) async fn send(&self, batch: &OperationBatch, only: Option<BatchStatement>) -> StatementResults {
        use BatchStatement::{Heads, Transaction, Write};
        let mut calls: Vec<(BatchStatement, Call<'_>)> = Vec::new();
        let is_wanted = |kind: BatchStatement| only.is_none_or(|only| only == kind);
        self.add_sessions(batch, &mut calls);
        calls.retain(|(kind, _)| is_wanted(*kind));
        let writes = !batch.writes.is_empty() && is_wanted(Write);
        if writes && calls.is_empty() {
            // Most batches of a busy leader contain only writes. One statement replaces four for
            // them.
            calls.push((Write, self.write_tasks(batch, true)));
        } else if writes || !calls.is_empty() {
            calls.extend(writes.then(|| (Write, self.write_tasks(batch, false))));
            calls.insert(0, (Transaction, self.call(&self.statements.hold_epoch, vec![Box::new(self.epoch.0)])));
            calls.insert(0, (Transaction, self.call(&self.statements.begin, vec![])));
            calls.push((Transaction, self.call(&self.statements.commit, vec![])));
        }
        if !batch.refills.is_empty() && is_wanted(Heads) {
            calls.push((Heads, self.read_heads(batch)));
        }
        let (kinds, calls): (Vec<_>, Vec<_>) = calls.into_iter().unzip();
        kinds.into_iter().zip(join_all(calls).await).collect()
    }

    /// Marks launches, and returns the query texts of the marked tasks. Marks are in an unlogged
    /// table, so the server does not flush them.
    pub(super) async fn mark(&self, batch: &OperationBatch) -> Result<Vec<Row>, Error> {
        let ids: Vec<i64> = batch.marks.iter().map(|(task, ..)| task.0).collect();
        let runs: Vec<i32> = batch.marks.iter().map(|(_, run, _)| run.0).collect();
        // 0 stands for any session with the target of the task: the task was marked ahead.
        let number = |session: &Option<SessionId>| {
            let Some(session) = session else { return 0 };
            let number = self.registered.get(session).copied();
            debug_assert!(number.is_some(), "{session:?} takes a task before it is registered");
            number.unwrap_or(0)
        };
        let sessions: Vec<i64> = batch.marks.iter().map(|(.., session)| number(session)).collect();
        self.session.query(&self.statements.mark, &[&self.epoch.0, &ids, &runs, &sessions]).await
    }

    /// Sends a write in a transaction of its own.
    pub(super) async fn write_alone(
        &self,
        operation: &'static str,
        statement: &Statement,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, LeaderError> {
        let (begun, epoch_held, written, waits, committed) = futures_util::future::join5(
            self.session.query(&self.statements.begin, &[]),
            self.session.query(&self.statements.hold_epoch, &[&self.epoch.0]),
            self.session.query(statement, parameters),
            self.session.query(&self.statements.wait_for_commit, &[]),
            self.session.query(&self.statements.commit, &[]),
        )
        .await;
        let failed = |error: Error| LeaderError::of(operation, &error);
        begun.map_err(failed)?;
        epoch_held.map_err(failed)?;
        let rows = written.map_err(failed)?;
        waits.map_err(failed)?;
        committed.map_err(failed)?;
        Ok(rows)
    }

    fn call<'a>(&'a self, statement: &'a Statement, parameters: Vec<Box<dyn ToSql + Sync + Send>>) -> Call<'a> {
        Box::pin(async move {
            let all: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|one| &**one as &(dyn ToSql + Sync)).collect();
            self.session.query(statement, &all).await
        })
    }

    fn add_sessions<'a>(&'a self, batch: &OperationBatch, calls: &mut Vec<(BatchStatement, Call<'a>)>) {
        let statements = &self.statements;
        if !batch.registrations.is_empty() {
            let sessions: Vec<_> =
                batch.registrations.iter().map(|(_, registration)| Composite(registration.clone())).collect();
            let parameters: Vec<Box<dyn ToSql + Sync + Send>> = vec![Box::new(self.epoch.0), Box::new(sessions)];
            calls.push((BatchStatement::Register, self.call(&statements.register, parameters)));
        }
        let number = |session: &Registered| match session {
            Registered::Own(session) => self.registered.get(session).copied(),
            Registered::Older(number) => Some(*number),
        };
        if !batch.unregistrations.is_empty() {
            let numbers: Vec<i64> = batch.unregistrations.iter().flatten().filter_map(number).collect();
            calls.push((BatchStatement::Unregister, self.call(&statements.unregister, vec![Box::new(numbers)])));
        }
        if !batch.dismissals.is_empty() {
            let ids: Vec<i64> = batch.dismissals.iter().map(|(request, _)| request.0).collect();
            calls.push((BatchStatement::Dismiss, self.call(&statements.dismiss, vec![Box::new(ids)])));
        }
    }

    /// Writes the tasks of a batch within a transaction that holds the epoch. With `alone` the
    /// statement is the whole transaction, and holds the epoch itself.
    fn write_tasks<'a>(&'a self, batch: &OperationBatch, alone: bool) -> Call<'a> {
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

    fn read_heads(&self, batch: &OperationBatch) -> Call<'_> {
        let lanes = || batch.refills.iter().map(|refill| &refill.lane);
        let after = || batch.refills.iter().map(|refill| refill.after);
        let pools: Vec<String> = lanes().map(|lane| lane.pool.to_string()).collect();
        let targets: Vec<String> = lanes().map(|lane| lane.target.to_string()).collect();
        let pullable: Vec<bool> = lanes().map(|lane| lane.kind == LaneKind::Pull).collect();
        // One head more than wanted shows whether the lane has more.
        let limits: Vec<i32> =
            batch.refills.iter().map(|refill| i32::try_from(refill.heads_max).unwrap_or(i32::MAX - 1) + 1).collect();
        // Without a position, the first tasks: every one comes after this position.
        let priorities: Vec<i32> = after().map(|after| after.map_or(i32::MIN, |after| after.priority.0)).collect();
        let entered: Vec<WireTimestamp> =
            after().map(|after| WireTimestamp(after.map_or(FIRST, |after| after.entered))).collect();
        let ids: Vec<i64> = after().map(|after| after.map_or(i64::MIN, |after| after.task.0)).collect();
        let parameters: Vec<Box<dyn ToSql + Sync + Send>> = vec![
            Box::new(pools),
            Box::new(targets),
            Box::new(pullable),
            Box::new(limits),
            Box::new(priorities),
            Box::new(entered),
            Box::new(ids),
        ];
        self.call(&self.statements.heads, parameters)
    }
}
