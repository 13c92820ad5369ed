//! Deferred and paused tasks.

use pgasync_tests::Engine;
use serde_json::json;

use super::fixture::{Fixture, SLOW, SOON};

/// A query for the server itself. It defers its task in its first `times` runs.
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

async fn a_deferred_waiting_task_is_eligible_after_its_delay<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run("update async.control set paused = true").await;
    fixture.run("select async.wait_for_latch()").await;
    let id = fixture.push("insert into ledger (mark) values ('ran')").await;
    fixture.run(&format!("select async.defer(array[{id}], '1 s')")).await;
    fixture.wait_for("select eligible_when > clock_timestamp() + '0.2 s' from async.task").await;
    fixture.run("update async.control set paused = false").await;
    fixture.end_of(id).await.succeeded();
    let early = fixture.number_there("select count(*) from ledger where mark = 'ran'").await;
    assert_eq!(early, 1);
    fixture.assert_holds("select consumed >= entered + interval '1 s' from async.task").await;
}

async fn a_task_that_defers_itself_and_ends_is_deferred_always<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run("create table visits (task_id bigint)").await;
    let sql = format!(
        "select async.push_tasks(array_agg(async.task($q${}$q$, 'SELF'))) from generate_series(1, 20)",
        defers_itself(3)
    );
    fixture.run(&sql).await;
    fixture.wait_until_finished().await;
    fixture.assert_holds("select bool_and(finish_status = 'FINISHED' and not failed) from async.task").await;
    fixture.assert_holds("select bool_and(n = 4) from (select count(*) as n from visits group by task_id) v").await;
    fixture.assert_holds("select bool_and(n = 4) from (select count(*) as n from visits group by task_id) v").await;
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_task_is_deferred_even_if_it_fails_after_its_request<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run("create table visits (task_id bigint)").await;
    // The request commits with the first transaction, the error comes after.
    let id = fixture
        .push_as(
            "$q$ insert into visits (task_id) values (##flow.TASK_ID##);
                 select async.defer(array[##flow.TASK_ID##], '0.05 s') where
                    (select count(*) from visits where task_id = ##flow.TASK_ID##) = 1;
                 commit;
                 select 1 / ((select count(*) from visits where task_id = ##flow.TASK_ID##) - 1) $q$, 'SELF'",
        )
        .await;
    fixture.end_of(id).await.succeeded();
    assert_eq!(fixture.number("select run from async.task").await, 2);
}

async fn a_rolled_back_deferral_defers_nothing<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let id = fixture
        .push_as(
            "$q$ do $d$ begin perform async.defer(array[##flow.TASK_ID##], '0 s'); raise 'undone'; end $d$ $q$, 'SELF'",
        )
        .await;
    let error = fixture.end_of(id).await.is("FAILED").expect("an error message");
    assert!(error.contains("undone"), "{error}");
}

async fn a_deferred_query_that_does_not_end_is_ended<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let id = fixture.push("insert into ledger (mark) select 'never' from pg_sleep(25)").await;
    fixture.wait_until_it_runs(id).await;
    fixture.run(&format!("select async.defer(array[{id}], '1 hour')")).await;
    let deferred = format!("select consumed is null and eligible_when > now() from async.task where task_id = {id}");
    fixture.wait_for_within(&deferred, SOON).await;
    fixture.wait_until_no_slot_is_taken().await;
    assert_eq!(fixture.target.marks("never").await, 0);
    fixture.run(&format!("select async.cancel(array[{id}])")).await;
    fixture.end_of(id).await.is("CANCELED");
}

async fn a_deadline_survives_deferrals<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run("create table visits (task_id bigint)").await;
    // This task would defer itself for ever.
    let id = fixture
        .id("select async.push_task(async.task($1, 'SELF', manual_timeout => '1.5 s'))", &[&defers_itself(i32::MAX)])
        .await;
    fixture.wait_for("select count(*) >= 2 from visits").await;
    let deadline = "select times_up from async.task";
    let first = fixture.text(deadline).await;
    fixture.end_within(id, SOON).await.is("TIMED_OUT");
    assert_eq!(fixture.text(deadline).await, first);
    // Nothing is launched after it.
    let visits = fixture.number("select count(*) from visits").await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(fixture.number("select count(*) from visits").await, visits);
}

async fn a_deferral_past_the_deadline_times_out_without_running_again<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run("create table visits (task_id bigint)").await;
    let id = fixture
        .push_as(
            "$q$ insert into visits (task_id) values (##flow.TASK_ID##);
                 select async.defer(array[##flow.TASK_ID##], '1 hour') $q$, 'SELF', manual_timeout => '1 s'",
        )
        .await;
    fixture.end_within(id, SOON).await.is("TIMED_OUT");
    assert_eq!(fixture.number("select count(*) from visits").await, 1);
}

async fn a_canceled_deferral_is_canceled<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let id = fixture.push_as("'select async.defer(array[##flow.TASK_ID##], ''1 hour'')', 'SELF'").await;
    fixture.wait_for("select eligible_when is not null from async.task").await;
    fixture.run(&format!("select async.cancel(array[{id}])")).await;
    fixture.end_of(id).await.is("CANCELED");
}

async fn a_deferral_of_no_time_runs_again_at_once<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run("create table visits (task_id bigint)").await;
    let query = defers_itself(1).replace("'0.05 s'", "'0 s'");
    let id = fixture.id("select async.push_task(async.task($1, 'SELF'))", &[&query]).await;
    fixture.end_of(id).await.succeeded();
    assert_eq!(fixture.number("select count(*) from visits").await, 2);
}

