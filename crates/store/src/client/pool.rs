//! The sessions of a client, and when one is not to be used again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bb8::ManageConnection;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};

use crate::connect::ConnectError;
use crate::session::{Notice, Session};
use crate::settings::Settings;

/// Warnings kept of one call.
const WARNINGS_MAX: usize = 16;

/// Opens sessions for the pool.
#[derive(Debug)]
pub(super) struct Manager {
    settings: Settings,
}

/// A session, and what the server said on it.
#[derive(Debug)]
pub(super) struct PooledSession {
    session: Session,
    warnings: Arc<Mutex<Vec<String>>>,
    /// A call is open, or was given up halfway.
    busy: AtomicBool,
}

impl Manager {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl ManageConnection for Manager {
    type Connection = PooledSession;
    type Error = ConnectError;

    async fn connect(&self) -> Result<PooledSession, ConnectError> {
        let warnings = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&warnings);
        let keep = move |notice| {
            if let Notice::Message { severity, text } = notice
                && severity == "WARNING"
            {
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                if heard.len() < WARNINGS_MAX {
                    heard.push(text);
                }
            }
        };
        let session = self.settings.connect_with(keep).await?;
        Ok(PooledSession { session, warnings, busy: AtomicBool::new(false) })
    }

    /// Never asked: see `Client::session`.
    async fn is_valid(&self, _session: &mut PooledSession) -> Result<(), ConnectError> {
        Ok(())
    }

    fn has_broken(&self, session: &mut PooledSession) -> bool {
        session.has_ended()
    }
}

impl PooledSession {
    /// It is over, or somebody else's call is still at work in it.
    pub(super) fn has_ended(&self) -> bool {
        self.session.is_closed() || self.busy.load(Ordering::Relaxed)
    }

    /// One statement, and the warnings that came with it.
    pub(super) async fn query(
        &self,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<(Vec<Row>, Vec<String>), Error> {
        self.busy.store(true, Ordering::Relaxed);
        let done = self.session.query_typed(sql, parameters).await;
        self.busy.store(false, Ordering::Relaxed);
        let warnings = std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner));
        Ok((done?, warnings))
    }
}
