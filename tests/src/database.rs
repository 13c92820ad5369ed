//! A database with pgasync installed, for one test.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;

use pgasync_pg::Row;
use pgasync_pg::Session;
use pgasync_pg::types::ToSql;
use pgasync_store::{SchemaPart, install};

use crate::cluster::Cluster;
use crate::scratch::Scratch;

/// The server database of one test, and a session in it.
///
/// Derefs to [`Scratch`], which drops it.
#[derive(Debug)]
pub struct Database {
    session: Session,
    scratch: Scratch,
}

impl Database {
    /// A database on the shared cluster with all parts installed.
    pub async fn create() -> Self {
        Self::create_on(&Cluster::shared()).await
    }

    /// A database on a cluster with all parts installed.
    pub async fn create_on(cluster: &Cluster) -> Self {
        let administrator = cluster.administrator().await;
        let template = installed_template(cluster, &administrator).await;
        let scratch = Scratch::copy(cluster, &administrator, &template).await;
        Self { session: scratch.connect().await, scratch }
    }

    /// The session that the helpers below use.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Opens a new session for the helpers, after the server was down.
    pub async fn reconnect(&mut self) {
        self.session = self.scratch.connect().await;
    }

    /// Moves to `cluster`, the promoted standby of the former cluster.
    pub async fn move_to(&mut self, cluster: &Cluster) {
        self.scratch.move_to(cluster);
        self.reconnect().await;
    }

    /// Runs statements that must succeed.
    ///
    /// # Panics
    /// When one fails.
    pub async fn run(&self, sql: &str) {
        self.session.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}\n{}", in_words(&error)));
    }

    /// Runs statements of which one must fail. Returns the SQLSTATE and the message.
    ///
    /// # Panics
    /// When all statements succeed.
    pub async fn refused(&self, sql: &str) -> (String, String) {
        let error = self.session.batch_execute(sql).await.expect_err(sql);
        let refusal = error.server().unwrap_or_else(|| panic!("{sql}\nnot refused by the server: {error}"));
        (refusal.sqlstate.to_owned(), refusal.message.to_owned())
    }

    /// The rows of a query that must succeed.
    ///
    /// # Panics
    /// When it fails.
    pub async fn rows(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Vec<Row> {
        self.session.query(sql, parameters).await.unwrap_or_else(|error| panic!("{sql}\n{}", in_words(&error)))
    }

    /// A checksum of the tasks and of the records of leaders, without the sessions of the present
    /// leader. It is constant while no process writes.
    ///
    /// # Panics
    /// When the tables cannot be read.
    pub async fn checksum(&self) -> Option<String> {
        self.text(
            "select md5(concat_ws(' ', l::text,
               (select string_agg(t::text, ' ' order by t.task_id) from async.task t),
               (select string_agg(s::text, ' ' order by s.session_id) from async.session s where s.epoch < l.epoch)))
             from async.leader l",
        )
        .await
    }

    /// The first column of the one row of a query, as text; `None` for a null.
    ///
    /// # Panics
    /// When it fails, or returns another number of rows.
    pub async fn text(&self, sql: &str) -> Option<String> {
        let rows = self.rows(&format!("select q::text from ({sql}) as r(q)"), &[]).await;
        assert_eq!(rows.len(), 1, "{sql}\nshould give one row");
        rows[0].get(0)
    }

    /// The first column of the one row of a query, as a number.
    ///
    /// # Panics
    /// As [`Database::text`], and when the value is not a number.
    pub async fn number(&self, sql: &str) -> i64 {
        let text = self.text(sql).await.unwrap_or_else(|| panic!("{sql}\nis null"));
        text.parse().unwrap_or_else(|_| panic!("{sql}\nis no number: {text}"))
    }
}

impl Deref for Database {
    type Target = Scratch;

    fn deref(&self) -> &Scratch {
        &self.scratch
    }
}

/// The text of a driver's error, with the detail, hint and context of the server.
pub(crate) fn in_words(error: &pgasync_pg::Error) -> String {
    let Some(refusal) = error.server() else { return error.to_string() };
    let more = [refusal.detail, refusal.hint, refusal.context].into_iter().flatten().map(|line| format!("\n{line}"));
    format!("{}: {}{}", refusal.sqlstate, refusal.message, more.collect::<String>())
}

/// The name of a template database with this version installed. The first test that needs the
/// template creates it. Each test is a process, so an advisory lock of the server protects the
/// creation.
async fn installed_template(cluster: &Cluster, administrator: &Session) -> String {
    let mut hasher = DefaultHasher::new();
    pgasync_sql::all().hash(&mut hasher);
    let name = format!("pgasync_template_{:016x}", hasher.finish());

    let exists = format!("select from pg_database where datname = '{name}'");
    if !is_there(administrator, &exists).await {
        administrator.batch_execute("select pg_advisory_lock(7203, 1)").await.expect("the lock is released in the end");
        if !is_there(administrator, &exists).await {
            build_template(cluster, administrator, &name).await;
        }
        administrator.batch_execute("select pg_advisory_unlock(7203, 1)").await.expect("the lock is held");
    }
    name
}

async fn is_there(session: &Session, sql: &str) -> bool {
    session.query_opt(sql, &[]).await.expect("the catalog is readable").is_some()
}

/// Creates the template under another name, and renames it when it is complete.
async fn build_template(cluster: &Cluster, administrator: &Session, name: &str) {
    let building = format!("{name}_new");
    for sql in [format!("drop database if exists {building}"), format!("create database {building} template template0")]
    {
        administrator.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{sql}\n{}", in_words(&error)));
    }
    let session = cluster.settings(&building).connect().await.unwrap_or_else(|error| panic!("{error}"));
    // The default from 15 on. Without it the tests' triggers would not find their tables by bare names.
    let closed = session.batch_execute("revoke create on schema public from public").await;
    closed.unwrap_or_else(|error| panic!("{}", in_words(&error)));
    install(&session, SchemaPart::All).await.unwrap_or_else(|error| panic!("{error}"));
    session.close().await;
    let rename = format!("alter database {building} rename to {name}");
    for _ in 0..50 {
        // The backend of the session may exist for a moment after its end.
        if administrator.batch_execute(&rename).await.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("cannot rename {building}");
}
