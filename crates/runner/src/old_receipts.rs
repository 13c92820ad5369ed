//! Deleting old receipts at their targets.

use std::time::Duration;

use pgasync_pg::ConnectionSettings;
use pgasync_store::{OldReceipts, UpkeepError, UpkeepSession};
use tokio::time::timeout;

use crate::error_text::connection_error;
use crate::target_sessions::{self_settings, target_settings};

/// The limit on one step at a target.
const STEP_MAX: Duration = Duration::from_secs(10);

/// Performs one step. Returns why it failed, if it did because of the target.
pub(crate) async fn delete_old_receipts(
    server: &ConnectionSettings,
    name: &str,
    upkeep: &UpkeepSession,
) -> Result<Option<String>, UpkeepError> {
    let Some(old) = upkeep.old_receipts().await? else { return Ok(None) };
    let deleted = timeout(STEP_MAX, delete(server, name, &old)).await.unwrap_or_else(|_| Err("no answer".to_owned()));
    match deleted {
        Ok(()) => {
            upkeep.forget_receipts(&old).await?;
            Ok(None)
        }
        Err(error) => {
            upkeep.postpone_receipts().await?;
            Ok(Some(format!("old receipts at target \"{}\" cannot be deleted yet: {error}", old.target)))
        }
    }
}

async fn delete(server: &ConnectionSettings, name: &str, old: &OldReceipts) -> Result<(), String> {
    // A target that was deleted cannot be reached any more.
    let Some(string) = &old.connection_string else { return Ok(()) };
    let settings = if old.is_self { self_settings(server, string)? } else { target_settings(server, string)? };
    let session = settings.with_application_name(name).connect().await.map_err(|error| error.to_string())?;
    session.query_one(&old.settings, &[]).await.map_err(|error| connection_error(&error))?;
    session.query_one(&old.query, &[]).await.map_err(|error| connection_error(&error))?;
    session.close().await;
    Ok(())
}
