//! A proxy between a client and a Postgres cluster that knows the frames of the protocol, and
//! loses, delays or swallows those that a test names.

mod frames;
mod relay;
mod script;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::cluster::Cluster;
pub use frames::Sent;
use script::Script;
pub use script::{Cut, Fault, Name};

/// Passes connections on to a cluster until it is dropped; then it closes them.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    script: Arc<Script>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// One that names the messages with `name`.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn before(cluster: &Cluster, name: Name) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let port = listener.local_addr().expect("a listener has an address").port();
        let script = Arc::new(Script::new(name));
        let server = (cluster.host.clone(), cluster.port);
        let accepting = tokio::spawn(accept(listener, server, Arc::clone(&script)));
        Self { port, script, accepting }
    }

    /// How to reach a database through it, as the superuser.
    #[must_use]
    pub fn conninfo(&self, database: &str) -> String {
        format!("host=127.0.0.1 port={} dbname={database} user=postgres sslmode=disable", self.port)
    }

    /// What is going to happen, in this order: a cut is looked for when the one before it has
    /// happened.
    pub fn plan(&self, cuts: Vec<Cut>) {
        self.script.plan(cuts);
    }

    /// Delays the end of each answer (ReadyForQuery) by this much, so that it comes in a packet of its
    /// own.
    pub fn delay_ends(&self, by: Duration) {
        self.script.end_delay.send_replace(by);
    }

    /// Lets messages go on that [`Fault::Hold`] keeps.
    pub fn release(&self) {
        self.script.released.send_replace(true);
    }

    /// Waits until so many cuts have happened; whether they have in time.
    pub async fn wait_until_fired(&self, count: usize, patience: Duration) -> bool {
        let mut fired = self.script.fired.subscribe();
        matches!(timeout(patience, fired.wait_for(|fired| *fired >= count)).await, Ok(Ok(_)))
    }

    /// The messages that were sent: how many of each kind.
    #[must_use]
    pub fn seen(&self) -> BTreeMap<String, u32> {
        self.script.seen()
    }

    /// When cuts happened.
    #[must_use]
    pub fn fired(&self) -> Vec<SystemTime> {
        self.script.fired()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: (String, u16), script: Arc<Script>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (server, script) = (server.clone(), Arc::clone(&script));
        connections.spawn(async move {
            // An end of either side is an end of both.
            if let Ok(server) = TcpStream::connect((server.0.as_str(), server.1)).await {
                let _ = relay::relay(client, server, script).await;
            }
        });
        while connections.try_join_next().is_some() {}
    }
}
