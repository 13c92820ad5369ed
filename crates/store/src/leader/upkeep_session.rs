//! Deletion of old history and vacuum, in a session of its own: the leader session must not wait
//! for either.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use pgasync_pg::{ConnectError, ConnectionSettings, Error, Session};
use serde_json::Value;

use super::candidate::pin_search_path;
use super::error::CandidacyError;

/// One connection attempt to the server.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Why a step of the upkeep failed.
#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    /// The server cannot be reached.
    #[error("upkeep: {0}")]
    Unreachable(#[from] ConnectError),
    /// The session could not be prepared.
    #[error("upkeep: {0}")]
    Session(#[from] CandidacyError),
    /// A statement failed.
    #[error("upkeep: {0:#}")]
    Failed(#[from] Error),
}

/// Rows of `async.task` that the leader has written and that the upkeep does not know about yet.
#[derive(Clone, Debug, Default)]
pub struct RowsWritten(Arc<AtomicI64>);

impl RowsWritten {
    pub(super) fn add(&self, rows: usize) {
        self.0.fetch_add(i64::try_from(rows).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    fn take(&self) -> i64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// What the upkeep should do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpkeepDue {
    /// Nothing, for a while.
    Nothing,
    /// More steps.
    Steps,
    /// Old receipts are to be deleted at a target ([`UpkeepSession::old_receipts`]).
    Receipts,
}

/// A session that deletes history and vacuums. Its server keeps the state of the upkeep.
#[derive(Debug)]
pub struct UpkeepSession(pub(super) Session);

impl UpkeepSession {
    /// Connects to the server.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn connect(server: &ConnectionSettings) -> Result<Self, UpkeepError> {
        let settings = server.with_application_name("pgasync upkeep").with_connect_timeout(CONNECT_MAX);
        let session = settings.for_long().connect().await?;
        pin_search_path(&session).await?;
        session.batch_execute("set statement_timeout = 0; set lock_timeout = '1s'").await?;
        Ok(Self(session))
    }

    /// Performs the steps that are due, for a few seconds. Returns what else is due at once.
    ///
    /// # Errors
    /// When a statement fails.
    pub async fn run(&self, written: &RowsWritten) -> Result<UpkeepDue, UpkeepError> {
        let answer: Value = self.0.query_one("call async.upkeep($1)", &[&written.take()]).await?.get(0);
        if let Some(vacuum) = answer["vacuum"].as_str() {
            self.0.batch_execute(vacuum).await?;
            return Ok(UpkeepDue::Steps);
        }
        let says = |key: &str| answer[key].as_bool() == Some(true);
        Ok(if says("receipts") {
            UpkeepDue::Receipts
        } else if says("more") {
            UpkeepDue::Steps
        } else {
            UpkeepDue::Nothing
        })
    }
}
