//! Keeping the tables small beside the leader: old history is deleted, and the tables are vacuumed.

use std::time::Duration;

use pgasync_pg::ConnectionSettings;
use pgasync_store::{RowsWritten, UpkeepError, UpkeepSession};
use tokio::time::sleep;

use crate::events::{EventSender, LeaderEvent};

/// The pause when nothing is due.
const PAUSE: Duration = Duration::from_secs(2);

/// The pause after a failure.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Performs the upkeep until the leader is gone.
pub(crate) async fn keep_up(server: ConnectionSettings, written: RowsWritten, events: EventSender) {
    let mut session = None;
    loop {
        let pause = match run(&server, &mut session, &written).await {
            Ok(true) => continue,
            Ok(false) => PAUSE,
            Err(error) => {
                session = None;
                if events.send(LeaderEvent::Warning(error.to_string())).is_err() {
                    return;
                }
                PAUSE_AFTER_FAILURE
            }
        };
        sleep(pause).await;
    }
}

async fn run(
    server: &ConnectionSettings,
    session: &mut Option<UpkeepSession>,
    written: &RowsWritten,
) -> Result<bool, UpkeepError> {
    let connected = match session {
        Some(connected) => connected,
        None => session.insert(UpkeepSession::connect(server).await?),
    };
    connected.run(written).await
}
