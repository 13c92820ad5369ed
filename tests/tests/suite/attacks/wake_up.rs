//! Wake-ups of a leader that sleeps: none is lost, and no other role delays one. Everywhere the
//! leader polls by itself only once in an hour, so a lost wake-up is a test that does not end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pgasync_pg::Session;
use pgasync_tests::{Database, Engine, PrivateCluster, Target};
use serde_json::json;
use tokio::task::{JoinHandle, JoinSet, block_in_place};
use tokio::time::sleep;

use super::role::{Role, code, run};
use crate::conformance::fixture::Fixture;

const PUSH: &str = "select async.push_task(async.task('select 1', 'there'))";

const ASLEEP: &str = "select last_value = 1 from async.leader_sleep";

/// Takes every advisory lock that another session holds, those of earlier versions, and every lock
/// on a relation of the schema that its role may take, and keeps them. It writes something first,
/// so that its transaction has an id.
const SQUAT: &str = "
    begin;
    create temp table if not exists squatted ();
    do $squat$
    declare
      v_relation record;
      v_mode text;
    begin
      perform case when l.objsubid = 1 then pg_try_advisory_lock_shared(l.classid::bigint << 32 | l.objid::bigint)
        else pg_try_advisory_lock_shared(l.classid::int, l.objid::int) end
      from (select distinct classid, objid, objsubid from pg_locks
            where locktype = 'advisory' and pid <> pg_backend_pid()) l;
      perform pg_try_advisory_lock_shared(1346851657, n) from generate_series(1, 4) n;
      for v_relation in
        select format('%I.%I', n.nspname, c.relname) as name
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'async' and c.relkind in ('r', 'v', 'S')
      loop
        foreach v_mode in array '{access exclusive,exclusive,share,row exclusive,row share,access share}'::text[] loop
          begin
            execute format('lock table %s in %s mode nowait', v_relation.name, v_mode);
            exit;
          exception when others then
            null;
          end;
        end loop;
      end loop;
    end
    $squat$";

async fn sleeping<E: Engine>() -> Fixture<E> {
    let mut fixture = Fixture::<E>::prepared().await;
    sleep_for_an_hour(&fixture).await;
    fixture.engine.lead().await;
    fixture.run_task("select 1").await.succeeded();
    fixture
}

async fn sleep_for_an_hour(database: &Database) {
    database.configure(&json!({ "control": { "idle_sleep": 3600 } })).await;
}

/// Notifies the leader all the time, so that it stays awake, until the returned flag is set.
async fn keep_awake(database: &Database) -> (Arc<AtomicBool>, JoinHandle<()>) {
    let (done, session) = (Arc::new(AtomicBool::new(false)), database.connect().await);
    let ends = Arc::clone(&done);
    let notifies = tokio::spawn(async move {
        while !ends.load(Ordering::Relaxed) && session.batch_execute("notify async_wake").await.is_ok() {}
    });
    (done, notifies)
}

/// A session with an open push that has found the leader awake.
async fn open_push(database: &Database) -> Session {
    let (done, notifies) = keep_awake(database).await;
    let session = database.connect().await;
    loop {
        database.wait_for("select last_value = 0 from async.leader_sleep").await;
        run(&session, "begin").await;
        run(&session, PUSH).await;
        if !session.query_one(ASLEEP, &[]).await.expect("a superuser reads it").get::<_, bool>(0) {
            break;
        }
        run(&session, "rollback").await;
    }
    done.store(true, Ordering::Relaxed);
    notifies.await.expect("it notifies");
    session
}

async fn no_lock_of_another_role_delays_a_push<E: Engine>() {
    let fixture = sleeping::<E>().await;
    let stranger = Role::create(&fixture, "stranger").await;
    let client = Role::client(&fixture, "client", "'{there}'").await;
    let mut squatters = Vec::new();
    for role in [&stranger, &stranger, &client, &client] {
        squatters.push(role.connect(&fixture).await);
    }
    // An open push of a client, which ends with the test.
    let pusher = client.connect(&fixture).await;
    run(&pusher, "begin").await;
    run(&pusher, PUSH).await;
    for round in 0..4 {
        for squatter in &squatters {
            run(squatter, SQUAT).await;
        }
        fixture.wait_for(ASLEEP).await;
        fixture.run_task("select 1").await.succeeded();
        for squatter in &squatters {
            run(squatter, if round % 2 == 0 { "commit" } else { "rollback" }).await;
        }
    }
    for session in squatters {
        session.close().await;
    }
    run(&pusher, "rollback").await;
    pusher.close().await;
    fixture.wait_until_finished().await;
    for role in [stranger, client] {
        role.drop_from(&[&fixture]).await;
    }
}

