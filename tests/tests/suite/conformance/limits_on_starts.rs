//! The limit on the starts in a pool: they are evenly spaced. A task is claimed when the time of its
//! start has come, so the times of the claims show the spacing, however slow the machine is.

use pgasync_tests::Engine;
use serde_json::{Value, json};

use super::fixture::Fixture;

/// Whether each task of the pool `limited` was claimed 250 ms after the one before it. The Rust engine
/// spaces them by its monotonic clock, and writes the time of the server as the last answer told it. On a
/// busy machine that is late by some milliseconds, once for one task and not for the next. This does not
/// add up, so all gaps together show the spacing.
const SPACED: &str = "
    select count(*) > 1 and min(gap) >= '150 milliseconds'
      and sum(gap) >= count(gap) * interval '250 milliseconds' - interval '100 milliseconds'
    from (
      select consumed - lag(consumed) over (order by consumed) as gap
      from async.task where concurrency_pool = 'limited' and consumed is not null
    ) t";

/// A pool in which four tasks start in a second.
fn limited() -> Value {
    json!([{ "concurrency_pool": "limited", "max_workers": 10, "starts_max": 4, "interval": "1 second" }])
}

async fn with_limit<E: Engine>() -> Fixture<E> {
    let mut fixture = Fixture::<E>::prepared().await;
    let pulled = json!({ "target": "pulled", "asynchronous_finish": true });
    fixture.configure(&json!({ "targets": [fixture.there(&json!({})), pulled], "concurrency_pools": limited() })).await;
    fixture.engine.lead().await;
    fixture
}

async fn push<E: Engine>(fixture: &Fixture<E>, query: &str, target: &str, tasks: i32) {
    let push = format!(
        "select async.push_tasks(array_agg(async.task({query}, '{target}', concurrency_pool => 'limited')))
         from generate_series(1, {tasks})"
    );
    fixture.run(&push).await;
}

async fn starts_are_spaced_and_other_pools_do_not_wait<E: Engine>() {
    let fixture = with_limit::<E>().await;
    push(&fixture, "'select 1'", "there", 6).await;
    let other = fixture.push("select 1").await;
    fixture.end_of(other).await.succeeded();
    fixture
        .assert_holds("select count(*) > 0 from async.task where concurrency_pool = 'limited' and processed is null")
        .await;
    fixture.wait_until_finished().await;
    fixture.assert_holds(SPACED).await;
}

async fn a_task_that_waits_for_its_start_says_so<E: Engine>() {
    let fixture = with_limit::<E>().await;
    fixture
        .configure(&json!({ "concurrency_pools": [
        { "concurrency_pool": "limited", "max_workers": 10, "starts_max": 1, "interval": "1 hour" }] }))
        .await;
    push(&fixture, "'select 1'", "there", 2).await;
    fixture
        .wait_for(
            "select reason = 'its pool starts at most 1 tasks in 01:00:00, evenly spaced'
             from async.v_why_waiting where concurrency_pool = 'limited' and waiting <= 2",
        )
        .await;
    // A higher limit counts from the last start. Without a limit, all start.
    fixture
        .configure(&json!({ "concurrency_pools": [
        { "concurrency_pool": "limited", "starts_max": 0 }] }))
        .await;
    fixture.wait_until_finished().await;
}

async fn pulled_tasks_count_too<E: Engine>() {
    let fixture = with_limit::<E>().await;
    push(&fixture, "null", "pulled", 4).await;
    let mut pulled = 0;
    while pulled < 4 {
        let tasks = fixture
            .rows("select task_id from async.get_tasks('pulled', 4, '5 seconds')", &[])
            .await
            .into_iter()
            .map(|row| row.get::<_, i64>(0))
            .collect::<Vec<_>>();
        assert!(tasks.len() <= 1, "{tasks:?} were offered at once");
        for task in &tasks {
            fixture.run(&format!("select async.finish(array[{task}], 'FINISHED', null)")).await;
        }
        pulled += tasks.len();
    }
    fixture.wait_until_finished().await;
    fixture.assert_holds(SPACED).await;
}

async fn a_limit_needs_its_interval<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    for (pool, path) in [
        (json!({ "starts_max": 4 }), "interval"),
        (json!({ "starts_max": -1 }), "starts_max"),
        (json!({ "starts_max": 1, "interval": "0" }), "interval"),
    ] {
        let mut pool = pool;
        pool["concurrency_pool"] = json!("limited");
        pool["max_workers"] = json!(1);
        let document = json!({ "concurrency_pools": [pool] });
        let (code, message) = fixture.refused(&format!("select async.configure($pgasync${document}$pgasync$)")).await;
        assert_eq!(code, "PA060");
        assert!(message.starts_with(&format!("concurrency_pools[0].{path}")), "{message}");
    }
    fixture.assert_holds("select count(*) = 0 from async.concurrency_pool").await;
}

conformance!(
    starts_are_spaced_and_other_pools_do_not_wait,
    a_task_that_waits_for_its_start_says_so,
    pulled_tasks_count_too,
    a_limit_needs_its_interval,
);
