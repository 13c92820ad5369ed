//! Ending what runs at a target, from a second connection: cancels, terminations, fences.

use std::time::Duration;

use pgasync_core::{Epoch, SessionId, TargetName};
use pgasync_store::{Session, Settings, old_sessions};
use tokio::time::{sleep, timeout};

use crate::events::{Event, Events};

/// A connection for ending something gives up after this time.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// An attempt as a whole.
const ATTEMPT_MAX: Duration = Duration::from_secs(15);

const RETRY_FIRST: Duration = Duration::from_millis(200);

const RETRY_LAST: Duration = Duration::from_secs(10);

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Where a backend is.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    pub(crate) settings: Settings,
    pub(crate) pid: i32,
    pub(crate) backend_start: String,
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
    let done = timeout(ATTEMPT_MAX, async {
        let session = connect(&backend.settings).await?;
        press(&session, how, &[(backend.pid, backend.backend_start.clone())]).await?;
        session.close().await;
        Ok::<(), String>(())
    })
    .await
    .unwrap_or_else(|_| Err("no answer".to_owned()));
    if let Err(error) = done {
        let _ = events.send(Event::Trouble(format!("{how:?} of backend {} failed: {error}", backend.pid)));
    }
}

/// Sees to it that a lost session of this leader's own is gone, however long that takes.
pub(crate) async fn fence_session(session: SessionId, backend: Backend, events: Events) {
    let mut wait = RETRY_FIRST;
    let list = [(backend.pid, backend.backend_start.clone())];
    while !timeout(ATTEMPT_MAX, fence_at(&backend.settings, &list)).await.is_ok_and(|done| done.is_ok()) {
        if events.is_closed() {
            return;
        }
        sleep(wait).await;
        wait = (wait * 2).min(RETRY_LAST);
    }
    let _ = events.send(Event::Gone { session });
}

/// Sees to it that every session of an older leader at a target is gone.
pub(crate) async fn fence(
    server: Settings,
    own: Option<Settings>,
    target: TargetName,
    before: Epoch,
    name: String,
    events: Events,
) {
    let mut wait = RETRY_FIRST;
    loop {
        let done = timeout(ATTEMPT_MAX, fence_once(&server, own.as_ref(), &target, before, &name)).await;
        let error = match done {
            Ok(Ok(numbers)) => {
                let _ = events.send(Event::Fenced { target, numbers });
                return;
            }
            Ok(Err(error)) => error,
            Err(_) => "no answer".to_owned(),
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

async fn fence_once(
    server: &Settings,
    own: Option<&Settings>,
    target: &TargetName,
    before: Epoch,
    name: &str,
) -> Result<Vec<i64>, String> {
    let session = connect(server).await?;
    let old = old_sessions(&session, target, before).await.map_err(|error| error.to_string())?;
    session.close().await;
    let mut addresses: Vec<&str> = old.iter().map(|old| &*old.connection_string).collect();
    addresses.sort_unstable();
    addresses.dedup();
    for address in addresses {
        let settings = match own {
            Some(own) => own.clone(),
            None => crate::sessions::target_settings(address)?,
        };
        let there: Vec<(i32, String)> = old
            .iter()
            .filter(|old| &*old.connection_string == address)
            .map(|old| (old.pid, old.backend_start.clone()))
            .collect();
        fence_at(&settings.with_application_name(name), &there).await?;
    }
    Ok(old.iter().map(|old| old.number).collect())
}

/// Terminates backends and waits until they are gone: each look is a statement of its own, since what it sees is
/// cached for a transaction.
async fn fence_at(settings: &Settings, backends: &[(i32, String)]) -> Result<(), String> {
    let session = connect(settings).await?;
    while press(&session, How::Terminate, backends).await? > 0 {
        sleep(LOOK_EVERY).await;
    }
    session.close().await;
    Ok(())
}

/// Signals those backends that are there; says how many are.
async fn press(session: &Session, how: How, backends: &[(i32, String)]) -> Result<u64, String> {
    let pids: Vec<i32> = backends.iter().map(|(pid, _)| *pid).collect();
    let starts: Vec<&str> = backends.iter().map(|(_, start)| start.as_str()).collect();
    let sql = format!(
        "select {}(a.pid) from unnest($1::int[], $2::text[]) as w(pid, backend_start)
         join pg_catalog.pg_stat_activity a on a.pid = w.pid and a.backend_start = w.backend_start::timestamptz",
        how.function()
    );
    session.execute(&sql, &[&pids, &starts]).await.map_err(|error| crate::report::connection_error(&error))
}

async fn connect(settings: &Settings) -> Result<Session, String> {
    settings.with_connect_timeout(CONNECT_MAX).connect().await.map_err(|error| error.to_string())
}
