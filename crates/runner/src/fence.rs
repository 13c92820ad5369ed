//! One attempt to end sessions: by the recorded address, and by the one that their target has now. A session is gone when
//! the server that it was opened at does not list it, or when what answers shows that this server is gone
//! (`async.is_replaced`); anything else says nothing about it.

use std::time::Duration;

use pgasync_pg::{ConnectionSettings, Session};
use pgasync_store::{OldSession, replaced_sessions};
use tokio::time::{Instant, sleep, timeout};

use crate::ending::{Places, connect};
use crate::identity::Identity;

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A backend that was asked to end has so long.
const END_MAX: Duration = Duration::from_secs(5);

/// A server that has taken the connection gets so long to answer, beside that.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// A backend, as its target knows it, and the server that it was opened at.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Its session's in the registry, if that is known.
    pub(crate) number: Option<i64>,
    pub(crate) pid: i32,
    pub(crate) backend_start: String,
    pub(crate) role: String,
    pub(crate) server_started: Option<String>,
    pub(crate) system_identifier: Option<String>,
    /// It is looked for, and not ended.
    pub(crate) left_alone: bool,
}

/// What became of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Gone,
    /// It lives, and may be another server's.
    LeftAlone,
    /// Its server answers, and it is not gone.
    Refused(String),
    /// Nobody answers, or not its server.
    Unreached(String),
}

impl Fate {
    pub(crate) fn error(&self) -> Option<&str> {
        match self {
            Self::Gone | Self::LeftAlone => None,
            Self::Refused(error) | Self::Unreached(error) => Some(error),
        }
    }
}

impl From<&OldSession> for Wanted {
    fn from(old: &OldSession) -> Self {
        Self {
            number: Some(old.number),
            pid: old.pid,
            backend_start: old.backend_start.clone(),
            role: old.role.clone(),
            server_started: old.server_started.clone(),
            system_identifier: old.system_identifier.clone(),
            left_alone: old.left_alone,
        }
    }
}

impl Wanted {
    /// The twin of `async.is_registered_server`.
    fn was_opened_at(&self, found: &Identity) -> bool {
        let same = |known: &Option<String>, found: &Option<String>| {
            known.as_ref().zip(found.as_ref()).is_none_or(|(known, found)| known == found)
        };
        self.server_started.is_none()
            || self.server_started == found.server.started
                && same(&self.system_identifier, &found.server.system_identifier)
    }
}

pub(crate) struct Fence<'a> {
    pub(crate) places: &'a Places,
    /// How their server may be reached, in order.
    pub(crate) ways: &'a [ConnectionSettings],
}

