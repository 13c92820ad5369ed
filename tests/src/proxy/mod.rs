//! A proxy between a client and a Postgres cluster. It reads the frames of the protocol, and loses,
//! delays or withholds the messages that a test names.

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
pub use script::{Condition, Cut, Fault, Name};

/// Relays connections to a cluster. Dropping this value closes them.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    script: Arc<Script>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy for the cluster. `name` gives the kinds of messages their names.
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

    /// The connection string of the superuser for a database, through the proxy.
    #[must_use]
    pub fn conninfo(&self, database: &str) -> String {
        format!("host=127.0.0.1 port={} dbname={database} user=postgres sslmode=disable", self.port)
    }

    /// Plans cuts in this order. The messages for a cut are counted after the cut before it has
    /// happened.
    pub fn plan(&self, cuts: Vec<Cut>) {
        self.script.plan(cuts);
    }

    /// Delays the end of each answer (ReadyForQuery), so that it arrives in a separate packet.
    pub fn delay_ends(&self, by: Duration) {
        self.script.end_delay.send_replace(by);
    }

    /// Changes the condition of the network for all connections, also for those that are open.
    pub fn set_condition(&self, condition: Condition) {
        self.script.condition.send_replace(condition);
    }

    /// Closes both sides of all connections.
    pub fn disconnect(&self) {
        self.script.generation.send_modify(|generation| *generation += 1);
    }

    /// Delivers the messages that [`Fault::Hold`] keeps.
    pub fn release(&self) {
        self.script.released.send_replace(true);
    }

    /// Waits until `count` cuts have happened. Returns whether they happened within `patience`.
    pub async fn wait_until_fired(&self, count: usize, patience: Duration) -> bool {
        let mut fired = self.script.fired.subscribe();
        matches!(timeout(patience, fired.wait_for(|fired| *fired >= count)).await, Ok(Ok(_)))
    }

    /// The number of messages of each kind that were sent.
    #[must_use]
    pub fn seen(&self) -> BTreeMap<String, u32> {
        self.script.seen()
    }

    /// The times of the cuts that happened.
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
        if *script.condition.borrow() == Condition::Refusing {
            continue;
        }
        connections.spawn(async move {
            let mut generation = script.generation.subscribe();
            generation.mark_unchanged();
            let serve = async {
                script.pass_on().await;
                // The end of one side ends the other side too.
                if let Ok(server) = TcpStream::connect((server.0.as_str(), server.1)).await {
                    let _ = relay::relay(client, server, Arc::clone(&script)).await;
                }
            };
            tokio::select! {
                () = serve => {}
                _ = generation.changed() => {}
            }
        });
        while connections.try_join_next().is_some() {}
    }
}
