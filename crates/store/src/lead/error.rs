//! What can go wrong with the lead.

/// Why something could not be done through the leader's session.
#[derive(Debug, thiserror::Error)]
pub enum LeadError {
    /// The session is gone. Nobody knows what became of it; look after proving the lead anew.
    #[error("{operation}: the session that leads is lost: {reason}")]
    Lost {
        /// What was being done.
        operation: &'static str,
        /// What the driver said.
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
    Unreachable(#[from] crate::connect::ConnectError),
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
    pub(crate) fn of(error: &tokio_postgres::Error) -> Self {
        if is_loss(error) { Self::Lost(in_words(error)) } else { Self::Refused(in_words(error)) }
    }
}

/// Whether it is about the session rather than about what was asked in it.
fn is_loss(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_none_or(|said| pgasync_core::ends_session(said.code().code()))
}

impl LeadError {
    pub(crate) fn of(operation: &'static str, error: &tokio_postgres::Error) -> Self {
        let reason = in_words(error);
        if is_loss(error) { Self::Lost { operation, reason } } else { Self::Refused { operation, reason } }
    }

    /// The same may be tried again in the same session.
    #[must_use]
    pub const fn may_be_tried_again(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}

/// An error of the driver with what the server said.
pub(crate) fn in_words(error: &tokio_postgres::Error) -> String {
    let Some(said) = error.as_db_error() else {
        let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
        return format!("{error}{source}");
    };
    let more = [said.detail(), said.hint()].into_iter().flatten().map(|line| format!("; {line}"));
    format!("{} ({}){}", said.message(), said.code().code(), more.collect::<String>())
}
