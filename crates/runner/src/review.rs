//! Reading the heads of the queue beside the polls, at a low rate, for what users change by hand.

use std::time::Duration;

use pgasync_core::{Head, Input, Lane};
use pgasync_pg::ConnectionSettings;
use pgasync_store::{QueueReader, ReviewError};
use tokio::time::{sleep, timeout};

use crate::clock::instant;
use crate::events::{EventSender, LeaderEvent};

/// The shortest time between two reads.
const EVERY: Duration = Duration::from_secs(1);

/// A read takes at most this share of the time: one part in so many.
const SHARE: u32 = 50;

/// The longest wait after a failed read.
const FAILED_MAX: Duration = Duration::from_secs(60);

/// Heads that the leader takes at once: it does nothing else meanwhile.
const HEADS_MAX: usize = 512;

/// A read that takes longer has lost its session. Dead index entries can make it slow.
const READ_MAX: Duration = Duration::from_secs(600);

/// Reads the heads again and again, until the leader is gone.
pub(crate) async fn review_queue(server: ConnectionSettings, events: EventSender) {
    let (mut reader, mut pause) = (None, EVERY);
    loop {
        sleep(pause).await;
        let begin = instant();
        match timeout(READ_MAX, read(&server, &mut reader)).await {
            Ok(Ok(heads)) => {
                for heads in heads.chunks(HEADS_MAX) {
                    if events.send(LeaderEvent::Core(Input::Reviewed(heads.to_vec()))).is_err() {
                        return;
                    }
                }
                if events.is_closed() {
                    return;
                }
                pause = EVERY.max(begin.elapsed().saturating_mul(SHARE));
            }
            failed => {
                let reason = match failed {
                    Ok(Err(error)) => error.to_string(),
                    Ok(Ok(_)) | Err(_) => "no answer".to_owned(),
                };
                tracing::warn!(reason, "what was changed by hand is not looked for yet");
                reader = None;
                pause = pause.saturating_mul(2).min(FAILED_MAX);
            }
        }
    }
}

async fn read(server: &ConnectionSettings, reader: &mut Option<QueueReader>) -> Result<Vec<(Lane, Head)>, ReviewError> {
    let connected = match reader {
        Some(connected) => connected,
        None => reader.insert(QueueReader::connect(server).await?),
    };
    connected.heads().await
}
