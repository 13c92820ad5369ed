//! Errors of candidates and leader sessions.

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
    Unreachable(#[from] crate::connect::ConnectError),
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
    pub(crate) fn of(error: &tokio_postgres::Error) -> Self {
        if is_loss(error) { Self::Lost(error_text(error)) } else { Self::Refused(error_text(error)) }
    }
}

/// The SQLSTATE that `async.hold_epoch` raises when the epoch has passed.
const DEPOSED: &str = "PA212";

/// Whether the session is lost, rather than a statement refused.
fn is_loss(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_none_or(|error| pgasync_core::ends_session(error.code().code()))
}

impl LeaderError {
    pub(crate) fn of(operation: &'static str, error: &tokio_postgres::Error) -> Self {
        let reason = error_text(error);
        if is_loss(error) {
            Self::Lost { operation, reason }
        } else if error.code().is_some_and(|code| code.code() == DEPOSED) {
            Self::Deposed { operation, reason }
        } else {
            Self::Refused { operation, reason }
        }
    }
}

/// The text of an error, with the server's detail and hint.
pub(crate) fn error_text(error: &tokio_postgres::Error) -> String {
    let Some(server_error) = error.as_db_error() else {
        let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
        return format!("{error}{source}");
    };
    let more = [server_error.detail(), server_error.hint()].into_iter().flatten().map(|line| format!("; {line}"));
    format!("{} ({}){}", server_error.message(), server_error.code().code(), more.collect::<String>())
}
