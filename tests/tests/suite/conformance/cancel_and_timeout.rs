//! Cancels and deadlines: no client waits for the query, and the pool slot is free when the target
//! reports its end.

use std::time::Instant;

use pgasync_tests::Engine;
use serde_json::json;

use super::fixture::{Fixture, SLOW, SOON};

async fn a_waiting_task_is_canceled_and_never_runs<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "targets": [fixture.there(&json!({ "max_workers": 1 }))] })).await;
    let ahead = fixture.push("select pg_sleep(1)").await;
    let waiting = fixture.push("insert into ledger (mark) values ('never')").await;
    fixture.wait_until(ahead, "RUNNING").await;
    fixture.run(&format!("select async.cancel(array[{waiting}])")).await;
    let error = fixture.end_of(waiting).await.is("CANCELED");
    assert_eq!(error.as_deref(), Some("manual cancel"));
    fixture.end_of(ahead).await.succeeded();
    fixture.run_task("select 1").await.succeeded();
    assert_eq!(fixture.target.marks("never").await, 0);
    assert_eq!(fixture.number(&format!("select run from async.task where task_id = {waiting}")).await, 0);
}

async fn a_canceled_query_is_ended_at_once_and_does_not_commit<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let id = fixture.push("insert into ledger (mark) select 'never' from pg_sleep(25)").await;
    let other = fixture.push("insert into ledger (mark) values ('never'); select pg_sleep(25)").await;
    fixture.wait_until_it_runs(id).await;
    fixture.wait_until_it_runs(other).await;
    let begin = Instant::now();
    fixture.run(&format!("select async.cancel(array[{id}, {other}], 'not wanted')")).await;
    assert_eq!(fixture.end_within(id, SOON).await.is("CANCELED").as_deref(), Some("not wanted"));
    assert_eq!(fixture.end_within(other, SOON).await.is("CANCELED").as_deref(), Some("not wanted"));
    assert!(begin.elapsed() < SOON);
    // When the row is recorded, the query has ended at the target and the pool slot is free.
    let active = format!(
        "select count(*) from pg_stat_activity where datname = '{}' and state = 'active' and query like '%never%'
         and pid <> pg_backend_pid()",
        fixture.target.name()
    );
    assert_eq!(fixture.number(&active).await, 0);
    fixture.wait_until_no_slot_is_taken().await;
    assert_eq!(fixture.target.marks("never").await, 0);
    fixture.run_task("select 1").await.succeeded();
}

async fn cancel_waits_for_nothing<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let id = fixture.push(SLOW).await;
    fixture.wait_until_it_runs(id).await;
    let client = fixture.connect().await;
    let begin = Instant::now();
    client.batch_execute(&format!("begin; select async.cancel(array[{id}]); commit")).await.expect("it cancels");
    assert!(begin.elapsed() < SOON / 4, "{:?}", begin.elapsed());
    fixture.end_within(id, SOON).await.is("CANCELED");
}

async fn other_tasks_run_while_queries_are_canceled<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    // This query ignores cancel requests.
    let stubborn = fixture
        .push(
            "do $$ begin loop begin perform pg_sleep(25); exit; exception when query_canceled then null; end; end loop;
             end $$",
        )
        .await;
    fixture.wait_until_it_runs(stubborn).await;
    fixture.run(&format!("select async.cancel(array[{stubborn}])")).await;
    let begin = Instant::now();
    for _ in 0..10 {
        fixture.run_task("select 1").await.succeeded();
    }
    assert!(begin.elapsed() < SOON / 2, "{:?}", begin.elapsed());
    // After the grace period its backend is terminated.
    fixture.end_within(stubborn, SOON).await.is("CANCELED");
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_cancel_that_is_rolled_back_cancels_nothing<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let id = fixture.push("select pg_sleep(0.5)").await;
    fixture.wait_until_it_runs(id).await;
    fixture.run(&format!("begin; select async.cancel(array[{id}]); rollback")).await;
    fixture.end_of(id).await.succeeded();
}

async fn a_query_that_committed_before_the_cancel_is_finished<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .run_there(
            "create procedure commits_and_hides() language plpgsql as $$ begin
            insert into ledger (mark) values ('committed'); commit;
            begin perform pg_sleep(25); exception when query_canceled then null; end; end $$",
        )
        .await;
    let id = fixture.push("call commits_and_hides()").await;
    fixture.wait_until_it_runs(id).await;
    fixture.run(&format!("select async.cancel(array[{id}])")).await;
    fixture.end_within(id, SOON).await.succeeded();
    assert_eq!(fixture.target.marks("committed").await, 1);
}

async fn a_late_cancel_never_hits_the_next_query<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "targets": [fixture.there(&json!({ "max_workers": 1 }))] })).await;
    // About half of the cancels arrive after the end of their query. Tasks that are not cancelled
    // must finish.
    for round in 0..30 {
        let doomed = fixture.push("select pg_sleep(0.01)").await;
        let innocent = fixture.push("select pg_sleep(0.03)").await;
        if round % 3 != 0 {
            fixture.wait_for(&format!("select consumed is not null from async.task where task_id = {doomed}")).await;
        }
        fixture.run(&format!("set client_min_messages = error; select async.cancel(array[{doomed}])")).await;
        fixture.end_of(innocent).await.succeeded();
    }
    fixture.wait_until_finished().await;
    fixture.assert_holds("select bool_and(finish_status in ('FINISHED', 'CANCELED')) from async.task").await;
}

