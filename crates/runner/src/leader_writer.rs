//! The task that has the leader's session: it carries out whatever has come in meanwhile, in one batch.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use pgasync_core::Command;
use pgasync_pg::ConnectionSettings;
use pgasync_store::{Answers, Lead, LeadError, Op, is_at_work};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::clock::{Clock, instant};
use crate::events::{Event, Events};
use crate::timeouts::Timeouts;

/// Operations taken in at once.
const OPS_MAX: usize = 4_096;

/// The engine's end.
#[derive(Debug)]
pub(crate) struct LeaderWriter {
    ops: UnboundedSender<Op>,
    /// Operations that were not answered yet.
    pub(crate) open: usize,
}

impl LeaderWriter {
    pub(crate) fn start(
        lead: Lead,
        server: ConnectionSettings,
        timeouts: Timeouts,
        clock: Arc<Mutex<Clock>>,
        events: Events,
    ) -> Self {
        let (ops, received) = unbounded_channel();
        tokio::spawn(write(lead, server, timeouts, clock, received, events));
        Self { ops, open: 0 }
    }

    /// Gives the operation back when the session is lost; the event that says so is on its way.
    pub(crate) fn send(&mut self, op: Op) -> Option<Op> {
        let refused = self.ops.send(op).err();
        self.open += usize::from(refused.is_none());
        refused.map(|refused| refused.0)
    }
}

async fn write(
    mut lead: Lead,
    server: ConnectionSettings,
    timeouts: Timeouts,
    clock: Arc<Mutex<Clock>>,
    mut received: UnboundedReceiver<Op>,
    events: Events,
) {
    let mut untold: Vec<Op> = Vec::new();
    let reason = loop {
        let mut ops = Vec::new();
        let count = tokio::select! {
            count = received.recv_many(&mut ops, OPS_MAX) => count,
            () = lead.ended() => break "the connection is closed".to_owned(),
        };
        if count == 0 {
            // The engine is done. A session that does not answer is given up with its locks.
            let _ = timeout(timeouts.server_silence, lead.step_down()).await;
            let _ = events.send(Event::SteppedDown);
            return;
        }
        let now = clock.lock().unwrap_or_else(PoisonError::into_inner).now().server;
        let mut early = |answers| {
            // Without an engine the next answers cannot be sent either.
            let _ = events.send(Event::Answered { count: 0, answers: Box::new(answers) });
        };
        let routines = ops.iter().any(|op| matches!(op, Op::Core(Command::RunRoutines | Command::RunStartup)));
        let mut timeouts = timeouts;
        if routines {
            timeouts.server_work = Duration::MAX;
        }
        let pid = lead.pid();
        untold = ops.iter().filter(|op| op.is_told_once()).cloned().collect();
        match attend(lead.carry_out(ops, now, &mut early), &server, pid, timeouts).await {
            Ok(answers) => {
                untold.clear();
                if events.send(Event::Answered { count, answers: Box::new(answers) }).is_err() {
                    return;
                }
            }
            Err(Failure::Lost(reason)) => break reason,
            Err(Failure::Deposed) => {
                lead.abandon();
                let _ = events.send(Event::Deposed);
                return;
            }
        }
    };
    lead.abandon();
    received.close();
    while let Ok(op) = received.try_recv() {
        untold.extend(Some(op).filter(Op::is_told_once));
    }
    let _ = events.send(Event::LeadLost { lead: Box::new(lead), untold, reason });
}

/// Why operations were not carried out.
enum Failure {
    /// The session is gone, or as good as gone.
    Lost(String),
    /// Another orchestrator has taken the lead.
    Deposed,
}

/// Waits for the leader's session as long as it works. A host that is paused, or a backend that is stopped, closes no
/// connection and answers nothing.
async fn attend(
    work: impl Future<Output = Result<Answers, LeadError>>,
    server: &ConnectionSettings,
    pid: i32,
    timeouts: Timeouts,
) -> Result<Answers, Failure> {
    let mut work = pin!(AssertUnwindSafe(work).catch_unwind());
    let begin: Instant = instant();
    loop {
        match timeout(timeouts.server_silence, &mut work).await {
            Ok(Ok(Err(LeadError::Deposed { .. }))) => return Err(Failure::Deposed),
            Ok(Ok(done)) => return done.map_err(|error| Failure::Lost(error.to_string())),
            Ok(Err(_)) => return Err(Failure::Lost("a bug: what carries out operations panicked".to_owned())),
            Err(_) if begin.elapsed() < timeouts.server_work => {
                let seen = timeout(timeouts.server_connect, is_at_work(server, pid)).await;
                if !matches!(seen, Ok(Ok(true))) {
                    let seconds = timeouts.server_silence.as_secs_f64();
                    return Err(Failure::Lost(format!("it has not answered for {seconds} seconds")));
                }
            }
            Err(_) => {
                let seconds = timeouts.server_work.as_secs_f64();
                return Err(Failure::Lost(format!("it has been at work for {seconds} seconds")));
            }
        }
    }
}