async fn a_push_that_is_open_while_the_leader_falls_asleep_is_seen<E: Engine>() {
    let fixture = sleeping::<E>().await;
    for _ in 0..3 {
        let open = open_push(&fixture).await;
        fixture.wait_for(ASLEEP).await;
        // Another push, whose notification is not the one that the open push lacks.
        fixture.run_task("select 1").await.succeeded();
        fixture.wait_for(ASLEEP).await;
        run(&open, "commit").await;
        fixture.wait_until_finished().await;
    }
}

async fn pushes_at_every_isolation_level_wake<E: Engine>() {
    let fixture = sleeping::<E>().await;
    let session = fixture.connect().await;
    for level in ["read uncommitted", "read committed", "repeatable read", "serializable"] {
        for finds in ["awake", "asleep"] {
            fixture.wait_for(ASLEEP).await;
            run(&session, &format!("begin isolation level {level}")).await;
            // The snapshot of the transaction dates from now.
            run(&session, "select count(*) from async.task").await;
            if finds == "awake" {
                let (done, notifies) = keep_awake(&fixture).await;
                fixture.wait_for("select last_value = 0 from async.leader_sleep").await;
                run(&session, PUSH).await;
                done.store(true, Ordering::Relaxed);
                notifies.await.expect("it notifies");
                fixture.wait_for(ASLEEP).await;
            } else {
                run(&session, PUSH).await;
            }
            run(&session, "commit").await;
            fixture.wait_until_finished().await;
        }
    }
}

/// A sequence of numbers that are spread evenly, from a seed.
struct Moments(u64);

impl Moments {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    async fn pass(&mut self, millis: u64) {
        sleep(Duration::from_micros(self.below(millis * 1_000))).await;
    }
}

/// Pushes at random moments; some pushes stay open for a while. Returns whether the leader was
/// found awake and asleep.
async fn push_at_random(session: &Session, moments: &mut Moments, pushes: usize) -> [bool; 2] {
    let mut found = [false; 2];
    for _ in 0..pushes {
        moments.pass(4).await;
        run(session, "begin").await;
        run(session, PUSH).await;
        let asleep: bool = session.query_one(ASLEEP, &[]).await.expect("a superuser reads it").get(0);
        found[usize::from(asleep)] = true;
        if moments.below(4) == 0 {
            moments.pass(80).await;
        }
        run(session, "commit").await;
    }
    found
}

async fn none_of_a_thousand_pushes_at_random_moments_is_lost<E: Engine>() {
    const SESSIONS: u64 = 4;
    let seed = u64::from(std::process::id());
    eprintln!("seed {seed}");
    let fixture = sleeping::<E>().await;
    let mut sessions = Vec::new();
    for number in 0..SESSIONS {
        sessions.push((fixture.connect().await, Moments(seed * SESSIONS + number)));
    }
    let (mut moments, mut found) = (Moments(seed), [false; 2]);
    for _ in 0..50 {
        // The leader falls asleep at about the time of these pushes. All must end before others.
        moments.pass(120).await;
        let mut pushers = JoinSet::new();
        for (session, mut moments) in sessions.drain(..) {
            pushers.spawn(async move {
                let found = push_at_random(&session, &mut moments, 5).await;
                (found, session, moments)
            });
        }
        for (of_session, session, moments) in pushers.join_all().await {
            found = [found[0] | of_session[0], found[1] | of_session[1]];
            sessions.push((session, moments));
        }
        fixture.wait_until_finished().await;
    }
    fixture.assert_holds("select count(*) = 1001 from async.task where not failed").await;
    assert_eq!(found, [true; 2], "the pushes found the leader awake and asleep");
}

async fn requests_and_settings_wake<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    sleep_for_an_hour(&fixture).await;
    let calls_back = json!({
        "target": "calls_back", "connection_string": fixture.target.conninfo(), "asynchronous_finish": true });
    fixture.configure(&json!({ "targets": [fixture.there(&json!({})), calls_back] })).await;
    fixture.engine.lead().await;
    for (request, status) in [
        ("async.finish(array[$], 'FINISHED', null)", "FINISHED"),
        ("async.cancel(array[$])", "CANCELED"),
        ("async.finish(array[$], 'FAILED', 'no')", "FAILED"),
    ] {
        let id = fixture.push_as("'select 1', 'calls_back'").await;
        fixture.wait_until(id, "YIELDED").await;
        fixture.wait_for(ASLEEP).await;
        fixture.run(&format!("select {}", request.replace('$', &id.to_string()))).await;
        fixture.end_of(id).await.is(status);
    }
    fixture.configure(&json!({ "control": { "paused": true } })).await;
    let id = fixture.push("select 1").await;
    fixture.wait_for(ASLEEP).await;
    fixture.configure(&json!({ "control": { "paused": false } })).await;
    fixture.end_of(id).await.succeeded();
    fixture.wait_for(ASLEEP).await;
    fixture.run(&format!("select async.restart_task({id})")).await;
    fixture.end_of(id).await.succeeded();
}

