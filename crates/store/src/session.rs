//! One session with a server.

use std::future::poll_fn;
use std::ops::Deref;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Client, NoTls};

use crate::settings::Settings;
use crate::tls::TlsMode;

/// An open session; it ends when this is dropped.
///
/// Derefs to the driver's client.
#[derive(Debug)]
pub struct Session {
    client: Client,
    driver: JoinHandle<()>,
    /// Closed when the session has ended.
    alive: watch::Receiver<()>,
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

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The server refused, or could not be reached.
    #[error("cannot connect to {server}: {reason}")]
    Refused {
        /// The server in words, without a password.
        server: String,
        /// What the server, or the network, said.
        reason: String,
    },
    /// TLS could not be set up on this side.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}

impl Settings {
    /// Opens a session; what the server says on the side is dropped.
    ///
    /// # Errors
    /// When the server cannot be reached, or refuses.
    pub async fn connect(&self) -> Result<Session, ConnectError> {
        self.connect_with(|_| ()).await
    }

    /// Opens a session; `on_notice` hears what the server says on the side, in order.
    ///
    /// # Errors
    /// When the server cannot be reached, or refuses.
    pub async fn connect_with(&self, on_notice: impl FnMut(Notice) + Send + 'static) -> Result<Session, ConnectError> {
        let refused = |error: tokio_postgres::Error| ConnectError::Refused {
            server: self.describe(),
            reason: std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string),
        };
        let connecting = async {
            if let TlsMode::Disable = self.tls {
                let (client, connection) = self.config.connect(NoTls).await.map_err(refused)?;
                return Ok(Session::new(client, connection, on_notice));
            }
            let connector = self.tls.connector().map_err(|error| ConnectError::Tls(error.to_string()))?;
            let (client, connection) = self.config.connect(connector).await.map_err(refused)?;
            Ok(Session::new(client, connection, on_notice))
        };
        // The driver's own timeout ends with the TCP connection; a server that is silent after it counts, too.
        match self.connect_time() {
            None => connecting.await,
            Some(time) => tokio::time::timeout(time, connecting).await.unwrap_or_else(|_| {
                let reason = format!("the connection was not made within {} seconds", time.as_secs_f64());
                Err(ConnectError::Refused { server: self.describe(), reason })
            }),
        }
    }
}

impl Session {
    fn new<S, T>(
        client: Client,
        connection: tokio_postgres::Connection<S, T>,
        on_notice: impl FnMut(Notice) + Send + 'static,
    ) -> Self
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
        T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (lives, alive) = watch::channel(());
        Self { client, driver: drive(connection, on_notice, lives), alive }
    }

    /// Returns when the session has ended, whoever ended it.
    pub async fn ended(&self) {
        // An error says that the driver has let go of its end; nothing is ever sent.
        let _ = self.alive.clone().changed().await;
    }

    /// Drops the connection at once, whatever it is doing; the server finds out by itself.
    pub fn abandon(self) {
        self.driver.abort();
    }

    /// Ends the session and waits until the socket is closed on this side.
    pub async fn close(self) {
        drop(self.client);
        // A driver that ended with an error has closed the socket as well.
        let _ = self.driver.await;
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
) -> JoinHandle<()>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        // An error ends the loop too: whoever uses the client learns of it from the call that is open.
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let Some(notice) = Notice::from_driver(message) {
                on_notice(notice);
            }
        }
        drop(connection);
        drop(lives);
    })
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
