//! The statements of a batch: all are sent before the first answer is awaited.

use std::pin::Pin;

use futures_util::future::join_all;
use pgasync_core::{Kind, SessionId, Timestamp};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

use super::Lead;
use super::writes::{WriteArrays, Writes};
use crate::wire::Stamp;

type Call<'a> = Pin<Box<dyn Future<Output = Result<Vec<Row>, Error>> + Send + 'a>>;

/// What a statement of a batch was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Bracket,
    Register,
    Forget,
    Dismiss,
    Release,
    Write,
    GiveBack,
    Offer,
    Withdraw,
    Heads,
}

pub(super) type Results = Vec<(Part, Result<Vec<Row>, Error>)>;

impl Part {
    /// In the order in which they are sent.
    pub(super) const ALL: [Self; 9] = [
        Self::Register,
        Self::Forget,
        Self::Dismiss,
        Self::Release,
        Self::Withdraw,
        Self::GiveBack,
        Self::Write,
        Self::Offer,
        Self::Heads,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Bracket => "a transaction",
            Self::Register => "registering sessions",
            Self::Forget => "forgetting sessions",
            Self::Dismiss => "dismissing requests",
            Self::Release => "freeing slots",
            Self::Write => "recording and claiming",
            Self::GiveBack => "returning claims",
            Self::Offer => "offering",
            Self::Withdraw => "withdrawing offers",
            Self::Heads => "reading what waits",
        }
    }
}

impl Lead {
    /// Sends the writes, in one transaction, or those of one part; then what is to be read of the queue.
    pub(super) async fn send(&self, writes: &Writes, now: Timestamp, only: Option<Part>) -> Results {
        let mut calls: Vec<(Part, Call<'_>)> = Vec::new();
        self.add_small(writes, &mut calls);
        self.add_offers_and_returns(writes, now, &mut calls);
        self.add_writes(writes, now, &mut calls);
        calls.retain(|(part, _)| only.is_none_or(|only| only == *part));
        if calls.len() > 1 {
            calls.insert(0, (Part::Bracket, self.call(&self.statements.begin)));
            calls.push((Part::Bracket, self.call(&self.statements.commit)));
        }
        if !writes.refills.is_empty() && only.is_none_or(|only| only == Part::Heads) {
            calls.push((Part::Heads, self.read_heads(writes, now)));
        }
        let (parts, calls): (Vec<_>, Vec<_>) = calls.into_iter().unzip();
        parts.into_iter().zip(join_all(calls).await).collect()
    }

    /// Marks launches, and hands out the texts of what is marked. Unlogged, so nothing is flushed.
    pub(super) async fn mark(&self, writes: &Writes) -> Result<Vec<Row>, Error> {
        let ids: Vec<i64> = writes.marks.iter().map(|(task, ..)| task.0).collect();
        let runs: Vec<i32> = writes.marks.iter().map(|(_, run, _)| run.0).collect();
        // 0 is any session of the task's target.
        let number = |session: &Option<SessionId>| {
            session.and_then(|session| self.registered.get(&session).copied()).unwrap_or(0)
        };
        let sessions: Vec<i64> = writes.marks.iter().map(|(.., session)| number(session)).collect();
        self.session.query(&self.statements.mark, &[&ids, &runs, &sessions]).await
    }

    fn call<'a>(&'a self, statement: &'a tokio_postgres::Statement) -> Call<'a> {
        Box::pin(self.session.query(statement, &[]))
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
            let started: Vec<Option<String>> = all().map(|r| r.server.started.clone()).collect();
            let addresses: Vec<Option<String>> = all().map(|r| r.server.address.clone()).collect();
            let ports: Vec<Option<i32>> = all().map(|r| r.server.port).collect();
            let systems: Vec<Option<String>> = all().map(|r| r.server.system_identifier.clone()).collect();
            let timelines: Vec<Option<i32>> = all().map(|r| r.server.timeline).collect();
            let register = async move {
                let all: [&(dyn ToSql + Sync); 12] = [
                    &self.epoch.0,
                    &slots,
                    &targets,
                    &strings,
                    &roles,
                    &pids,
                    &starts,
                    &started,
                    &addresses,
                    &ports,
                    &systems,
                    &timelines,
                ];
                self.session.query(&statements.register, &all).await
            };
            calls.push((Part::Register, Box::pin(register)));
        }
        if !writes.forgotten.is_empty() {
            let ids = writes.forgotten.clone();
            calls.push((Part::Forget, Box::pin(async move { self.session.query(&statements.forget, &[&ids]).await })));
        }
        if !writes.dismissals.is_empty() {
            let ids: Vec<i64> = writes.dismissals.iter().map(|request| request.0).collect();
            calls
                .push((Part::Dismiss, Box::pin(async move { self.session.query(&statements.dismiss, &[&ids]).await })));
        }
        if !writes.releases.is_empty() {
            let ids: Vec<i64> = writes.releases.iter().map(|(task, _)| task.0).collect();
            let runs: Vec<i32> = writes.releases.iter().map(|(_, run)| run.0).collect();
            let release = async move { self.session.query(&statements.release, &[&ids, &runs]).await };
            calls.push((Part::Release, Box::pin(release)));
        }
    }

    fn add_offers_and_returns<'a>(&'a self, writes: &Writes, now: Timestamp, calls: &mut Vec<(Part, Call<'a>)>) {
        let statements = &self.statements;
        if !writes.withdrawals.is_empty() {
            let ids: Vec<i64> = writes.withdrawals.iter().map(|task| task.0).collect();
            let withdraw = async move { self.session.query(&statements.withdraw, &[&ids]).await };
            calls.push((Part::Withdraw, Box::pin(withdraw)));
        }
        if !writes.returns.is_empty() {
            let ids: Vec<i64> = writes.returns.iter().map(|(task, ..)| task.0).collect();
            let runs: Vec<i32> = writes.returns.iter().map(|(_, run, _)| run.0).collect();
            let give_back = async move { self.session.query(&statements.give_back, &[&Stamp(now), &ids, &runs]).await };
            calls.push((Part::GiveBack, Box::pin(give_back)));
        }
        if !writes.offers.is_empty() {
            let ids: Vec<i64> = writes.offers.iter().map(|(task, _)| task.0).collect();
            let offer = async move { self.session.query(&statements.offer, &[&Stamp(now), &ids]).await };
            calls.push((Part::Offer, Box::pin(offer)));
        }
    }

    fn add_writes<'a>(&'a self, writes: &Writes, now: Timestamp, calls: &mut Vec<(Part, Call<'a>)>) {
        if writes.records.is_empty() && writes.claims.is_empty() {
            return;
        }
        let a = WriteArrays::of(writes, &self.running, &self.offered, now);
        let write = async move {
            let all: [&(dyn ToSql + Sync); 11] = [
                &Stamp(now),
                &a.ids,
                &a.runs,
                &a.events,
                &a.statuses,
                &a.errors,
                &a.durations,
                &a.timeouts,
                &a.offered,
                &a.requests,
                &a.requests_of,
            ];
            self.session.query(&self.statements.write, &all).await
        };
        calls.push((Part::Write, Box::pin(write)));
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
}
