//! The fixture of the chaos tests: a server on one cluster, two targets on another, an engine, a
//! client and an observer.

use std::time::{Duration, Instant};

use pgasync_tests::{Database, Engine, PATIENCE, PrivateCluster, Signal, Target};
use serde_json::json;
use tokio::task::block_in_place;
use tokio::time::sleep;

use super::client::Client;
use super::judge::{Allowed, judge};
use super::losses::{self, Losses};
use super::observer::{Observer, SAMPLE_INTERVAL};
use super::seed::Seed;
use super::workload::{self, IN_FLIGHT_MIN, POOLS, WORKERS};

/// Tasks that have not ended when no task has ended for so long never end: none of them takes four
/// seconds, and no fence or backoff takes longer. The judge lists them.
const STALLED_AFTER: Duration = Duration::from_secs(35);

/// How many tasks take some seconds, where it does not matter.
pub(super) const LONG_PERCENT: u64 = 10;

/// How long a postmaster may take to notice that a backend died.
const RESTART_WITHIN: Duration = Duration::from_secs(2);

/// The process that a test kills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kill {
    /// The process that leads, by kill -9; where that is a backend its server starts anew.
    Leader,
    /// The session that leads is terminated; the server lives on, and so does an engine that
    /// outlives its session.
    Session,
    /// The server's postmaster, by kill -9.
    Server,
    /// A backend that runs a task, by kill -9: the targets' server starts anew.
    TargetBackend,
    /// The targets' postmaster, by kill -9.
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
    server: PrivateCluster,
    pub(super) elsewhere: PrivateCluster,
    /// The backend that led before the last kill.
    led_by: i64,
    /// Of leaders; those of the targets are the observer's.
    losses: Losses,
}

impl<E: Engine> ChaosFixture<E> {
    /// Clusters, databases, an engine that leads, and tasks that run.
    pub(super) async fn open() -> Self {
        Self::open_with("", LONG_PERCENT).await
    }

    /// The same with an engine that `changes`, statements run after installing, made another one,
    /// and as many percent of long tasks.
    pub(super) async fn open_with(changes: &str, long_percent: u64) -> Self {
        let mut seed = Seed::of_this_run();
        let small = ["shared_buffers=32MB", "max_connections=200", "autovacuum=off"];
        let (server, elsewhere) = block_in_place(|| (PrivateCluster::start(&small), PrivateCluster::start(&small)));
        let targets = [Target::create_on(&elsewhere).await, Target::create_on(&elsewhere).await];
        for target in &targets {
            workload::prepare(target).await;
        }
        let database = Database::create_on(&server).await;
        database.run(changes).await;
        let [left, right] = &targets;
        database
            .configure(&json!({
                "control": {"workers": WORKERS, "idle_sleep": 0.1, "takeover_grace": "0.2 s"},
                "targets": [
                    {"target": "left", "connection_string": left.conninfo(), "max_workers": POOLS[0].1},
                    {"target": "right", "connection_string": right.conninfo(), "max_workers": POOLS[1].1}],
                "concurrency_pools": [
                    {"concurrency_pool": "shared", "max_workers": POOLS[2].1},
                    {"concurrency_pool": "quick", "max_workers": POOLS[3].1}],
            }))
            .await;
        let mut engine = E::attach(&database);
        engine.lead().await;
        let client = Client::of(database.settings(), seed.fork(), long_percent);
        let observer = Observer::of(&elsewhere);
        Self {
            engine,
            seed,
            observer,
            client,
            database,
            targets,
            server,
            elsewhere,
            led_by: 0,
            losses: Losses::default(),
        }
    }

    /// Waits until many tasks run, and a random moment longer.
    pub(super) async fn wait_until_busy(&mut self) {
        self.wait_for_running(IN_FLIGHT_MIN).await;
        sleep(Duration::from_millis(self.seed.below(300))).await;
    }

    /// Waits until as many tasks run at the targets, or a quarter of them when a loaded machine
    /// starts no more at once.
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

