//! The fixture of the chaos tests: a server on one cluster, two targets on another, an engine, a
//! client and an observer.

use std::time::{Duration, Instant};

use pgasync_tests::{Database, Engine, PATIENCE, PrivateCluster, Signal, Target};
use serde_json::{Value, json};
use tokio::task::block_in_place;
use tokio::time::sleep;

use super::client::Client;
use super::judge::{Allowed, Judgement, judge};
use super::losses::{self, Losses};
use super::observer::{Observer, SAMPLE_INTERVAL};
use super::seed::Seed;
use super::workload::{self, IN_FLIGHT_MIN, Load, POOLS, WORKERS};

/// If no task has ended for this time, the remaining tasks are stuck: no task takes four seconds,
/// and no fence or backoff takes longer than this time. The judge lists these tasks.
const STALLED_AFTER: Duration = Duration::from_secs(35);

/// The percentage of tasks that take some seconds, in tests that do not depend on it.
pub(super) const LONG_PERCENT: u64 = 10;

/// The limit on the time until a postmaster notices the death of a backend.
const RESTART_WITHIN: Duration = Duration::from_secs(2);

/// The process that a test kills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kill {
    /// The process of the leader (SIGKILL). If that is a backend, its server restarts.
    Leader,
    /// The leader session is terminated. The server continues, and so does an engine that outlives
    /// its session.
    Session,
    /// The postmaster of the server (SIGKILL).
    Server,
    /// A backend that runs a task (SIGKILL). The server of the targets restarts.
    TargetBackend,
    /// The postmaster of the targets (SIGKILL).
    Targets,
}

impl Kill {
    pub(super) const ALL: [Self; 5] = [Self::Leader, Self::Session, Self::Server, Self::TargetBackend, Self::Targets];

    /// Whether the leader session ends.
    fn ends_lead(self) -> bool {
        matches!(self, Self::Leader | Self::Session | Self::Server)
    }

    /// Whether the engine ends.
    pub(super) fn ends_engine<E: Engine>(self) -> bool {
        self == Self::Leader || self.ends_lead() && !E::OUTLIVES_ITS_SESSION
    }
}

/// Fields are dropped in this order: the users of a cluster before the cluster.
pub(super) struct ChaosFixture<E> {
    pub(super) engine: E,
    pub(super) seed: Seed,
    pub(super) observer: Observer,
    pub(super) client: Client,
    pub(super) database: Database,
    pub(super) targets: [Target; 2],
    pub(super) server: PrivateCluster,
    pub(super) elsewhere: PrivateCluster,
    /// The backend that led before the last kill.
    led_by: i64,
    /// The losses of leaders. The observer has the losses of targets.
    pub(super) losses: Losses,
}

/// The clusters and databases of a test, before an engine starts.
pub(super) struct Stage {
    pub(super) seed: Seed,
    pub(super) database: Database,
    pub(super) targets: [Target; 2],
    pub(super) server: PrivateCluster,
    pub(super) elsewhere: PrivateCluster,
}

impl Stage {
    /// Starts clusters and databases. The statements in `changes`, which run after the installation,
    /// change the engine.
    pub(super) async fn build(seed: Seed, changes: &str) -> Self {
        let small = ["shared_buffers=32MB", "max_connections=200", "autovacuum=off"];
        let (server, elsewhere) = block_in_place(|| (PrivateCluster::start(&small), PrivateCluster::start(&small)));
        let targets = [Target::create_on(&elsewhere).await, Target::create_on(&elsewhere).await];
        for target in &targets {
            workload::prepare(target).await;
        }
        let database = Database::create_on(&server).await;
        database.run(changes).await;
        Self { seed, database, targets, server, elsewhere }
    }

    /// Configures the two targets with these connection strings, and the pools. `more` adds settings
    /// of the control row, and targets.
    pub(super) async fn configure(&self, [left, right]: [&str; 2], more: impl FnOnce(&mut Value)) {
        let mut document = json!({
            "control": {"workers": WORKERS, "idle_sleep": 0.1, "takeover_grace": "0.2 s"},
            "targets": [
                {"target": "left", "connection_string": left, "max_workers": POOLS[0].1},
                {"target": "right", "connection_string": right, "max_workers": POOLS[1].1}],
            "concurrency_pools": [
                {"concurrency_pool": "shared", "max_workers": POOLS[2].1},
                {"concurrency_pool": "quick", "max_workers": POOLS[3].1}],
        });
        more(&mut document);
        self.database.configure(&document).await;
    }

