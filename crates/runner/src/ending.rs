//! Ending what runs at a target: cancels, terminations, fences.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use pgasync_core::{Epoch, SessionId, TargetName};
use pgasync_pg::{Canceler, ConnectionSettings, Session};
use pgasync_store::{OldSession, ServerIdentity, note_lost, old_sessions, registered_session};
use tokio::time::{sleep, timeout};

use crate::copies::Copies;
use crate::events::{Event, Events};
use crate::fence::{Fate, Fence, Wanted, signal_backends};

/// A connection for ending something gives up after this time.
const CONNECT_MAX: Duration = Duration::from_secs(5);

const RETRY_FIRST: Duration = Duration::from_millis(200);

const RETRY_LAST: Duration = Duration::from_secs(10);

/// What an operator writes off is seen within this time.
const WRITE_OFF_SEEN_WITHIN: Duration = Duration::from_secs(2);

/// Where a backend of this leader's is.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    pub(crate) target: TargetName,
    pub(crate) epoch: Epoch,
    /// At the one server.
    pub(crate) settings: ConnectionSettings,
    pub(crate) canceler: Canceler,
    pub(crate) role: String,
    pub(crate) pid: i32,
    pub(crate) backend_start: String,
    pub(crate) server: ServerIdentity,
    /// An attempt to end it may take this time.
    pub(crate) attempt_max: Duration,
}

/// Where sessions at a target may be.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The server that leads.
    pub(crate) server: ConnectionSettings,
    pub(crate) target: TargetName,
    /// Set when the target is that server itself.
    pub(crate) own: Option<ConnectionSettings>,
    /// Where the target is now, if it is another.
    pub(crate) present: Option<ConnectionSettings>,
    pub(crate) copies: Copies,
    /// The name of a session that fences.
    pub(crate) name: String,
    /// An attempt to end them may take this time.
    pub(crate) attempt_max: Duration,
}

/// How hard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Cancel,
    Terminate,
}

/// Signals one backend, once: a cancel takes no connection slot of the target's, a termination does.
pub(crate) async fn signal(backend: Backend, how: How, events: Events) {
    let done = attempt(backend.attempt_max, async {
        if how == How::Cancel {
            let sent = timeout(CONNECT_MAX, backend.canceler.cancel()).await;
            return sent.map_err(|_| "no answer".to_owned())?.map_err(|error| error.to_string());
        }
        let session = connect(&backend.settings).await?;
        signal_backends(&session, &[backend.wanted()]).await?;
        session.close().await;
        Ok(())
    });
    if let Err(error) = done.await {
        let _ = events.send(Event::Trouble(format!("{how:?} of backend {} failed: {error}", backend.pid)));
    }
}

impl Backend {
    fn wanted(&self) -> Wanted {
        Wanted {
            number: None,
            pid: self.pid,
            backend_start: self.backend_start.clone(),
            role: self.role.clone(),
            server_started: self.server.started.clone(),
            system_identifier: self.server.system_identifier.clone(),
            left_alone: false,
        }
    }
}

/// Sees to it that a lost session of this leader's own is gone, however long that takes.
pub(crate) async fn fence_session(session: SessionId, backend: Backend, places: Places, events: Events) {
    let (mut wait, mut told) = (RETRY_FIRST, false);
    let mut wanted = backend.wanted();
    for try_number in 1.. {
        let ways = ways(&backend.settings, &places);
        let fence = Fence { places: &places, ways: &ways };
        let ended = fence.end(std::slice::from_ref(&wanted));
        let (fate, error) = match timeout(backend.attempt_max, AssertUnwindSafe(ended).catch_unwind()).await {
            Ok(Ok(mut fates)) => match fates.pop().unwrap_or(Fate::Gone) {
                Fate::Gone => break,
                Fate::LeftAlone => (Fate::LeftAlone, None),
                Fate::Refused(error) => (Fate::Refused(error.clone()), Some(error)),
                Fate::Unreached(error) => (Fate::Unreached(error.clone()), Some(error)),
            },
            Ok(Err(_)) => (Fate::LeftAlone, Some("a bug: it panicked".to_owned())),
            Err(_) => (Fate::Unreached(String::new()), Some("no answer".to_owned())),
        };
        if events.is_closed() {
            return;
        }
        if matches!(fate, Fate::Unreached(_)) && !told {
            told = true;
            let _ = events.send(Event::Unreachable { session });
        }
        // The registry has its number, and knows whether it was written off; without it there is nothing to wait for.
        match register_loss(&backend, &places, error.as_ref()).await {
            Ok(None) => break,
            Ok(number) => wanted.number = number,
            Err(_) => {}
        }
        if is_told(try_number) {
            let lost = [(wanted.number.unwrap_or_default(), &wanted, error.unwrap_or_default())];
            let _ = events.send(Event::Trouble(cannot_be_ended(&places.target, try_number, &lost)));
        }
        if pause(wait, &events, &Question::Own(&backend, &places)).await == Pause::Enough {
            break;
        }
        wait = (wait * 2).min(RETRY_LAST);
    }
    let _ = events.send(Event::Gone { session });
}

