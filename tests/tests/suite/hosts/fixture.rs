//! The fixture of the host tests: a server and two targets, each on its own host.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pgasync_tests::{Database, Engine, Host, Network, PATIENCE, Target};
use serde_json::json;
use tokio::time::sleep;

/// The size of each target's pool.
pub(super) const SLOTS: usize = 6;

/// The limit on the time until all tasks are finished, once every host is up.
const SETTLE_PATIENCE: Duration = Duration::from_secs(120);

/// Fields are dropped in this order: the users of a host before the host.
pub(super) struct HostsFixture<E> {
    pub(super) engine: E,
    pub(super) database: Database,
    pub(super) left: Target,
    pub(super) right: Target,
    pub(super) left_host: Host,
    _right_host: Host,
    pub(super) server: Host,
    pub(super) network: Arc<Network>,
}

impl<E: Engine> HostsFixture<E> {
    /// Starts hosts, databases, and an engine that leads.
    pub(super) async fn open() -> Self {
        let mut fixture = Self::prepare().await;
        fixture.engine.lead().await;
        fixture
    }

    /// Starts hosts and databases, without a leader.
    pub(super) async fn prepare() -> Self {
        let network = Arc::new(Network::create().await);
        let (server, left_host, right_host) = tokio::join!(
            Host::with_server(&network, &["max_connections=100"]),
            Host::with_server(&network, &[]),
            Host::with_server(&network, &[]),
        );
        let (left, right) = tokio::join!(target_on(&left_host), target_on(&right_host));
        let database = Database::create_on(&server).await;
        database
            .configure(&json!({
                "control": {"workers": 4 * SLOTS, "idle_sleep": 0.1, "takeover_grace": "0.2 s"},
                "targets": [
                    {"target": "left", "connection_string": left.conninfo(), "max_workers": SLOTS},
                    {"target": "right", "connection_string": right.conninfo(), "max_workers": SLOTS}],
            }))
            .await;
        let engine = E::attach(&database);
        Self { engine, database, left, right, left_host, _right_host: right_host, server, network }
    }

    /// Pushes tasks that take `seconds`, with further arguments of `async.task`.
    pub(super) async fn push(&self, target: &str, count: usize, seconds: f64, more: &str) {
        self.database
            .run(&format!(
                "select async.push_tasks(array_agg(
                   async.task('call run(##flow.TASK_ID##, {seconds})', '{target}' {more})))
                 from generate_series(1, {count})"
            ))
            .await;
    }

    /// Pushes tasks to the right target and waits until they have run, for any state of the left
    /// target.
    pub(super) async fn run_on_the_right(&self, count: usize) {
        self.push("right", count, 0.0, "").await;
        self.database
            .wait_for("select not exists (select from async.task where target = 'right' and processed is null)")
            .await;
    }

    /// Waits until the ledger of a target has `count` starts.
    pub(super) async fn wait_for_starts(&self, target: &Target, count: usize) {
        let begin = Instant::now();
        let count = i64::try_from(count).expect("a small number");
        while lines(target, "select count(*) from trace where what = 'start'").await < count {
            assert!(begin.elapsed() < PATIENCE, "fewer than {count} begin\n{}", self.database.dump().await);
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until all tasks are finished and no slot is taken.
    pub(super) async fn settle(&self) {
        for condition in [
            "select not exists (select from async.task where processed is null)",
            "select not exists (select from async.task where tracked)",
            "select coalesce(sum(workers), 0) = 0 from async.concurrency_pool_tracker",
        ] {
            self.database.wait_for_within(condition, SETTLE_PATIENCE).await;
        }
    }

    /// Compares the table with the ledgers. Returns the number of tasks with each status.
    pub(super) async fn judge(&self) -> BTreeMap<String, usize> {
        let mut traces: BTreeMap<i64, (usize, usize)> = BTreeMap::new();
        for target in [&self.left, &self.right] {
            let sql = "select task_id, what from trace";
            // The session of the fixture may have been lost with the host.
            for row in target.connect().await.query(sql, &[]).await.expect("the ledger is readable") {
                let trace = traces.entry(row.get(0)).or_default();
                if row.get::<_, &str>(1) == "start" { trace.0 += 1 } else { trace.1 += 1 }
            }
        }
        let sql = "select task_id, coalesce(finish_status::text, 'none'), coalesce(processing_error, ''), run
             from async.task";
        let mut ends = BTreeMap::new();
        let mut broken = Vec::new();
        for row in self.database.rows(sql, &[]).await {
            let (id, status, error, run): (i64, String, String, i32) = (row.get(0), row.get(1), row.get(2), row.get(3));
            let (starts, finishes) = traces.remove(&id).unwrap_or_default();
            let fits = match status.as_str() {
                "FINISHED" => finishes == 1,
                "FAILED" => error.starts_with("outcome unknown"),
                "TIMED_OUT" => finishes == 0,
                _ => false,
            };
            if !fits || starts > 1 || finishes > starts {
                broken.push(format!("task {id}: {status} {error}, run {run}, {starts} starts, {finishes} ends"));
            }
            *ends.entry(status).or_default() += 1;
        }
        assert!(traces.is_empty(), "the ledgers have tasks that the table has not: {traces:?}");
        assert!(broken.is_empty(), "{}\n{}", broken.join("\n"), self.database.dump().await);
        eprintln!("{ends:?}");
        ends
    }
}

async fn target_on(host: &Host) -> Target {
    let target = Target::create_on(host).await;
    target
        .session()
        .batch_execute(
            "create table trace (
               task_id bigint not null,
               what text not null,
               session text not null default current_setting('application_name'));
             create procedure run(task_id bigint, seconds float8) language plpgsql as $$
             begin
               insert into trace values (task_id, 'start');
               commit;
               perform pg_sleep(seconds);
               insert into trace values (task_id, 'end');
               commit;
             end $$;",
        )
        .await
        .expect("an empty database takes tables");
    target
}

/// The number that a query returns at the target.
pub(super) async fn lines(target: &Target, sql: &str) -> i64 {
    target.session().query_one(sql, &[]).await.expect("the ledger is readable").get(0)
}