impl Fence<'_> {
    /// Ends backends of one address; tells each one's fate, in order.
    pub(crate) async fn end(&self, wanted: &[Wanted]) -> Vec<Fate> {
        let mut fates: Vec<Fate> = wanted.iter().map(|_| Fate::Unreached("there is no way to it".to_owned())).collect();
        for way in self.ways {
            let open: Vec<usize> = (0..fates.len()).filter(|at| matches!(fates[*at], Fate::Unreached(_))).collect();
            if open.is_empty() {
                break;
            }
            let list: Vec<Wanted> = open.iter().map(|at| wanted[*at].clone()).collect();
            for (at, fate) in open.into_iter().zip(self.end_by(way, &list).await) {
                fates[at] = fate;
            }
        }
        fates
    }

    async fn end_by(&self, way: &ConnectionSettings, wanted: &[Wanted]) -> Vec<Fate> {
        let all = |fate: &Fate| wanted.iter().map(|_| fate.clone()).collect();
        let session = match connect(way).await {
            Ok(session) => session,
            Err(error) => return all(&Fate::Unreached(error)),
        };
        let ended = async {
            let found = timeout(ANSWER_MAX, Identity::of(&session)).await.map_err(|_| "no answer".to_owned())??;
            self.places.copies.refuse_unknown_sessions(&session).await?;
            self.end_at(&session, &found, way, wanted).await
        };
        match timeout(ANSWER_MAX + END_MAX, ended).await {
            Ok(Ok(fates)) => {
                session.close().await;
                fates
            }
            Ok(Err(error)) => all(&Fate::Refused(error)),
            Err(_) => all(&Fate::Unreached("it took the connection, and does not answer".to_owned())),
        }
    }

    async fn end_at(
        &self,
        session: &Session,
        found: &Identity,
        way: &ConnectionSettings,
        wanted: &[Wanted],
    ) -> Result<Vec<Fate>, String> {
        let here: Vec<Wanted> = wanted.iter().filter(|wanted| wanted.was_opened_at(found)).cloned().collect();
        let elsewhere: Vec<i64> =
            wanted.iter().filter(|wanted| !wanted.was_opened_at(found)).filter_map(|wanted| wanted.number).collect();
        let replaced = if elsewhere.is_empty() {
            Vec::new()
        } else {
            let server = connect(&self.places.server).await?;
            let replaced = replaced_sessions(&server, &elsewhere, &found.server, way.names_several_hosts()).await;
            server.close().await;
            replaced.map_err(|error| error.to_string())?
        };
        let left = end_here(session, &here).await?;
        let fate = |wanted: &Wanted| {
            if !wanted.was_opened_at(found) {
                return match wanted.number {
                    Some(number) if replaced.contains(&number) => Fate::Gone,
                    _ => Fate::Unreached(another_server(found)),
                };
            }
            match (left.contains(&wanted.pid), wanted.left_alone) {
                (false, _) => Fate::Gone,
                (true, true) => Fate::LeftAlone,
                (true, false) => Fate::Refused("it is still there, although it was asked to end".to_owned()),
            }
        };
        Ok(wanted.iter().map(fate).collect())
    }
}

fn another_server(found: &Identity) -> String {
    format!(
        "another server answers ({}, started {}): nobody knows whether the session lives on at its own",
        found.server.address.as_deref().unwrap_or("local"),
        found.server.started.as_deref().unwrap_or("at an unknown time")
    )
}

/// Terminates backends and waits until they are gone; gives the pids of those that are not. Each look is a statement of
/// its own, since what it sees is cached for a transaction.
async fn end_here(session: &Session, wanted: &[Wanted]) -> Result<Vec<i32>, String> {
    if wanted.is_empty() {
        return Ok(vec![]);
    }
    let until = Instant::now() + END_MAX;
    loop {
        let there = signal_backends(session, wanted).await?;
        let may_end = |pid: &i32| wanted.iter().any(|wanted| wanted.pid == *pid && !wanted.left_alone);
        if !there.iter().any(may_end) || Instant::now() >= until {
            return Ok(there);
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Terminates those backends that are there and need not be left alone; gives the pids of all that are. One that cannot be
/// told from another is an error: who may not see when it began may not end it either.
pub(crate) async fn signal_backends(session: &Session, wanted: &[Wanted]) -> Result<Vec<i32>, String> {
    let pids: Vec<i32> = wanted.iter().map(|wanted| wanted.pid).collect();
    let starts: Vec<&str> = wanted.iter().map(|wanted| wanted.backend_start.as_str()).collect();
    let roles: Vec<&str> = wanted.iter().map(|wanted| wanted.role.as_str()).collect();
    let alone: Vec<bool> = wanted.iter().map(|wanted| wanted.left_alone).collect();
    let sql = "select a.pid, a.backend_start is null,
               case when a.backend_start is not null and not w.alone then pg_catalog.pg_terminate_backend(a.pid) end
             from unnest($1::int[], $2::text[], $3::text[], $4::bool[]) as w(pid, backend_start, role, alone)
             join pg_catalog.pg_stat_activity a on a.pid = w.pid
               and (a.backend_start = w.backend_start::timestamptz or a.backend_start is null and a.usename = w.role)";
    let there = session.query(sql, &[&pids, &starts, &roles, &alone]).await;
    let there = there.map_err(|error| crate::report::connection_error(&error))?;
    match there.iter().find(|row| row.get(1)) {
        Some(row) => Err(format!(
            "backend {} is hidden from this role: it has to be a member of the role that runs it, or of \
             pg_read_all_stats and pg_signal_backend",
            row.get::<_, i32>(0)
        )),
        None => Ok(there.iter().map(|row| row.get(0)).collect()),
    }
}