    /// Starts the client and the observer beside an engine.
    pub(super) fn open<E>(self, engine: E, load: Load) -> ChaosFixture<E> {
        let Self { mut seed, database, targets, server, elsewhere } = self;
        let client = Client::of(database.settings(), seed.fork(), load);
        let observer = Observer::of(&elsewhere);
        let (led_by, losses) = (0, Losses::default());
        ChaosFixture { engine, seed, observer, client, database, targets, server, elsewhere, led_by, losses }
    }
}

impl<E: Engine> ChaosFixture<E> {
    /// Starts clusters, databases, an engine that leads, and tasks.
    pub(super) async fn open() -> Self {
        Self::open_with("", LONG_PERCENT).await
    }

    /// As [`ChaosFixture::open`]. The statements in `changes`, which run after the installation,
    /// change the engine. `long_percent` is the percentage of long tasks.
    pub(super) async fn open_with(changes: &str, long_percent: u64) -> Self {
        let stage = Stage::build(Seed::of_this_run(), changes).await;
        let [left, right] = &stage.targets;
        stage.configure([&left.conninfo(), &right.conninfo()], |_| ()).await;
        let mut engine = E::attach(&stage.database);
        engine.lead().await;
        stage.open(engine, Load { long_percent, is_mixed: false })
    }

    /// Waits until many tasks run, and then for a random time.
    pub(super) async fn wait_until_busy(&mut self) {
        self.wait_for_running(IN_FLIGHT_MIN).await;
        sleep(Duration::from_millis(self.seed.below(300))).await;
    }

    /// Waits until `count` tasks run at the targets, or a quarter of that when a loaded machine
    /// does not start more at once.
    pub(super) async fn wait_for_running(&self, count: usize) {
        let begin = Instant::now();
        loop {
            let running = self.observer.pids().len();
            let enough = if begin.elapsed() < PATIENCE / 2 { count } else { count.div_ceil(4) };
            if running >= enough {
                return;
            }
            if begin.elapsed() > 2 * PATIENCE {
                let report = self.database.dump().await;
                panic!("only {running} of {count} tasks run\n{:?}\n{report}", self.observer);
            }
            sleep(SAMPLE_INTERVAL).await;
        }
    }

    /// Kills a process, and waits until the servers are up again. An engine that was killed stays
    /// down.
    pub(super) async fn kill(&mut self, what: Kill) {
        self.led_by = self.database.number("select coalesce(async.leader_pid(), 0)").await;
        let begin = losses::now();
        match what {
            Kill::Leader => self.engine.crash().await,
            Kill::Session => {
                // The pid does not come from `async.control`, which may not show a leader that has
                // just taken over.
                self.database.run(&format!("select pg_terminate_backend({})", self.led_by)).await;
                self.await_end_after(what).await;
                let gone = format!("select not exists (select from pg_stat_activity where pid = {})", self.led_by);
                self.database.wait_for(&gone).await;
            }
            Kill::Server => {
                self.server.kill();
                self.await_end_after(what).await;
                block_in_place(|| self.server.restart());
            }
            Kill::TargetBackend => {
                self.wait_for_running(1).await;
                let pid = *self.seed.pick(&self.observer.pids());
                // The backend may just have ended. Then another one is killed.
                if !self.elsewhere.signal_backend(Signal::Kill, pid) {
                    let _ = self.observer.pids().first().map(|&pid| self.elsewhere.signal_backend(Signal::Kill, pid));
                }
            }
            Kill::Targets => {
                self.elsewhere.kill();
                sleep(Duration::from_millis(self.seed.below(700))).await;
                block_in_place(|| self.elsewhere.restart());
            }
        }
        match what {
            Kill::Leader if !E::OUTLIVES_ITS_SESSION => {
                // The engine was a backend. The postmaster soon notices its end, and ends all other
                // backends.
                let begin = Instant::now();
                while !self.database.session().is_closed() && begin.elapsed() < RESTART_WITHIN {
                    sleep(Duration::from_millis(5)).await;
                }
                self.reach_server().await;
            }
            Kill::Server => self.reach_server().await,
            Kill::Leader | Kill::Session | Kill::TargetBackend | Kill::Targets => (),
        }
        // A process that outlives its leader session keeps its target sessions, and learns the
        // outcomes of its queries. So only the end of an engine is a loss.
        if what.ends_engine::<E>() {
            self.losses.note_since(begin);
        }
    }

