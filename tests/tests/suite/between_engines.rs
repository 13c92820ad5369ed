//! One engine takes over from the other, in each direction, while tasks run. No task is lost, and
//! no task runs twice.

use std::time::Duration;

use pgasync_tests::{Database, Engine, Outcome, RustEngine, SqlEngine, Target};
use serde_json::json;
use tokio::time::sleep;

const TASKS: i64 = 150;

async fn fixture() -> (Database, Target) {
    let database = Database::create().await;
    let target = Target::create_on(database.cluster()).await;
    database
        .configure(&json!({
            "control": { "workers": 6, "idle_sleep": 0.1, "takeover_grace": "0.2 s" },
            "targets": [{ "target": "there", "connection_string": target.conninfo(), "max_workers": 4 }],
        }))
        .await;
    let push = format!(
        "select async.push_tasks(array_agg(async.task(
            'insert into ledger (mark) select ''##flow.TASK_ID##'' from pg_sleep(0.03)', 'there')))
         from generate_series(1, {TASKS})"
    );
    database.run(&push).await;
    (database, target)
}

async fn busy(database: &Database) {
    database.wait_for("select exists (select from async.task where consumed is not null and processed is null)").await;
    sleep(Duration::from_millis(200)).await;
}

/// A forced engine takes over. The first engine drains and lets its running queries end.
async fn takes_over_by_force<A: Engine, B: Engine>() {
    let (database, target) = fixture().await;
    let mut first = A::attach(&database);
    first.lead().await;
    busy(&database).await;
    let mut second = B::attach(&database);
    second.start_forced().await;
    second.wait_until_leading().await;
    assert_eq!(first.wait_until_ended().await, Outcome::Returned);
    database.wait_until_finished().await;
    database.assert_holds("select bool_and(finish_status = 'FINISHED') from async.task").await;
    assert!(target.repeated_marks().await.is_empty());
    assert_eq!(
        target.session().query_one("select count(*) from ledger", &[]).await.expect("a ledger").get::<_, i64>(0),
        TASKS
    );
}

/// The first engine is killed: the outcome of its running tasks is unknown, and they do not run
/// again.
async fn takes_over_from_the_lost<A: Engine, B: Engine>() {
    let (database, target) = fixture().await;
    let mut first = A::attach(&database);
    first.lead().await;
    busy(&database).await;
    first.terminate().await;
    let mut second = B::attach(&database);
    second.lead().await;
    database.wait_until_finished().await;
    // Four tasks run. Four more may have ended just before, without a record.
    database
        .assert_holds(
            "select bool_and(finish_status = 'FINISHED' or processing_error like '%outcome unknown%')
                and count(*) filter (where failed) <= 8 from async.task",
        )
        .await;
    assert!(target.repeated_marks().await.is_empty());
    database.wait_for("select coalesce(sum(workers), 0) = 0 from async.concurrency_pool_tracker").await;
}

/// The tasks of a pool start half a second apart, over the change of the engine, too.
async fn keeps_the_limit_on_starts<A: Engine, B: Engine>() {
    let (database, _target) = fixture().await;
    let limited = json!({
        "concurrency_pool": "limited", "max_workers": 4, "starts_max": 2, "interval": "1 second",
    });
    database.configure(&json!({ "concurrency_pools": [limited] })).await;
    let push = "select async.push_tasks(array_agg(async.task('select 0', 'there', concurrency_pool => 'limited')))
                from generate_series(1, 6)";
    database.run(push).await;
    let mut first = A::attach(&database);
    first.lead().await;
    let started = "select count(*) >= 2 from async.task where concurrency_pool = 'limited' and processed is not null";
    database.wait_for(started).await;
    let mut second = B::attach(&database);
    second.start_forced().await;
    second.wait_until_leading().await;
    assert_eq!(first.wait_until_ended().await, Outcome::Returned);
    database.wait_until_finished().await;
    // The clock of a leader and that of the server may differ by a little.
    database
        .assert_holds(
            "select count(*) = 6 and min(gap) >= '400 milliseconds'
               and sum(gap) >= count(gap) * interval '500 milliseconds' - interval '100 milliseconds'
             from (
               select consumed - lag(consumed) over (order by consumed) as gap
               from async.task where concurrency_pool = 'limited'
             ) t",
        )
        .await;
}

