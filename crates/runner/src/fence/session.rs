//! Fencing one lost session of this leader.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use pgasync_core::{Input, SessionId};
use pgasync_pg::Session;
use pgasync_store::{note_lost, registered_session};
use tokio::time::timeout;

use super::attempt::{FenceAttempt, FenceOutcome};
use super::messages::cannot_be_ended;
use super::receipts::{ResolvedReceipt, written_off_receipts};
use super::{
    BACKOFF_FIRST, BACKOFF_LAST, BackendIdentity, BackoffEnd, FenceContext, WRITE_OFF_POLL_INTERVAL, back_off,
    connect_to_server, is_logged, within_limit,
};
use crate::cancel::TargetBackend;
use crate::events::{EventSender, LeaderEvent};

/// Repeats the attempt until the session is gone or written off, and then sends what its receipt says, if it
/// has one, and [`LeaderEvent::Gone`].
pub(crate) async fn fence_session(
    session: SessionId,
    backend: TargetBackend,
    context: FenceContext,
    events: EventSender,
) {
    let (mut wait, mut is_reported) = (BACKOFF_FIRST, false);
    let mut identity = backend.identity();
    let mut resolved = None;
    for attempt_number in 1.. {
        let (is_unreached, error) = match fence_once(&backend, &mut identity, &context).await {
            FenceOutcome::Gone(receipts) => {
                resolved = Some(receipts);
                break;
            }
            FenceOutcome::LeftAlone => {
                debug_assert!(false, "only sessions of older epochs are left alone");
                (false, None)
            }
            FenceOutcome::Refused(error) => (false, Some(error)),
            FenceOutcome::Unreached(error) => (true, Some(error)),
        };
        if events.is_closed() {
            return;
        }
        if is_unreached && !is_reported {
            is_reported = true;
            let _ = events.send(LeaderEvent::Unreachable { session });
        }
        // The fence ends when the session is not in the registry, or was written off there. An
        // error proves neither, so the next attempt asks again.
        match register_loss(&backend, &context, error.as_ref()).await {
            Ok(None) => break,
            Ok(number) => identity.session_number = number,
            Err(_) => {}
        }
        if is_logged(attempt_number) {
            let lost = [(identity.session_number.unwrap_or_default(), &identity, error.unwrap_or_default())];
            let _ = events.send(LeaderEvent::Warning(cannot_be_ended(&context.target, attempt_number, &lost)));
        }
        let (backend, context) = (&backend, &context);
        let is_settled = move || async move { register_loss(backend, context, None).await == Ok(None) };
        if back_off(wait, &events, is_settled).await == BackoffEnd::EndedEarly {
            break;
        }
        wait = (wait * 2).min(BACKOFF_LAST);
    }
    let resolved = match resolved {
        None if backend.has_receipts => loop {
            match written_off(&backend, &context).await {
                Ok(receipts) => break receipts,
                Err(_) if events.is_closed() => return,
                Err(_) => tokio::time::sleep(WRITE_OFF_POLL_INTERVAL).await,
            }
        },
        resolved => resolved.unwrap_or_default(),
    };
    for receipt in resolved {
        let _ = events.send(LeaderEvent::Core(Input::from(receipt)));
    }
    let _ = events.send(LeaderEvent::Gone { session });
}

/// What is recorded of a run on a session that an operator has written off.
async fn written_off(backend: &TargetBackend, context: &FenceContext) -> Result<Vec<ResolvedReceipt>, String> {
    let server = connect_to_server(&context.server).await?;
    let numbers: Vec<i64> = number(&server, backend).await?.into_iter().collect();
    let resolved = written_off_receipts(&server, &numbers).await?;
    server.close().await;
    Ok(resolved)
}

/// The number of the session in the registry.
async fn number(server: &Session, backend: &TargetBackend) -> Result<Option<i64>, String> {
    let TargetBackend { epoch, target, pid, backend_start, .. } = backend;
    let found = registered_session(server, *epoch, target, *pid, backend_start).await;
    Ok(found.map_err(|error| error.to_string())?.map(|found| found.number))
}

async fn fence_once(backend: &TargetBackend, identity: &mut BackendIdentity, context: &FenceContext) -> FenceOutcome {
    if backend.has_receipts && identity.session_number.is_none() {
        // Its receipts are found by this number.
        let known = async {
            let server = connect_to_server(&context.server).await?;
            let number = number(&server, backend).await;
            server.close().await;
            number
        };
        match within_limit(backend.attempt_max, known).await {
            Ok(number) => identity.session_number = number,
            Err(error) => return FenceOutcome::Refused(format!("its receipt cannot be read: {error}")),
        }
    }
    let addresses = context.addresses(&backend.settings);
    let attempt = FenceAttempt { context, addresses: &addresses };
    let ended = AssertUnwindSafe(attempt.end(std::slice::from_ref(&*identity))).catch_unwind();
    match timeout(backend.attempt_max, ended).await {
        Ok(Ok(mut outcomes)) => {
            debug_assert_eq!(outcomes.len(), 1, "one outcome for each backend");
            outcomes.pop().unwrap_or_else(|| FenceOutcome::Refused("a bug: the attempt has no outcome".to_owned()))
        }
        // The host may have answered before the panic. Only a missing answer counts as unreached.
        Ok(Err(_)) => FenceOutcome::Refused("a bug: it panicked".to_owned()),
        Err(_) => FenceOutcome::Unreached("no answer".to_owned()),
    }
}

/// Records why the session cannot be ended yet. Returns its number in the registry; `None` when the
/// registry does not list it, or it was written off.
async fn register_loss(
    backend: &TargetBackend,
    context: &FenceContext,
    error: Option<&String>,
) -> Result<Option<i64>, String> {
    let server = connect_to_server(&context.server).await?;
    let TargetBackend { epoch, target, pid, backend_start, .. } = backend;
    let found = registered_session(&server, *epoch, target, *pid, backend_start).await;
    let found = found.map_err(|error| error.to_string())?.filter(|found| !found.written_off);
    if let (Some(found), Some(error)) = (&found, error) {
        note_lost(&server, &[(found.number, Some(error.clone()))]).await.map_err(|error| error.to_string())?;
    }
    server.close().await;
    Ok(found.map(|found| found.number))
}
