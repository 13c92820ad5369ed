//! The limit on the sessions at a target, over all pools.

use std::time::Instant;

use pgasync_tests::{Engine, PATIENCE};
use serde_json::{Value, json};

use super::fixture::{Fixture, SLOW};

/// Counts the sessions of the orchestrator at the target while it runs.
const COUNTS: &str = "
    do $d$
    begin
      perform pg_sleep(0.05);
      insert into ledger (mark)
      select 'sessions: ' || count(*) from pg_stat_activity
      where datname = current_database() and application_name like 'pgasync/%';
    end
    $d$";

const SESSIONS: &str = "select count(*) from pg_stat_activity
    where datname = current_database() and application_name like 'pgasync/%'";

/// A fixture whose target has these settings, with ten workers.
async fn with<E: Engine>(there: &Value) -> Fixture<E> {
    let mut fixture = Fixture::<E>::prepared().await;
    fixture
        .configure(&json!({
            "control": { "workers": 10, "default_concurrency_pool_workers": 2 },
            "targets": [
                fixture.there(there),
                { "target": "too", "connection_string": fixture.database.conninfo(), "max_workers": 2 },
            ],
        }))
        .await;
    fixture.engine.lead().await;
    fixture
}

/// Pushes a task in each of so many pools that nobody configured.
async fn push_to_pools<E: Engine>(fixture: &Fixture<E>, query: &str, pools: i32) {
    fixture
        .rows(
            "select async.push_tasks(array_agg(async.task($1, 'there', concurrency_pool => 'pool ' || n)))
             from generate_series(1, $2) n",
            &[&query, &pools],
        )
        .await;
}

async fn no_target_has_more_sessions_than_it_may_have<E: Engine>() {
    let fixture = with::<E>(&json!({ "max_workers": 1, "max_sessions": 2 })).await;
    for _ in 0..3 {
        push_to_pools(&fixture, COUNTS, 10).await;
    }
    fixture.wait_until_finished().await;
    fixture.assert_holds("select count(*) = 30 from async.task where finish_status = 'FINISHED' and not failed").await;
    assert_eq!(fixture.target.marks("sessions: 1").await + fixture.target.marks("sessions: 2").await, 30);
    assert!(fixture.target.marks("sessions: 2").await > 0, "two run at once");
}

async fn tasks_that_wait_for_a_session_take_no_worker_and_say_so<E: Engine>() {
    let fixture = with::<E>(&json!({ "max_sessions": 1 })).await;
    push_to_pools(&fixture, SLOW, 10).await;
    let waits = "select count(*) = 9 and bool_and(reason like 'its target has as many sessions as it may have%1')
                 from async.v_why_waiting where target = 'there'";
    fixture.wait_for(waits).await;
    let id = fixture.id("select async.push_task(async.task('select 1', 'too', priority => 100))", &[]).await;
    fixture.end_of(id).await.succeeded();
    fixture.assert_holds(waits).await;
    fixture.run("select async.cancel(array_agg(task_id)) from async.task where processed is null").await;
    fixture.wait_until_finished().await;
}

async fn a_session_serves_the_tasks_of_every_pool<E: Engine>() {
    let fixture = with::<E>(&json!({ "max_sessions": 1 })).await;
    for pool in ["one", "two", "there"] {
        let id = fixture.push_as(&format!("'select 1', 'there', concurrency_pool => '{pool}'")).await;
        fixture.end_of(id).await.succeeded();
    }
    assert_eq!(fixture.number_there(SESSIONS).await, 1);
}

async fn a_lower_limit_closes_sessions_and_a_higher_one_opens_them<E: Engine>() {
    let fixture = with::<E>(&json!({ "max_sessions": 4 })).await;
    let fill = async || {
        for _ in 0..2 {
            push_to_pools(&fixture, COUNTS, 10).await;
        }
        fixture.wait_until_finished().await;
        fixture.number_there(SESSIONS).await
    };
    assert_eq!(fill().await, 4);
    let lower = fixture.there(&json!({ "max_sessions": 1 }));
    fixture.configure(&json!({ "targets": [lower] })).await;
    let (begin, session) = (Instant::now(), fixture.target.session());
    while session.query_one(SESSIONS, &[]).await.expect("it counts").get::<_, i64>(0) > 1 {
        assert!(begin.elapsed() < PATIENCE, "sessions above the limit stay open");
        tokio::task::yield_now().await;
    }
    assert_eq!(fill().await, 1);
    let higher = fixture.there(&json!({ "max_sessions": 3 }));
    fixture.configure(&json!({ "targets": [higher] })).await;
    assert_eq!(fill().await, 3);
}

/// The pool that the lost session's task holds is another one than that of the next task.
async fn a_lost_session_counts_until_it_is_gone<E: Engine>() {
    let fixture = with::<E>(&json!({ "max_sessions": 1 })).await;
    let id = fixture.push_as(&format!("$q${SLOW}$q$, 'there', concurrency_pool => 'one'")).await;
    fixture.wait_until_it_runs(id).await;
    let next = fixture.push_as(&format!("$q${COUNTS}$q$, 'there', concurrency_pool => 'two'")).await;
    let ends = "select pg_terminate_backend(pid) from pg_stat_activity
        where query like '%pg_sleep(25)%' and pid <> pg_backend_pid()";
    fixture.run_there(ends).await;
    fixture.end_of(id).await.is("FAILED");
    fixture.end_of(next).await.succeeded();
    assert_eq!(fixture.target.marks("sessions: 1").await, 1);
}

async fn an_impossible_limit_is_refused<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    for limit in [json!(0), json!(-1), json!("many"), json!(1.5)] {
        let there = fixture.there(&json!({ "max_sessions": limit }));
        let document = json!({ "targets": [there] });
        let (code, message) = fixture.refused(&format!("select async.configure($pgasync${document}$pgasync$)")).await;
        assert_eq!(code, "PA060");
        assert!(message.starts_with("targets[0].max_sessions: "), "{message}");
    }
    fixture.assert_holds("select max_sessions is null from async.target where target = 'there'").await;
}

conformance!(
    no_target_has_more_sessions_than_it_may_have,
    tasks_that_wait_for_a_session_take_no_worker_and_say_so,
    a_session_serves_the_tasks_of_every_pool,
    a_lower_limit_closes_sessions_and_a_higher_one_opens_them,
    a_lost_session_counts_until_it_is_gone,
    an_impossible_limit_is_refused,
);
