//! From a start to a lead, and back to it after the session was lost.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use pgasync_store::{CandidacyError, Candidate, Lead, LeadError, Notice, Settings};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::ends::{Ending, Stop};
use crate::engine::Engine;
use crate::events::{Event, Events};

const GRACE_LOOK_EVERY: Duration = Duration::from_millis(200);

const STANDBY_LOOK_EVERY: Duration = Duration::from_secs(1);

const RETRY_FIRST: Duration = Duration::from_millis(50);

const RETRY_LAST: Duration = Duration::from_secs(2);

/// A connection attempt to the server.
const CONNECT_MAX: Duration = Duration::from_secs(5);

const WAKE_CHANNEL: &str = "async_wake";

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Take the lead from whoever has it, and enable the orchestrator.
    pub force: bool,
    /// Wait for the lead instead of ending when another has it.
    pub standby: bool,
    /// How long what runs may go on after the end was asked for.
    pub drain_timeout: Duration,
}

/// As the command line has them.
impl Default for Options {
    fn default() -> Self {
        Self { force: false, standby: false, drain_timeout: Duration::from_secs(30) }
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
pub async fn run(server: Settings, options: Options, mut stops: mpsc::Receiver<Stop>) -> Result<Ending, RunError> {
    let (events, inbox) = mpsc::unbounded_channel();
    let (lead, election) = tokio::select! {
        taken = take_lead(&server, &options, &events) => taken?,
        Some(_) = stops.recv() => return Err(RunError::Stopped),
    };
    tracing::info!(epoch = lead.epoch().0, pid = lead.pid(), server = server.describe(), "leading");
    let engine = Engine::new(options, server, lead, election, events, RandomState::new().hash_one(0));
    Ok(engine.run(inbox, &mut stops).await)
}

async fn take_lead(
    server: &Settings,
    options: &Options,
    events: &Events,
) -> Result<(Lead, pgasync_store::Election), RunError> {
    let mut candidate = connect(server, events).await?;
    loop {
        match compete(candidate, options).await {
            Err(error) if options.standby && is_loss(&error) => tracing::warn!(%error, "standing by anew"),
            taken => return taken,
        }
        candidate = loop {
            sleep(STANDBY_LOOK_EVERY).await;
            match connect(server, events).await {
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

async fn compete(candidate: Candidate, options: &Options) -> Result<(Lead, pgasync_store::Election), RunError> {
    loop {
        if !options.force && !candidate.is_enabled().await? {
            return Err(CandidacyError::Disabled.into());
        }
        if !options.force {
            wait_out_grace(&candidate).await?;
        }
        if candidate.try_locks().await? {
            break;
        }
        if options.force {
            candidate.take_over().await?;
            break;
        }
        let why = candidate.describe_leader().await?;
        if !options.standby {
            return Err(CandidacyError::Taken(why).into());
        }
        tracing::debug!(why, "standing by");
        sleep(STANDBY_LOOK_EVERY).await;
    }
    Ok(candidate.lead().await?)
}

/// A lost leader of another process may come back for a while: its lock is left to it.
async fn wait_out_grace(candidate: &Candidate) -> Result<(), CandidacyError> {
    let grace = candidate.grace().await?;
    if grace.is_zero() || candidate.leader_pid().await?.is_some() {
        return Ok(());
    }
    tracing::info!(seconds = grace.as_secs_f64(), "the last leader went without a goodbye; it may come back");
    let waiting = async {
        while candidate.leader_pid().await?.is_none() {
            sleep(GRACE_LOOK_EVERY).await;
        }
        Ok(())
    };
    timeout(grace, waiting).await.unwrap_or(Ok(()))
}

async fn connect(server: &Settings, events: &Events) -> Result<Candidate, CandidacyError> {
    let events = events.clone();
    let hear = move |notice: Notice| match notice {
        Notice::Notification { channel, .. } if channel == WAKE_CHANNEL => {
            let _ = events.send(Event::Notified);
        }
        other => tracing::debug!(?other, "the server said"),
    };
    Candidate::connect(&server.with_connect_timeout(CONNECT_MAX), hear).await
}

/// After the leader's session was lost: connects anew and proves the lead, however long that takes. False when
/// another leads; `None` when the engine is gone.
pub(crate) async fn prove(server: &Settings, lead: &mut Lead, events: &Events) -> Option<bool> {
    let mut wait = RETRY_FIRST;
    loop {
        match try_prove(server, lead, events).await {
            Ok(Some(stands)) => return Some(stands),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the lead cannot be proved yet"),
        }
        if events.is_closed() {
            return None;
        }
        sleep(wait).await;
        wait = (wait * 2).min(RETRY_LAST);
    }
}

async fn try_prove(server: &Settings, lead: &mut Lead, events: &Events) -> Result<Option<bool>, RunError> {
    let candidate = connect(server, events).await?;
    if candidate.try_locks().await? {
        return Ok(Some(candidate.resume(lead).await?));
    }
    match candidate.leader_pid().await? {
        // Its own backend, which has not noticed yet.
        Some(pid) if pid == lead.pid() => {
            candidate.end_lost_backend(pid).await?;
            Ok(None)
        }
        Some(_) => Ok(Some(false)),
        None => Ok(None),
    }
}