/// Sees to it that every session of an older leader at a target is gone.
pub(crate) async fn fence(places: Places, before: Epoch, events: Events) {
    let (mut wait, mut told_failed, mut told_alone) = (RETRY_FIRST, false, false);
    for try_number in 1.. {
        let (error, left) = match attempt(places.attempt_max, fence_once(&places, before)).await {
            Ok(Fenced { numbers, left }) if left.is_empty() => {
                let _ = events.send(Event::Fenced { target: places.target, numbers });
                return;
            }
            Ok(Fenced { left, .. }) => {
                if !told_failed && left.iter().any(|(_, fate)| matches!(fate, Fate::Unreached(_))) {
                    told_failed = true;
                    let _ = events.send(Event::FenceFailed { target: places.target.clone() });
                }
                let alone: Vec<&OldSession> =
                    left.iter().filter(|(_, fate)| *fate == Fate::LeftAlone).map(|(old, _)| old).collect();
                if let (Some(first), false) = (alone.first(), told_alone) {
                    told_alone = true;
                    let _ = events.send(Event::Trouble(left_alone(&places.target, alone.len(), first)));
                }
                (trouble(&places.target, try_number, &left), left)
            }
            Err(error) => {
                (Some(format!("sessions of older orchestrators at target \"{}\": {error}", places.target)), vec![])
            }
        };
        if events.is_closed() {
            return;
        }
        if let Some(error) = error.filter(|_| is_told(try_number)) {
            let _ = events.send(Event::Trouble(error));
        }
        pause(wait, &events, &Question::Older { places: &places, before, known: left.len() }).await;
        wait = (wait * 2).min(RETRY_LAST);
    }
}

/// Writes down why a session of this leader cannot be ended yet; gives its number in the registry, none when it is not
/// there any more or was written off.
async fn register_loss(backend: &Backend, places: &Places, error: Option<&String>) -> Result<Option<i64>, String> {
    let server = connect(&places.server).await?;
    let Backend { epoch, target, pid, backend_start, .. } = backend;
    let found = registered_session(&server, *epoch, target, *pid, backend_start).await;
    let found = found.map_err(|error| error.to_string())?.filter(|found| !found.written_off);
    if let (Some(found), Some(error)) = (&found, error) {
        note_lost(&server, &[(found.number, Some(error.clone()))]).await.map_err(|error| error.to_string())?;
    }
    server.close().await;
    Ok(found.map(|found| found.number))
}

/// What may end a pause.
enum Question<'a> {
    Own(&'a Backend, &'a Places),
    Older { places: &'a Places, before: Epoch, known: usize },
}

impl Question<'_> {
    /// An operator has written something off.
    async fn is_settled(&self) -> bool {
        match self {
            Self::Own(backend, places) => register_loss(backend, places, None).await == Ok(None),
            Self::Older { places, before, known } => {
                let old = old_of(places, *before).await;
                old.is_ok_and(|old| old.len() < *known || old.iter().any(|old| old.written_off))
            }
        }
    }
}

/// What a fence came to.
struct Fenced {
    /// Sessions that are gone, if all are.
    numbers: Vec<i64>,
    left: Vec<(OldSession, Fate)>,
}

async fn fence_once(places: &Places, before: Epoch) -> Result<Fenced, String> {
    let old = old_of(places, before).await?;
    let numbers = old.iter().map(|old| old.number).collect();
    let mut addresses: Vec<(Vec<ConnectionSettings>, Vec<OldSession>)> = Vec::new();
    for session in old.into_iter().filter(|old| !old.written_off) {
        let known = addresses.iter_mut().find(|(_, list)| {
            list.iter()
                .any(|other| *other.connection_string == *session.connection_string && other.role == session.role)
        });
        match known {
            Some((_, list)) => list.push(session),
            None => addresses.push((ways_to(&session, places)?, vec![session])),
        }
    }
    let fences = addresses.into_iter().map(|(ways, list)| async move {
        let wanted: Vec<Wanted> = list.iter().map(Wanted::from).collect();
        let fates = Fence { places, ways: &ways }.end(&wanted).await;
        list.into_iter().zip(fates).filter(|(_, fate)| *fate != Fate::Gone).collect::<Vec<_>>()
    });
    let left: Vec<(OldSession, Fate)> = join_all(fences).await.into_iter().flatten().collect();
    if !left.is_empty() {
        let lost: Vec<(i64, Option<String>)> =
            left.iter().map(|(old, fate)| (old.number, fate.error().map(ToOwned::to_owned))).collect();
        let server = connect(&places.server).await?;
        note_lost(&server, &lost).await.map_err(|error| error.to_string())?;
        server.close().await;
    }
    Ok(Fenced { numbers, left })
}

