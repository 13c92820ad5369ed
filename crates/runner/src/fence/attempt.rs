//! One attempt to end backends, over each address at which they may be found.
//!
//! A backend is gone when the server at which it was opened does not list it, or when the server
//! that answers has replaced that server (`async.is_replaced`). Any other answer leaves its state
//! unknown. The receipts of a backend that is gone are resolved over the same connection. Otherwise it
//! does not count as gone.

use std::time::Duration;

use pgasync_pg::{ConnectionSettings, Session};
use pgasync_store::{OldSession, replaced_sessions};
use tokio::time::{Instant, sleep, timeout};

use super::receipts::{ResolvedReceipt, resolve_receipts};
use super::{FenceContext, connect, connect_to_server};
use crate::session_identity::SessionIdentity;

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The time from the termination of a backend to its end.
const END_MAX: Duration = Duration::from_secs(5);

/// The limit on all other statements, once a server has accepted the connection.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// The identity of a backend at its target, and of the server at which it was opened.
#[derive(Clone, Debug)]
pub(crate) struct BackendIdentity {
    /// The number of its session in the registry, if it is known.
    pub(crate) session_number: Option<i64>,
    pub(crate) pid: i32,
    pub(crate) backend_start: String,
    pub(crate) role: String,
    pub(crate) server_started: Option<String>,
    pub(crate) system_identifier: Option<String>,
    /// The backend may belong to another server: the attempt looks for it and does not terminate
    /// it.
    pub(crate) left_alone: bool,
    /// A query with a receipt may have run on it.
    pub(crate) has_receipts: bool,
}

/// The outcome of an attempt for one backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FenceOutcome {
    /// It is gone, and its receipts are resolved.
    Gone(Vec<ResolvedReceipt>),
    /// It lives, and may belong to another server.
    LeftAlone,
    /// Its server answers, and does not let the backend be ended, or has not ended it yet.
    Refused(String),
    /// No server answers, or only another one does.
    Unreached(String),
}

impl FenceOutcome {
    pub(super) const fn is_unreached(&self) -> bool {
        matches!(self, Self::Unreached(_))
    }

    pub(super) fn error(&self) -> Option<&str> {
        match self {
            Self::Gone(_) | Self::LeftAlone => None,
            Self::Refused(error) | Self::Unreached(error) => Some(error),
        }
    }
}

impl From<&OldSession> for BackendIdentity {
    fn from(old: &OldSession) -> Self {
        Self {
            session_number: Some(old.number),
            pid: old.pid,
            backend_start: old.backend_start.clone(),
            role: old.role.clone(),
            server_started: old.server_started.clone(),
            system_identifier: old.system_identifier.clone(),
            left_alone: old.left_alone,
            has_receipts: true,
        }
    }
}

impl BackendIdentity {
    /// Whether the backend was opened at the server that was found. The rule is that of
    /// `async.is_registered_server`.
    fn was_opened_at(&self, found: &SessionIdentity) -> bool {
        let same = |known: &Option<String>, found: &Option<String>| {
            known.as_ref().zip(found.as_ref()).is_none_or(|(known, found)| known == found)
        };
        self.server_started.is_none()
            || self.server_started == found.server.started
                && same(&self.system_identifier, &found.server.system_identifier)
    }
}

pub(super) struct FenceAttempt<'a> {
    pub(super) context: &'a FenceContext,
    /// The addresses, in the order in which they are tried.
    pub(super) addresses: &'a [ConnectionSettings],
}

