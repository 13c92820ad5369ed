//! Errors of candidates and leader sessions.

use pgasync_pg::{ConnectError, Error};

use crate::loss::is_loss;

/// Why an operation of the leader session failed.
#[derive(Debug, thiserror::Error)]
pub enum LeaderError {
    /// The session is lost. Whether the operation was carried out is unknown until the lead is
    /// proved.
    #[error("{operation}: the leader session is lost: {reason}")]
    Lost {
        /// The operation.
        operation: &'static str,
        /// The error of the driver.
        reason: String,
    },
    /// Another orchestrator has taken the lead. The operation changed nothing.
    #[error("{operation}: {reason}")]
    Deposed {
        /// The operation.
        operation: &'static str,
        /// The error of the server.
        reason: String,
    },
    /// The schema does not exist any more: nothing can be read or written.
    #[error("the schema async does not exist any more")]
    SchemaGone,
    /// The server refused the operation, which changed nothing. Another attempt may succeed.
    #[error("{operation} failed: {reason}")]
    Refused {
        /// The operation.
        operation: &'static str,
        /// The error of the server.
        reason: String,
    },
}

/// Why a candidate did not become the leader.
#[derive(Debug, thiserror::Error)]
pub enum CandidacyError {
    /// The server cannot be reached.
    #[error(transparent)]
    Unreachable(#[from] ConnectError),
    /// The schema is missing, or is another version.
    #[error("{0}")]
    NotInstalled(String),
    /// Another orchestrator leads.
    #[error("{0}")]
    Taken(String),
    /// `async.control.enabled` is false.
    #[error("the orchestrator is disabled: set async.control.enabled, or start with --force")]
    Disabled,
    /// The session is lost. A new one may succeed.
    #[error("the session is lost: {0}")]
    Lost(String),
    /// The server refused a statement.
    #[error("{0}")]
    Refused(String),
}

impl CandidacyError {
    pub(crate) fn of(error: &Error) -> Self {
        let reason = format!("{error:#}");
        if is_loss(error) { Self::Lost(reason) } else { Self::Refused(reason) }
    }
}

/// The SQLSTATE that `async.hold_epoch` raises when the epoch has passed.
const DEPOSED: &str = "PA212";

impl LeaderError {
    pub(crate) fn of(operation: &'static str, error: &Error) -> Self {
        let reason = format!("{error:#}");
        if is_loss(error) {
            Self::Lost { operation, reason }
        } else if error.sqlstate() == Some(DEPOSED) {
            Self::Deposed { operation, reason }
        } else {
            Self::Refused { operation, reason }
        }
    }
}
