//! The fixture of the conformance tests: a server, a target named `there`, and an engine.

use std::ops::Deref;
use std::time::Duration;

use pgasync_pg::Notice;
use pgasync_pg::types::ToSql;
use pgasync_tests::{Database, Engine, Target};
use serde_json::{Value, json};

/// A slow query. All steps of an orchestrator take much less time.
pub(crate) const SLOW: &str = "select pg_sleep(25)";

/// A timeout that is well below [`SLOW`], and well above the needs of a loaded machine.
pub(crate) const SOON: Duration = Duration::from_secs(12);

/// A server database, a target database that is configured as `there` with a pool of four, and an
/// engine.
///
/// Derefs to the server's [`Database`].
pub(crate) struct Fixture<E> {
    pub(crate) database: Database,
    pub(crate) target: Target,
    pub(crate) engine: E,
}

/// The end of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) status: String,
    pub(crate) failed: Option<bool>,
    pub(crate) error: Option<String>,
}

impl End {
    /// Asserts the status. Returns the error.
    #[track_caller]
    pub(crate) fn is(self, status: &str) -> Option<String> {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.failed, Some(status != "FINISHED"), "{self:?}");
        self.error
    }

    /// Asserts that it finished successfully without a message.
    #[track_caller]
    pub(crate) fn succeeded(self) {
        assert_eq!(self.is("FINISHED"), None);
    }
}

impl<E: Engine> Fixture<E> {
    /// A fixture whose engine is not started.
    pub(crate) async fn prepared() -> Self {
        let database = Database::create().await;
        let target = Target::create_on(database.cluster()).await;
        database
            .configure(&json!({
                "control": { "workers": 6, "idle_sleep": 0.1 },
                "targets": [{ "target": "there", "connection_string": target.conninfo(), "max_workers": 4 }],
            }))
            .await;
        let engine = E::attach(&database);
        Self { database, target, engine }
    }

    /// A fixture whose engine leads.
    pub(crate) async fn led() -> Self {
        let mut fixture = Self::prepared().await;
        fixture.engine.lead().await;
        fixture
    }

    /// The target `there` as an element of `targets` for `configure`, with additional settings.
    pub(crate) fn there(&self, settings: &Value) -> Value {
        let mut target = json!({ "target": "there", "connection_string": self.target.conninfo(), "max_workers": 4 });
        let (Some(target_keys), Some(given)) = (target.as_object_mut(), settings.as_object()) else {
            panic!("settings are an object")
        };
        target_keys.extend(given.clone());
        target
    }

    /// Pushes a query to `there`.
    pub(crate) async fn push(&self, query: &str) -> i64 {
        self.id("select async.push_task(async.task($1, 'there'))", &[&query]).await
    }

    /// Pushes a task given as arguments of `async.task`.
    pub(crate) async fn push_as(&self, arguments: &str) -> i64 {
        self.id(&format!("select async.push_task(async.task({arguments}))"), &[]).await
    }

    /// The number that a query returns.
    pub(crate) async fn id(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> i64 {
        self.rows(sql, parameters).await[0].get(0)
    }

    /// Waits until a task is READY, RUNNING, YIELDED or FINISHED.
    pub(crate) async fn wait_until(&self, id: i64, state: &str) {
        let sql = format!("select async.task_execution_state(t) = '{state}' from async.task as t where task_id = {id}");
        self.wait_for(&sql).await;
    }

    /// Waits until the query of a task runs at the target: until `pg_stat_activity` shows its text
    /// as active.
    pub(crate) async fn wait_until_it_runs(&self, id: i64) {
        self.wait_until(id, "RUNNING").await;
        let sql = format!(
            "select exists (select from pg_stat_activity where datname = '{}' and state = 'active'
             and backend_type = 'client backend' and pid <> pg_backend_pid() and application_name like 'pgasync/%')",
            self.target.name(),
        );
        self.wait_for(&sql).await;
    }

    /// Waits for the end of a task.
    pub(crate) async fn end_of(&self, id: i64) -> End {
        self.end_within(id, pgasync_tests::PATIENCE).await
    }

    /// Waits for the end of a task, with another timeout.
    pub(crate) async fn end_within(&self, id: i64, patience: Duration) -> End {
        let sql = format!("select processed is not null from async.task where task_id = {id}");
        self.wait_for_within(&sql, patience).await;
        let sql = "select finish_status::text, failed, processing_error from async.task where task_id = $1";
        let row = &self.rows(sql, &[&id]).await[0];
        End { status: row.get(0), failed: row.get(1), error: row.get(2) }
    }

    /// Runs a query at `there`, and returns the end of its task.
    pub(crate) async fn run_task(&self, query: &str) -> End {
        self.end_of(self.push(query).await).await
    }

    /// The number that a query returns in the target database.
    pub(crate) async fn number_there(&self, sql: &str) -> i64 {
        let sql = format!("select ({sql})::bigint");
        self.target.session().query_one(&sql, &[]).await.unwrap_or_else(|error| panic!("{sql}\n{error:?}")).get(0)
    }

    /// Runs statements in the target database.
    pub(crate) async fn run_there(&self, sql: &str) {
        self.target.session().batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}\n{error:?}"));
    }

    /// The messages that a client receives while it runs statements that must succeed.
    pub(crate) async fn messages_of(&self, sql: &str) -> Vec<String> {
        let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
        let keep = move |notice| {
            if let Notice::Message { text, .. } = notice {
                drop(sender.send(text));
            }
        };
        let session = self.settings().connect_with(keep).await.unwrap_or_else(|error| panic!("{error}"));
        session.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}\n{error:?}"));
        let mut messages = Vec::new();
        while let Ok(message) = received.try_recv() {
            messages.push(message);
        }
        messages
    }

    /// Waits until the published count of every pool is zero. A leaked slot would prevent that.
    pub(crate) async fn wait_until_no_slot_is_taken(&self) {
        self.wait_for("select coalesce(sum(workers), 0) = 0 from async.concurrency_pool_tracker").await;
        self.wait_for("select async.active_workers() = 0").await;
    }
}

impl<E> Deref for Fixture<E> {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.database
    }
}