/// Engines are terminated in the middle of tasks with receipts. Each has its effect once, and none has an
/// unknown outcome.
async fn resolves_receipts<A: Engine, B: Engine>() {
    let (database, target) = fixture().await;
    database.run("delete from async.task").await;
    let setup = database.text("select async.target_setup('there')").await.expect("a text");
    target.session().batch_execute(&setup).await.expect("the SQL of target_setup");
    let there = json!({ "target": "there", "connection_string": target.conninfo(), "receipts": true });
    let policy = json!({ "retry_policy": "again", "max_attempts": 100, "delay": "0 s", "delay_max": "0 s" });
    database.configure(&json!({ "targets": [there], "retry_policies": [policy] })).await;
    let push = format!(
        "select count(*) from async.push_each(
            'insert into ledger (mark) select ''##flow.TASK_ID##''; select pg_sleep(0.05)',
            array_fill('there'::text, array[{TASKS}]), receipt => true, retry => 'again')"
    );
    database.run(&push).await;
    for _ in 0..2 {
        let mut first = A::attach(&database);
        first.start_forced().await;
        first.wait_until_leading().await;
        busy(&database).await;
        first.terminate().await;
        let mut second = B::attach(&database);
        second.start_forced().await;
        second.wait_until_leading().await;
        busy(&database).await;
        second.terminate().await;
    }
    let mut last = A::attach(&database);
    last.start_forced().await;
    last.wait_until_leading().await;
    database.wait_until_finished().await;
    database.assert_holds("select bool_and(finish_status = 'FINISHED') from async.task").await;
    let sql = "select count(*), count(distinct mark) from ledger";
    let row = target.session().query_one(sql, &[]).await.expect("a ledger");
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (TASKS, TASKS));
    let sql = "select count(*) from pgasync.receipt where not voided";
    assert_eq!(target.session().query_one(sql, &[]).await.expect("receipts").get::<_, i64>(0), TASKS);
    database.wait_for("select coalesce(sum(workers), 0) = 0 from async.concurrency_pool_tracker").await;
}

/// The rows of tasks that run during the change of the engine are kept, and no result is that of another
/// task. A task whose outcome is unknown has none.
async fn keeps_the_results<A: Engine, B: Engine>(by_force: bool) {
    let (database, _target) = fixture().await;
    database.run("delete from async.task").await;
    let push = format!(
        "select count(*) from async.push_each(
            'select ##flow.TASK_ID## as id, n from generate_series(1, 3) n, pg_sleep(0.03)',
            array_fill('there'::text, array[{TASKS}]), keep_result => true)"
    );
    database.run(&push).await;
    let mut first = A::attach(&database);
    first.lead().await;
    busy(&database).await;
    let mut second = B::attach(&database);
    if by_force {
        second.start_forced().await;
        second.wait_until_leading().await;
        assert_eq!(first.wait_until_ended().await, Outcome::Returned);
    } else {
        first.terminate().await;
        second.lead().await;
    }
    database.wait_until_finished().await;
    let unknown = if by_force { 0 } else { 8 };
    database
        .assert_holds(&format!(
            "select count(*) = {TASKS} and count(*) filter (where t.failed) <= {unknown}
               and bool_and(t.failed = (r.task_id is null)) and count(r.run) filter (where r.run <> t.run) = 0
               and bool_and(r.rows = (select jsonb_agg(jsonb_build_object('id', t.task_id, 'n', n))
                                      from generate_series(1, 3) n))
             from async.task t left join async.result r on r.task_id = t.task_id"
        ))
        .await;
}

#[tokio::test]
async fn rust_keeps_the_results_of_sql() {
    keeps_the_results::<SqlEngine, RustEngine>(true).await;
    keeps_the_results::<SqlEngine, RustEngine>(false).await;
}

#[tokio::test]
async fn sql_keeps_the_results_of_rust() {
    keeps_the_results::<RustEngine, SqlEngine>(true).await;
    keeps_the_results::<RustEngine, SqlEngine>(false).await;
}

