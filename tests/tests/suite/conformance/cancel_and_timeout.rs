//! Cancels and deadlines: nobody waits for the query, and the slot is free when the target says so.

use std::time::Instant;

use pgasync_tests::Engine;
use serde_json::json;

use super::bed::{Bed, SLOW, SOON};

async fn a_waiting_task_is_canceled_and_never_runs<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.configure(&json!({ "targets": [bed.there(&json!({ "max_workers": 1 }))] })).await;
    let ahead = bed.push("select pg_sleep(1)").await;
    let waiting = bed.push("insert into ledger (mark) values ('never')").await;
    bed.wait_until(ahead, "RUNNING").await;
    bed.run(&format!("select async.cancel(array[{waiting}])")).await;
    let error = bed.end_of(waiting).await.is("CANCELED");
    assert_eq!(error.as_deref(), Some("manual cancel"));
    bed.end_of(ahead).await.succeeded();
    bed.run_task("select 1").await.succeeded();
    assert_eq!(bed.target.marks("never").await, 0);
    assert_eq!(bed.number(&format!("select run from async.task where task_id = {waiting}")).await, 0);
}

async fn a_canceled_query_is_ended_at_once_and_does_not_commit<E: Engine>() {
    let bed = Bed::<E>::led().await;
    let id = bed.push("insert into ledger (mark) select 'never' from pg_sleep(25)").await;
    let other = bed.push("insert into ledger (mark) values ('never'); select pg_sleep(25)").await;
    bed.wait_until_it_runs(id).await;
    bed.wait_until_it_runs(other).await;
    let begin = Instant::now();
    bed.run(&format!("select async.cancel(array[{id}, {other}], 'not wanted')")).await;
    assert_eq!(bed.end_within(id, SOON).await.is("CANCELED").as_deref(), Some("not wanted"));
    assert_eq!(bed.end_within(other, SOON).await.is("CANCELED").as_deref(), Some("not wanted"));
    assert!(begin.elapsed() < SOON);
    // The query is gone at the target when the row says so, and so is the slot.
    let active = format!(
        "select count(*) from pg_stat_activity where datname = '{}' and state = 'active' and query like '%never%'
         and pid <> pg_backend_pid()",
        bed.target.name()
    );
    assert_eq!(bed.number(&active).await, 0);
    bed.wait_until_no_slot_is_taken().await;
    assert_eq!(bed.target.marks("never").await, 0);
    bed.run_task("select 1").await.succeeded();
}

async fn cancel_waits_for_nothing<E: Engine>() {
    let bed = Bed::<E>::led().await;
    let id = bed.push(SLOW).await;
    bed.wait_until_it_runs(id).await;
    let client = bed.connect().await;
    let begin = Instant::now();
    client.batch_execute(&format!("begin; select async.cancel(array[{id}]); commit")).await.expect("it cancels");
    assert!(begin.elapsed() < SOON / 4, "{:?}", begin.elapsed());
    bed.end_within(id, SOON).await.is("CANCELED");
}

async fn others_run_while_queries_are_canceled<E: Engine>() {
    let bed = Bed::<E>::led().await;
    // Does not let itself be cancelled.
    let stubborn = bed
        .push(
            "do $$ begin loop begin perform pg_sleep(25); exit; exception when query_canceled then null; end; end loop;
             end $$",
        )
        .await;
    bed.wait_until_it_runs(stubborn).await;
    bed.run(&format!("select async.cancel(array[{stubborn}])")).await;
    let begin = Instant::now();
    for _ in 0..10 {
        bed.run_task("select 1").await.succeeded();
    }
    assert!(begin.elapsed() < SOON / 2, "{:?}", begin.elapsed());
    // In the end its backend is terminated.
    bed.end_within(stubborn, SOON).await.is("CANCELED");
    bed.wait_until_no_slot_is_taken().await;
}

async fn a_cancel_that_is_rolled_back_cancels_nothing<E: Engine>() {
    let bed = Bed::<E>::led().await;
    let id = bed.push("select pg_sleep(0.5)").await;
    bed.wait_until_it_runs(id).await;
    bed.run(&format!("begin; select async.cancel(array[{id}]); rollback")).await;
    bed.end_of(id).await.succeeded();
}

async fn a_query_that_committed_before_the_cancel_is_finished<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.run_there(
        "create procedure commits_and_hides() language plpgsql as $$ begin
            insert into ledger (mark) values ('committed'); commit;
            begin perform pg_sleep(25); exception when query_canceled then null; end; end $$",
    )
    .await;
    let id = bed.push("call commits_and_hides()").await;
    bed.wait_until_it_runs(id).await;
    bed.run(&format!("select async.cancel(array[{id}])")).await;
    bed.end_within(id, SOON).await.succeeded();
    assert_eq!(bed.target.marks("committed").await, 1);
}

async fn a_late_cancel_never_hits_the_next_query<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.configure(&json!({ "targets": [bed.there(&json!({ "max_workers": 1 }))] })).await;
    // Cancels that are as likely as not to come after the end of their query; those not cancelled must finish.
    for round in 0..30 {
        let doomed = bed.push("select pg_sleep(0.01)").await;
        let innocent = bed.push("select pg_sleep(0.03)").await;
        if round % 3 != 0 {
            bed.wait_for(&format!("select consumed is not null from async.task where task_id = {doomed}")).await;
        }
        bed.run(&format!("set client_min_messages = error; select async.cancel(array[{doomed}])")).await;
        bed.end_of(innocent).await.succeeded();
    }
    bed.wait_until_finished().await;
    bed.assert_holds("select bool_and(finish_status in ('FINISHED', 'CANCELED')) from async.task").await;
}