async fn a_deferred_task_holds_neither_slot_nor_worker<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .configure(&json!({ "control": { "workers": 1 }, "concurrency_pools": [
        { "concurrency_pool": "narrow", "max_workers": 1 }] }))
        .await;
    let deferred = fixture
        .push_as("'select async.defer(array[##flow.TASK_ID##], ''1 hour'')', 'SELF', concurrency_pool => 'narrow'")
        .await;
    fixture.wait_for("select eligible_when is not null from async.task").await;
    let next = fixture.push_as("'select 1', 'there', concurrency_pool => 'narrow'").await;
    fixture.end_of(next).await.succeeded();
    fixture.assert_holds(&format!("select tracked is not true from async.task where task_id = {deferred}")).await;
}

async fn paused_tasks_go_back_and_leak_no_slot<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "targets": [fixture.there(&json!({ "max_workers": 2 }))] })).await;
    let id = fixture
        .push("insert into ledger (mark) select 'done' from ledger where mark = 'go' or pg_sleep(25) is null")
        .await;
    fixture.run_there("insert into ledger (mark) values ('x')").await;
    for round in 1..=5 {
        fixture
            .wait_for(&format!("select run = {round} and consumed is not null from async.task where task_id = {id}"))
            .await;
        fixture.wait_until_it_runs(id).await;
        fixture.run(&format!("select async.finish(array[{id}], 'PAUSED', 'again')")).await;
    }
    fixture.wait_for_within(&format!("select run = 6 from async.task where task_id = {id}"), SOON).await;
    // The task holds one slot. The other slot is free.
    fixture.run_task("select 1").await.succeeded();
    fixture.wait_for("select workers = 1 from async.concurrency_pool_tracker where concurrency_pool = 'there'").await;
    fixture.run(&format!("select async.cancel(array[{id}])")).await;
    fixture.end_within(id, SOON).await.is("CANCELED");
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_paused_orchestrator_launches_nothing_and_keeps_the_rest_going<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let running = fixture.push("select pg_sleep(0.7)").await;
    let doomed = fixture.push(SLOW).await;
    fixture.wait_until_it_runs(running).await;
    fixture.wait_until_it_runs(doomed).await;
    fixture.run("update async.control set paused = true").await;
    fixture.run("select async.wait_for_latch()").await;
    let waiting = fixture.push("insert into ledger (mark) values ('later')").await;
    // Running queries continue, and requests are applied.
    fixture.end_of(running).await.succeeded();
    fixture.run(&format!("select async.cancel(array[{doomed}])")).await;
    fixture.end_within(doomed, SOON).await.is("CANCELED");
    fixture.run("select async.wait_for_latch()").await;
    assert_eq!(fixture.target.marks("later").await, 0);
    fixture.configure(&json!({ "control": { "paused": false } })).await;
    fixture.end_of(waiting).await.succeeded();
}

async fn deferring_and_timing_out_do_not_block_each_other<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    // The query keeps its own request uncommitted beyond its deadline.
    let id = fixture
        .push_as(
            "$q$ do $d$ begin perform async.defer(array[##flow.TASK_ID##], '1 hour'); perform pg_sleep(25); end $d$ $q$,
             'SELF', manual_timeout => '0.3 s'",
        )
        .await;
    fixture.end_within(id, SOON).await.is("TIMED_OUT");
    fixture.run_task("select 1").await.succeeded();
    assert_eq!(fixture.number("select count(*) from async.request").await, 0);
}

conformance!(
    a_deferred_waiting_task_is_eligible_after_its_delay,
    a_task_that_defers_itself_and_ends_is_deferred_always,
    a_task_is_deferred_even_if_it_fails_after_its_request,
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
