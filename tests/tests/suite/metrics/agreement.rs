//! Both engines count the same tasks in the same way, and `async.v_metric` shows it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pgasync_core::SERIES_MAX;
use pgasync_tests::{Database, Engine, PATIENCE, Target};
use serde_json::json;
use tokio::time::sleep;

use crate::conformance::run_on;

async fn metrics(database: &Database) -> BTreeMap<String, f64> {
    let sql = "select m.name || m.labels::text, m.value from async.v_metric m";
    let rows = database.rows(sql, &[]).await;
    let series: BTreeMap<String, f64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(series.len(), rows.len(), "no series appears twice");
    series
}

async fn wait_for(database: &Database, series: &str, value: f64) -> BTreeMap<String, f64> {
    let begin = Instant::now();
    loop {
        let found = metrics(database).await;
        if found.get(series) == Some(&value) {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "{series} is not {value}: {found:#?}");
        sleep(Duration::from_millis(200)).await;
    }
}

/// The name of a series of ended tasks.
fn ended(status: &str, class: &str, target: &str) -> String {
    format!(
        "pgasync_tasks_ended_total{{\"status\": \"{status}\", \"target\": \"{target}\", \"sqlstate_class\": \"{class}\"}}"
    )
}

async fn configure(database: &Database, target: &Target) {
    let policy = json!({"retry_policy": "twice", "max_attempts": 3, "delay": "50 milliseconds", "sqlstates": ["any"]});
    database
        .configure(&json!({
            "control": {"workers": 4, "idle_sleep": 0.2},
            "retry_policies": [policy],
            "targets": [
                {"target": "there", "connection_string": target.conninfo(), "max_workers": 4},
                {"target": "later", "connection_string": target.conninfo(), "asynchronous_finish": true},
                {"target": "full", "connection_string": target.conninfo(), "max_workers": 0},
            ],
        }))
        .await;
}

/// Successes, errors with and without a retry, a timeout, a cancel, a task that yields, and one that is pulled.
async fn run_one_of_each(database: &Database) {
    let push =
        |arguments: &'static str| async move { database.number(&format!("select async.push({arguments})")).await };
    for _ in 0..20 {
        push("'select 1', 'there'").await;
    }
    push("'select 1/0', 'there'").await;
    push("'select 1/0', 'there', retry => 'twice'").await;
    push("'select pg_sleep(600)', 'there', timeout => '300 milliseconds'").await;
    let later = push("'select 1', 'later'").await;
    let waits = push("'select 1', 'full'").await;
    let pulled = database.number("select async.push_task(async.task(null, 'later'))").await;
    let yielded = format!("select count(*) = 1 from async.task where task_id = {later} and yielded is not null");
    database.wait_for(&yielded).await;
    database.run(&format!("select async.finish(array[{later}::bigint], 'FINISHED', null)")).await;
    database.run(&format!("select async.cancel(array[{waits}::bigint])")).await;
    database.wait_for("select count(*) = 1 from async.get_tasks('later', 1)").await;
    database.run(&format!("select async.finish(array[{pulled}::bigint], 'FAILED', 'no')")).await;
    database.wait_until_finished().await;
}

/// What both engines must have counted: [`run_one_of_each`], one restart, and a task that waits.
fn expected() -> Vec<(String, f64)> {
    let there = |name: &str| format!("{name}{{\"target\": \"there\"}}");
    let bucket = |le: &str| format!("pgasync_task_run_seconds_bucket{{\"le\": \"{le}\", \"target\": \"there\"}}");
    vec![
        (ended("FINISHED", "", "there"), 21.0),
        (ended("FINISHED", "", "later"), 1.0),
        (ended("FAILED", "22", "there"), 2.0),
        (ended("FAILED", "", "later"), 1.0),
        (ended("TIMED_OUT", "", "there"), 1.0),
        (ended("CANCELED", "", "full"), 1.0),
        // 20 and the restart, the errors with two retries, and the timeout.
        (there("pgasync_tasks_started_total"), 26.0),
        (there("pgasync_retries_total"), 2.0),
        (there("pgasync_task_wait_seconds_count"), 24.0),
        (there("pgasync_task_run_seconds_count"), 24.0),
        (bucket("86400"), 24.0),
        (bucket("+Inf"), 24.0),
        (there("pgasync_target_up"), 1.0),
        ("pgasync_leader{}".to_owned(), 1.0),
        ("pgasync_workers_max{}".to_owned(), 4.0),
        ("pgasync_fences_open{}".to_owned(), 0.0),
        ("pgasync_pool_slots_max{\"pool\": \"there\"}".to_owned(), 4.0),
        ("pgasync_tasks_waiting{\"target\": \"full\"}".to_owned(), 1.0),
    ]
}

