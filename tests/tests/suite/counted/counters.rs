//! What a cluster has counted in the databases of a server and a target.

use std::time::Duration;

use pgasync_pg::Session;
use pgasync_tests::{Cluster, Database, PATIENCE, Target};
use tokio::time::{Instant, sleep};

/// Settings of a cluster that counts. The only work beside that of the engine is a checkpoint.
pub(super) const SETTINGS: [&str; 8] = [
    "shared_preload_libraries=pg_stat_statements",
    "pg_stat_statements.track=all",
    "pg_stat_statements.max=20000",
    "autovacuum=off",
    "full_page_writes=off",
    "fsync=off",
    "checkpoint_timeout=1h",
    "max_connections=100",
];

const ROWS_READ: &str = "(select sum(seq_tup_read) from pg_stat_user_tables where schemaname = 'async')
    + (select sum(idx_tup_read) from pg_stat_user_indexes where schemaname = 'async')";

/// Numbers that only grow, or their growth for a task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    /// Statements at the server, those inside of functions included.
    pub(super) statements: f64,
    /// Statements at the target.
    pub(super) target_statements: f64,
    /// Committed transactions at the server, also those without a transaction id.
    pub(super) commits: f64,
    /// Transaction ids of the cluster.
    pub(super) transaction_ids: f64,
    /// Bytes of WAL of the cluster.
    pub(super) wal_bytes: f64,
    /// Rows of `async.task` that were inserted, updated or deleted.
    pub(super) task_versions: f64,
    /// Rows of all permanent tables that were inserted, updated or deleted.
    pub(super) versions: f64,
    /// Shared buffers that were read at the server, from memory or not.
    pub(super) buffers: f64,
    /// Rows and index entries of all permanent tables that scans have returned.
    pub(super) rows_read: f64,
}

impl Work {
    /// Waits until both databases are without sessions, so that each session has reported what it
    /// did, and reads the counters.
    pub(super) async fn read(cluster: &Cluster, server: &Database, target: &Target) -> Self {
        let administrator = cluster.administrator().await;
        end_sessions(&administrator, &[server.name(), target.name()]).await;
        // This session reports what it reads after the numbers of this call.
        let session = server.connect().await;
        let work = Self {
            statements: statements(&administrator, server.name()).await,
            target_statements: statements(&administrator, target.name()).await,
            commits: of_database(&administrator, "xact_commit", server.name()).await,
            transaction_ids: number(&administrator, "txid_snapshot_xmax(txid_current_snapshot())").await,
            wal_bytes: number(&administrator, "pg_current_wal_insert_lsn() - '0/0'").await,
            task_versions: versions(&session, "relid = 'async.task'::regclass").await,
            versions: versions(&session, "schemaname = 'async'").await,
            buffers: of_database(&administrator, "blks_hit + blks_read", server.name()).await,
            rows_read: number(&session, ROWS_READ).await,
        };
        session.close().await;
        administrator.close().await;
        work
    }

    /// The growth since `before`, divided by a number of tasks.
    pub(super) fn per_task_since(self, before: Self, tasks: i32) -> Self {
        let per_task = |now: f64, before: f64| (now - before) / f64::from(tasks);
        Self {
            statements: per_task(self.statements, before.statements),
            target_statements: per_task(self.target_statements, before.target_statements),
            commits: per_task(self.commits, before.commits),
            transaction_ids: per_task(self.transaction_ids, before.transaction_ids),
            wal_bytes: per_task(self.wal_bytes, before.wal_bytes),
            task_versions: per_task(self.task_versions, before.task_versions),
            versions: per_task(self.versions, before.versions),
            buffers: per_task(self.buffers, before.buffers),
            rows_read: per_task(self.rows_read, before.rows_read),
        }
    }

    /// The numbers with their names, for messages.
    pub(super) fn named(self) -> [(&'static str, f64); 9] {
        [
            ("statements at the server", self.statements),
            ("statements at the target", self.target_statements),
            ("commits", self.commits),
            ("transaction ids", self.transaction_ids),
            ("bytes of WAL", self.wal_bytes),
            ("versions of async.task", self.task_versions),
            ("row versions", self.versions),
            ("buffers", self.buffers),
            ("rows read", self.rows_read),
        ]
    }
}

async fn statements(administrator: &Session, database: &str) -> f64 {
    let of = format!("(select oid from pg_database where datname = '{database}')");
    number(administrator, &format!("(select sum(calls) from pg_stat_statements where dbid = {of})")).await
}

async fn of_database(administrator: &Session, columns: &str, name: &str) -> f64 {
    number(administrator, &format!("(select {columns} from pg_stat_database where datname = '{name}')")).await
}

async fn versions(session: &Session, condition: &str) -> f64 {
    let sum = "sum(n_tup_ins + n_tup_upd + n_tup_del)";
    number(session, &format!("(select {sum} from pg_stat_user_tables where {condition})")).await
}

/// The value of an expression; 0 for a null.
async fn number(session: &Session, expression: &str) -> f64 {
    let sql = format!("select coalesce({expression}, 0)::float8");
    session.query_one(&sql, &[]).await.unwrap_or_else(|error| panic!("{sql}\n{error:?}")).get(0)
}

/// Ends the sessions of the harness, and waits until those of the engine are gone as well.
async fn end_sessions(administrator: &Session, databases: &[&str]) {
    let sql = "select count(pg_terminate_backend(pid)) from pg_stat_activity
        where datname = any($1) and application_name not like 'pgasync/%'";
    let left = "select not exists (select from pg_stat_activity where datname = any($1))";
    let begin = Instant::now();
    loop {
        for asked in [sql, left] {
            let row = administrator.query_one(asked, &[&databases]).await.expect("pg_stat_activity is readable");
            if asked == left && row.get(0) {
                return;
            }
        }
        assert!(begin.elapsed() < PATIENCE, "sessions stay in {databases:?}");
        sleep(Duration::from_millis(20)).await;
    }
}
