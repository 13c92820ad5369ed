//! Keeping the tables small beside the leader: old history and old receipts are deleted, and the tables are
//! vacuumed.

use std::time::Duration;

use pgasync_pg::ConnectionSettings;
use pgasync_store::{RowsWritten, UpkeepDue, UpkeepError, UpkeepSession};
use tokio::time::sleep;

use crate::events::{EventSender, LeaderEvent};
use crate::old_receipts::delete_old_receipts;

/// The pause when nothing is due.
const PAUSE: Duration = Duration::from_secs(2);

/// The pause after a failure.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Performs the upkeep until the leader is gone. `name` is the `application_name` of sessions at targets.
pub(crate) async fn keep_up(server: ConnectionSettings, name: String, written: RowsWritten, events: EventSender) {
    let mut session = None;
    loop {
        let pause = match run(&server, &name, &mut session, &written).await {
            Ok((due, warning)) => {
                if warning.is_some_and(|warning| events.send(LeaderEvent::Warning(warning)).is_err()) {
                    return;
                }
                match due {
                    UpkeepDue::Steps | UpkeepDue::Receipts => continue,
                    UpkeepDue::Nothing => PAUSE,
                }
            }
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
    name: &str,
    session: &mut Option<UpkeepSession>,
    written: &RowsWritten,
) -> Result<(UpkeepDue, Option<String>), UpkeepError> {
    let connected = match session {
        Some(connected) => connected,
        None => session.insert(UpkeepSession::connect(server).await?),
    };
    let due = connected.run(written).await?;
    let warning = if due == UpkeepDue::Receipts { delete_old_receipts(server, name, connected).await? } else { None };
    Ok((due, warning))
}