impl FenceAttempt<'_> {
    /// Ends backends that have the same addresses. Returns one outcome for each backend, in the
    /// same order.
    pub(super) async fn end(&self, backends: &[BackendIdentity]) -> Vec<FenceOutcome> {
        let mut outcomes: Vec<FenceOutcome> =
            backends.iter().map(|_| FenceOutcome::Unreached("the target has no address".to_owned())).collect();
        for address in self.addresses {
            let open: Vec<usize> = (0..outcomes.len()).filter(|at| outcomes[*at].is_unreached()).collect();
            if open.is_empty() {
                break;
            }
            let list: Vec<BackendIdentity> = open.iter().map(|at| backends[*at].clone()).collect();
            for (at, outcome) in open.into_iter().zip(self.end_at_address(address, &list).await) {
                outcomes[at] = outcome;
            }
        }
        outcomes
    }

    async fn end_at_address(&self, address: &ConnectionSettings, backends: &[BackendIdentity]) -> Vec<FenceOutcome> {
        let all = |outcome: &FenceOutcome| backends.iter().map(|_| outcome.clone()).collect();
        let session = match connect(address).await {
            Ok(session) => session,
            Err(error) => return all(&FenceOutcome::Unreached(error)),
        };
        let ended = async {
            let found = timeout(ANSWER_MAX, SessionIdentity::of(&session)).await;
            let found = found.map_err(|_| "no answer".to_owned())??;
            self.context.copies.refuse_unknown_sessions(&session).await?;
            self.end_at_server(&session, &found, address, backends).await
        };
        match timeout(ANSWER_MAX + END_MAX, ended).await {
            Ok(Ok(outcomes)) => {
                session.close().await;
                outcomes
            }
            Ok(Err(error)) => all(&FenceOutcome::Refused(error)),
            Err(_) => all(&FenceOutcome::Unreached("it accepted the connection and does not answer".to_owned())),
        }
    }

    async fn end_at_server(
        &self,
        session: &Session,
        found: &SessionIdentity,
        address: &ConnectionSettings,
        backends: &[BackendIdentity],
    ) -> Result<Vec<FenceOutcome>, String> {
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            backends.iter().cloned().partition(|backend| backend.was_opened_at(found));
        let elsewhere: Vec<i64> = elsewhere.iter().filter_map(|backend| backend.session_number).collect();
        let replaced = if elsewhere.is_empty() {
            Vec::new()
        } else {
            let server = connect_to_server(&self.context.server).await?;
            let replaced = replaced_sessions(&server, &elsewhere, &found.server, address.names_several_hosts()).await;
            server.close().await;
            replaced.map_err(|error| error.to_string())?
        };
        let left = terminate_and_wait(session, &here).await?;
        let is_replaced = |number: &i64| replaced.contains(number);
        let gone = backends.iter().filter(|backend| {
            backend.has_receipts
                && if backend.was_opened_at(found) {
                    !left.contains(&backend.pid)
                } else {
                    backend.session_number.as_ref().is_some_and(is_replaced)
                }
        });
        let numbers: Vec<i64> = gone.filter_map(|backend| backend.session_number).collect();
        let resolved = if numbers.is_empty() {
            Ok(Vec::new())
        } else {
            resolve_receipts(session, &found.server, &self.context.server, &numbers).await
        };
        let gone = |backend: &BackendIdentity| match &resolved {
            Err(error) if backend.has_receipts => {
                FenceOutcome::Refused(format!("it is gone, and its receipt cannot be resolved: {error}"))
            }
            resolved => {
                let all = resolved.iter().flatten();
                let its = all.filter(|(number, _)| Some(*number) == backend.session_number);
                FenceOutcome::Gone(its.map(|(_, resolved)| resolved.clone()).collect())
            }
        };
        let outcome = |backend: &BackendIdentity| {
            if !backend.was_opened_at(found) {
                return match backend.session_number {
                    Some(number) if replaced.contains(&number) => gone(backend),
                    _ => FenceOutcome::Unreached(another_server(found)),
                };
            }
            match (left.contains(&backend.pid), backend.left_alone) {
                (false, _) => gone(backend),
                (true, true) => FenceOutcome::LeftAlone,
                (true, false) => FenceOutcome::Refused("it is still there, although it was asked to end".to_owned()),
            }
        };
        Ok(backends.iter().map(outcome).collect())
    }
}

/// The error when another server answers. `async.fence_sessions` returns the same text.
fn another_server(found: &SessionIdentity) -> String {
    format!(
        "another server answers ({}, started {}): it is unknown whether the session lives on at its own server",
        found.server.address.as_deref().unwrap_or("local"),
        found.server.started.as_deref().unwrap_or("at an unknown time")
    )
}

/// Terminates backends and waits until they are gone. Returns the pids of those that are not. Each
/// poll is a statement of its own, because Postgres caches `pg_stat_activity` for a transaction.
async fn terminate_and_wait(session: &Session, backends: &[BackendIdentity]) -> Result<Vec<i32>, String> {
    if backends.is_empty() {
        return Ok(vec![]);
    }
    let until = Instant::now() + END_MAX;
    loop {
        let there = terminate_backends(session, backends).await?;
        let may_end = |pid: &i32| backends.iter().any(|backend| backend.pid == *pid && !backend.left_alone);
        if !there.iter().any(may_end) || Instant::now() >= until {
            return Ok(there);
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// Terminates the backends that exist and need not be left alone. Returns the pids of all that
/// exist. A backend whose start is hidden from this role is an error: it cannot be distinguished
/// from a later backend with the same pid, and a role that may not see the start may not terminate
/// the backend either.
pub(crate) async fn terminate_backends(session: &Session, backends: &[BackendIdentity]) -> Result<Vec<i32>, String> {
    let pids: Vec<i32> = backends.iter().map(|backend| backend.pid).collect();
    let starts: Vec<&str> = backends.iter().map(|backend| backend.backend_start.as_str()).collect();
    let roles: Vec<&str> = backends.iter().map(|backend| backend.role.as_str()).collect();
    let alone: Vec<bool> = backends.iter().map(|backend| backend.left_alone).collect();
    let sql = "select a.pid, a.backend_start is null,
               case when a.backend_start is not null and not w.alone then pg_catalog.pg_terminate_backend(a.pid) end
             from rows from (pg_catalog.unnest($1::int[]), pg_catalog.unnest($2::pg_catalog.text[]),
               pg_catalog.unnest($3::pg_catalog.text[]), pg_catalog.unnest($4::boolean[]))
               as w(pid, backend_start, role, alone)
             join pg_catalog.pg_stat_activity a on a.pid operator(pg_catalog.=) w.pid
               and (a.backend_start operator(pg_catalog.=) w.backend_start::pg_catalog.timestamptz
                 or a.backend_start is null and a.usename operator(pg_catalog.=) w.role::pg_catalog.name)";
    let there = session.query(sql, &[&pids, &starts, &roles, &alone]).await;
    let there = there.map_err(|error| crate::error_text::connection_error(&error))?;
    match there.iter().find(|row| row.get(1)) {
        Some(row) => Err(format!(
            "backend {} is hidden from this role: it has to be a member of the role that runs it, or of \
             pg_read_all_stats and pg_signal_backend",
            row.get::<_, i32>(0)
        )),
        None => Ok(there.iter().map(|row| row.get(0)).collect()),
    }
}
