//! What can go wrong with the lead.

use pgasync_pg::{ConnectError, Error};

use crate::loss::is_loss;

/// Why something could not be done through the leader's session.
#[derive(Debug, thiserror::Error)]
pub enum LeadError {
    /// The session is gone, and whether this was done is not known before the lead is proved anew.
    #[error("{operation}: the session that leads is lost: {reason}")]
    Lost {
        /// What was being done.
        operation: &'static str,
        /// What the driver said.
        reason: String,
    },
    /// Another orchestrator has taken the lead; nothing of it was done.
    #[error("{operation}: {reason}")]
    Deposed {
        /// What was being done.
        operation: &'static str,
        /// What the server said.
        reason: String,
    },
    /// The server refused; nothing of it was done. Trying again may help.
    #[error("{operation} failed: {reason}")]
    Refused {
        /// What was being done.
        operation: &'static str,
        /// What the server said.
        reason: String,
    },
}

/// Why this process does not lead.
#[derive(Debug, thiserror::Error)]
pub enum CandidacyError {
    /// The server cannot be reached.
    #[error(transparent)]
    Unreachable(#[from] ConnectError),
    /// The schema is not there, or is another version.
    #[error("{0}")]
    NotInstalled(String),
    /// Another orchestrator leads.
    #[error("{0}")]
    Taken(String),
    /// `async.control.enabled` is false.
    #[error("the orchestrator is disabled: set async.control.enabled, or start with --force")]
    Disabled,
    /// The session is gone; another one may do.
    #[error("the session is lost: {0}")]
    Lost(String),
    /// The server refused.
    #[error("{0}")]
    Refused(String),
}

impl CandidacyError {
    pub(crate) fn of(error: &Error) -> Self {
        let reason = format!("{error:#}");
        if is_loss(error) { Self::Lost(reason) } else { Self::Refused(reason) }
    }
}

/// The SQLSTATE of `async.hold_epoch` when the epoch has passed.
const DEPOSED: &str = "PA212";

impl LeadError {
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
