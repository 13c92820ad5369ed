//! A target database with a ledger.

use pgasync_pg::Session;

use crate::cluster::Cluster;
use crate::database::Database;
use crate::scratch::Scratch;

/// A database to run tasks on. Tasks record their runs in its table `ledger`: `(mark, pid, at)`.
///
/// Derefs to [`Scratch`], which drops it.
#[derive(Debug)]
pub struct Target {
    session: Session,
    scratch: Scratch,
}

impl Target {
    /// A target database on the cluster.
    ///
    /// # Panics
    /// When it cannot be created.
    pub async fn create_on(cluster: &Cluster) -> Self {
        let scratch = Scratch::empty(cluster).await;
        let session = scratch.connect().await;
        session
            .batch_execute(
                "create table ledger (
                    mark text not null,
                    pid int not null default pg_backend_pid(),
                    at timestamptz not null default clock_timestamp())",
            )
            .await
            .expect("an empty database takes a table");
        Self { session, scratch }
    }

    /// A session in it.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Opens a new session, after the server was down.
    pub async fn reconnect(&mut self) {
        self.session = self.scratch.connect().await;
    }

    /// The number of entries with this mark.
    ///
    /// # Panics
    /// When the ledger cannot be read.
    pub async fn marks(&self, mark: &str) -> i64 {
        let sql = "select count(*) from ledger where mark = $1";
        self.session.query_one(sql, &[&mark]).await.expect("the ledger is readable").get(0)
    }

    /// Marks that were written more than once.
    ///
    /// # Panics
    /// When the ledger cannot be read.
    pub async fn repeated_marks(&self) -> Vec<String> {
        let sql = "select mark from ledger group by mark having count(*) > 1 order by mark";
        let rows = self.session.query(sql, &[]).await.expect("the ledger is readable");
        rows.iter().map(|row| row.get(0)).collect()
    }
}

impl std::ops::Deref for Target {
    type Target = Scratch;

    fn deref(&self) -> &Scratch {
        &self.scratch
    }
}

impl Database {
    /// Configures exactly these targets, each with the size of its pool.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn configure_targets(&self, targets: &[(&str, &Target, u32)]) {
        let targets: Vec<_> = targets
            .iter()
            .map(|(name, target, max_workers)| {
                serde_json::json!({
                    "target": name, "connection_string": target.conninfo(), "max_workers": max_workers })
            })
            .collect();
        self.configure(&serde_json::json!({ "targets": targets })).await;
    }

    /// Calls `async.configure` with a document.
    ///
    /// # Panics
    /// When the server refuses it.
    pub async fn configure(&self, document: &serde_json::Value) {
        self.rows("select async.configure($1)", &[document]).await;
    }
}
