//! Vacuuming the queue, over a session of its own: nothing waits for it.

use std::time::Duration;

use pgasync_pg::{ConnectError, ConnectionSettings};

/// A connection attempt to the server.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Why the queue was not vacuumed.
#[derive(Debug, thiserror::Error)]
pub enum VacuumError {
    /// There was no session.
    #[error(transparent)]
    Unreachable(#[from] ConnectError),
    /// The server refused.
    #[error("vacuum of async.task: {0}")]
    Refused(String),
}

/// Has the queue vacuumed and analyzed.
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
