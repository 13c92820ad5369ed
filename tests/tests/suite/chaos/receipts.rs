//! Kills while tasks with receipts run: each task has its effect once, and no outcome is unknown.

use std::time::{Duration, Instant};

use pgasync_tests::{Database, Engine, PrivateCluster, Signal, Target};
use serde_json::json;
use tokio::task::block_in_place;
use tokio::time::sleep;

use super::seed::{Seed, rounds};

/// The limit on the recovery of a server from a crash, and on the start of a task after it: the recovery
/// flushes all files, and fences and connections are tried again up to 15 seconds later.
const RECOVERS_WITHIN: Duration = Duration::from_secs(120);

/// Tasks that are pushed before each kill.
const WAVE: i64 = 40;

/// Backends that run a task, and whether they wait for a standby.
const RUNNING: &str = "select pid, coalesce(wait_event = 'SyncRep', false) from pg_stat_activity
    where application_name ~ '^pgasync/.*/[0-9]+$' and state = 'active'";

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    /// The process of the leader. If that is a backend, its server restarts.
    Leader,
    /// The leader session is terminated.
    LeaderSession,
    /// The postmaster of the server.
    Server,
    /// A backend that runs a task is terminated.
    Session,
    /// A backend that runs a task. The server of the target restarts.
    Backend,
    /// The postmaster of the target.
    Targets,
    /// Commits at the target wait for a standby that does not exist. A backend that waits is terminated.
    CommitWithoutStandby,
    /// The same, and the leader is terminated.
    LeaderWithoutStandby,
}

impl Victim {
    const ALL: [Self; 8] = [
        Self::Session,
        Self::CommitWithoutStandby,
        Self::Leader,
        Self::Targets,
        Self::LeaderSession,
        Self::Backend,
        Self::LeaderWithoutStandby,
        Self::Server,
    ];
}

struct Fixture<E> {
    engine: E,
    database: Database,
    target: Target,
    server: PrivateCluster,
    elsewhere: PrivateCluster,
    seed: Seed,
}

impl<E: Engine> Fixture<E> {
    async fn open() -> Self {
        let small = ["shared_buffers=32MB", "max_connections=100", "autovacuum=off"];
        let (server, elsewhere) = block_in_place(|| (PrivateCluster::start(&small), PrivateCluster::start(&small)));
        let target = Target::create_on(&elsewhere).await;
        let database = Database::create_on(&server).await;
        let there =
            json!({ "target": "there", "connection_string": target.conninfo(), "max_workers": 8, "receipts": true });
        let again = json!({ "retry_policy": "again", "max_attempts": 1000, "delay": "0 s", "delay_max": "0 s" });
        database
            .configure(&json!({
                "control": { "workers": 8, "idle_sleep": 0.1, "takeover_grace": "0.2 s", "target_patience": "10 minutes" },
                "targets": [there],
                "retry_policies": [again],
            }))
            .await;
        let setup = database.text("select async.target_setup('there')").await.expect("a text");
        target.session().batch_execute(&setup).await.expect("the SQL of target_setup");
        let mut engine = E::attach(&database);
        engine.lead().await;
        Self { engine, database, target, server, elsewhere, seed: Seed::of_this_run() }
    }

