//! The pool of a client's sessions, and when a session is not used again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bb8::ManageConnection;
use pgasync_pg::types::{ToSql, Type};
use pgasync_pg::{ConnectError, ConnectionSettings, Error, Notice, Row, Session};
use tokio::sync::watch;

use crate::loss::is_loss;

/// The number of warnings that are kept for one call.
const WARNINGS_MAX: usize = 16;

/// Opens, validates and recycles the sessions of a pool.
#[derive(Debug)]
pub(super) struct Manager {
    settings: ConnectionSettings,
    attempts: Arc<Attempts>,
}

/// The attempts to open sessions. The pool connects in its own tokio tasks and does not report why
/// an attempt failed, so waiting calls read the reason here.
#[derive(Debug)]
pub(super) struct Attempts {
    under_way: AtomicUsize,
    last_failure: watch::Sender<Option<ConnectError>>,
}

/// A session of the pool.
#[derive(Debug)]
pub(super) struct PooledSession {
    session: Session,
    warnings: Arc<Mutex<Vec<String>>>,
    /// Set while a call is open, and left set when the call was dropped or lost the session. A
    /// session with this flag is not used again.
    is_spent: bool,
}

/// A parameter of a statement, with its type.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// Why the pool has no session.
#[derive(Debug, thiserror::Error)]
pub(super) enum PoolError {
    #[error(transparent)]
    Connect(ConnectError),
    #[error("the session has ended")]
    Ended,
}

impl Manager {
    pub(super) fn new(settings: ConnectionSettings, attempts: Arc<Attempts>) -> Self {
        Self { settings, attempts }
    }
}

impl ManageConnection for Manager {
    type Connection = PooledSession;
    type Error = PoolError;

    async fn connect(&self) -> Result<PooledSession, PoolError> {
        self.attempts.under_way.fetch_add(1, Ordering::Relaxed);
        let warnings = Arc::default();
        let kept = Arc::clone(&warnings);
        let opened = self.settings.connect_with(move |notice| keep(&kept, notice)).await;
        self.attempts.under_way.fetch_sub(1, Ordering::Relaxed);
        match opened {
            Ok(session) => Ok(PooledSession { session, warnings, is_spent: false }),
            Err(error) => {
                self.attempts.last_failure.send_replace(Some(error.clone()));
                Err(PoolError::Connect(error))
            }
        }
    }

    /// The check makes no round trip, which would cost as much as a call. The call itself detects a
    /// lost session.
    async fn is_valid(&self, pooled: &mut PooledSession) -> Result<(), PoolError> {
        if pooled.session.is_closed() { Err(PoolError::Ended) } else { Ok(()) }
    }

    fn has_broken(&self, pooled: &mut PooledSession) -> bool {
        pooled.is_spent || pooled.session.is_closed()
    }
}

impl Attempts {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { under_way: AtomicUsize::new(0), last_failure: watch::Sender::new(None) })
    }

    pub(super) fn are_under_way(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) > 0
    }

    /// A receiver of the failures from now on.
    pub(super) fn failures(&self) -> Failures {
        Failures(self.last_failure.subscribe())
    }
}

/// Failed attempts since a call began to wait.
pub(super) struct Failures(watch::Receiver<Option<ConnectError>>);

impl Failures {
    /// Waits for the next failed attempt, and returns its error.
    pub(super) async fn next(&mut self) -> ConnectError {
        loop {
            // The client owns the sender and waits here, so the sender exists.
            if self.0.changed().await.is_err() {
                debug_assert!(false, "the attempts are dropped while a call waits for one");
                std::future::pending::<()>().await;
            }
            if let Some(error) = self.0.borrow_and_update().clone() {
                return error;
            }
        }
    }
}

impl PooledSession {
    /// Executes one statement; returns its rows and the warnings that it raised.
    pub(super) async fn query(
        &mut self,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<(Vec<Row>, Vec<String>), Error> {
        // A future that is dropped while it waits leaves the answer outstanding.
        self.is_spent = true;
        let done = self.session.query_typed(sql, parameters).await;
        // `is_closed` may still be false for a moment after the loss of a session.
        self.is_spent = done.as_ref().is_err_and(is_loss);
        let warnings = std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner));
        Ok((done?, warnings))
    }

    /// Executes statements in one transaction that reads only, with one snapshot. An error costs the
    /// session, so that its transaction ends.
    pub(super) async fn query_snapshot(
        &mut self,
        statements: &[(&str, &[Parameter<'_>])],
    ) -> Result<Vec<Vec<Row>>, Error> {
        self.is_spent = true;
        self.session.batch_execute("begin transaction isolation level repeatable read read only").await?;
        let mut all = Vec::with_capacity(statements.len());
        for (sql, parameters) in statements {
            all.push(self.session.query_typed(sql, parameters).await?);
        }
        self.session.batch_execute("commit").await?;
        self.is_spent = false;
        Ok(all)
    }
}

fn keep(warnings: &Mutex<Vec<String>>, notice: Notice) {
    if let Notice::Message { severity, text } = notice
        && severity == "WARNING"
    {
        let mut warnings = warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if warnings.len() < WARNINGS_MAX {
            warnings.push(text);
        }
    }
}
