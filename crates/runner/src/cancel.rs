//! Signals to one backend at a target: a cancel request or a termination, sent once. The core
//! decides when a signal is due and whether it had an effect.

use std::time::Duration;

use pgasync_core::{Epoch, TargetName};
use pgasync_pg::{Canceler, ConnectionSettings};
use pgasync_store::ServerIdentity;
use tokio::time::timeout;

use crate::events::{EventSender, LeaderEvent};
use crate::fence::{BackendIdentity, CONNECT_MAX, connect, terminate_backends, within_limit};

/// A backend that this leader has opened at a target.
#[derive(Clone, Debug)]
pub(crate) struct TargetBackend {
    pub(crate) target: TargetName,
    pub(crate) epoch: Epoch,
    /// A second connection to the server that the backend belongs to.
    pub(crate) settings: ConnectionSettings,
    pub(crate) canceler: Canceler,
    pub(crate) role: String,
    pub(crate) pid: i32,
    pub(crate) backend_start: String,
    pub(crate) server: ServerIdentity,
    /// A query with a receipt ran on it.
    pub(crate) has_receipts: bool,
    /// The limit for one attempt to signal or fence the backend.
    pub(crate) attempt_max: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BackendSignal {
    /// A cancel request, which needs none of the target's connection slots.
    Cancel,
    /// `pg_terminate_backend` over a second connection.
    Terminate,
}

/// Signals the backend once.
pub(crate) async fn signal_backend(backend: TargetBackend, signal: BackendSignal, events: EventSender) {
    let sent = within_limit(backend.attempt_max, async {
        if signal == BackendSignal::Cancel {
            let sent = timeout(CONNECT_MAX, backend.canceler.cancel()).await;
            return sent.map_err(|_| "no answer".to_owned())?.map_err(|error| error.to_string());
        }
        let session = connect(&backend.settings).await?;
        terminate_backends(&session, &[backend.identity()]).await?;
        session.close().await;
        Ok(())
    });
    if let Err(error) = sent.await {
        let _ = events.send(LeaderEvent::Warning(format!("{signal:?} of backend {} failed: {error}", backend.pid)));
    }
}

impl TargetBackend {
    pub(crate) fn identity(&self) -> BackendIdentity {
        BackendIdentity {
            session_number: None,
            pid: self.pid,
            backend_start: self.backend_start.clone(),
            role: self.role.clone(),
            server_started: self.server.started.clone(),
            system_identifier: self.server.system_identifier.clone(),
            left_alone: false,
            has_receipts: self.has_receipts,
        }
    }
}
