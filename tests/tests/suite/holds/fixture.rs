//! The fixture of the tests of locks: a server, a target, an engine that leads, and a steady load
//! of tasks.

use std::time::{Duration, Instant};

use pgasync_pg::Session;
use pgasync_tests::{Database, Engine, PATIENCE, Target};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::conformance::link::Link;

/// The size of the pool of the steady tasks. With [`STEADY_SECONDS`] it sets their rate, at most a
/// hundred per second.
const STEADY_SLOTS: u32 = 4;
const STEADY_SECONDS: f64 = 0.04;

/// The least number of steady tasks that wait.
const BACKLOG_MIN: i64 = 60;

/// Fewer completions in a window show that the machine is busy. The rate would be meaningless.
const COMPLETIONS_MIN: i64 = 40;

/// The number of windows before the test gives up on a busy machine.
const WINDOWS_MAX: usize = 20;

/// The length of a window in which completions are counted.
pub(super) const WINDOW: Duration = Duration::from_millis(1500);

/// The identity of the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lead {
    epoch: i64,
    pid: i64,
}

/// A server with these targets, all of them in one database: `steady` with the steady tasks,
/// `there`, `narrow` with a pool of one, `calls_back` that finishes asynchronously, `linked` behind
/// a link that can be frozen, and `pulled` with a pool of four and `pulled_alone` with a pool of
/// one, whose tasks clients pull. The pool `mixed` has one slot for tasks of any target.
pub(super) struct HoldsFixture<E> {
    pub(super) engine: E,
    pub(super) database: Database,
    pub(super) link: Link,
    target: Target,
    /// The lead as it was noted last.
    led_by: Lead,
    pushing: JoinHandle<()>,
}

impl<E: Engine> HoldsFixture<E> {
    /// A fixture whose engine leads, in a database that the statements in `prepare` have prepared.
    /// The steady tasks run.
    pub(super) async fn open(prepare: &str) -> Self {
        let database = Database::create().await;
        let target = Target::create_on(database.cluster()).await;
        let link = Link::to(&target).await;
        database.run(prepare).await;
        let there = target.conninfo();
        database
            .configure(&json!({
                "control": {"workers": 20, "idle_sleep": 0.1, "takeover_grace": "0.2 s"},
                "targets": [
                    {"target": "steady", "connection_string": there, "max_workers": STEADY_SLOTS},
                    {"target": "there", "connection_string": there, "max_workers": 4},
                    {"target": "narrow", "connection_string": there, "max_workers": 1},
                    {"target": "calls_back", "connection_string": there, "max_workers": 2, "asynchronous_finish": true},
                    {"target": "linked", "connection_string": link.conninfo(), "max_workers": 1},
                    {"target": "pulled", "max_workers": 4, "asynchronous_finish": true},
                    {"target": "pulled_alone", "max_workers": 1, "asynchronous_finish": true}],
                "concurrency_pools": [{"concurrency_pool": "mixed", "max_workers": 1}],
            }))
            .await;
        let pushing = tokio::spawn(push_steadily(database.connect().await));
        let mut engine = E::attach(&database);
        engine.lead().await;
        let mut fixture = Self { engine, database, link, target, led_by: Lead { epoch: 0, pid: 0 }, pushing };
        fixture.note_lead().await;
        fixture.database.wait_for("select count(*) > 20 from async.task where processed is not null").await;
        fixture
    }

    /// Notes the present lead. It must not change from now on.
    pub(super) async fn note_lead(&mut self) {
        self.led_by = self.lead().await;
    }

    /// How the lead has changed since it was noted; `None` if it has not.
    pub(super) async fn lost_lead(&self) -> Option<String> {
        let now = self.lead().await;
        let leads = self.engine.is_leading().await;
        (now != self.led_by || !leads).then(|| format!("{:?} became {now:?}, it leads: {leads}", self.led_by))
    }

    async fn lead(&self) -> Lead {
        let epoch = self.database.number("select epoch from async.leader").await;
        Lead { epoch, pid: self.database.number("select coalesce(pid, 0) from async.control").await }
    }

