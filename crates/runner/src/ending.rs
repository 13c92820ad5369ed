//! Ending what runs at a target, from a second connection: cancels, terminations, fences.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use pgasync_core::{Epoch, SessionId, TargetName};
use pgasync_store::{OldSession, Session, Settings, old_sessions};
use tokio::time::{sleep, timeout};

use crate::events::{Event, Events};

/// A connection for ending something gives up after this time.
const CONNECT_MAX: Duration = Duration::from_secs(5);

const RETRY_FIRST: Duration = Duration::from_millis(200);

const RETRY_LAST: Duration = Duration::from_secs(10);

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Where a backend is.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    /// At the one server.
    pub(crate) settings: Settings,
    /// All servers of which it is one, if whichever may write is meant.
    pub(crate) all: Option<Settings>,
    pub(crate) role: String,
    pub(crate) pid: i32,
    pub(crate) backend_start: String,
    /// An attempt to end it may take this time.
    pub(crate) attempt_max: Duration,
}

/// Where sessions of older leaders may be.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) server: Settings,
    /// Set when the target is the server itself.
    pub(crate) own: Option<Settings>,
    /// The servers of the target, if whichever may write is meant.
    pub(crate) all: Option<Settings>,
    /// An attempt to end them may take this time.
    pub(crate) attempt_max: Duration,
}

/// A backend, as its target knows it.
#[derive(Clone, Debug)]
struct Wanted {
    pid: i32,
    backend_start: String,
    role: String,
}

/// How hard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Cancel,
    Terminate,
}

impl How {
    const fn function(self) -> &'static str {
        match self {
            Self::Cancel => "pg_catalog.pg_cancel_backend",
            Self::Terminate => "pg_catalog.pg_terminate_backend",
        }
    }
}

/// Signals one backend, once.
pub(crate) async fn signal(backend: Backend, how: How, events: Events) {
    let done = attempt(backend.attempt_max, async {
        let session = connect(&backend.settings).await?;
        press(&session, how, &[backend.wanted()]).await?;
        session.close().await;
        Ok(())
    });
    if let Err(error) = done.await {
        let _ = events.send(Event::Trouble(format!("{how:?} of backend {} failed: {error}", backend.pid)));
    }
}

/// Sees to it that a lost session of this leader's own is gone, however long that takes.
pub(crate) async fn fence_session(session: SessionId, backend: Backend, events: Events) {
    let mut wait = RETRY_FIRST;
    let list = [backend.wanted()];
    loop {
        match attempt(backend.attempt_max, fence_at(&backend.settings, backend.all.as_ref(), &list)).await {
            Ok(()) => break,
            Err(error) if wait == RETRY_FIRST => {
                tracing::warn!(pid = backend.pid, error, "a session that was lost cannot be ended yet");
            }
            Err(_) => {}
        }
        if events.is_closed() {
            return;
        }
        sleep(wait).await;
        wait = (wait * 2).min(RETRY_LAST);
    }
    let _ = events.send(Event::Gone { session });
}

impl Backend {
    fn wanted(&self) -> Wanted {
        Wanted { pid: self.pid, backend_start: self.backend_start.clone(), role: self.role.clone() }
    }
}

/// Sees to it that every session of an older leader at a target is gone.
pub(crate) async fn fence(places: Places, target: TargetName, before: Epoch, name: String, events: Events) {
    let mut wait = RETRY_FIRST;
    loop {
        let error = match attempt(places.attempt_max, fence_once(&places, &target, before, &name)).await {
            Ok(numbers) => {
                let _ = events.send(Event::Fenced { target, numbers });
                return;
            }
            Err(error) => error,
        };
        if events.is_closed() {
            return;
        }
        if wait == RETRY_FIRST {
            let _ = events.send(Event::Trouble(format!(
                "sessions of an older orchestrator at target \"{target}\" cannot be ended yet: {error}"
            )));
        }
        sleep(wait).await;
        wait = (wait * 2).min(RETRY_LAST);
    }
}

/// Whatever goes wrong, it is tried again.
async fn attempt<T>(limit: Duration, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    match timeout(limit, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(done)) => done,
        Ok(Err(_)) => Err("a bug: it panicked".to_owned()),
        Err(_) => Err("no answer".to_owned()),
    }
}

async fn fence_once(places: &Places, target: &TargetName, before: Epoch, name: &str) -> Result<Vec<i64>, String> {
    let session = connect(&places.server).await?;
    let old = old_sessions(&session, target, before).await.map_err(|error| error.to_string())?;
    session.close().await;
    let mut there: BTreeMap<(&str, &str), Vec<Wanted>> = BTreeMap::new();
    for OldSession { connection_string, role, pid, backend_start, .. } in &old {
        let wanted = Wanted { pid: *pid, backend_start: backend_start.clone(), role: role.clone() };
        there.entry((&**connection_string, role)).or_default().push(wanted);
    }
    for ((address, role), list) in there {
        let settings = match &places.own {
            Some(own) => own.clone(),
            None => Settings::of_target_as(address, role).map_err(|error| error.to_string())?.for_long(),
        };
        fence_at(&settings.with_application_name(name), places.all.as_ref(), &list).await?;
    }
    Ok(old.iter().map(|old| old.number).collect())
}

/// Terminates backends and waits until they are gone: each look is a statement of its own, since what it sees is
/// cached for a transaction.
async fn fence_at(settings: &Settings, all: Option<&Settings>, backends: &[Wanted]) -> Result<(), String> {
    let session = match (connect(settings).await, all) {
        (Ok(session), _) => session,
        (Err(error), None) => return Err(error),
        (Err(_), Some(all)) => {
            let session = connect(all).await?;
            if !settings.may_reach(session.reached()) {
                // Another server has taken the place of the one that is out of reach, with what ran there.
                return Ok(());
            }
            session
        }
    };
    while press(&session, How::Terminate, backends).await? > 0 {
        sleep(LOOK_EVERY).await;
    }
    session.close().await;
    Ok(())
}

/// Signals those backends that are there; says how many are. One that cannot be told from another is an error: who may
/// not see when it began may not end it either.
async fn press(session: &Session, how: How, backends: &[Wanted]) -> Result<usize, String> {
    let pids: Vec<i32> = backends.iter().map(|wanted| wanted.pid).collect();
    let starts: Vec<&str> = backends.iter().map(|wanted| wanted.backend_start.as_str()).collect();
    let roles: Vec<&str> = backends.iter().map(|wanted| wanted.role.as_str()).collect();
    let sql = format!(
        "select a.pid, a.backend_start is null, case when a.backend_start is not null then {}(a.pid) end
         from unnest($1::int[], $2::text[], $3::text[]) as w(pid, backend_start, role)
         join pg_catalog.pg_stat_activity a on a.pid = w.pid
           and (a.backend_start = w.backend_start::timestamptz or a.backend_start is null and a.usename = w.role)",
        how.function()
    );
    let there = session.query(&sql, &[&pids, &starts, &roles]).await;
    let there = there.map_err(|error| crate::report::connection_error(&error))?;
    match there.iter().find(|row| row.get(1)) {
        Some(row) => Err(format!(
            "backend {} is hidden from this role: it has to be a member of the role that runs it, or of \
             pg_read_all_stats and pg_signal_backend",
            row.get::<_, i32>(0)
        )),
        None => Ok(there.len()),
    }
}

async fn connect(settings: &Settings) -> Result<Session, String> {
    settings.with_connect_timeout(CONNECT_MAX).connect().await.map_err(|error| error.to_string())
}
