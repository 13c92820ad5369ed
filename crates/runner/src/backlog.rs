//! Counting the waiting tasks beside the leader, for its figures.

use std::time::Duration;

use pgasync_pg::ConnectionSettings;
use pgasync_store::{LaneBacklog, QueueReader, ReviewError};
use tokio::time::{sleep, timeout};

use crate::clock::instant;
use crate::events::{EventSender, LeaderEvent};

/// The shortest time between two counts.
const EVERY: Duration = Duration::from_secs(15);

/// A count takes at most this share of the time: one part in so many.
const SHARE: u32 = 50;

/// A count that takes longer has lost its session.
const COUNT_MAX: Duration = Duration::from_secs(60);

/// Counts again and again, until the leader is gone.
pub(crate) async fn count_backlog(server: ConnectionSettings, events: EventSender) {
    let mut reader = None;
    loop {
        let begin = instant();
        match timeout(COUNT_MAX, count(&server, &mut reader)).await {
            Ok(Ok(backlog)) => {
                if events.send(LeaderEvent::Backlog(backlog)).is_err() {
                    return;
                }
            }
            failed => {
                let reason = match failed {
                    Ok(Err(error)) => error.to_string(),
                    Ok(Ok(_)) | Err(_) => "no answer".to_owned(),
                };
                tracing::warn!(reason, "the waiting tasks are not counted");
                reader = None;
            }
        }
        sleep(EVERY.max(begin.elapsed().saturating_mul(SHARE))).await;
    }
}

async fn count(server: &ConnectionSettings, reader: &mut Option<QueueReader>) -> Result<Vec<LaneBacklog>, ReviewError> {
    let connected = match reader {
        Some(connected) => connected,
        None => reader.insert(QueueReader::connect(server).await?),
    };
    connected.backlog().await
}
