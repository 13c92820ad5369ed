//! One session with a server.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Row, SimpleQueryMessage, SimpleQueryRow, Statement, ToStatement};

use crate::connect::Canceler;
use crate::error::Error;
use crate::filter::{FilterControl, RowLimit};
use crate::settings::Reached;

/// An open session. The session ends when this value is dropped, even while a statement runs.
///
/// A statement is sent when the future of its call is first polled, so calls that are joined share
/// a round trip. The server executes them in that order.
#[derive(Debug)]
pub struct Session {
    client: Client,
    driver: Driver,
    reached: Reached,
    canceler: Canceler,
    written: Arc<AtomicU64>,
    control: Arc<FilterControl>,
    /// The driver drops the sender of this channel when the session has ended.
    alive: watch::Receiver<()>,
}

/// The tokio task that reads and writes the socket. It is aborted with the session, because it
/// would otherwise wait for outstanding answers.
#[derive(Debug)]
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A message of the server that belongs to no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// `RAISE NOTICE`, `RAISE WARNING` and the like.
    Message {
        /// `NOTICE`, `WARNING`, ...
        severity: String,
        /// The text.
        text: String,
    },
    /// `NOTIFY`.
    Notification {
        /// The channel.
        channel: String,
        /// The payload, empty when there was none.
        payload: String,
    },
}

