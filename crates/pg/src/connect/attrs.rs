//! Checks `target_session_attrs`.
//!
//! Source: Postgres manual, "Parameter Key Words" (libpq).

use std::future::poll_fn;
use std::pin::pin;

use tokio_postgres::SimpleQueryMessage;

use super::attempt::{AttemptFailure, FailureKind, OpenedConnection};
use crate::settings::SessionAttrs;

/// Returns an error when the session does not have the attributes.
pub(super) async fn check(opened: &mut OpenedConnection, wanted: SessionAttrs) -> Result<(), AttemptFailure> {
    let unfit = |what: &str| {
        Err(AttemptFailure {
            reason: format!("target_session_attrs={}: {what}", wanted.name()),
            kind: FailureKind::Unsuitable,
        })
    };
    match wanted {
        SessionAttrs::Any | SessionAttrs::PreferStandby => Ok(()),
        SessionAttrs::ReadWrite if is_read_only(opened).await? => unfit("the session is read-only"),
        SessionAttrs::ReadOnly if !is_read_only(opened).await? => unfit("the session is not read-only"),
        SessionAttrs::Primary if is_standby(opened).await? => unfit("the server is a standby"),
        SessionAttrs::Standby if !is_standby(opened).await? => unfit("the server is not a standby"),
        _ => Ok(()),
    }
}

async fn is_read_only(opened: &mut OpenedConnection) -> Result<bool, AttemptFailure> {
    if let (Some(standby), Some(read_only)) =
        (reported(opened, "in_hot_standby"), reported(opened, "default_transaction_read_only"))
    {
        return Ok(standby || read_only);
    }
    Ok(ask(opened, "show transaction_read_only").await? == "on")
}

async fn is_standby(opened: &mut OpenedConnection) -> Result<bool, AttemptFailure> {
    if let Some(standby) = reported(opened, "in_hot_standby") {
        return Ok(standby);
    }
    Ok(ask(opened, "select pg_catalog.pg_is_in_recovery()").await? == "t")
}

/// A setting that servers from 14 on report without a query.
fn reported(opened: &OpenedConnection, name: &str) -> Option<bool> {
    opened.connection.parameter(name).map(|value| value == "on")
}

/// Queries one value. No tokio task polls the connection yet, so this function polls it.
async fn ask(opened: &mut OpenedConnection, sql: &str) -> Result<String, AttemptFailure> {
    let OpenedConnection { client, connection, .. } = opened;
    let mut query = pin!(client.simple_query(sql));
    let answer = loop {
        tokio::select! {
            answer = &mut query => break answer,
            message = poll_fn(|context| connection.poll_message(context)) => {
                if !matches!(message, Some(Ok(_))) {
                    return Err(AttemptFailure { reason: "the connection was closed".to_owned(), kind: FailureKind::Unreachable });
                }
            }
        }
    };
    let failed =
        |error: tokio_postgres::Error| AttemptFailure { reason: error.to_string(), kind: FailureKind::Unsuitable };
    let rows = answer.map_err(failed)?;
    let value = rows.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Ok(value.unwrap_or_default().to_owned())
}