async fn an_overdue_query_is_ended_and_frees_its_slot<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.configure(&json!({ "targets": [bed.there(&json!({ "max_workers": 1 }))] })).await;
    let id = bed
        .push_as("'insert into ledger (mark) select ''never'' from pg_sleep(25)', 'there', manual_timeout => '0.3 s'")
        .await;
    let next = bed.push("select 1").await;
    let error = bed.end_within(id, SOON).await.is("TIMED_OUT").expect("it says so");
    assert!(error.contains("in time"), "{error}");
    bed.end_within(next, SOON).await.succeeded();
    assert_eq!(bed.target.marks("never").await, 0);
    bed.wait_until_no_slot_is_taken().await;
}

async fn others_run_while_queries_time_out<E: Engine>() {
    let bed = Bed::<E>::led().await;
    let stubborn = "do $d$ begin loop begin perform pg_sleep(25); exit; exception when query_canceled then null; end;
                    end loop; end $d$";
    let sql = "select async.push_task(async.task($1, 'there', manual_timeout => '0.2 s'))";
    let ids = [bed.id(sql, &[&stubborn]).await, bed.id(sql, &[&stubborn]).await];
    for id in ids {
        bed.wait_until(id, "RUNNING").await;
    }
    let begin = Instant::now();
    while begin.elapsed() < std::time::Duration::from_secs(1) {
        bed.run_task("select 1").await.succeeded();
    }
    assert!(begin.elapsed() < SOON / 2, "{:?}", begin.elapsed());
    for id in ids {
        bed.end_within(id, SOON).await.is("TIMED_OUT");
    }
}

async fn the_deadline_is_the_task_s_then_the_target_s_then_the_default<E: Engine>() {
    let bed = Bed::<E>::prepared().await;
    bed.configure(&json!({
        "control": { "default_timeout": "30 minutes" },
        "targets": [
            bed.there(&json!({})),
            { "target": "patient", "connection_string": bed.target.conninfo(), "default_timeout": "2 hours" },
        ],
    }))
    .await;
    let mut bed = bed;
    bed.engine.lead().await;
    let ids = [
        bed.push_as("'select 1', 'there'").await,
        bed.push_as("'select 1', 'patient'").await,
        bed.push_as("'select 1', 'patient', manual_timeout => '7 minutes'").await,
    ];
    for (id, minutes) in ids.into_iter().zip([30, 120, 7]) {
        bed.end_of(id).await.succeeded();
        bed.assert_holds(&format!(
            "select times_up = consumed + interval '{minutes} minutes' from async.task where task_id = {id}"
        ))
        .await;
    }
}

async fn time_spent_waiting_does_not_count<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.configure(&json!({ "targets": [bed.there(&json!({ "max_workers": 1 }))] })).await;
    bed.push("select pg_sleep(1.5)").await;
    let id = bed.push_as("'select 1', 'there', manual_timeout => '1 s'").await;
    bed.end_of(id).await.succeeded();
}

async fn a_changed_default_timeout_holds_for_what_starts_next<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.configure(&json!({ "control": { "default_timeout": "0.3 s" } })).await;
    bed.run("select async.wait_for_latch()").await;
    bed.wait_for("select async.wait_for_latch() is not null").await;
    // The engine may take a moment to hear of it.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let id = bed.push(SLOW).await;
    bed.end_within(id, SOON).await.is("TIMED_OUT");
}

async fn timeouts_fire_while_paused<E: Engine>() {
    let bed = Bed::<E>::led().await;
    let id = bed.push_as("'select pg_sleep(25)', 'there', manual_timeout => '0.5 s'").await;
    bed.wait_until_it_runs(id).await;
    bed.run("update async.control set paused = true").await;
    bed.end_within(id, SOON).await.is("TIMED_OUT");
    bed.wait_until_no_slot_is_taken().await;
}

async fn a_cancel_that_comes_after_the_deadline_changes_nothing<E: Engine>() {
    let bed = Bed::<E>::led().await;
    let id = bed.push_as("'select pg_sleep(25)', 'there', manual_timeout => '0.3 s'").await;
    bed.end_within(id, SOON).await.is("TIMED_OUT");
    bed.run(&format!("set client_min_messages = error; select async.cancel(array[{id}])")).await;
    bed.run("select async.wait_for_latch()").await;
    bed.end_of(id).await.is("TIMED_OUT");
}

async fn canceling_many_at_once_ends_them_all<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.run(&format!("select async.push_tasks(array_agg(async.task('{SLOW}', 'there'))) from generate_series(1, 40)"))
        .await;
    bed.wait_for("select count(*) = 4 from async.task where consumed is not null").await;
    bed.run("select async.cancel(array_agg(task_id)) from async.task").await;
    bed.wait_for_within("select bool_and(finish_status = 'CANCELED') from async.task", SOON).await;
    bed.wait_until_no_slot_is_taken().await;
}

conformance!(
    a_waiting_task_is_canceled_and_never_runs,
    a_canceled_query_is_ended_at_once_and_does_not_commit,
    cancel_waits_for_nothing,
    others_run_while_queries_are_canceled,
    a_cancel_that_is_rolled_back_cancels_nothing,
    a_query_that_committed_before_the_cancel_is_finished,
    a_late_cancel_never_hits_the_next_query,
    an_overdue_query_is_ended_and_frees_its_slot,
    others_run_while_queries_time_out,
    the_deadline_is_the_task_s_then_the_target_s_then_the_default,
    time_spent_waiting_does_not_count,
    a_changed_default_timeout_holds_for_what_starts_next,
    timeouts_fire_while_paused,
    a_cancel_that_comes_after_the_deadline_changes_nothing,
    canceling_many_at_once_ends_them_all,
);
