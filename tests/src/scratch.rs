//! A database that is dropped at the end of its test.

use std::env;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use pgasync_pg::{ConnectionSettings, Session};

use crate::cluster::Cluster;

/// A new database, empty or a copy of another. Dropping this value ends its sessions and drops the
/// database, unless its cluster is removed as a whole.
///
/// With `PGASYNC_KEEP` in the environment the database stays for inspection (under `./dev pg`, as
/// long as its cluster).
#[derive(Debug)]
pub struct Scratch {
    cluster: Cluster,
    name: String,
}

impl Scratch {
    /// An empty database.
    pub async fn empty(cluster: &Cluster) -> Self {
        Self::copy(cluster, &cluster.administrator().await, "template0").await
    }

    /// An empty database in another encoding than UTF-8.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn encoded(cluster: &Cluster, encoding: &str) -> Self {
        let settings = format!("template0 encoding '{encoding}' lc_collate 'C' lc_ctype 'C'");
        Self::copy(cluster, &cluster.administrator().await, &settings).await
    }

    pub(crate) async fn copy(cluster: &Cluster, administrator: &Session, template: &str) -> Self {
        let name = unique_name();
        administrator
            .batch_execute(&format!("create database {name} template {template}"))
            .await
            .unwrap_or_else(|error| panic!("cannot create {name}: {error:?}"));
        Self { cluster: cluster.clone(), name }
    }

    /// Notes that `cluster` has replaced the cluster of the database.
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

    /// The settings of a session of the superuser in it.
    #[must_use]
    pub fn settings(&self) -> ConnectionSettings {
        self.cluster.settings(&self.name)
    }

    /// The connection string of the superuser.
    #[must_use]
    pub fn conninfo(&self) -> String {
        self.cluster.conninfo(&self.name)
    }

    /// Another session in it.
    ///
    /// # Panics
    /// When the database cannot be reached.
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
        // `drop` cannot wait inside the runtime of the test, so a thread with another runtime
        // waits.
        let dropped = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(drop_database(&cluster, &name));
        });
        let _ = dropped.join();
    }
}

/// Drops a database without `drop database ... with (force)`, which Postgres 11 and 12 do not have.
async fn drop_database(cluster: &Cluster, name: &str) {
    let Ok(session) = cluster.settings("postgres").connect().await else { return };
    let refuse = format!("alter database {name} allow_connections false");
    let _ = session.batch_execute(&refuse).await;
    for _ in 0..50 {
        let end = format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'");
        let _ = session.batch_execute(&end).await;
        // The statement waits up to five seconds for sessions that are ending.
        if session.batch_execute(&format!("drop database if exists {name}")).await.is_ok() {
            return;
        }
    }
}

/// A unique name for a database. It contains the name of the test (which nextest and cargo give to
/// the thread), for readers of the server's log.
fn unique_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let test = thread::current().name().unwrap_or_default().to_owned();
    let words: String =
        test.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    let tail = &words[words.len().saturating_sub(35)..];
    format!("t{}_{}_{tail}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
