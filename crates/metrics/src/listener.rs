//! The socket, and the limits on clients.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use pgasync_runner::Monitor;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use crate::pages::pages;

/// Connections at once. Further ones wait in the queue of the kernel.
const CONNECTIONS_MAX: usize = 64;

/// A request must have arrived by then.
const REQUEST_MAX: Duration = Duration::from_secs(3);

/// From the connection to the last byte of the answer.
const CONNECTION_MAX: Duration = Duration::from_secs(10);

/// The largest head of a request, in bytes. Its lines count with their line ends.
const REQUEST_BYTES_MAX: usize = 8_192;

const HEADERS_MAX: usize = 64;

/// After a failed accept: the process may have too many open files.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Why no listener was started.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is no address, is in use, or is not one of this host.
    #[error("--listen {address}: {reason}")]
    Bind {
        /// The address as it was given.
        address: String,
        /// The reason of the operating system.
        reason: std::io::Error,
    },
    /// The thread or its runtime could not be started.
    #[error("the thread of the HTTP listener: {0}")]
    Thread(#[from] std::io::Error),
}

impl ListenError {
    /// Whether another socket has the address.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::Bind { reason, .. } if reason.kind() == std::io::ErrorKind::AddrInUse)
    }
}

/// A socket that listens, and does not answer yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

/// The thread that answers. It ends when this is dropped.
#[derive(Debug)]
pub struct Serving {
    _stop: oneshot::Sender<()>,
}

impl Listener {
    /// Listens at `host:port`. The port 0 stands for any free one.
    ///
    /// # Errors
    /// When the address is wrong or taken.
    pub fn bind(address: &str) -> Result<Self, ListenError> {
        let failed = |reason| ListenError::Bind { address: address.to_owned(), reason };
        let socket = TcpListener::bind(address).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address })
    }

    /// The address, with the port that was chosen.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers with the figures of this monitor, in a thread of its own.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn serve(self, monitor: Monitor, version: &'static str) -> Result<Serving, ListenError> {
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        thread::Builder::new().name("pgasync metrics".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(self.socket, monitor, version) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        })?;
        Ok(Serving { _stop: stop })
    }
}

async fn accept(socket: TcpListener, monitor: Monitor, version: &'static str) {
    let listener = match tokio::net::TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the HTTP listener has no socket"),
    };
    let router = pages(monitor, version);
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let router = router.clone();
                tokio::spawn(async move {
                    let _permit = permit;
                    answer(stream, router).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the HTTP listener cannot accept a connection");
                sleep(ACCEPT_AGAIN_AFTER).await;
            }
        }
    }
}

/// Answers one request. A client that is slow in either direction is cut off.
async fn answer(stream: TcpStream, router: axum::Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_MAX)
        .max_buf_size(REQUEST_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match timeout(CONNECTION_MAX, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "an HTTP client was cut off"),
        Err(_) => tracing::debug!("an HTTP client was cut off: it took too long"),
    }
}