/// Each time of a schedule fires once, in order, over the changes of the engine: two that are forced,
/// and two after which the lost engine has said nothing.
async fn fires_each_time_once<A: Engine, B: Engine>() {
    let (database, target) = fixture().await;
    database.wait_for("select count(*) > 0 from async.task").await;
    database
        .run(
            "select async.schedule('tick', 'every 1 second',
               'insert into ledger (mark) values (''##flow.TASK_ID##'')', 'there', overlap => 'allow_all',
               catch_up => 'all', priority => -1)",
        )
        .await;
    let mut first = A::attach(&database);
    first.lead().await;
    let fired = |times: i64| format!("select count(*) >= {times} from async.task where schedule = 'tick'");
    database.wait_for(&fired(2)).await;
    let mut second = B::attach(&database);
    second.start_forced().await;
    second.wait_until_leading().await;
    assert_eq!(first.wait_until_ended().await, Outcome::Returned);
    database.wait_for(&fired(4)).await;
    second.terminate().await;
    sleep(Duration::from_millis(1_500)).await;
    let mut third = A::attach(&database);
    third.lead().await;
    database.wait_for(&fired(7)).await;
    third.terminate().await;
    let mut fourth = B::attach(&database);
    fourth.lead().await;
    database.wait_for(&fired(10)).await;
    database.run("select async.unschedule('tick')").await;
    database.wait_until_finished().await;
    database
        .assert_holds(
            "select count(*) >= 10 and bool_and(scheduled_for = first + (n - 1) * interval '1 second')
             from (
               select scheduled_for, min(scheduled_for) over () as first, row_number() over (order by task_id) as n
               from async.task where schedule = 'tick'
             ) t",
        )
        .await;
    assert!(target.repeated_marks().await.is_empty());
}

#[tokio::test]
async fn rust_and_sql_fire_each_time_once() {
    fires_each_time_once::<RustEngine, SqlEngine>().await;
}

#[tokio::test]
async fn sql_and_rust_fire_each_time_once() {
    fires_each_time_once::<SqlEngine, RustEngine>().await;
}

#[tokio::test]
async fn rust_keeps_the_limit_on_starts_of_sql() {
    keeps_the_limit_on_starts::<SqlEngine, RustEngine>().await;
}

#[tokio::test]
async fn sql_keeps_the_limit_on_starts_of_rust() {
    keeps_the_limit_on_starts::<RustEngine, SqlEngine>().await;
}

#[tokio::test]
async fn rust_takes_over_from_sql_by_force() {
    takes_over_by_force::<SqlEngine, RustEngine>().await;
}

#[tokio::test]
async fn sql_takes_over_from_rust_by_force() {
    takes_over_by_force::<RustEngine, SqlEngine>().await;
}

#[tokio::test]
async fn rust_takes_over_from_a_lost_sql() {
    takes_over_from_the_lost::<SqlEngine, RustEngine>().await;
}

#[tokio::test]
async fn sql_takes_over_from_a_lost_rust() {
    takes_over_from_the_lost::<RustEngine, SqlEngine>().await;
}

/// The leader session is terminated and no other process leads: the process proves its lead and
/// continues with running tasks.
#[tokio::test]
async fn rust_comes_back_when_its_session_is_ended() {
    let (database, target) = fixture().await;
    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    for _ in 0..3 {
        busy(&database).await;
        database.run("select pg_terminate_backend(pid) from async.control").await;
        sleep(Duration::from_millis(200)).await;
    }
    database.wait_until_finished().await;
    database.assert_holds("select bool_and(finish_status = 'FINISHED') from async.task").await;
    database.assert_holds("select epoch = 1 from async.leader").await;
    assert!(target.repeated_marks().await.is_empty());
    assert_eq!(engine.stop().await, Outcome::Returned);
    database.assert_holds("select goodbye from async.leader").await;
}

#[tokio::test]
async fn rust_and_sql_resolve_receipts() {
    resolves_receipts::<RustEngine, SqlEngine>().await;
}

#[tokio::test]
async fn sql_and_rust_resolve_receipts() {
    resolves_receipts::<SqlEngine, RustEngine>().await;
}
