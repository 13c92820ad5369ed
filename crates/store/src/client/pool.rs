//! The places of a client's sessions, and when a session is not to be used again.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use bb8::ManageConnection;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};

use super::error::is_loss;
use crate::connect::ConnectError;
use crate::session::{Notice, Session};
use crate::settings::Settings;

/// Warnings kept of one call.
const WARNINGS_MAX: usize = 16;

/// Makes places for the pool. A place costs nothing and cannot fail: whoever has one opens its
/// session, and so learns at once why there is none. (A pool that connects by itself keeps the
/// reason from who waits.)
#[derive(Debug)]
pub(super) struct Manager;

/// A place for a session, and the session when it is open.
#[derive(Debug, Default)]
pub(super) struct Place {
    session: Option<Session>,
    warnings: Arc<Mutex<Vec<String>>>,
    /// A call is open in it, or was given up halfway.
    busy: bool,
}

impl ManageConnection for Manager {
    type Connection = Place;
    type Error = Infallible;

    async fn connect(&self) -> Result<Place, Infallible> {
        Ok(Place::default())
    }

    async fn is_valid(&self, _place: &mut Place) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, _place: &mut Place) -> bool {
        false
    }
}

impl Place {
    /// One statement, and the warnings that came with it. A session that is over, or in which a
    /// call of somebody who gave up is still at work, is dropped and another one opened first.
    pub(super) async fn query(
        &mut self,
        settings: &Settings,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Result<(Vec<Row>, Vec<String>), Error>, ConnectError> {
        let usable = self.session.take().filter(|session| !self.busy && !session.is_closed());
        self.busy = false;
        let session = match usable {
            Some(session) => session,
            None => {
                self.warnings = Arc::default();
                let heard = Arc::clone(&self.warnings);
                settings.connect_with(move |notice| keep(&heard, notice)).await?
            }
        };
        let session = self.session.insert(session);
        self.busy = true;
        let done = session.query_typed(sql, parameters).await;
        self.busy = false;
        if done.as_ref().is_err_and(is_loss) {
            // The socket may take a moment to say so.
            self.session = None;
        }
        let warnings = std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(done.map(|rows| (rows, warnings)))
    }
}

fn keep(heard: &Mutex<Vec<String>>, notice: Notice) {
    if let Notice::Message { severity, text } = notice
        && severity == "WARNING"
    {
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.len() < WARNINGS_MAX {
            heard.push(text);
        }
    }
}