    /// The number of steady tasks that are recorded in a window that begins now.
    pub(super) async fn completions(&self) -> i64 {
        let begin = self.clock().await;
        sleep(WINDOW).await;
        self.completions_between(&begin, WINDOW).await
    }

    /// The number of completions in a window, once the steady tasks run about as fast as their
    /// length allows.
    ///
    /// # Panics
    /// When the machine is too busy.
    pub(super) async fn steady_completions(&self) -> i64 {
        for _ in 0..WINDOWS_MAX {
            let count = self.completions().await;
            if count >= COMPLETIONS_MIN {
                return count;
            }
        }
        panic!("this machine is too busy: the tasks do not reach their rate\n{}", self.database.dump().await);
    }

    /// The server's clock, as text.
    pub(super) async fn clock(&self) -> String {
        self.database.text("select clock_timestamp()").await.expect("a time")
    }

    /// The number of completions in a window in the past.
    pub(super) async fn completions_between(&self, begin: &str, window: Duration) -> i64 {
        self.database
            .number(&format!(
                "select count(*) from async.task where target = 'steady' and processed > '{begin}'
                 and processed <= '{begin}'::timestamptz + {} * interval '1 ms'",
                window.as_millis()
            ))
            .await
    }

    /// Whether a condition becomes true in time.
    pub(super) async fn comes_true(&self, condition: &str, within: Duration) -> bool {
        let begin = Instant::now();
        while begin.elapsed() < within {
            if self.database.holds(condition).await {
                return true;
            }
            sleep(Duration::from_millis(20)).await;
        }
        self.database.holds(condition).await
    }

    /// Pushes a task given as arguments of `async.task`.
    pub(super) async fn push(&self, arguments: &str) -> i64 {
        self.database.number(&format!("select async.push_task(async.task({arguments}))")).await
    }

    /// Pushes a query that ends when [`HoldsFixture::open_gate`] is called, and waits until it
    /// runs.
    pub(super) async fn push_behind_gate(&self, arguments: &str) -> i64 {
        self.at_target("select pg_advisory_lock(7, 1)").await;
        let id = self.push(&format!("'select pg_advisory_xact_lock_shared(7, 1)', {arguments}")).await;
        self.wait_until_it_runs(id, "pg_advisory_xact_lock_shared").await;
        id
    }

    /// Waits until a query with this text runs at the target.
    pub(super) async fn wait_until_it_runs(&self, id: i64, text: &str) {
        self.database.wait_for(&format!("select consumed is not null from async.task where task_id = {id}")).await;
        self.database
            .wait_for(&format!(
                "select exists (select from pg_stat_activity where datname = '{}' and state = 'active'
                 and application_name like 'pgasync/%' and query like '%{text}%')",
                self.target.name()
            ))
            .await;
    }

    /// Opens the gate, so that the queries behind it end.
    pub(super) async fn open_gate(&self) {
        self.at_target("select pg_advisory_unlock_all()").await;
    }

    async fn at_target(&self, sql: &str) {
        self.target.session().batch_execute(sql).await.expect("the target answers");
    }

    /// Waits until the deadline of a task has passed by the server's clock.
    pub(super) async fn wait_until_overdue(&self, id: i64) {
        let overdue = "select times_up <= clock_timestamp() from async.task where task_id =";
        self.database.wait_for_within(&format!("{overdue} {id}"), PATIENCE).await;
    }
}

impl<E> Drop for HoldsFixture<E> {
    fn drop(&mut self) {
        self.pushing.abort();
    }
}

async fn push_steadily(session: Session) {
    let push = format!(
        "select async.push_tasks((select array_agg(async.task('select pg_sleep({STEADY_SECONDS})', 'steady'))
           from generate_series(1, {BACKLOG_MIN})))
         where (select count(*) from async.task
           where target = 'steady' and consumed is null and processed is null) < {BACKLOG_MIN}"
    );
    // The loop ends when the database is dropped.
    while session.batch_execute(&push).await.is_ok() {
        sleep(Duration::from_millis(100)).await;
    }
}
