//! Resolving the receipts of sessions that are gone.

use pgasync_core::{Input, Outcome, Run, TaskId};
use pgasync_pg::{ConnectionSettings, Session};
use pgasync_store::{ServerIdentity, open_receipts, void_settings};

use super::connect_to_server;
use crate::error_text::connection_error;

/// What the receipt of a lost run says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResolvedReceipt {
    task: TaskId,
    run: Run,
    outcome: Outcome,
}

impl From<ResolvedReceipt> for Input {
    fn from(resolved: ResolvedReceipt) -> Self {
        let ResolvedReceipt { task, run, outcome } = resolved;
        Self::Resolved { task, run, outcome }
    }
}

/// Resolves the receipts of sessions that are known to be gone, by their numbers in the registry, over a
/// session at their server.
pub(super) async fn resolve_receipts(
    session: &Session,
    found: &ServerIdentity,
    server: &ConnectionSettings,
    numbers: &[i64],
) -> Result<Vec<(i64, ResolvedReceipt)>, String> {
    let leader = connect_to_server(server).await?;
    let open = open_receipts(&leader, numbers, found).await.map_err(|error| error.to_string())?;
    let settings = void_settings(&leader).await.map_err(|error| error.to_string())?;
    leader.close().await;
    let mut resolved = Vec::new();
    for receipt in open {
        if !receipt.is_there {
            return Err("it is unknown whether the server that answers has it: the role may not read the system \
                        identifier"
                .to_owned());
        }
        if resolved.is_empty() {
            session.query_one(&settings, &[]).await.map_err(|error| connection_error(&error))?;
        }
        let row = session.query_one(&receipt.query, &[]).await.map_err(|error| connection_error(&error))?;
        let outcome = receipt.outcome(row.get(0))?;
        resolved.push((receipt.session, ResolvedReceipt { task: receipt.task, run: receipt.run, outcome }));
    }
    Ok(resolved)
}

/// What is recorded of the runs on sessions that an operator has written off.
pub(super) async fn written_off_receipts(server: &Session, numbers: &[i64]) -> Result<Vec<ResolvedReceipt>, String> {
    let open = open_receipts(server, numbers, &ServerIdentity::default()).await.map_err(|error| error.to_string())?;
    let resolved = open.into_iter().filter_map(|receipt| {
        Some(ResolvedReceipt { task: receipt.task, run: receipt.run, outcome: Outcome::Unknown(receipt.written_off?) })
    });
    Ok(resolved.collect())
}
