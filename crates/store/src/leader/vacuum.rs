//! Vacuuming the queue, in a session of its own: the leader session must not wait for it.

use std::time::Duration;

use pgasync_pg::{ConnectError, ConnectionSettings};

/// One connection attempt to the server.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Why the queue was not vacuumed.
#[derive(Debug, thiserror::Error)]
pub enum VacuumError {
    /// The server cannot be reached.
    #[error(transparent)]
    Unreachable(#[from] ConnectError),
    /// The server refused.
    #[error("vacuum of async.task: {0}")]
    Refused(String),
}

/// Vacuums and analyzes the queue.
///
/// # Errors
/// When the server cannot be reached, or refuses.
pub async fn vacuum(server: &ConnectionSettings) -> Result<(), VacuumError> {
    let session =
        server.with_application_name("pgasync vacuum").with_connect_timeout(CONNECT_MAX).for_long().connect().await?;
    let done = session.batch_execute("vacuum (analyze) async.task, async.request, async.offer").await;
    session.close().await;
    done.map_err(|error| VacuumError::Refused(format!("{error:#}")))
}
