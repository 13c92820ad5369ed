//! Becoming the leader, and proving the lead after the leader session was lost.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use pgasync_pg::{ConnectionSettings, Notice};
use pgasync_store::{CandidacyError, Candidate, Election, LeaderError, LeaderSession, ResumeOutcome};
use tokio::time::{sleep, timeout};

use crate::events::{EventSender, LeaderEvent};
use crate::monitor::RunState;
use crate::run::{RunError, RunOptions};
use crate::timeouts::Timeouts;

const GRACE_POLL_INTERVAL: Duration = Duration::from_millis(200);

const STANDBY_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The value of `takeover_pid` when no takeover is under way. No backend has this pid.
pub(crate) const NO_BACKEND: i32 = 0;

const WAKE_CHANNEL: &str = "async_wake";

/// Returns once this process leads. `takeover_pid` holds the pid of the candidate's backend while
/// it deposes the present leader.
pub(crate) async fn become_leader(
    server: &ConnectionSettings,
    options: &RunOptions,
    events: &EventSender,
    takeover_pid: &AtomicI32,
) -> Result<(LeaderSession, Election), RunError> {
    let timeouts = &options.timeouts;
    let mut candidate = connect(server, timeouts, events).await?;
    loop {
        match compete(candidate, options, takeover_pid).await {
            Err(error) if options.standby && is_loss(&error) => {
                options.monitor.set_state(RunState::Connecting);
                tracing::warn!(%error, "standby reconnects");
            }
            elected => return elected,
        }
        candidate = loop {
            sleep(STANDBY_POLL_INTERVAL).await;
            match connect(server, timeouts, events).await {
                Ok(candidate) => break candidate,
                Err(error) => tracing::warn!(%error, "standby cannot connect yet"),
            }
        };
    }
}

/// Errors after which a standby reconnects: the server may return, or another server may replace
/// it.
const fn is_loss(error: &RunError) -> bool {
    matches!(error, RunError::Candidacy(CandidacyError::Lost(_)) | RunError::Leader(LeaderError::Lost { .. }))
}

async fn compete(
    candidate: Candidate,
    options: &RunOptions,
    takeover_pid: &AtomicI32,
) -> Result<(LeaderSession, Election), RunError> {
    let timeouts = &options.timeouts;
    loop {
        if !options.force && !in_time(timeouts, candidate.is_enabled()).await? {
            return Err(CandidacyError::Disabled.into());
        }
        if !options.force {
            wait_out_grace(timeouts, &candidate).await?;
        }
        if in_time(timeouts, candidate.try_locks()).await? {
            break;
        }
        if options.force {
            takeover_pid.store(candidate.pid(), Ordering::Relaxed);
            let taken = candidate.take_over().await;
            takeover_pid.store(NO_BACKEND, Ordering::Relaxed);
            taken?;
            break;
        }
        let leader = in_time(timeouts, candidate.describe_leader()).await?;
        if !options.standby {
            return Err(CandidacyError::Taken(leader).into());
        }
        tracing::debug!(leader, "standing by");
        options.monitor.set_state(RunState::StandingBy);
        sleep(STANDBY_POLL_INTERVAL).await;
    }
    timeout(timeouts.server_attempt, candidate.lead()).await.map_err(|_| no_answer())?.map_err(RunError::from)
}

async fn in_time<T>(
    timeouts: &Timeouts,
    call: impl Future<Output = Result<T, CandidacyError>>,
) -> Result<T, CandidacyError> {
    timeout(timeouts.server_answer, call).await.unwrap_or_else(|_| Err(no_answer()))
}

fn no_answer() -> CandidacyError {
    CandidacyError::Lost("the server does not answer".to_owned())
}

/// Waits while the lead is reserved for a leader that lost its connection, for `takeover_grace` at
/// most. The process of that leader may still run and prove its lead.
async fn wait_out_grace(timeouts: &Timeouts, candidate: &Candidate) -> Result<(), CandidacyError> {
    let grace = in_time(timeouts, candidate.grace()).await?;
    if grace.is_zero() || in_time(timeouts, candidate.leader_pid()).await?.is_some() {
        return Ok(());
    }
    tracing::info!(seconds = grace.as_secs_f64(), "the last leader did not resign; waiting for its return");
    let leader_returns = async {
        while in_time(timeouts, candidate.leader_pid()).await?.is_none() {
            sleep(GRACE_POLL_INTERVAL).await;
        }
        Ok(())
    };
    timeout(grace, leader_returns).await.unwrap_or(Ok(()))
}

async fn connect(
    server: &ConnectionSettings,
    timeouts: &Timeouts,
    events: &EventSender,
) -> Result<Candidate, CandidacyError> {
    let events = events.clone();
    let on_notice = move |notice: Notice| match notice {
        Notice::Notification { channel, .. } if channel == WAKE_CHANNEL => {
            let _ = events.send(LeaderEvent::Notified);
        }
        other => tracing::debug!(?other, "notice from the server"),
    };
    let server = server.with_connect_timeout(timeouts.server_connect);
    let connecting = Candidate::connect(&server, timeouts.server_idle, on_notice);
    timeout(timeouts.server_attempt, connecting).await.unwrap_or_else(|_| Err(no_answer()))
}

/// Makes one attempt to connect again and prove the lead, and sends its outcome as an event.
pub(crate) async fn attempt_to_prove(
    server: ConnectionSettings,
    timeouts: Timeouts,
    mut session: Box<LeaderSession>,
    events: EventSender,
) {
    let attempt = AssertUnwindSafe(try_to_prove(&server, &timeouts, &mut session, &events)).catch_unwind();
    let failed = match timeout(timeouts.server_attempt, attempt).await {
        Ok(Ok(Ok(ResumeOutcome::Leads { marks_lost }))) => {
            let _ = events.send(LeaderEvent::LeadProved { session, marks_lost });
            return;
        }
        Ok(Ok(Ok(ResumeOutcome::Deposed))) => {
            let _ = events.send(LeaderEvent::Deposed);
            return;
        }
        Ok(Ok(Ok(ResumeOutcome::NotYet))) => None,
        Ok(Ok(Err(error))) => Some(error.to_string()),
        Ok(Err(_)) => Some("a bug: the proof of the lead panicked".to_owned()),
        Err(_) => Some(no_answer().to_string()),
    };
    if let Some(error) = failed {
        tracing::warn!(error, "the lead cannot be proved yet");
    }
    let _ = events.send(LeaderEvent::ProofFailed(session));
}

async fn try_to_prove(
    server: &ConnectionSettings,
    timeouts: &Timeouts,
    session: &mut LeaderSession,
    events: &EventSender,
) -> Result<ResumeOutcome, RunError> {
    let candidate = connect(server, timeouts, events).await?;
    if candidate.try_locks().await? {
        return Ok(candidate.resume(session).await?);
    }
    // The old backend of this leader may not have noticed the lost connection, and still holds the
    // locks.
    if candidate.end_lost_backend(session).await? || candidate.leader_pid().await?.is_none() {
        return Ok(ResumeOutcome::NotYet);
    }
    Ok(ResumeOutcome::Deposed)
}
