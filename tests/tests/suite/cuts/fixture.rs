//! The fixture that the cases of a test share, and the fixture of one case: a server database,
//! proxies, a workload and an engine.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use pgasync_tests::{Database, PrivateCluster, Proxy, Target};
use serde_json::json;
use tokio::task::block_in_place;
use tokio::time::sleep;

use super::judge::{Allowed, judge};
use super::kinds;
use super::outcome::{LATE, Verdict};
use super::restarted_engine::RestartedEngine;
use super::stalls::Stalls;
use super::workload::{self, Client, POOLS, WORKERS};

/// The timeout of tasks where messages with the server are cut. It is longer than any recovery.
pub(super) const LONG_ALLOWANCE: Duration = Duration::from_secs(15);

/// The timeout of tasks where messages with targets are cut. A query without an answer takes this
/// time.
pub(super) const SHORT_ALLOWANCE: Duration = Duration::from_secs(4);

/// The time after a deadline for cancel, termination and loss of the session, and for a recovery of
/// the lead, on a loaded machine.
pub(super) const AFTER_DEADLINE: Duration = Duration::from_secs(20);

/// The remaining tasks count as stuck when no task has ended for this time. It is longer than any
/// deadline, recovery and grace period.
const PATIENCE: Duration = Duration::from_secs(35);

/// The second half of the workload is pushed after this time.
const SECOND_PUSH_AFTER: Duration = Duration::from_millis(700);

const TURN_EVERY: Duration = Duration::from_millis(40);

/// A killed server restarts within this time.
const BACK_WITHIN: Duration = Duration::from_secs(30);

/// The clusters, and a target database whose ledger serves all cases.
pub(super) struct CutsFixture {
    target: Target,
    pub(super) server: PrivateCluster,
    /// The cluster of the target, if that is not the server's.
    elsewhere: Option<PrivateCluster>,
    next: AtomicU32,
    stalls: Stalls,
}

impl CutsFixture {
    /// A fixture with server and targets on one cluster.
    pub(super) async fn together() -> Self {
        Self::on(block_in_place(cluster), None).await
    }

    /// A fixture with server and targets on two clusters, so that one can be killed.
    pub(super) async fn apart() -> Self {
        Self::on(block_in_place(cluster), Some(block_in_place(cluster))).await
    }

    async fn on(server: PrivateCluster, elsewhere: Option<PrivateCluster>) -> Self {
        let target = Target::create_on(elsewhere.as_ref().unwrap_or(&server)).await;
        workload::prepare(&target).await;
        Self { target, server, elsewhere, next: AtomicU32::new(1), stalls: Stalls::watch() }
    }

    /// Starts a case. `allowance` is the timeout of tasks at its targets.
    pub(super) async fn start_case(&self, allowance: Duration) -> CaseFixture<'_> {
        let flow = format!("c{}", self.next.fetch_add(1, Ordering::Relaxed));
        let database = Database::create_on(&self.server).await;
        let to_server = Proxy::before(&self.server, kinds::kind).await;
        let to_target = Proxy::before(self.elsewhere.as_ref().unwrap_or(&self.server), kinds::kind).await;
        let case_fixture = CaseFixture {
            client: Client::new(database.connect().await, &flow),
            begin: Instant::now(),
            stalled_before: self.stalls.so_far(),
            open: (0, Instant::now()),
            losses: Vec::new(),
            broken: Vec::new(),
            fixture: self,
            database,
            to_server,
            to_target,
            flow,
            pushes: 0,
        };
        case_fixture.client.prepare().await;
        case_fixture.configure(allowance).await;
        case_fixture
    }
}

fn cluster() -> PrivateCluster {
    PrivateCluster::start(&["shared_buffers=64MB", "fsync=off", "full_page_writes=off", "autovacuum=off"])
}

/// The fixture of one case.
pub(super) struct CaseFixture<'a> {
    fixture: &'a CutsFixture,
    pub(super) database: Database,
    pub(super) to_server: Proxy,
    pub(super) to_target: Proxy,
    pub(super) client: Client,
    /// The times of losses that no proxy caused.
    pub(super) losses: Vec<SystemTime>,
    flow: String,
    begin: Instant,
    stalled_before: Duration,
    /// The number of unfinished tasks, and when it last changed.
    open: (i64, Instant),
    pushes: u32,
    broken: Vec<String>,
}