async fn an_overdue_query_is_ended_and_frees_its_slot<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "targets": [fixture.there(&json!({ "max_workers": 1 }))] })).await;
    let id = fixture
        .push_as("'insert into ledger (mark) select ''never'' from pg_sleep(25)', 'there', manual_timeout => '0.3 s'")
        .await;
    let next = fixture.push("select 1").await;
    let error = fixture.end_within(id, SOON).await.is("TIMED_OUT").expect("an error message");
    assert!(error.contains("in time"), "{error}");
    fixture.end_within(next, SOON).await.succeeded();
    assert_eq!(fixture.target.marks("never").await, 0);
    fixture.wait_until_no_slot_is_taken().await;
}

async fn other_tasks_run_while_queries_time_out<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let stubborn = "do $d$ begin loop begin perform pg_sleep(25); exit; exception when query_canceled then null; end;
                    end loop; end $d$";
    let sql = "select async.push_task(async.task($1, 'there', manual_timeout => '0.2 s'))";
    let ids = [fixture.id(sql, &[&stubborn]).await, fixture.id(sql, &[&stubborn]).await];
    for id in ids {
        fixture.wait_until(id, "RUNNING").await;
    }
    let begin = Instant::now();
    while begin.elapsed() < std::time::Duration::from_secs(1) {
        fixture.run_task("select 1").await.succeeded();
    }
    assert!(begin.elapsed() < SOON / 2, "{:?}", begin.elapsed());
    for id in ids {
        fixture.end_within(id, SOON).await.is("TIMED_OUT");
    }
}

async fn the_deadline_is_the_task_s_then_the_target_s_then_the_default<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture
        .configure(&json!({
            "control": { "default_timeout": "30 minutes" },
            "targets": [
                fixture.there(&json!({})),
                { "target": "patient", "connection_string": fixture.target.conninfo(), "default_timeout": "2 hours" },
            ],
        }))
        .await;
    let mut fixture = fixture;
    fixture.engine.lead().await;
    let ids = [
        fixture.push_as("'select 1', 'there'").await,
        fixture.push_as("'select 1', 'patient'").await,
        fixture.push_as("'select 1', 'patient', manual_timeout => '7 minutes'").await,
    ];
    for (id, minutes) in ids.into_iter().zip([30, 120, 7]) {
        fixture.end_of(id).await.succeeded();
        fixture
            .assert_holds(&format!(
                "select times_up = consumed + interval '{minutes} minutes' from async.task where task_id = {id}"
            ))
            .await;
    }
}

async fn time_spent_waiting_does_not_count<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "targets": [fixture.there(&json!({ "max_workers": 1 }))] })).await;
    fixture.push("select pg_sleep(1.5)").await;
    let id = fixture.push_as("'select 1', 'there', manual_timeout => '1 s'").await;
    fixture.end_of(id).await.succeeded();
}

async fn a_changed_default_timeout_holds_for_what_starts_next<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "control": { "default_timeout": "0.3 s" } })).await;
    fixture.run("select async.wait_for_latch()").await;
    fixture.wait_for("select async.wait_for_latch() is not null").await;
    // The engine needs a moment to read the setting.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let id = fixture.push(SLOW).await;
    fixture.end_within(id, SOON).await.is("TIMED_OUT");
}

async fn timeouts_fire_while_paused<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let id = fixture.push_as("'select pg_sleep(25)', 'there', manual_timeout => '0.5 s'").await;
    fixture.wait_until_it_runs(id).await;
    fixture.run("update async.control set paused = true").await;
    fixture.end_within(id, SOON).await.is("TIMED_OUT");
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_cancel_that_comes_after_the_deadline_changes_nothing<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let id = fixture.push_as("'select pg_sleep(25)', 'there', manual_timeout => '0.3 s'").await;
    fixture.end_within(id, SOON).await.is("TIMED_OUT");
    fixture.run(&format!("set client_min_messages = error; select async.cancel(array[{id}])")).await;
    fixture.run("select async.wait_for_latch()").await;
    fixture.end_of(id).await.is("TIMED_OUT");
}

async fn canceling_many_at_once_ends_them_all<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .run(&format!("select async.push_tasks(array_agg(async.task('{SLOW}', 'there'))) from generate_series(1, 40)"))
        .await;
    fixture.wait_for("select count(*) = 4 from async.task where consumed is not null").await;
    fixture.run("select async.cancel(array_agg(task_id)) from async.task").await;
    fixture.wait_for_within("select bool_and(finish_status = 'CANCELED') from async.task", SOON).await;
    fixture.wait_until_no_slot_is_taken().await;
}

conformance!(
    a_waiting_task_is_canceled_and_never_runs,
    a_canceled_query_is_ended_at_once_and_does_not_commit,
    cancel_waits_for_nothing,
    other_tasks_run_while_queries_are_canceled,
    a_cancel_that_is_rolled_back_cancels_nothing,
    a_query_that_committed_before_the_cancel_is_finished,
    a_late_cancel_never_hits_the_next_query,
    an_overdue_query_is_ended_and_frees_its_slot,
    other_tasks_run_while_queries_time_out,
    the_deadline_is_the_task_s_then_the_target_s_then_the_default,
    time_spent_waiting_does_not_count,
    a_changed_default_timeout_holds_for_what_starts_next,
    timeouts_fire_while_paused,
    a_cancel_that_comes_after_the_deadline_changes_nothing,
    canceling_many_at_once_ends_them_all,
);
