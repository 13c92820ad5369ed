//! One session with a server.

use std::future::poll_fn;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Client};

use crate::connect::Canceler;
use crate::settings::Reached;

/// An open session; it ends when this is dropped, whatever it is doing.
///
/// Derefs to the driver's client.
#[derive(Debug)]
pub struct Session {
    client: Client,
    driver: Driver,
    reached: Reached,
    canceler: Canceler,
    written: Arc<AtomicU64>,
    /// Closed when the session has ended.
    alive: watch::Receiver<()>,
}

/// What moves the bytes. It ends with this: left to itself it would wait for answers that are outstanding.
#[derive(Debug)]
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Something the server said outside of a result: a notice, a warning, or a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// `RAISE NOTICE`, `WARNING` and their like.
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
        client: Client,
        connection: tokio_postgres::Connection<S, T>,
        on_notice: impl FnMut(Notice) + Send + 'static,
    ) -> Self
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
        T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (lives, alive) = watch::channel(());
        Self { client, driver: drive(connection, on_notice, lives), reached, canceler, written, alive }
    }

    /// Which server it is with, of those that the connection string may mean.
    #[must_use]
    pub const fn reached(&self) -> &Reached {
        &self.reached
    }

    /// Asks its server to cancel what it runs.
    #[must_use]
    pub const fn canceler(&self) -> &Canceler {
        &self.canceler
    }

    /// How many bytes of what was sent have left this process.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Returns when the session has ended, whoever ended it.
    pub async fn ended(&self) {
        // An error says that the driver has let go of its end; nothing is ever sent.
        let _ = self.alive.clone().changed().await;
    }

    /// Drops the connection at once, whatever it is doing; the server finds out by itself.
    pub fn abandon(&self) {
        self.driver.0.abort();
    }

    /// Ends the session and waits until the socket is closed on this side.
    pub async fn close(self) {
        let Self { client, mut driver, .. } = self;
        drop(client);
        // A driver that ended with an error has closed the socket as well.
        let _ = (&mut driver.0).await;
    }
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
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
        // An error ends the loop too: whoever uses the client learns of it from the call that is open.
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let Some(notice) = Notice::from_driver(message) {
                on_notice(notice);
            }
        }
        drop(connection);
        drop(lives);
    }))
}

impl Notice {
    fn from_driver(message: AsyncMessage) -> Option<Self> {
        match message {
            AsyncMessage::Notice(said) => {
                Some(Self::Message { severity: said.severity().to_owned(), text: said.message().to_owned() })
            }
            AsyncMessage::Notification(sent) => {
                Some(Self::Notification { channel: sent.channel().to_owned(), payload: sent.payload().to_owned() })
            }
            _ => None,
        }
    }
}
