//! Fencing every session that leaders of older epochs have registered at a target.

use futures_util::future::join_all;
use pgasync_core::{Epoch, Input};
use pgasync_pg::ConnectionSettings;
use pgasync_store::{OldSession, note_lost, old_sessions};

use super::attempt::{FenceAttempt, FenceOutcome};
use super::messages::{cannot_be_ended, left_alone};
use super::receipts::{ResolvedReceipt, written_off_receipts};
use super::{
    BACKOFF_FIRST, BACKOFF_LAST, BackendIdentity, FenceContext, back_off, connect_to_server, is_logged, within_limit,
};
use crate::events::{EventSender, LeaderEvent};
use crate::target_session::TARGET_ROWS;

/// Repeats the attempt until every session of an epoch before `before` is gone or written off, and
/// then sends [`LeaderEvent::Fenced`].
pub(crate) async fn fence_older_epochs(context: FenceContext, before: Epoch, events: EventSender) {
    let (mut wait, mut unreached_is_reported, mut left_alone_is_logged) = (BACKOFF_FIRST, false, false);
    for attempt_number in 1.. {
        let (error, left) = match within_limit(context.attempt_max, fence_once(&context, before, &events)).await {
            Ok(Fenced { numbers, left }) if left.is_empty() => {
                let _ = events.send(LeaderEvent::Fenced { target: context.target, numbers });
                return;
            }
            Ok(Fenced { left, .. }) => {
                if !unreached_is_reported && left.iter().any(|(_, outcome)| outcome.is_unreached()) {
                    unreached_is_reported = true;
                    let _ = events.send(LeaderEvent::FenceFailed { target: context.target.clone() });
                }
                let alone: Vec<&OldSession> = left
                    .iter()
                    .filter(|(_, outcome)| *outcome == FenceOutcome::LeftAlone)
                    .map(|(old, _)| old)
                    .collect();
                if let (Some(first), false) = (alone.first(), left_alone_is_logged) {
                    left_alone_is_logged = true;
                    let _ = events.send(LeaderEvent::Warning(left_alone(&context.target, alone.len(), first)));
                }
                (failure_message(&context, attempt_number, &left), left)
            }
            Err(error) => {
                (Some(format!("sessions of older orchestrators at target \"{}\": {error}", context.target)), vec![])
            }
        };
        if events.is_closed() {
            return;
        }
        if let Some(error) = error.filter(|_| is_logged(attempt_number)) {
            let _ = events.send(LeaderEvent::Warning(error));
        }
        // A write-off during the wait only starts the next attempt earlier.
        let (context, known) = (&context, left.len());
        let is_settled = move || async move {
            let old = registered_sessions(context, before).await;
            old.is_ok_and(|old| old.len() < known || old.iter().any(|old| old.written_off))
        };
        back_off(wait, &events, is_settled).await;
        wait = (wait * 2).min(BACKOFF_LAST);
    }
}

/// The outcome of one attempt.
struct Fenced {
    /// The numbers of all registered sessions. They are gone when none is left.
    numbers: Vec<i64>,
    left: Vec<(OldSession, FenceOutcome)>,
}

async fn fence_once(context: &FenceContext, before: Epoch, events: &EventSender) -> Result<Fenced, String> {
    let emit = |resolved: Vec<ResolvedReceipt>| {
        for receipt in resolved {
            let _ = events.send(LeaderEvent::Core(Input::from(receipt)));
        }
    };
    let old = registered_sessions(context, before).await?;
    let written_off: Vec<i64> = old.iter().filter(|old| old.written_off).map(|old| old.number).collect();
    if !written_off.is_empty() {
        let server = connect_to_server(&context.server).await?;
        emit(written_off_receipts(&server, &written_off).await?);
        server.close().await;
    }
    let numbers = old.iter().map(|old| old.number).collect();
    // Sessions with the same address and role share a connection.
    let mut groups: Vec<(Vec<ConnectionSettings>, Vec<OldSession>)> = Vec::new();
    for session in old.into_iter().filter(|old| !old.written_off) {
        let group = groups.iter_mut().find(|(_, sessions)| {
            sessions
                .iter()
                .any(|other| *other.connection_string == *session.connection_string && other.role == session.role)
        });
        match group {
            Some((_, sessions)) => sessions.push(session),
            None => groups.push((addresses_of(&session, context)?, vec![session])),
        }
    }
    let attempts = groups.into_iter().map(|(addresses, sessions)| async move {
        let backends: Vec<BackendIdentity> = sessions.iter().map(BackendIdentity::from).collect();
        let outcomes = FenceAttempt { context, addresses: &addresses }.end(&backends).await;
        sessions.into_iter().zip(outcomes).collect::<Vec<_>>()
    });
    let mut left: Vec<(OldSession, FenceOutcome)> = Vec::new();
    for (old, outcome) in join_all(attempts).await.into_iter().flatten() {
        // An attempt that is repeated for the other sessions finds the same.
        match outcome {
            FenceOutcome::Gone(receipts) => emit(receipts),
            outcome => left.push((old, outcome)),
        }
    }
    if !left.is_empty() {
        let lost: Vec<(i64, Option<String>)> =
            left.iter().map(|(old, outcome)| (old.number, outcome.error().map(ToOwned::to_owned))).collect();
        let server = connect_to_server(&context.server).await?;
        note_lost(&server, &lost).await.map_err(|error| error.to_string())?;
        server.close().await;
    }
    Ok(Fenced { numbers, left })
}

async fn registered_sessions(context: &FenceContext, before: Epoch) -> Result<Vec<OldSession>, String> {
    let server = connect_to_server(&context.server).await?;
    let old = old_sessions(&server, &context.target, before).await.map_err(|error| error.to_string())?;
    server.close().await;
    Ok(old)
}

fn addresses_of(session: &OldSession, context: &FenceContext) -> Result<Vec<ConnectionSettings>, String> {
    let recorded =
        context.server.target_as(&session.connection_string, &session.role).map_err(|error| error.to_string());
    match (&context.own, recorded) {
        (Some(own), _) => Ok(vec![own.clone()]),
        (None, Ok(recorded)) => {
            Ok(context.addresses(&recorded.for_long().with_row_limit(TARGET_ROWS).with_application_name(&context.name)))
        }
        (None, Err(error)) => context.present.clone().map(|present| vec![present]).ok_or(error),
    }
}

fn failure_message(context: &FenceContext, attempt_number: u32, left: &[(OldSession, FenceOutcome)]) -> Option<String> {
    let lost: Vec<(i64, BackendIdentity, String)> = left
        .iter()
        .filter_map(|(old, outcome)| Some((old.number, BackendIdentity::from(old), outcome.error()?.to_owned())))
        .collect();
    let lost: Vec<_> = lost.iter().map(|(number, backend, error)| (*number, backend, error.clone())).collect();
    (!lost.is_empty()).then(|| cannot_be_ended(&context.target, attempt_number, &lost))
}
