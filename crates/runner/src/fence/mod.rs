//! Fences. A fence makes sure that sessions which may still run a query are gone.
//!
//! `session` fences one lost session of this leader. `older_epochs` fences all sessions of older
//! leaders at a target. Both repeat `attempt`, which ends backends over the addresses in
//! [`FenceContext`], until an attempt succeeds or an operator writes the sessions off.

mod attempt;
mod messages;
mod older_epochs;
mod receipts;
mod session;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use pgasync_core::TargetName;
use pgasync_pg::{ConnectionSettings, Session};
use pgasync_store::pin_search_path;
use tokio::time::{sleep, timeout};

use crate::events::EventSender;
use crate::server_copies::ServerCopies;

pub(crate) use attempt::{BackendIdentity, terminate_backends};
pub(crate) use older_epochs::fence_older_epochs;
pub(crate) use session::fence_session;

/// One connection attempt for a signal or a fence.
pub(crate) const CONNECT_MAX: Duration = Duration::from_secs(5);

const BACKOFF_FIRST: Duration = Duration::from_millis(200);

const BACKOFF_LAST: Duration = Duration::from_secs(10);

/// The time between two checks for a write-off while a fence waits for its next attempt.
const WRITE_OFF_POLL_INTERVAL: Duration = Duration::from_secs(2);

/// The parameters of a fence at a target.
#[derive(Clone, Debug)]
pub(crate) struct FenceContext {
    /// The server that this process leads.
    pub(crate) server: ConnectionSettings,
    pub(crate) target: TargetName,
    /// The address of the target when it is the server itself.
    pub(crate) own: Option<ConnectionSettings>,
    /// The configured address of the target when it is another server.
    pub(crate) present: Option<ConnectionSettings>,
    pub(crate) copies: ServerCopies,
    /// `application_name` of the sessions that fence.
    pub(crate) name: String,
    /// The limit for one attempt.
    pub(crate) attempt_max: Duration,
}

impl FenceContext {
    /// The addresses at which sessions may be found, in the order of attempts: the one that was
    /// recorded when they were opened, then the one that the target has now.
    fn addresses(&self, recorded: &ConnectionSettings) -> Vec<ConnectionSettings> {
        let present = self.present.clone().filter(|present| present.conninfo() != recorded.conninfo());
        std::iter::once(recorded.clone()).chain(present).collect()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BackoffEnd {
    Elapsed,
    /// The wait ended early: no further attempt is needed, or a write-off changed the work of the
    /// next one.
    EndedEarly,
}

/// Waits for the next attempt. Every [`WRITE_OFF_POLL_INTERVAL`], `is_settled` is asked whether the
/// wait can end early.
async fn back_off<F: Future<Output = bool>>(
    wait: Duration,
    events: &EventSender,
    is_settled: impl Fn() -> F,
) -> BackoffEnd {
    let mut left = wait;
    while left > WRITE_OFF_POLL_INTERVAL {
        sleep(WRITE_OFF_POLL_INTERVAL).await;
        left -= WRITE_OFF_POLL_INTERVAL;
        if events.is_closed() || is_settled().await {
            return BackoffEnd::EndedEarly;
        }
    }
    sleep(left).await;
    BackoffEnd::Elapsed
}

/// Failures are logged at attempts 1, 2, 4, 8 and so on: a fence may go on for days.
const fn is_logged(attempt_number: u32) -> bool {
    attempt_number.is_power_of_two()
}

/// Runs `work` within the limit. A panic becomes an error, so that a fence makes another attempt
/// after it.
pub(crate) async fn within_limit<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    match timeout(limit, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(done)) => done,
        Ok(Err(_)) => Err("a bug: it panicked".to_owned()),
        Err(_) => Err("no answer".to_owned()),
    }
}

pub(crate) async fn connect(settings: &ConnectionSettings) -> Result<Session, String> {
    settings.with_connect_timeout(CONNECT_MAX).connect().await.map_err(|error| error.to_string())
}

/// Connects to the server of the orchestrator, and sets the search path of the session.
pub(crate) async fn connect_to_server(server: &ConnectionSettings) -> Result<Session, String> {
    let session = connect(server).await?;
    pin_search_path(&session).await.map_err(|error| error.to_string())?;
    Ok(session)
}
