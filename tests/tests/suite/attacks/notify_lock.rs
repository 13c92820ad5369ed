//! A transaction that notifies holds a lock of the whole cluster until its commit has ended, which
//! takes long on a slow disk or while a synchronous standby is missing. Other commits that notify
//! wait for it, so a client of another database delays an orchestrator, and must not end it.

use std::time::Duration;

use pgasync_tests::{Database, Engine, PrivateCluster, Target};
use serde_json::json;
use tokio::time::sleep;

use super::role::run;
use crate::conformance::fixture::Fixture;

/// Much longer than an orchestrator waits for any other lock.
const HELD: Duration = Duration::from_millis(600);

const TASKS: i64 = 5;

/// The ends of tasks notify, as those of many clients do.
const NOTIFIES: &str = "
    create function notifies() returns trigger language plpgsql as $$ begin
        perform pg_notify('ended', new.task_id::text); return null; end $$;
    create trigger notifies after update on async.task for each row
        when (new.processed is not null) execute procedure notifies()";

/// A commit waits for the lock.
const WAITS: &str = "select exists (select from pg_locks l
    where not l.granted and l.locktype = 'object' and l.classid = 'pg_database'::regclass and l.objid = 0)";

async fn want_standby(database: &Database, name: &str) {
    let session = database.connect().await;
    run(&session, &format!("alter system set synchronous_standby_names = '{name}'")).await;
    run(&session, "select pg_reload_conf()").await;
}

async fn a_commit_that_holds_the_notify_lock_delays_an_orchestrator_and_does_not_end_it<E: Engine>() {
    let cluster = PrivateCluster::start(&["synchronous_commit=local"]);
    let database = Database::create_on(&cluster).await;
    let target = Target::create_on(&cluster).await;
    let there = json!({ "target": "there", "connection_string": target.conninfo(), "max_workers": 8 });
    database.configure(&json!({ "control": { "workers": 8, "idle_sleep": 0.1 }, "targets": [there] })).await;
    database.run(NOTIFIES).await;
    let engine = E::attach(&database);
    let mut fixture = Fixture { database, target, engine };
    fixture.engine.lead().await;
    let led_by = fixture.number("select pid from async.control").await;
    let gate = fixture.target.connect().await;
    run(&gate, "select pg_advisory_lock(1)").await;
    for _ in 0..TASKS {
        fixture.push("select pg_advisory_lock_shared(1)").await;
    }
    fixture.wait_for(&format!("select count(*) = {TASKS} from async.task where consumed is not null")).await;

    want_standby(&fixture, "ghost").await;
    let holder = fixture.connect().await;
    run(&holder, "set synchronous_commit = on").await;
    let held = tokio::spawn(async move { run(&holder, "create table elsewhere (); notify elsewhere").await });
    fixture.wait_for("select exists (select from pg_stat_activity where wait_event = 'SyncRep')").await;
    run(&gate, "select pg_advisory_unlock(1)").await;
    fixture.wait_for(WAITS).await;
    sleep(HELD).await;
    want_standby(&fixture, "").await;
    held.await.expect("it commits");

    fixture.wait_until_finished().await;
    fixture.assert_holds("select bool_and(finish_status = 'FINISHED' and run = 1) from async.task").await;
    fixture.run_task("select 1").await.succeeded();
    assert_eq!(fixture.number("select pid from async.control").await, led_by, "the lead was lost");
    fixture.assert_holds("select not exists (select from async.server_log where level in ('WARNING', 'ERROR'))").await;
}

attacks!(a_commit_that_holds_the_notify_lock_delays_an_orchestrator_and_does_not_end_it);
