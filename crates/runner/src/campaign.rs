//! From a start to a lead, and back to it after the session was lost.

use std::hash::{BuildHasher, RandomState};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use pgasync_pg::{ConnectionSettings, Notice};
use pgasync_store::{CandidacyError, Candidate, Lead, LeadError, Resumed, end_backend};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::ends::{Ending, Stop};
use crate::engine::Engine;
use crate::events::{Event, Events};
use crate::timeouts::Timeouts;

const GRACE_LOOK_EVERY: Duration = Duration::from_millis(200);

const STANDBY_LOOK_EVERY: Duration = Duration::from_secs(1);

/// No backend has this pid.
const NOBODY: i32 = 0;

/// What was begun in vain is ended within this time, or left.
const LAST_WORDS: Duration = Duration::from_secs(5);

const WAKE_CHANNEL: &str = "async_wake";

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Take the lead from the orchestrator that has it, and enable the orchestrator.
    pub force: bool,
    /// Wait for the lead instead of ending when another has it.
    pub standby: bool,
    /// How long what runs may go on after the end was asked for.
    pub drain_timeout: Duration,
    /// How long to wait for what does not answer.
    pub timeouts: Timeouts,
}

/// As the command line has them.
impl Default for Options {
    fn default() -> Self {
        Self { force: false, standby: false, drain_timeout: Duration::from_secs(30), timeouts: Timeouts::default() }
    }
}

/// Why it did not come to lead.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It may not, or cannot.
    #[error(transparent)]
    Candidacy(#[from] CandidacyError),
    /// The session was lost while the lead was being taken.
    #[error(transparent)]
    Lead(#[from] LeadError),
    /// It was asked to end before it led.
    #[error("asked to end before it came to lead")]
    Stopped,
}

/// Leads until it is asked to end, or until another does.
///
/// # Errors
/// [`RunError`] when it never comes to lead.
pub async fn run(
    server: ConnectionSettings,
    options: Options,
    mut stops: mpsc::Receiver<Stop>,
) -> Result<Ending, RunError> {
    let (events, inbox) = mpsc::unbounded_channel();
    let pressing = Arc::new(AtomicI32::new(NOBODY));
    let taken = tokio::select! {
        taken = take_lead(&server, &options, &events, &pressing) => Some(taken?),
        Some(_) = stops.recv() => None,
    };
    let Some((lead, election)) = taken else {
        let pid = pressing.load(Ordering::Relaxed);
        if pid != NOBODY {
            // It would go on to take the lead from another for nobody. If it cannot be ended, it gives up by itself.
            let _ = timeout(LAST_WORDS, end_backend(&server, pid)).await;
        }
        return Err(RunError::Stopped);
    };
    tracing::info!(epoch = lead.epoch().0, pid = lead.pid(), server = server.describe(), "leading");
    let engine = Engine::new(options, server, lead, election, events, RandomState::new().hash_one(0));
    Ok(engine.run(inbox, &mut stops).await)
}

async fn take_lead(
    server: &ConnectionSettings,
    options: &Options,
    events: &Events,
    pressing: &AtomicI32,
) -> Result<(Lead, pgasync_store::Election), RunError> {
    let timeouts = &options.timeouts;
    let mut candidate = connect(server, timeouts, events).await?;
    loop {
        match compete(candidate, options, pressing).await {
            Err(error) if options.standby && is_loss(&error) => tracing::warn!(%error, "standing by anew"),
            taken => return taken,
        }
        candidate = loop {
            sleep(STANDBY_LOOK_EVERY).await;
            match connect(server, timeouts, events).await {
                Ok(candidate) => break candidate,
                Err(error) => tracing::warn!(%error, "cannot stand by yet"),
            }
        };
    }
}

/// The server may come back, or another be in its place.
const fn is_loss(error: &RunError) -> bool {
    matches!(error, RunError::Candidacy(CandidacyError::Lost(_)) | RunError::Lead(LeadError::Lost { .. }))
}

/// `pressing` is told the backend that takes the lead from somebody.
async fn compete(
    candidate: Candidate,
    options: &Options,
    pressing: &AtomicI32,
) -> Result<(Lead, pgasync_store::Election), RunError> {
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
            pressing.store(candidate.pid(), Ordering::Relaxed);
            let taken = candidate.take_over().await;
            pressing.store(NOBODY, Ordering::Relaxed);
            taken?;
            break;
        }
        let why = in_time(timeouts, candidate.describe_leader()).await?;
        if !options.standby {
            return Err(CandidacyError::Taken(why).into());
        }
        tracing::debug!(why, "standing by");
        sleep(STANDBY_LOOK_EVERY).await;
    }
    timeout(timeouts.server_attempt, candidate.lead()).await.map_err(|_| no_answer())?.map_err(RunError::from)
}