async fn old_of(places: &Places, before: Epoch) -> Result<Vec<OldSession>, String> {
    let server = connect(&places.server).await?;
    let old = old_sessions(&server, &places.target, before).await.map_err(|error| error.to_string())?;
    server.close().await;
    Ok(old)
}

/// To the address that was recorded, then to the one that the target has now.
fn ways_to(session: &OldSession, places: &Places) -> Result<Vec<ConnectionSettings>, String> {
    let recorded =
        ConnectionSettings::of_target_as(&session.connection_string, &session.role).map_err(|error| error.to_string());
    match (&places.own, recorded) {
        (Some(own), _) => Ok(vec![own.clone()]),
        (None, Ok(recorded)) => Ok(ways(&recorded.for_long().with_application_name(&places.name), places)),
        (None, Err(error)) => places.present.clone().map(|present| vec![present]).ok_or(error),
    }
}

fn ways(recorded: &ConnectionSettings, places: &Places) -> Vec<ConnectionSettings> {
    let present = places.present.clone().filter(|present| present.conninfo() != recorded.conninfo());
    std::iter::once(recorded.clone()).chain(present).collect()
}

fn trouble(target: &TargetName, try_number: u32, left: &[(OldSession, Fate)]) -> Option<String> {
    let lost: Vec<(i64, Wanted, String)> =
        left.iter().filter_map(|(old, fate)| Some((old.number, Wanted::from(old), fate.error()?.to_owned()))).collect();
    let lost: Vec<_> = lost.iter().map(|(number, wanted, error)| (*number, wanted, error.clone())).collect();
    (!lost.is_empty()).then(|| cannot_be_ended(target, try_number, &lost))
}

/// The twin of the sentence in `async.take_fence_result`.
fn cannot_be_ended(target: &TargetName, try_number: u32, lost: &[(i64, &Wanted, String)]) -> String {
    let (number, pid, error) = lost.first().map_or((0, 0, ""), |(number, wanted, error)| (*number, wanted.pid, error));
    format!(
        "{} sessions at target \"{target}\" (backend {pid} is the first) cannot be ended yet (try {try_number}): {error}. \
         When it is known to be gone: select async.write_off_session({number})",
        lost.len(),
    )
}

/// The twin of `async.why_not_ended`.
fn left_alone(target: &TargetName, count: usize, first: &OldSession) -> String {
    format!(
        "{count} sessions at target \"{target}\" (backend {} is the first): left alone until it ends, since address, port \
         or timeline of this server have changed: it may belong to another server, of which this is a copy. If this is \
         the copy, stop the orchestrator and select async.adopt(); if nothing uses the session any more, select \
         async.write_off_session({})",
        first.pid, first.number
    )
}

/// The first time, and then each time that it has taken twice as many tries.
const fn is_told(try_number: u32) -> bool {
    try_number.is_power_of_two()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    Over,
    /// What was waited for need not be waited for any more.
    Enough,
}

/// Waits, and asks now and then whether that is still needed.
async fn pause(wait: Duration, events: &Events, question: &Question<'_>) -> Pause {
    let mut left = wait;
    while left > WRITE_OFF_SEEN_WITHIN {
        sleep(WRITE_OFF_SEEN_WITHIN).await;
        left -= WRITE_OFF_SEEN_WITHIN;
        if events.is_closed() || question.is_settled().await {
            return Pause::Enough;
        }
    }
    sleep(left).await;
    Pause::Over
}

/// Whatever goes wrong, it is tried again.
async fn attempt<T>(limit: Duration, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    match timeout(limit, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(done)) => done,
        Ok(Err(_)) => Err("a bug: it panicked".to_owned()),
        Err(_) => Err("no answer".to_owned()),
    }
}

pub(crate) async fn connect(settings: &ConnectionSettings) -> Result<Session, String> {
    settings.with_connect_timeout(CONNECT_MAX).connect().await.map_err(|error| error.to_string())
}