async fn each_engine_counts_the_same<E: Engine>() {
    let database = Database::create().await;
    let target = Target::create_on(database.cluster()).await;
    configure(&database, &target).await;
    let mut engine = E::attach(&database);
    engine.lead().await;
    run_one_of_each(&database).await;
    // A task that ends twice counts twice. It is restarted when its first end was counted.
    wait_for(&database, &ended("FINISHED", "", "there"), 20.0).await;
    database.run("select async.restart_task(min(task_id)) from async.task").await;
    database.wait_until_finished().await;
    database.rows("select async.push_task(async.task('select 1', 'full'))", &[]).await;

    let found = wait_for(&database, &ended("FINISHED", "", "there"), 21.0).await;
    for (series, value) in expected() {
        assert_eq!(found.get(&series), Some(&value), "{}: {series} in {found:#?}", E::NAME);
    }
    let ran = found["pgasync_task_run_seconds_sum{\"target\": \"there\"}"];
    assert!((0.3..60.0).contains(&ran), "{ran}");
    assert!(found["pgasync_batch_tasks_count{}"] > 0.0 && found["pgasync_loop_seconds_count{}"] > 0.0);
    let names: Vec<String> = found.keys().map(|series| series.split('{').next().unwrap_or(series).to_owned()).collect();
    for name in super::documented() {
        assert!(names.iter().any(|found| super::family(found) == name), "{}: no {name} in {names:?}", E::NAME);
    }
    engine.stop().await;

    // The next leader begins with zero.
    let mut next = E::attach(&database);
    next.lead().await;
    database.run("select async.cancel(array_agg(task_id)) from async.task where processed is null").await;
    let found = wait_for(&database, &ended("CANCELED", "", "full"), 1.0).await;
    assert_eq!(found.get(&ended("FINISHED", "", "there")), None, "{found:#?}");
    next.stop().await;
}

run_on!(pgasync_tests::RustEngine => rust: each_engine_counts_the_same);
run_on!(pgasync_tests::SqlEngine => sql: each_engine_counts_the_same);

#[tokio::test]
async fn the_view_has_at_most_a_thousand_series_of_a_metric_and_reads_within_bounds() {
    let database = Database::create().await;
    let target = Target::create_on(database.cluster()).await;
    let names = "select count(distinct name) from async.v_metric";
    assert!(database.number(names).await >= 5, "the view works before the first election");
    let mut engine = pgasync_tests::RustEngine::attach(&database);
    engine.lead().await;
    engine.stop().await;
    let targets: Vec<_> = (0..SERIES_MAX + 200)
        .map(|number| json!({"target": format!("t{number:05}"), "connection_string": target.conninfo()}))
        .collect();
    database.configure(&json!({ "targets": targets })).await;
    let push = "select count(*) from (select async.push_tasks(array_agg(async.task('select 1', format('t%s', lpad((n % 1200)::text, 5, '0')))))
        from generate_series(1, 20000) as n) as pushed";
    database.run(push).await;
    database.run("analyze async.task").await;
    // What a leader counts for so many targets.
    database
        .run("select async.add_metrics((select epoch from async.leader), array_agg(row('pgasync_tasks_started_total', jsonb_build_object('target', format('t%s', n)), 0, 1, null)::async.metric
              order by n)) from generate_series(1, 3000) as n")
        .await;
    database
        .run("select async.add_metrics((select epoch from async.leader), array_agg(row('pgasync_task_run_seconds', jsonb_build_object('target', format('t%s', n)), 0, 1,
              '{1,0,0,0,0,0,0,0,0,0,2}')::async.metric order by n)) from generate_series(1, 3000) as n")
        .await;
    let most = "select max(n) from (select count(*) as n from async.v_metric
        group by regexp_replace(name, '_(bucket|sum|count)$', '')) f";
    let begin = Instant::now();
    let most = database.number(most).await;
    let took = begin.elapsed();
    assert!(most <= i64::try_from(SERIES_MAX).expect("it is small"), "{most} series");
    // Measured on a busy machine with 2,000 lanes and 100,000 tasks: 0.22 to 0.46 s.
    assert!(took < Duration::from_secs(4), "{took:?}");
    let total = "select sum(value)::bigint from async.v_metric where name = 'pgasync_tasks_started_total'";
    assert_eq!(database.number(total).await, 3000);
    assert_eq!(
        database
            .number("select sum(value)::bigint from async.v_metric where name = 'pgasync_task_run_seconds_count'")
            .await,
        9000
    );
    assert_eq!(
        database.number("select sum(value)::bigint from async.v_metric where name = 'pgasync_tasks_waiting'").await,
        20_000
    );
    assert_eq!(database.number("select value::bigint from async.v_metric where name = 'pgasync_leader'").await, 0);
}

#[tokio::test]
async fn members_of_pg_monitor_may_read_the_metrics_and_nothing_else() {
    let database = Database::create().await;
    let role = format!("monitor_{}", database.name());
    database.run(&format!("create role \"{role}\" in role pg_monitor")).await;
    database.run(&format!("set role \"{role}\"")).await;
    assert!(database.number("select count(*) from async.v_metric").await > 3);
    for sql in [
        "select * from async.metric",
        "select * from async.task",
        "select * from async.backlog()",
        "select * from async.v_pool",
    ] {
        let (code, message) = database.refused(sql).await;
        assert_eq!(code, "42501", "{sql}: {message}");
    }
    database.run("reset role").await;
    database.run(&format!("drop role \"{role}\"")).await;
}