impl Session {
    pub(crate) fn new<S, T>(
        reached: Reached,
        canceler: Canceler,
        written: Arc<AtomicU64>,
        control: Arc<FilterControl>,
        client: Client,
        connection: tokio_postgres::Connection<S, T>,
        on_notice: impl FnMut(Notice) + Send + 'static,
    ) -> Self
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
        T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (lives, alive) = watch::channel(());
        Self { client, driver: drive(connection, on_notice, lives), reached, canceler, written, control, alive }
    }

    /// Executes a statement and returns its rows. Prepares it first, unless it is a [`Statement`].
    ///
    /// # Errors
    /// When the server refuses, or the session is lost.
    pub async fn query<T>(&self, statement: &T, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error>
    where
        T: ?Sized + ToStatement,
    {
        self.client.query(statement, parameters).await.map_err(|error| self.error(error))
    }

    /// Executes a statement that returns exactly one row.
    ///
    /// # Errors
    /// As [`Session::query`], and when there is another number of rows.
    pub async fn query_one<T>(&self, statement: &T, parameters: &[&(dyn ToSql + Sync)]) -> Result<Row, Error>
    where
        T: ?Sized + ToStatement,
    {
        self.client.query_one(statement, parameters).await.map_err(|error| self.error(error))
    }

    /// Executes a statement that returns at most one row.
    ///
    /// # Errors
    /// As [`Session::query`], and when there are several rows.
    pub async fn query_opt<T>(&self, statement: &T, parameters: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>, Error>
    where
        T: ?Sized + ToStatement,
    {
        self.client.query_opt(statement, parameters).await.map_err(|error| self.error(error))
    }

    /// Executes a statement in one round trip, without a named prepared statement, so that it works
    /// through a transaction pooler.
    ///
    /// # Errors
    /// As [`Session::query`].
    pub async fn query_typed(&self, sql: &str, parameters: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>, Error> {
        self.client.query_typed(sql, parameters).await.map_err(|error| self.error(error))
    }

    /// Executes a statement and returns the number of rows that it touched.
    ///
    /// # Errors
    /// As [`Session::query`].
    pub async fn execute<T>(&self, statement: &T, parameters: &[&(dyn ToSql + Sync)]) -> Result<u64, Error>
    where
        T: ?Sized + ToStatement,
    {
        self.client.execute(statement, parameters).await.map_err(|error| self.error(error))
    }

    /// Prepares a statement.
    ///
    /// # Errors
    /// As [`Session::query`].
    pub async fn prepare(&self, sql: &str) -> Result<Statement, Error> {
        self.client.prepare(sql).await.map_err(|error| self.error(error))
    }

    /// Executes statements separated by semicolons, and drops their results.
    ///
    /// # Errors
    /// As [`Session::query`]; statements after the one that failed are not executed.
    pub async fn batch_execute(&self, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(sql).await.map_err(|error| self.error(error))
    }

    /// Executes statements separated by semicolons over the simple protocol; returns their rows as
    /// text.
    ///
    /// # Errors
    /// As [`Session::batch_execute`].
    pub async fn simple_query(&self, sql: &str) -> Result<Vec<SimpleQueryRow>, Error> {
        let messages = self.client.simple_query(sql).await.map_err(|error| self.error(error))?;
        let row = |message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        };
        Ok(messages.into_iter().filter_map(row).collect())
    }

    /// Executes statements over the simple protocol, and drops each row as it arrives. A row takes
    /// memory until it is complete, unless [`Session::limit_rows`] drops it. Drops the text once it is
    /// handed to the socket.
    ///
    /// After an error the rest of the answer is read for `rest_max` at most.
    ///
    /// # Errors
    /// As [`Session::batch_execute`].
    pub async fn discard_results(&self, sql: String, rest_max: Duration) -> Result<(), Error> {
        self.drain(sql, rest_max, |_| ()).await
    }

    /// As [`Session::discard_results`], and returns the first value of the first row that passes
    /// [`Session::limit_rows`], if it is a text in UTF-8.
    ///
    /// # Errors
    /// As [`Session::batch_execute`].
    pub async fn first_value(&self, sql: String, rest_max: Duration) -> Result<Option<String>, Error> {
        let mut first = None;
        let on_row = |row: &SimpleQueryRow| {
            let value = || row.try_get(0).ok().flatten().map(str::to_owned);
            first.get_or_insert_with(value);
        };
        self.drain(sql, rest_max, on_row).await.map(|()| first.flatten())
    }

    async fn drain(
        &self,
        sql: String,
        rest_max: Duration,
        mut on_row: impl FnMut(&SimpleQueryRow),
    ) -> Result<(), Error> {
        let stream = self.client.simple_query_raw(&sql).await.map_err(|error| self.error(error))?;
        drop(sql);
        let mut stream = pin!(stream);
        while let Some(message) = stream.next().await {
            match message {
                Ok(SimpleQueryMessage::Row(row)) => on_row(&row),
                Ok(_) => {}
                Err(error) => {
                    let rest = async { while let Some(Ok(_)) = stream.next().await {} };
                    let _ = tokio::time::timeout(rest_max, rest).await;
                    return Err(self.error(error));
                }
            }
        }
        Ok(())
    }

    /// Limits the rows of each query from now on. No statement may be under way, because its rows would
    /// be affected as well.
    pub fn limit_rows(&self, rows: RowLimit) {
        self.control.set_rows(rows);
    }

    /// The error of a call. If the filter ended the session, the driver only knows that the connection
    /// is closed.
    fn error(&self, error: tokio_postgres::Error) -> Error {
        let violation = self.control.violation().filter(|_| error.is_closed());
        violation.map_or_else(|| Error::from(error), Error::from)
    }

    /// The server of this session, among those to which the connection string may lead.
    #[must_use]
    pub const fn reached(&self) -> &Reached {
        &self.reached
    }

    /// The value that asks the server to cancel the running statement.
    #[must_use]
    pub const fn canceler(&self) -> &Canceler {
        &self.canceler
    }

    /// The number of bytes that the operating system has taken from this session.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Whether the session is known to have ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Returns when the session has ended, on either side.
    pub async fn ended(&self) {
        // The driver sends no value. An error means that the driver has ended.
        let _ = self.alive.clone().changed().await;
    }

    /// Drops the connection at once, even while a statement runs. The server detects the closed
    /// connection later.
    pub fn abandon(&self) {
        self.driver.0.abort();
    }

    /// Ends the session, and waits until the socket is closed on this side.
    pub async fn close(self) {
        let Self { client, mut driver, .. } = self;
        drop(client);
        // A driver that ended with an error has closed the socket as well.
        let _ = (&mut driver.0).await;
    }
}

fn drive<S, T>(
    mut connection: tokio_postgres::Connection<S, T>,
    mut on_notice: impl FnMut(Notice) + Send + 'static,
    lives: watch::Sender<()>,
) -> Driver
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    Driver(tokio::spawn(async move {
        // An error ends the loop too. The call that is under way returns the error.
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let Some(notice) = Notice::from_driver(message) {
                on_notice(notice);
            }
        }
        // `ended` returns after the socket is closed.
        drop(connection);
        drop(lives);
    }))
}

impl Notice {
    fn from_driver(message: AsyncMessage) -> Option<Self> {
        match message {
            AsyncMessage::Notice(notice) => {
                Some(Self::Message { severity: notice.severity().to_owned(), text: notice.message().to_owned() })
            }
            AsyncMessage::Notification(sent) => {
                Some(Self::Notification { channel: sent.channel().to_owned(), payload: sent.payload().to_owned() })
            }
            _ => None,
        }
    }
}