    /// Kills, and waits until servers are up again. An engine stays down.
    pub(super) async fn kill(&mut self, what: Kill) {
        self.led_by = self.database.number("select coalesce(async.leader_pid(), 0)").await;
        let begin = losses::now();
        match what {
            Kill::Leader => self.engine.crash().await,
            Kill::Session => {
                // Not the pid that is published in async.control: a leader that has just taken over
                // may be missing there.
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
                // It may just have ended; whichever is there now will do.
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
                // The engine was a backend: the postmaster soon notices its end and ends all other
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
        // A process that outlives its session has its connections to the targets, and knows how its
        // queries end.
        if what.ends_engine::<E>() {
            self.losses.note_since(begin);
        }
    }

    /// Notes that a leader was lost between then and now in another way than by
    /// [`ChaosFixture::kill`].
    pub(super) fn note_loss_since(&mut self, begin: f64) {
        self.losses.note_since(begin);
    }

    /// Kills, and has the engine lead again.
    pub(super) async fn kill_and_recover(&mut self, what: Kill) {
        self.kill(what).await;
        self.recover(what).await;
    }

    /// Has an engine lead again after a kill.
    pub(super) async fn recover(&mut self, what: Kill) {
        if what.ends_engine::<E>() {
            self.lead_again().await;
        } else if what.ends_lead() {
            // It comes back by itself.
            self.database.wait_for(&format!("select async.leader_pid() <> {}", self.led_by)).await;
        }
    }

    async fn await_end_after(&mut self, what: Kill) {
        if what.ends_engine::<E>() {
            self.engine.wait_until_ended().await;
        }
    }

    /// The same with another engine that leads from now on.
    pub(super) fn with_engine<B>(self, engine: B) -> ChaosFixture<B> {
        let Self { engine: _, seed, observer, client, database, targets, server, elsewhere, led_by, losses } = self;
        ChaosFixture { engine, seed, observer, client, database, targets, server, elsewhere, led_by, losses }
    }

    /// Starts the engine again when there is no leader.
    pub(super) async fn lead_again(&mut self) {
        self.database.wait_for("select async.leader_pid() is null").await;
        self.engine.lead().await;
    }

    /// Waits until the targets have no session of an engine.
    pub(super) async fn wait_until_no_session_is_left(&self) {
        let begin = Instant::now();
        let sql = "select application_name || ': ' || query from pg_stat_activity
             where application_name like 'pgasync/%'";
        loop {
            let rows = self.targets[0].session().query(sql, &[]).await.expect("pg_stat_activity is readable");
            if rows.is_empty() {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "a session is left: {}", rows[0].get::<_, String>(0));
            sleep(SAMPLE_INTERVAL).await;
        }
    }

    /// Opens the helpers' session anew, when the server answers again.
    async fn reach_server(&mut self) {
        let begin = Instant::now();
        while let Err(error) = self.database.settings().connect().await {
            assert!(begin.elapsed() < PATIENCE, "the server does not come back: {error}");
            sleep(Duration::from_millis(20)).await;
        }
        self.database.reconnect().await;
    }

    /// Ends the pushing, waits until every task is finished, and returns the broken promises.
    pub(super) async fn settle(&mut self, allowed: Allowed) -> Vec<String> {
        let log = self.client.end().await;
        self.wait_until_settled().await;
        for target in &mut self.targets {
            target.reconnect().await;
        }
        judge(&self.database, &self.targets, &log, &self.observer, &self.losses, allowed).await
    }

    /// Waits until every task has ended, or until none ends any more: the judge complains of those
    /// that have not.
    async fn wait_until_settled(&self) {
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

    /// Settles, and insists that every promise was kept.
    pub(super) async fn assert_promises_kept(&mut self, allowed: Allowed) {
        let broken = self.settle(allowed).await;
        assert!(broken.is_empty(), "{}\n{}", broken.join("\n"), self.database.dump().await);
        self.engine.stop().await;
    }
}