    /// Notes that a leader was lost between `begin` and now in another way than by
    /// [`ChaosFixture::kill`].
    pub(super) fn note_loss_since(&mut self, begin: f64) {
        self.losses.note_since(begin);
    }

    /// Kills a process, and waits until an engine leads again.
    pub(super) async fn kill_and_recover(&mut self, what: Kill) {
        self.kill(what).await;
        self.recover(what).await;
    }

    /// Waits until an engine leads again after a kill, and starts it if necessary.
    pub(super) async fn recover(&mut self, what: Kill) {
        if what.ends_engine::<E>() {
            self.lead_again().await;
        } else if what.ends_lead() {
            // An engine that outlives its session leads again by itself.
            self.database.wait_for(&format!("select async.leader_pid() <> {}", self.led_by)).await;
        }
    }

    async fn await_end_after(&mut self, what: Kill) {
        if what.ends_engine::<E>() {
            self.engine.wait_until_ended().await;
        }
    }

    /// The same fixture with another engine.
    pub(super) fn with_engine<B>(self, engine: B) -> ChaosFixture<B> {
        let Self { engine: _, seed, observer, client, database, targets, server, elsewhere, led_by, losses } = self;
        ChaosFixture { engine, seed, observer, client, database, targets, server, elsewhere, led_by, losses }
    }

    /// Starts the engine again, once there is no leader.
    pub(super) async fn lead_again(&mut self) {
        self.database.wait_for("select async.leader_pid() is null").await;
        self.engine.lead().await;
    }

    /// Settles, and asserts that no promise was broken.
    pub(super) async fn assert_promises_kept(&mut self, allowed: Allowed) {
        let broken = self.settle(allowed).await;
        assert!(broken.is_empty(), "{}\n{}", broken.join("\n"), self.database.dump().await);
        self.engine.stop().await;
    }
}

impl<E> ChaosFixture<E> {
    /// Waits until the targets have no session of an engine.
    pub(super) async fn wait_until_no_session_is_left(&self) {
        let left = self.sessions_left().await;
        assert!(left.is_empty(), "a session is left: {left:?}");
    }

    /// The sessions of engines that the targets still have after some time.
    pub(super) async fn sessions_left(&self) -> Vec<String> {
        let begin = Instant::now();
        let sql = "select application_name || ': ' || query from pg_stat_activity
             where application_name like 'pgasync/%'";
        loop {
            let rows = self.targets[0].session().query(sql, &[]).await.expect("pg_stat_activity is readable");
            if rows.is_empty() || begin.elapsed() > PATIENCE {
                return rows.iter().map(|row| row.get(0)).collect();
            }
            sleep(SAMPLE_INTERVAL).await;
        }
    }

    /// Opens a new session for the helpers, once the server answers again.
    pub(super) async fn reach_server(&mut self) {
        let begin = Instant::now();
        while let Err(error) = self.database.settings().connect().await {
            assert!(begin.elapsed() < PATIENCE, "the server does not come back: {error}");
            sleep(Duration::from_millis(20)).await;
        }
        self.database.reconnect().await;
    }

    /// Ends the client, waits until every task is finished, and returns the broken promises.
    pub(super) async fn settle(&mut self, allowed: Allowed) -> Vec<String> {
        self.settle_and_judge(allowed).await.broken
    }

    /// As [`ChaosFixture::settle`], and returns all that the judge has found.
    pub(super) async fn settle_and_judge(&mut self, allowed: Allowed) -> Judgement {
        self.client.push_no_more();
        self.wait_until_settled().await;
        let log = self.client.end().await;
        for target in &mut self.targets {
            target.reconnect().await;
        }
        judge(&self.database, &self.targets, &log, &self.observer, &self.losses, allowed).await
    }

    /// Waits until every task has ended, or until no further task ends. The judge reports the
    /// others.
    pub(super) async fn wait_until_settled(&self) {
        let sql = "select count(*) from async.task where processed is null";
        let (mut open, mut changed) = (i64::MAX, Instant::now());
        while open > 0 && changed.elapsed() < STALLED_AFTER {
            let now = self.database.number(sql).await;
            if now != open {
                (open, changed) = (now, Instant::now());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}
