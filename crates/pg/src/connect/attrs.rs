//! Whether a session is what `target_session_attrs` asks for.
//!
//! Source: Postgres manual, "Parameter Key Words" (libpq).

use std::future::poll_fn;
use std::pin::pin;

use tokio_postgres::SimpleQueryMessage;

use super::attempt::{Failure, FailureKind, Opened};
use crate::settings::SessionAttrs;

/// An error says what it is instead.
pub(super) async fn check(opened: &mut Opened, wanted: SessionAttrs) -> Result<(), Failure> {
    let unfit = |what: &str| {
        Err(Failure { reason: format!("target_session_attrs={}: {what}", wanted.name()), kind: FailureKind::Unfit })
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

async fn is_read_only(opened: &mut Opened) -> Result<bool, Failure> {
    if let (Some(standby), Some(read_only)) =
        (reported(opened, "in_hot_standby"), reported(opened, "default_transaction_read_only"))
    {
        return Ok(standby || read_only);
    }
    Ok(ask(opened, "show transaction_read_only").await? == "on")
}

async fn is_standby(opened: &mut Opened) -> Result<bool, Failure> {
    if let Some(standby) = reported(opened, "in_hot_standby") {
        return Ok(standby);
    }
    Ok(ask(opened, "select pg_catalog.pg_is_in_recovery()").await? == "t")
}

/// Servers from 14 on say it by themselves.
fn reported(opened: &Opened, name: &str) -> Option<bool> {
    opened.1.parameter(name).map(|value| value == "on")
}

/// Asks for one value, before anybody else drives the connection.
async fn ask((client, connection, ..): &mut Opened, sql: &str) -> Result<String, Failure> {
    let mut query = pin!(client.simple_query(sql));
    let answer = loop {
        tokio::select! {
            answer = &mut query => break answer,
            message = poll_fn(|context| connection.poll_message(context)) => {
                if !matches!(message, Some(Ok(_))) {
                    return Err(Failure { reason: "the connection was closed".to_owned(), kind: FailureKind::Unreachable });
                }
            }
        }
    };
    let failed = |error: tokio_postgres::Error| Failure { reason: error.to_string(), kind: FailureKind::Unfit };
    let rows = answer.map_err(failed)?;
    let value = rows.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Ok(value.unwrap_or_default().to_owned())
}