async fn in_time<T>(
    timeouts: &Timeouts,
    asked: impl Future<Output = Result<T, CandidacyError>>,
) -> Result<T, CandidacyError> {
    timeout(timeouts.server_answer, asked).await.unwrap_or_else(|_| Err(no_answer()))
}

fn no_answer() -> CandidacyError {
    CandidacyError::Lost("the server does not answer".to_owned())
}

/// A lost leader of another process may come back for a while: its lock is left to it.
async fn wait_out_grace(timeouts: &Timeouts, candidate: &Candidate) -> Result<(), CandidacyError> {
    let grace = in_time(timeouts, candidate.grace()).await?;
    if grace.is_zero() || in_time(timeouts, candidate.leader_pid()).await?.is_some() {
        return Ok(());
    }
    tracing::info!(seconds = grace.as_secs_f64(), "the last leader went without a goodbye; it may come back");
    let waiting = async {
        while in_time(timeouts, candidate.leader_pid()).await?.is_none() {
            sleep(GRACE_LOOK_EVERY).await;
        }
        Ok(())
    };
    timeout(grace, waiting).await.unwrap_or(Ok(()))
}

async fn connect(
    server: &ConnectionSettings,
    timeouts: &Timeouts,
    events: &Events,
) -> Result<Candidate, CandidacyError> {
    let events = events.clone();
    let hear = move |notice: Notice| match notice {
        Notice::Notification { channel, .. } if channel == WAKE_CHANNEL => {
            let _ = events.send(Event::Notified);
        }
        other => tracing::debug!(?other, "the server said"),
    };
    let server = server.with_connect_timeout(timeouts.server_connect);
    let connecting = Candidate::connect(&server, timeouts.server_idle, hear);
    timeout(timeouts.server_attempt, connecting).await.unwrap_or_else(|_| Err(no_answer()))
}

/// After the leader's session was lost: one attempt to connect anew and prove the lead.
pub(crate) async fn prove(server: ConnectionSettings, timeouts: Timeouts, mut lead: Box<Lead>, events: Events) {
    let attempt = AssertUnwindSafe(try_prove(&server, &timeouts, &mut lead, &events)).catch_unwind();
    let failed = match timeout(timeouts.server_attempt, attempt).await {
        Ok(Ok(Ok(Resumed::Leads { marks_lost }))) => {
            let _ = events.send(Event::LeadBack { lead, marks_lost });
            return;
        }
        Ok(Ok(Ok(Resumed::Deposed))) => {
            let _ = events.send(Event::Deposed);
            return;
        }
        Ok(Ok(Ok(Resumed::NotYet))) => None,
        Ok(Ok(Err(error))) => Some(error.to_string()),
        Ok(Err(_)) => Some("a bug: what proves the lead panicked".to_owned()),
        Err(_) => Some(no_answer().to_string()),
    };
    if let Some(error) = failed {
        tracing::warn!(error, "the lead cannot be proved yet");
    }
    let _ = events.send(Event::ProofFailed(lead));
}

async fn try_prove(
    server: &ConnectionSettings,
    timeouts: &Timeouts,
    lead: &mut Lead,
    events: &Events,
) -> Result<Resumed, RunError> {
    let candidate = connect(server, timeouts, events).await?;
    if candidate.try_locks().await? {
        return Ok(candidate.resume(lead).await?);
    }
    // Its own backend may not have noticed yet.
    if candidate.end_lost_backend(lead).await? || candidate.leader_pid().await?.is_none() {
        return Ok(Resumed::NotYet);
    }
    Ok(Resumed::Deposed)
}
