//! A database that goes when its test ends.

use std::env;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use pgasync_pg::{ConnectionSettings, Session};

use crate::cluster::Cluster;

/// A new database, empty or a copy of another; dropped, with every session in it, when this is, unless its cluster goes
/// as a whole.
///
/// With `PGASYNC_KEEP` in the environment it stays, to be looked at (under `./dev pg`, whose cluster stays as long).
#[derive(Debug)]
pub struct Scratch {
    cluster: Cluster,
    name: String,
}

impl Scratch {
    /// An empty database.
    pub async fn empty(cluster: &Cluster) -> Self {
        Self::copy(cluster, "template0").await
    }

    pub(crate) async fn copy(cluster: &Cluster, template: &str) -> Self {
        let name = unique_name();
        cluster
            .administrator()
            .await
            .batch_execute(&format!("create database {name} template {template}"))
            .await
            .unwrap_or_else(|error| panic!("cannot create {name}: {error:?}"));
        Self { cluster: cluster.clone(), name }
    }

    /// From now on it is on the cluster that has taken the place of its own.
    pub(crate) fn move_to(&mut self, cluster: &Cluster) {
        self.cluster = cluster.clone();
    }

    /// The cluster that it is on.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How to reach it as the superuser.
    #[must_use]
    pub fn settings(&self) -> ConnectionSettings {
        self.cluster.settings(&self.name)
    }

    /// The same as a connection string.
    #[must_use]
    pub fn conninfo(&self) -> String {
        self.cluster.conninfo(&self.name)
    }

    /// Another session in it.
    ///
    /// # Panics
    /// When there is no reaching it.
    pub async fn connect(&self) -> Session {
        self.settings().connect().await.unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if env::var_os("PGASYNC_KEEP").is_some() {
            eprintln!("kept: {}", self.conninfo());
            return;
        }
        if self.cluster.passing {
            return;
        }
        let (cluster, name) = (self.cluster.clone(), self.name.clone());
        // A thread, since a drop cannot wait inside the runtime of the test.
        let dropped = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(drop_database(&cluster, &name));
        });
        let _ = dropped.join();
    }
}

/// Without `drop database ... with (force)`, which 11 and 12 lack.
async fn drop_database(cluster: &Cluster, name: &str) {
    let Ok(session) = cluster.settings("postgres").connect().await else { return };
    let refuse = format!("alter database {name} allow_connections false");
    let _ = session.batch_execute(&refuse).await;
    for _ in 0..50 {
        let end = format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'");
        let _ = session.batch_execute(&end).await;
        // It waits five seconds for sessions on their way out.
        if session.batch_execute(&format!("drop database if exists {name}")).await.is_ok() {
            return;
        }
    }
}

/// The test's own name is in it (nextest and cargo name the thread so), for whoever reads the server's log.
fn unique_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let test = thread::current().name().unwrap_or_default().to_owned();
    let words: String =
        test.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    let tail = &words[words.len().saturating_sub(35)..];
    format!("t{}_{}_{tail}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
