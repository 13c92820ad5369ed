//! Tasks that come back: deferred, paused.

use pgasync_tests::Engine;
use serde_json::json;

use super::bed::{Bed, SLOW, SOON};

/// A query for the server itself that defers itself the first `times` times that it runs.
fn defers_itself(times: i32) -> String {
    format!(
        "do $d$ begin
            insert into visits (task_id) values (##flow.TASK_ID##);
            if (select count(*) from visits where task_id = ##flow.TASK_ID##) <= {times} then
                perform async.defer(array[##flow.TASK_ID##], '0.05 s');
            end if;
        end $d$"
    )
}

async fn a_deferred_waiting_task_comes_back_when_it_is_time<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.run("update async.control set paused = true").await;
    bed.run("select async.wait_for_latch()").await;
    let id = bed.push("insert into ledger (mark) values ('ran')").await;
    bed.run(&format!("select async.defer(array[{id}], '1 s')")).await;
    bed.wait_for("select eligible_when > clock_timestamp() + '0.2 s' from async.task").await;
    bed.run("update async.control set paused = false").await;
    bed.end_of(id).await.succeeded();
    let early = bed.number_there("select count(*) from ledger where mark = 'ran'").await;
    assert_eq!(early, 1);
    bed.assert_holds("select consumed >= entered + interval '1 s' from async.task").await;
}

async fn a_task_that_defers_itself_and_ends_is_deferred_always<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.run("create table visits (task_id bigint)").await;
    let sql = format!(
        "select async.push_tasks(array_agg(async.task($q${}$q$, 'SELF'))) from generate_series(1, 20)",
        defers_itself(3)
    );
    bed.run(&sql).await;
    bed.wait_until_finished().await;
    bed.assert_holds("select bool_and(finish_status = 'FINISHED' and not failed) from async.task").await;
    bed.assert_holds("select bool_and(n = 4) from (select count(*) as n from visits group by task_id) v").await;
    bed.assert_holds("select bool_and(n = 4) from (select count(*) as n from visits group by task_id) v").await;
    bed.wait_until_no_slot_is_taken().await;
}

async fn it_is_deferred_also_when_it_fails_after_asking<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.run("create table visits (task_id bigint)").await;
    // The request commits with the first transaction, the error comes after.
    let id = bed
        .push_as(
            "$q$ insert into visits (task_id) values (##flow.TASK_ID##);
                 select async.defer(array[##flow.TASK_ID##], '0.05 s') where
                    (select count(*) from visits where task_id = ##flow.TASK_ID##) = 1;
                 commit;
                 select 1 / ((select count(*) from visits where task_id = ##flow.TASK_ID##) - 1) $q$, 'SELF'",
        )
        .await;
    bed.end_of(id).await.succeeded();
    assert_eq!(bed.number("select run from async.task").await, 2);
}

async fn a_rolled_back_deferral_defers_nothing<E: Engine>() {
    let bed = Bed::<E>::led().await;
    let id = bed
        .push_as(
            "$q$ do $d$ begin perform async.defer(array[##flow.TASK_ID##], '0 s'); raise 'undone'; end $d$ $q$, 'SELF'",
        )
        .await;
    let error = bed.end_of(id).await.is("FAILED").expect("says why");
    assert!(error.contains("undone"), "{error}");
}

async fn a_deferred_query_that_does_not_end_is_ended<E: Engine>() {
    let bed = Bed::<E>::led().await;
    let id = bed.push("insert into ledger (mark) select 'never' from pg_sleep(25)").await;
    bed.wait_until_it_runs(id).await;
    bed.run(&format!("select async.defer(array[{id}], '1 hour')")).await;
    let deferred = format!("select consumed is null and eligible_when > now() from async.task where task_id = {id}");
    bed.wait_for_within(&deferred, SOON).await;
    bed.wait_until_no_slot_is_taken().await;
    assert_eq!(bed.target.marks("never").await, 0);
    bed.run(&format!("select async.cancel(array[{id}])")).await;
    bed.end_of(id).await.is("CANCELED");
}

async fn a_deadline_survives_deferrals<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.run("create table visits (task_id bigint)").await;
    // It would defer itself for ever.
    let id = bed
        .id("select async.push_task(async.task($1, 'SELF', manual_timeout => '1.5 s'))", &[&defers_itself(i32::MAX)])
        .await;
    bed.wait_for("select count(*) >= 2 from visits").await;
    let deadline = "select times_up from async.task";
    let first = bed.text(deadline).await;
    bed.end_within(id, SOON).await.is("TIMED_OUT");
    assert_eq!(bed.text(deadline).await, first);
    // Nothing is launched after it.
    let visits = bed.number("select count(*) from visits").await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(bed.number("select count(*) from visits").await, visits);
}

async fn a_deferral_past_the_deadline_times_out_without_running_again<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.run("create table visits (task_id bigint)").await;
    let id = bed
        .push_as(
            "$q$ insert into visits (task_id) values (##flow.TASK_ID##);
                 select async.defer(array[##flow.TASK_ID##], '1 hour') $q$, 'SELF', manual_timeout => '1 s'",
        )
        .await;
    bed.end_within(id, SOON).await.is("TIMED_OUT");
    assert_eq!(bed.number("select count(*) from visits").await, 1);
}

async fn a_canceled_deferral_is_canceled<E: Engine>() {
    let bed = Bed::<E>::led().await;
    let id = bed.push_as("'select async.defer(array[##flow.TASK_ID##], ''1 hour'')', 'SELF'").await;
    bed.wait_for("select eligible_when is not null from async.task").await;
    bed.run(&format!("select async.cancel(array[{id}])")).await;
    bed.end_of(id).await.is("CANCELED");
}

async fn a_deferral_of_no_time_runs_again_at_once<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.run("create table visits (task_id bigint)").await;
    let query = defers_itself(1).replace("'0.05 s'", "'0 s'");
    let id = bed.id("select async.push_task(async.task($1, 'SELF'))", &[&query]).await;
    bed.end_of(id).await.succeeded();
    assert_eq!(bed.number("select count(*) from visits").await, 2);
}

async fn a_deferred_task_holds_neither_slot_nor_worker<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.configure(&json!({ "control": { "workers": 1 }, "concurrency_pools": [
        { "concurrency_pool": "narrow", "max_workers": 1 }] }))
        .await;
    let deferred = bed
        .push_as("'select async.defer(array[##flow.TASK_ID##], ''1 hour'')', 'SELF', concurrency_pool => 'narrow'")
        .await;
    bed.wait_for("select eligible_when is not null from async.task").await;
    let next = bed.push_as("'select 1', 'there', concurrency_pool => 'narrow'").await;
    bed.end_of(next).await.succeeded();
    bed.assert_holds(&format!("select tracked is not true from async.task where task_id = {deferred}")).await;
}

async fn paused_tasks_go_back_and_leak_no_slot<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.configure(&json!({ "targets": [bed.there(&json!({ "max_workers": 2 }))] })).await;
    let id =
        bed.push("insert into ledger (mark) select 'done' from ledger where mark = 'go' or pg_sleep(25) is null").await;
    bed.run_there("insert into ledger (mark) values ('x')").await;
    for round in 1..=5 {
        bed.wait_for(&format!("select run = {round} and consumed is not null from async.task where task_id = {id}"))
            .await;
        bed.wait_until_it_runs(id).await;
        bed.run(&format!("select async.finish(array[{id}], 'PAUSED', 'again')")).await;
    }
    bed.wait_for_within(&format!("select run = 6 from async.task where task_id = {id}"), SOON).await;
    // One slot is taken by it, the other is free.
    bed.run_task("select 1").await.succeeded();
    bed.wait_for("select workers = 1 from async.concurrency_pool_tracker where concurrency_pool = 'there'").await;
    bed.run(&format!("select async.cancel(array[{id}])")).await;
    bed.end_within(id, SOON).await.is("CANCELED");
    bed.wait_until_no_slot_is_taken().await;
}

async fn a_paused_orchestrator_launches_nothing_and_keeps_the_rest_going<E: Engine>() {
    let bed = Bed::<E>::led().await;
    let running = bed.push("select pg_sleep(0.7)").await;
    let doomed = bed.push(SLOW).await;
    bed.wait_until_it_runs(running).await;
    bed.wait_until_it_runs(doomed).await;
    bed.run("update async.control set paused = true").await;
    bed.run("select async.wait_for_latch()").await;
    let waiting = bed.push("insert into ledger (mark) values ('later')").await;
    // What runs goes on, requests are heeded.
    bed.end_of(running).await.succeeded();
    bed.run(&format!("select async.cancel(array[{doomed}])")).await;
    bed.end_within(doomed, SOON).await.is("CANCELED");
    bed.run("select async.wait_for_latch()").await;
    assert_eq!(bed.target.marks("later").await, 0);
    bed.configure(&json!({ "control": { "paused": false } })).await;
    bed.end_of(waiting).await.succeeded();
}

async fn deferring_and_timing_out_do_not_block_each_other<E: Engine>() {
    let bed = Bed::<E>::led().await;
    // Holds its own request open, and its row's fate, over its deadline.
    let id = bed
        .push_as(
            "$q$ do $d$ begin perform async.defer(array[##flow.TASK_ID##], '1 hour'); perform pg_sleep(25); end $d$ $q$,
             'SELF', manual_timeout => '0.3 s'",
        )
        .await;
    bed.end_within(id, SOON).await.is("TIMED_OUT");
    bed.run_task("select 1").await.succeeded();
    assert_eq!(bed.number("select count(*) from async.request").await, 0);
}

conformance!(
    a_deferred_waiting_task_comes_back_when_it_is_time,
    a_task_that_defers_itself_and_ends_is_deferred_always,
    it_is_deferred_also_when_it_fails_after_asking,
    a_rolled_back_deferral_defers_nothing,
    a_deferred_query_that_does_not_end_is_ended,
    a_deadline_survives_deferrals,
    a_deferral_past_the_deadline_times_out_without_running_again,
    a_canceled_deferral_is_canceled,
    a_deferral_of_no_time_runs_again_at_once,
    a_deferred_task_holds_neither_slot_nor_worker,
    paused_tasks_go_back_and_leak_no_slot,
    a_paused_orchestrator_launches_nothing_and_keeps_the_rest_going,
    deferring_and_timing_out_do_not_block_each_other,
);