impl CaseFixture<'_> {
    async fn configure(&self, allowance: Duration) {
        let limit = |name: &str| POOLS.iter().find(|(pool, _)| *pool == name).map_or(0, |(_, limit)| *limit);
        let target = self.to_target.conninfo(self.fixture.target.name());
        self.database
            .configure(&json!({
                "control": {"workers": WORKERS, "idle_sleep": 0.1, "takeover_grace": "0.1 s",
                    "default_timeout": format!("{} s", allowance.as_secs()), "self_concurrency": limit("async.self"),
                    "self_connection_string": self.database.conninfo()},
                "targets": [
                    {"target": "left", "connection_string": target, "max_workers": limit("left")},
                    {"target": "right", "connection_string": target, "max_workers": limit("right")},
                    {"target": "calls_back", "connection_string": target, "max_workers": limit("calls_back"),
                        "asynchronous_finish": true},
                    {"target": "pulled", "max_workers": limit("pulled"), "asynchronous_finish": true}],
                "concurrency_pools": [
                    {"concurrency_pool": "one", "max_workers": limit("one")},
                    {"concurrency_pool": "quick", "max_workers": limit("quick")}],
            }))
            .await;
    }

    /// Pushes the next part of the workload. The last part shows that an engine leads.
    pub(super) async fn push(&mut self) {
        let pushed = if self.pushes < 2 { self.client.push().await } else { self.client.push_few().await };
        self.pushes += u32::from(pushed.is_ok());
    }

    /// Does a step of the client, and starts the engine if it has ended. Returns false when all
    /// pushed tasks are finished.
    pub(super) async fn take_step(&mut self, engine: &mut RestartedEngine) -> bool {
        engine.keep_running().await;
        let goes_on = match self.client.take_step().await {
            Ok(open) => {
                if open != self.open.0 {
                    self.open = (open, Instant::now());
                }
                open > 0
            }
            Err(_) => {
                self.client.session = self.reach().await;
                true
            }
        };
        sleep(TURN_EVERY).await;
        goes_on
    }

    /// Runs the workload to its end.
    pub(super) async fn attend(&mut self, engine: &mut RestartedEngine) {
        let begin = Instant::now();
        loop {
            let goes_on = self.take_step(engine).await;
            match self.pushes {
                0 => self.push().await,
                1 if begin.elapsed() > SECOND_PUSH_AFTER => self.push().await,
                2 if !goes_on => self.push().await,
                3 if !goes_on => break,
                _ => {}
            }
            if self.open.1.elapsed() > PATIENCE {
                let (open, starts) = (self.open.0, engine.starts);
                self.broken
                    .push(format!("{LATE}{open} tasks are forgotten: none ended for {PATIENCE:?}, {starts} starts"));
                return;
            }
        }
        self.broken.extend(self.client.leftovers().await);
    }

    /// Opens new sessions, once a server that was killed has restarted.
    pub(super) async fn reconnect(&mut self) {
        let begin = Instant::now();
        while !self.database.session().is_closed() && begin.elapsed() < BACK_WITHIN {
            sleep(Duration::from_millis(5)).await;
        }
        self.client.session = self.reach().await;
        self.database.reconnect().await;
        self.client.session.batch_execute("set synchronous_commit = local").await.expect("the server is up");
    }

    async fn reach(&self) -> pgasync_pg::Session {
        let begin = Instant::now();
        loop {
            match self.database.settings().connect().await {
                Ok(session) => return session,
                Err(error) => assert!(begin.elapsed() < BACK_WITHIN, "the server does not come back: {error}"),
            }
            sleep(TURN_EVERY).await;
        }
    }

    /// Judges the end of the workload, and drops the database of the case.
    pub(super) async fn judge(mut self, engine: RestartedEngine, allowed: Allowed, cuts: usize) -> Verdict {
        let fired = [self.to_server.fired(), self.to_target.fired()].concat();
        let at = [&fired[..], &self.losses].concat();
        let judged = judge(&self.client, self.fixture.target.session(), &self.flow, &at, allowed).await;
        self.broken.extend(judged.expect("the tables are readable"));
        let seen = [self.to_server.seen(), self.to_target.seen()];
        let log = engine.lines();
        let stalled = self.fixture.stalls.so_far().saturating_sub(self.stalled_before);
        drop((engine, self.to_server, self.to_target, self.client));
        let remove = format!("drop database {} with (force)", self.database.name());
        // A database that stays costs disk space until the cluster is removed.
        let _ = self.fixture.server.administrator().await.batch_execute(&remove).await;
        Verdict { seen, reached: fired.len() >= cuts, broken: self.broken, took: self.begin.elapsed(), stalled, log }
    }
}
