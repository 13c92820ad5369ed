//! Waiting for the leader.

use super::Client;
use super::error::{CallError, Refusal, answers};

/// Why nobody knows whether the leader came round.
#[derive(Debug, thiserror::Error)]
pub enum LatchError {
    /// No orchestrator leads.
    #[error("{0}")]
    NobodyLeads(Refusal),
    /// Anything else.
    #[error(transparent)]
    Failed(CallError),
}

answers!(LatchError { NobodyLeads }, again_is_harmless: true);

impl Client {
    /// Returns once the leader has passed through one whole cycle that began after the call: it has seen what was
    /// committed before. It holds a session meanwhile.
    ///
    /// # Errors
    /// When nobody leads, or the server cannot be reached.
    pub async fn wait_for_latch(&self) -> Result<(), LatchError> {
        self.query("waiting for the latch", "select async.wait_for_latch()", &[]).await?;
        Ok(())
    }
}

impl From<CallError> for LatchError {
    fn from(error: CallError) -> Self {
        error.refused_with(&["PA050"]).map_or_else(Self::Failed, Self::NobodyLeads)
    }
}
