//! One target session. Its tokio task connects, runs one query after the other, and sends events
//! about both.

mod connect;
mod dblink_connections;
mod query;

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use pgasync_core::{Input, Outcome, Run, SessionId, TaskId};
use pgasync_pg::{ConnectionSettings, RowLimit, Session};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::events::{EventSender, LeaderEvent};
use crate::server_copies::ServerCopies;

pub(crate) use connect::{ClientCheck, OpenedSession};
use dblink_connections::DblinkConnections;
use query::QueryResult;
pub(crate) use query::{Query, SENT_AT_ONCE_MAX};

/// The limit on closing the connection of a session.
const CLOSE_MAX: Duration = Duration::from_secs(1);

/// The rows of a query of the engine itself at a target, for example about the identity of a
/// session. They are far below this limit.
pub(crate) const TARGET_ROWS: RowLimit = RowLimit::AtMost(1 << 20);

/// The rows of tasks.
const TASK_ROWS: RowLimit = RowLimit::First(0);

/// The leader's handle of the session. The session closes when the handle is dropped. A query that
/// runs is abandoned with its connection.
#[derive(Debug)]
pub(crate) struct TargetSession {
    queries: UnboundedSender<Query>,
    is_terminated: Arc<AtomicBool>,
}

/// The parameters of a connection attempt.
#[derive(Debug)]
pub(crate) struct ConnectOptions {
    pub(crate) settings: ConnectionSettings,
    pub(crate) client_check: ClientCheck,
    /// Looks for copies of the server at a target with which no session is open yet.
    pub(crate) copies: Option<ServerCopies>,
    /// A target that has accepted the connection and does not answer within this time counts as
    /// unreachable.
    pub(crate) answer_max: Duration,
    /// Limits how many sessions connect to the target at once.
    pub(crate) connect_permits: Arc<Semaphore>,
}

impl TargetSession {
    /// Starts the tokio task, which connects.
    pub(crate) fn open(session: SessionId, options: ConnectOptions, events: EventSender) -> Self {
        let (queries, received) = unbounded_channel();
        let is_terminated = Arc::new(AtomicBool::new(false));
        let task = SessionTask {
            session,
            is_terminated: Arc::clone(&is_terminated),
            events: events.clone(),
            notices: Arc::default(),
            copies: options.copies,
            answer_max: options.answer_max,
            dblink_connections: None,
        };
        let (settings, check, permits) = (options.settings, options.client_check, options.connect_permits);
        tokio::spawn(async move {
            if AssertUnwindSafe(task.run(settings, check, permits, received)).catch_unwind().await.is_err() {
                let _ = events.send(LeaderEvent::Core(Input::SessionLost { session }));
            }
        });
        Self { queries, is_terminated }
    }

    pub(crate) fn send(&self, query: Query) {
        // The tokio task of a lost session has already sent the event about the loss.
        let _ = self.queries.send(query);
    }

    /// Notes that this leader terminates the session. The target then reports an error for the
    /// query, and that error is the end of the query rather than a loss of the session with an
    /// unknown outcome.
    pub(crate) fn note_termination(&self) {
        self.is_terminated.store(true, Ordering::Relaxed);
    }
}

struct SessionTask {
    session: SessionId,
    is_terminated: Arc<AtomicBool>,
    events: EventSender,
    /// The last notices of the query.
    notices: Arc<Mutex<VecDeque<String>>>,
    copies: Option<ServerCopies>,
    answer_max: Duration,
    /// Known when the session is open. `None` if the target had no dblink at that time.
    dblink_connections: Option<DblinkConnections>,
}

impl SessionTask {
    async fn run(
        mut self,
        settings: ConnectionSettings,
        check: ClientCheck,
        permits: Arc<Semaphore>,
        mut queries: UnboundedReceiver<Query>,
    ) {
        let connecting = async {
            let _permit = permits.acquire().await.map_err(|_| "no session may connect any more".to_owned())?;
            self.connect_and_check(&settings, check).await
        };
        let connected = tokio::select! {
            connected = connecting => connected,
            // The leader sends no query before the session is open. So a result here means that the
            // leader has dropped its handle.
            _ = queries.recv() => return,
        };
        let session = match connected {
            Ok((session, opened)) => {
                self.dblink_connections = opened.dblink_schema.as_deref().map(DblinkConnections::in_schema);
                self.emit(LeaderEvent::Opened { session: self.session, result: Ok(Box::new(opened)) });
                session
            }
            Err(error) => return self.emit(LeaderEvent::Opened { session: self.session, result: Err(error) }),
        };
        self.run_queries(session, queries).await;
    }

    async fn run_queries(&self, session: Session, mut queries: UnboundedReceiver<Query>) {
        session.limit_rows(TASK_ROWS);
        loop {
            let query = tokio::select! {
                query = queries.recv() => query,
                () = session.ended() => {
                    self.emit(LeaderEvent::Core(Input::SessionLost { session: self.session }));
                    // An idle session that has ended is closed. But a query that the leader has
                    // sent in the meantime counts as launched: then a fence has to make sure over a
                    // second connection that the session is gone.
                    if queries.try_recv().is_err() {
                        self.emit(LeaderEvent::Closed { session: self.session });
                    }
                    return;
                }
            };
            let Some(query) = query else { break };
            let (task, run) = (query.task, query.run);
            match self.run_query(&session, query, &mut queries).await {
                None => return session.abandon(),
                Some(QueryResult::Ended(outcome)) => self.emit_outcome(task, run, outcome),
                Some(QueryResult::SessionSpent(outcome)) => {
                    self.emit_outcome(task, run, outcome);
                    self.emit(LeaderEvent::Core(Input::SessionLost { session: self.session }));
                    break;
                }
                Some(QueryResult::SessionLost(why)) => {
                    self.emit(LeaderEvent::Warning(format!("a session was lost while task {task} ran: {why}")));
                    return self.emit(LeaderEvent::Core(Input::SessionLost { session: self.session }));
                }
            }
        }
        let _ = tokio::time::timeout(CLOSE_MAX, session.close()).await;
        self.emit(LeaderEvent::Closed { session: self.session });
    }

    /// Runs a query to its end. Returns `None` when the leader drops its handle meanwhile.
    async fn run_query(
        &self,
        session: &Session,
        query: Query,
        queries: &mut UnboundedReceiver<Query>,
    ) -> Option<QueryResult> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let task = query.task;
        let result = tokio::select! {
            result = self.execute(session, query) => result,
            // The leader sends no second query while one runs. So a result here means that the
            // leader has dropped its handle.
            _ = queries.recv() => return None,
        };
        for notice in self.notices.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            if result.is_ok() {
                tracing::debug!(task = task.0, %notice, "notice from a query");
            } else {
                tracing::info!(task = task.0, %notice, "notice from a failed query");
            }
        }
        Some(result)
    }

    fn emit_outcome(&self, task: TaskId, run: Run, outcome: Outcome) {
        self.emit(LeaderEvent::Core(Input::QueryEnded { session: self.session, task, run, outcome }));
    }

    fn emit(&self, event: LeaderEvent) {
        // The channel is closed only after the leader has stopped.
        let _ = self.events.send(event);
    }
}
