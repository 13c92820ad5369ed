//! The tokio task that owns the leader session. It takes all operations that have arrived and
//! carries them out as one batch, so batches grow with the load.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use pgasync_core::Command;
use pgasync_pg::ConnectionSettings;
use pgasync_store::{LeaderError, LeaderSession, Operation, OperationResults, is_active};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::clock::{Clock, instant};
use crate::events::{EventSender, LeaderEvent};
use crate::timeouts::Timeouts;

const BATCH_OPERATIONS_MAX: usize = 1_024;

/// The leader's handle of the tokio task. When the handle is dropped, the tokio task finishes its
/// operations and releases the locks.
#[derive(Debug)]
pub(crate) struct LeaderWriter {
    operations: UnboundedSender<Operation>,
    /// The number of operations without a result.
    pub(crate) pending: usize,
}

impl LeaderWriter {
    pub(crate) fn start(
        session: LeaderSession,
        server: ConnectionSettings,
        timeouts: Timeouts,
        clock: Arc<Mutex<Clock>>,
        events: EventSender,
    ) -> Self {
        let (operations, received) = unbounded_channel();
        tokio::spawn(write(session, server, timeouts, clock, received, events));
        Self { operations, pending: 0 }
    }

    /// Returns the operation when the session is lost. The event about the loss has been sent, or
    /// will be.
    pub(crate) fn send(&mut self, operation: Operation) -> Option<Operation> {
        let refused = self.operations.send(operation).err();
        self.pending += usize::from(refused.is_none());
        refused.map(|refused| refused.0)
    }
}

async fn write(
    mut session: LeaderSession,
    server: ConnectionSettings,
    timeouts: Timeouts,
    clock: Arc<Mutex<Clock>>,
    mut received: UnboundedReceiver<Operation>,
    events: EventSender,
) {
    let mut unwritten: Vec<Operation> = Vec::new();
    let reason = loop {
        let mut operations = Vec::new();
        let count = tokio::select! {
            count = received.recv_many(&mut operations, BATCH_OPERATIONS_MAX) => count,
            () = session.ended() => break "the connection is closed".to_owned(),
        };
        if count == 0 {
            // The handle was dropped. If the session does not answer, the server releases the locks
            // when it ends the session.
            let _ = timeout(timeouts.server_silence, session.step_down()).await;
            let _ = events.send(LeaderEvent::SteppedDown);
            return;
        }
        let now = clock.lock().unwrap_or_else(PoisonError::into_inner).now().server;
        let mut on_marked = |results| {
            // If the leader has stopped, sending the results of the whole batch fails too and ends
            // this tokio task.
            let _ = events.send(LeaderEvent::Results { count: 0, results: Box::new(results) });
        };
        let mut timeouts = timeouts;
        if operations.iter().any(runs_routines) {
            timeouts.server_work = Duration::MAX;
        }
        let pid = session.pid();
        unwritten = operations.iter().filter(|operation| operation.outlives_session()).cloned().collect();
        match watch(session.carry_out(operations, now, &mut on_marked), &server, pid, timeouts).await {
            Ok(results) => {
                unwritten.clear();
                if events.send(LeaderEvent::Results { count, results: Box::new(results) }).is_err() {
                    return;
                }
            }
            Err(Failure::Lost(reason)) => break reason,
            Err(Failure::Deposed) => {
                session.abandon();
                let _ = events.send(LeaderEvent::Deposed);
                return;
            }
            Err(Failure::SchemaGone) => {
                session.abandon();
                let _ = events.send(LeaderEvent::SchemaGone);
                return;
            }
        }
    };
    session.abandon();
    received.close();
    while let Ok(operation) = received.try_recv() {
        unwritten.extend(Some(operation).filter(Operation::outlives_session));
    }
    let _ = events.send(LeaderEvent::LeaderSessionLost { session: Box::new(session), unwritten, reason });
}

/// Users' routines may take as long as they need.
const fn runs_routines(operation: &Operation) -> bool {
    matches!(operation, Operation::Core(Command::RunRoutines | Command::RunStartup))
}

/// Why a batch was not carried out.
enum Failure {
    /// The session is lost, or does not answer.
    Lost(String),
    /// Another orchestrator has taken the lead.
    Deposed,
    SchemaGone,
}

/// Waits for a batch. A paused host or a stopped backend closes no connection and answers nothing,
/// so after each `server_silence` a second session asks the server whether the backend is active.
async fn watch(
    work: impl Future<Output = Result<OperationResults, LeaderError>>,
    server: &ConnectionSettings,
    pid: i32,
    timeouts: Timeouts,
) -> Result<OperationResults, Failure> {
    let mut work = pin!(AssertUnwindSafe(work).catch_unwind());
    let begin: Instant = instant();
    loop {
        match timeout(timeouts.server_silence, &mut work).await {
            Ok(Ok(Err(LeaderError::Deposed { .. }))) => return Err(Failure::Deposed),
            Ok(Ok(Err(LeaderError::SchemaGone))) => return Err(Failure::SchemaGone),
            Ok(Ok(done)) => return done.map_err(|error| Failure::Lost(error.to_string())),
            Ok(Err(_)) => return Err(Failure::Lost("a bug: an operation panicked".to_owned())),
            Err(_) if begin.elapsed() < timeouts.server_work => {
                let is_active = timeout(timeouts.server_connect, is_active(server, pid)).await;
                if !matches!(is_active, Ok(Ok(true))) {
                    let seconds = timeouts.server_silence.as_secs_f64();
                    return Err(Failure::Lost(format!("it has not answered for {seconds} seconds")));
                }
            }
            Err(_) => {
                let seconds = timeouts.server_work.as_secs_f64();
                return Err(Failure::Lost(format!("it has been active for {seconds} seconds")));
            }
        }
    }
}
