//! Links to a target that a test can close, freeze and open again, all on loopback.

use std::net::SocketAddr;
use std::time::Duration;

use pgasync_tests::Scratch;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The state of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LinkState {
    Open,
    /// The kernel accepts connections, and no data passes.
    Frozen,
    /// New connections are refused, and the old ones are closed.
    Closed,
}

/// A port on loopback in front of a database.
pub(crate) struct Link {
    port: u16,
    database: String,
    state: watch::Sender<LinkState>,
    serving: JoinHandle<()>,
}

impl Link {
    /// Opens a link to a database.
    pub(crate) async fn to(scratch: &Scratch) -> Self {
        let settings = scratch.conninfo();
        let value = |key: &str| {
            let word = settings.split(' ').find_map(|word| word.strip_prefix(key)).expect("the harness names it");
            word.trim_start_matches('=').to_owned()
        };
        let server =
            SocketAddr::new(value("host").parse().expect("an address"), value("port").parse().expect("a port"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (state, watched) = watch::channel(LinkState::Open);
        let serving = tokio::spawn(serve(listener, port, server, watched));
        Self { port, database: scratch.name().to_owned(), state, serving }
    }

    /// The connection string of the database over the link.
    pub(crate) fn conninfo(&self) -> String {
        format!("host=127.0.0.1 port={} dbname={} user=postgres sslmode=disable", self.port, self.database)
    }

    pub(crate) fn open(&self) {
        self.state.send_replace(LinkState::Open);
    }

    pub(crate) fn freeze(&self) {
        self.state.send_replace(LinkState::Frozen);
    }

    /// Closes the link, and returns when it refuses connections.
    pub(crate) async fn close(&self) {
        self.state.send_replace(LinkState::Closed);
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, port: u16, server: SocketAddr, mut state: watch::Receiver<LinkState>) {
    let mut listener = Some(listener);
    loop {
        let now = *state.borrow_and_update();
        match (now, &listener) {
            (LinkState::Closed, _) => listener = None,
            (LinkState::Open, None) => {
                listener = Some(listen(port, 64));
                continue;
            }
            (LinkState::Open, Some(open)) => {
                tokio::select! {
                    taken = open.accept() => {
                        let (client, _) = taken.expect("loopback takes connections");
                        tokio::spawn(carry(client, server, state.clone()));
                    }
                    changed = state.changed() => if changed.is_err() { return },
                }
                continue;
            }
            (LinkState::Frozen, _) => {}
        }
        if *state.borrow() == now && state.changed().await.is_err() {
            return;
        }
    }
}

async fn carry(client: TcpStream, server: SocketAddr, state: watch::Receiver<LinkState>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::join!(pump(from_client, to_server, state.clone()), pump(from_server, to_client, state));
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut state: watch::Receiver<LinkState>,
) {
    let mut buffer = vec![0; 16384];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or(0),
            closed = state.wait_for(|state| *state == LinkState::Closed) => { drop(closed); 0 }
        };
        // Data that was read is kept while the link is frozen.
        let closed =
            state.wait_for(|state| *state != LinkState::Frozen).await.map_or(true, |state| *state == LinkState::Closed);
        if read == 0 || closed || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

fn listen(port: u16, backlog: u32) -> TcpListener {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option");
    socket.bind(SocketAddr::from(([127, 0, 0, 1], port))).expect("the port is ours");
    socket.listen(backlog).expect("it listens")
}

/// An address on loopback that never answers.
pub(super) struct BlackHole {
    port: u16,
    _listener: TcpListener,
    _filling: Vec<TcpStream>,
}

impl BlackHole {
    /// The kernel accepts connections, and no data is sent.
    pub(super) fn silent() -> Self {
        let listener = listen(0, 1024);
        Self { port: listener.local_addr().expect("it is bound").port(), _listener: listener, _filling: Vec::new() }
    }

    /// The accept queue is full, so packets are dropped.
    pub(super) async fn full() -> Self {
        let listener = listen(0, 1);
        let address = listener.local_addr().expect("it is bound");
        let mut filling = Vec::new();
        while let Ok(Ok(stream)) = timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
            filling.push(stream);
            assert!(filling.len() < 1000, "the queue does not fill");
        }
        Self { port: address.port(), _listener: listener, _filling: filling }
    }

    pub(super) fn conninfo(&self) -> String {
        format!("host=127.0.0.1 port={} dbname=nowhere user=postgres sslmode=disable", self.port)
    }
}

/// A port on loopback without a listener.
pub(super) fn refused_conninfo() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    format!("host=127.0.0.1 port={port} dbname=nowhere user=postgres password=secret sslmode=disable")
}