/// A fixture with a server for itself.
async fn on_its_own_server<E: Engine>(cluster: &PrivateCluster) -> Fixture<E> {
    let database = Database::create_on(cluster).await;
    let target = Target::create_on(cluster).await;
    let there = json!({ "target": "there", "connection_string": target.conninfo(), "max_workers": 4 });
    database
        .configure(&json!({ "control": { "idle_sleep": 3600, "takeover_grace": "0.1 s" }, "targets": [there] }))
        .await;
    let engine = E::attach(&database);
    Fixture { database, target, engine }
}

async fn pushes_after_a_crash_of_the_server_wake<E: Engine>() {
    let cluster = block_in_place(|| PrivateCluster::start(&["max_connections=40"]));
    let mut fixture = on_its_own_server::<E>(&cluster).await;
    fixture.engine.lead().await;
    for state in [0, 1] {
        fixture.run_task("select 1").await.succeeded();
        let (done, notifies) = keep_awake(&fixture).await;
        fixture.wait_for("select last_value = 0 from async.leader_sleep").await;
        fixture.run("checkpoint").await;
        if state == 1 {
            done.store(true, Ordering::Relaxed);
            fixture.wait_for(ASLEEP).await;
        }
        block_in_place(|| {
            cluster.kill();
            cluster.kill_survivors();
            cluster.restart();
        });
        done.store(true, Ordering::Relaxed);
        drop(notifies.await);
        fixture.database.reconnect().await;
        fixture.target.reconnect().await;
        if !E::OUTLIVES_ITS_SESSION {
            fixture.engine.wait_until_ended().await;
            fixture.engine.start().await;
        }
        fixture.engine.wait_until_leading().await;
        fixture.wait_for(ASLEEP).await;
        fixture.run_task("select 1").await.succeeded();
    }
    fixture.engine.stop().await;
}

/// Such a push cannot notify, and its locks and its id outlive its session.
async fn a_prepared_push_is_seen_when_it_is_committed<E: Engine>() {
    let cluster = block_in_place(|| PrivateCluster::start(&["max_connections=40", "max_prepared_transactions=2"]));
    let mut fixture = on_its_own_server::<E>(&cluster).await;
    fixture.engine.lead().await;
    fixture.run_task("select 1").await.succeeded();
    // A push that has notified cannot be prepared. The leader may have slept for a moment meanwhile.
    while let open = open_push(&fixture).await
        && code(&open, "prepare transaction 'push'").await.is_some()
    {
        run(&open, "rollback").await;
    }
    fixture.wait_for(ASLEEP).await;
    fixture.run_task("select 1").await.succeeded();
    fixture.wait_for(ASLEEP).await;
    fixture.run("commit prepared 'push'").await;
    fixture.wait_until_finished().await;
    fixture.engine.stop().await;
}

/// Every write takes a transaction id, also one that is rolled back or only locks a row.
async fn an_idle_leader_writes_nothing<E: Engine>() {
    let cluster = block_in_place(|| PrivateCluster::start(&["max_connections=40", "autovacuum=off"]));
    let mut fixture = on_its_own_server::<E>(&cluster).await;
    fixture.configure(&json!({ "control": { "idle_sleep": 0.05 } })).await;
    fixture.engine.lead().await;
    fixture.run_task("select 1").await.succeeded();
    let acts = "select greatest(xact_start, state_change)::text
        from pg_stat_activity a join async.control c using (pid)";
    // What follows a task is written within this time, also on a loaded machine.
    for _ in 0..10 {
        let first_id = fixture.number("select txid_snapshot_xmax(txid_current_snapshot())").await;
        for _ in 0..40 {
            let last = fixture.text(acts).await.expect("it leads");
            fixture.wait_for(&format!("select ({acts}) <> '{last}'")).await;
        }
        let next_id = fixture.number("select txid_snapshot_xmax(txid_current_snapshot())").await;
        if first_id == next_id {
            return drop(fixture.engine.stop().await);
        }
    }
    panic!("an idle leader takes transaction ids");
}

attacks!(
    no_lock_of_another_role_delays_a_push,
    a_push_that_is_open_while_the_leader_falls_asleep_is_seen,
    pushes_at_every_isolation_level_wake,
    none_of_a_thousand_pushes_at_random_moments_is_lost,
    requests_and_settings_wake,
);

/// `block_in_place` needs another kind of runtime.
macro_rules! on_private_servers {
    ($($engine:ident: $type:ty => $($name:ident),+;)+) => {
        $(mod $engine {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    super::$name::<$type>().await;
                }
            )+
        })+
    };
}

on_private_servers! {
    sql_private: pgasync_tests::SqlEngine => pushes_after_a_crash_of_the_server_wake,
        a_prepared_push_is_seen_when_it_is_committed, an_idle_leader_writes_nothing;
    rust_private: pgasync_tests::RustEngine => pushes_after_a_crash_of_the_server_wake,
        a_prepared_push_is_seen_when_it_is_committed, an_idle_leader_writes_nothing;
}
