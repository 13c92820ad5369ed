//! One run of the orchestrator: wait for the lead, then lead.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use pgasync_pg::ConnectionSettings;
use pgasync_store::{CandidacyError, LeaderError, end_backend};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::election::{NO_BACKEND, become_leader};
use crate::ended::EndedTasks;
use crate::leader::Leader;
use crate::monitor::{Monitor, RunState, TICK_INTERVAL};
use crate::shutdown::{ExitReason, StopSignal};
use crate::timeouts::Timeouts;

/// The limit on ending a takeover that is no longer wanted.
const ABORT_TAKEOVER_MAX: Duration = Duration::from_secs(5);

/// How to run. The default is that of the command line.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Take the lead from the present leader, and enable the orchestrator.
    pub force: bool,
    /// Wait for the lead instead of returning an error when another orchestrator has it.
    pub standby: bool,
    /// Running queries may go on for this time after [`StopSignal::Drain`].
    pub drain_timeout: Duration,
    /// Limits on waiting for a server or target that does not answer.
    pub timeouts: Timeouts,
    /// Where the orchestrator shows what it does.
    pub monitor: Monitor,
    /// Where the leader leaves the tasks that ended, if anything wants them.
    pub ended: Option<EndedTasks>,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            force: false,
            standby: false,
            drain_timeout: Duration::from_secs(30),
            timeouts: Timeouts::default(),
            monitor: Monitor::default(),
            ended: None,
        }
    }
}

/// Why the orchestrator did not become the leader.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The server refused the candidate, or cannot be reached.
    #[error(transparent)]
    Candidacy(#[from] CandidacyError),
    /// The session was lost while the candidate was taking the lead.
    #[error(transparent)]
    Leader(#[from] LeaderError),
    /// A stop signal arrived first.
    #[error("stopped before it became the leader")]
    Stopped,
}

/// Leads until a stop signal arrives, the server asks the leader to resign, or another orchestrator
/// takes the lead.
///
/// # Errors
/// [`RunError`] when it never becomes the leader.
pub async fn run(
    server: ConnectionSettings,
    options: RunOptions,
    mut stop_signals: mpsc::Receiver<StopSignal>,
) -> Result<ExitReason, RunError> {
    let (events, inbox) = mpsc::unbounded_channel();
    let takeover_pid = Arc::new(AtomicI32::new(NO_BACKEND));
    let elected = tokio::select! {
        elected = become_leader(&server, &options, &events, &takeover_pid) => Some(elected?),
        Some(_) = stop_signals.recv() => None,
        () = tick(&options.monitor) => None,
    };
    let Some((session, election)) = elected else {
        options.monitor.set_state(RunState::Stopping);
        let pid = takeover_pid.load(Ordering::Relaxed);
        if pid != NO_BACKEND {
            // Otherwise the backend would depose the present leader for a process that is gone. If
            // it cannot be ended here, `async.take_over` ends after its own limits.
            let _ = timeout(ABORT_TAKEOVER_MAX, end_backend(&server, pid)).await;
        }
        return Err(RunError::Stopped);
    };
    options.monitor.set_state(RunState::Leading);
    tracing::info!(epoch = session.epoch().0, pid = session.pid(), server = server.describe(), "leading");
    let leader = Leader::new(options, server, session, election, events, RandomState::new().hash_one(0));
    Ok(leader.run(inbox, &mut stop_signals).await)
}

/// Shows that the candidate is alive. It shares a tokio task with it. Never returns.
async fn tick(monitor: &Monitor) {
    loop {
        monitor.tick();
        sleep(TICK_INTERVAL).await;
    }
}