    async fn push_wave(&self) {
        self.database
            .run(&format!(
                "select count(*) from async.push_each(
                    'insert into ledger (mark) values (''##flow.TASK_ID##''); select pg_sleep(random() * 0.1)',
                    array_fill('there'::text, array[{WAVE}]), receipt => true, retry => 'again')"
            ))
            .await;
    }

    /// Waits until a backend runs a task, in a commit without a standby or anywhere; returns its pid.
    async fn running(&mut self, waits: bool) -> Option<i32> {
        let begin = Instant::now();
        while begin.elapsed() < RECOVERS_WITHIN {
            if let Ok(rows) = self.target.session().query(RUNNING, &[]).await {
                let pids: Vec<i32> = rows.iter().filter(|row| !waits || row.get(1)).map(|row| row.get(0)).collect();
                if !pids.is_empty() {
                    return Some(*self.seed.pick(&pids));
                }
            }
            sleep(Duration::from_millis(5)).await;
        }
        None
    }

    /// What holds the tasks that run.
    async fn unfinished(&self) -> String {
        let mut all = String::new();
        for sql in [
            "select string_agg(format('%s run %s consumed %s times_up %s', t.task_id, t.run, t.consumed, t.times_up), E'\n')
             from async.task t where t.consumed is not null and t.processed is null",
            "select string_agg(r::text, E'\n') from async.receipt r join async.task t using (task_id, run)
             where t.consumed is not null and t.processed is null",
            "select string_agg(format('%s epoch %s pid %s lost %s %s settled %s', s.session_id, s.epoch, s.pid, s.lost_since,
               s.lost_error, s.settled), E'\n') from async.session s",
            "select string_agg(format('%s %s %s', s.slot, s.target, s.task_id), E'\n') from async.worker s",
            "select string_agg(a.pid || ' ' || coalesce(a.state, '') || ' ' || a.query, E'\n') from pg_stat_activity a
             where a.datname = current_database()",
        ] {
            all.push_str(&self.database.text(sql).await.unwrap_or_default());
            all.push_str("\n--\n");
        }
        all
    }

    async fn want_standby(&self, name: &str) {
        let session = self.target.session();
        let sql = format!("alter system set synchronous_standby_names = '{name}'");
        session.batch_execute(&sql).await.expect("a superuser may");
        session.batch_execute("select pg_reload_conf()").await.expect("a superuser may");
    }

    async fn lead_again(&mut self) {
        self.database.wait_for("select async.leader_pid() is null").await;
        self.engine.lead().await;
    }

    async fn reach_server(&mut self) {
        let begin = Instant::now();
        while let Err(error) = self.database.settings().connect().await {
            assert!(begin.elapsed() < RECOVERS_WITHIN, "the server does not come back: {error}");
            sleep(Duration::from_millis(20)).await;
        }
        self.database.reconnect().await;
    }

    async fn terminate_leader(&mut self) {
        let led_by = self.database.number("select coalesce(async.leader_pid(), 0)").await;
        self.database.run(&format!("select pg_terminate_backend({led_by})")).await;
        if E::OUTLIVES_ITS_SESSION {
            self.database.wait_for(&format!("select async.leader_pid() <> {led_by}")).await;
        } else {
            self.engine.wait_until_ended().await;
            self.lead_again().await;
        }
    }

    async fn kill(&mut self, victim: Victim) {
        if self.running(false).await.is_none() {
            panic!("no task runs\n{}\n{}", self.unfinished().await, self.database.dump().await);
        }
        sleep(Duration::from_millis(self.seed.below(150))).await;
        match victim {
            Victim::Leader => {
                self.engine.crash().await;
                if !E::OUTLIVES_ITS_SESSION {
                    let begin = Instant::now();
                    while !self.database.session().is_closed() && begin.elapsed() < Duration::from_secs(2) {
                        sleep(Duration::from_millis(5)).await;
                    }
                    self.reach_server().await;
                }
                self.lead_again().await;
            }
            Victim::LeaderSession => self.terminate_leader().await,
            Victim::Server => {
                self.server.kill();
                if !E::OUTLIVES_ITS_SESSION {
                    self.engine.wait_until_ended().await;
                }
                block_in_place(|| self.server.restart());
                self.reach_server().await;
                if !E::OUTLIVES_ITS_SESSION {
                    self.lead_again().await;
                }
            }
            Victim::Session => {
                if let Some(pid) = self.running(false).await {
                    self.target
                        .session()
                        .query("select pg_terminate_backend($1)", &[&pid])
                        .await
                        .expect("a superuser may");
                }
            }
            Victim::Backend => {
                if let Some(pid) = self.running(false).await {
                    let _ = self.elsewhere.signal_backend(Signal::Kill, pid);
                }
                self.reach_target().await;
            }
            Victim::Targets => {
                self.elsewhere.kill();
                sleep(Duration::from_millis(self.seed.below(700))).await;
                block_in_place(|| self.elsewhere.restart());
                self.reach_target().await;
            }
            Victim::CommitWithoutStandby | Victim::LeaderWithoutStandby => {
                self.want_standby("ghost").await;
                let pid = self.running(true).await.expect("a commit waits for the standby");
                if victim == Victim::LeaderWithoutStandby {
                    self.terminate_leader().await;
                } else {
                    let ended = self.target.session().query("select pg_terminate_backend($1)", &[&pid]).await;
                    ended.expect("a superuser may");
                }
                sleep(Duration::from_millis(self.seed.below(1_500))).await;
                self.want_standby("").await;
            }
        }
    }

    /// Opens a new session at the target, which may have restarted.
    async fn reach_target(&mut self) {
        sleep(Duration::from_millis(100)).await;
        let begin = Instant::now();
        loop {
            if self.target.session().batch_execute("select 1").await.is_ok() {
                return;
            }
            if self.target.settings().connect().await.is_ok() {
                self.target.reconnect().await;
            }
            assert!(begin.elapsed() < RECOVERS_WITHIN, "the target does not come back");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn each_task_with_a_receipt_has_its_effect_once<E: Engine>() {
    let mut fixture = Fixture::<E>::open().await;
    // Each of the eight kinds of kills at least once: some of them lose no run.
    let kills = rounds(8).max(8);
    for (kill, victim) in (0..kills).zip(Victim::ALL.into_iter().cycle()) {
        fixture.push_wave().await;
        eprintln!("kill {kill}: {victim:?}");
        fixture.kill(victim).await;
    }
    let (mut open, mut changed) = (i64::MAX, Instant::now());
    while open > 0 && changed.elapsed() < Duration::from_secs(60) {
        let now = fixture.database.number("select count(*) from async.task where processed is null").await;
        if now != open {
            (open, changed) = (now, Instant::now());
        }
        sleep(Duration::from_millis(50)).await;
    }
    fixture.reach_target().await;
    let database = &fixture.database;
    let ended = "select coalesce(bool_and(finish_status = 'FINISHED'), false) from async.task";
    assert!(database.holds(ended).await, "{}", database.dump().await);
    let tasks = database.number("select count(*) from async.task").await;
    let counts = "select count(*), count(distinct mark), (select count(*) from pgasync.receipt where not voided),
        (select count(*) from pgasync.receipt where voided) from ledger";
    let row = fixture.target.session().query_one(counts, &[]).await.expect("a ledger");
    let [effects, different, receipts, voided] = [0, 1, 2, 3].map(|column| row.get::<_, i64>(column));
    eprintln!("{kills} kills, {tasks} tasks, {effects} effects, {voided} voided runs");
    assert_eq!((effects, different, receipts), (tasks, tasks, tasks));
    assert!(voided > 0, "no run was lost");
    fixture.database.wait_for("select count(*) = 0 from async.v_lost_session").await;
    fixture.engine.stop().await;
}

on_both_engines!(each_task_with_a_receipt_has_its_effect_once);
