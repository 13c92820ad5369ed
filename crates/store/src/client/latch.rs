//! Waiting for the leader.

use super::Client;
use super::error::{CallError, Refusal, error_methods};

/// Why waiting for the leader failed.
#[derive(Debug, thiserror::Error)]
pub enum LatchError {
    /// No orchestrator leads.
    #[error("{0}")]
    NoLeader(Refusal),
    /// Any other error.
    #[error(transparent)]
    Failed(CallError),
}

error_methods!(LatchError { NoLeader }, again_is_harmless: true);

impl Client {
    /// Returns once the leader has completed a cycle that began after the call, so the leader has
    /// seen all commits before the call. The call occupies a session until it returns.
    ///
    /// # Errors
    /// When no orchestrator leads, or the server cannot be reached.
    pub async fn wait_for_latch(&self) -> Result<(), LatchError> {
        self.query("waiting for the latch", "select async.wait_for_latch()", &[]).await?;
        Ok(())
    }
}

impl From<CallError> for LatchError {
    fn from(error: CallError) -> Self {
        error.refused_with(&["PA050"]).map_or_else(Self::Failed, Self::NoLeader)
    }
}
