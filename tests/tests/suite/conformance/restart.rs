//! Starting a finished task anew.

use pgasync_tests::Engine;
use serde_json::json;

use super::bed::Bed;

async fn a_restarted_task_has_a_clean_slate_and_runs_again<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.run_there("create table switch (off bool)").await;
    let id = bed.push("insert into ledger (mark) select 'ran' where 1 / (select count(*) from switch) = 1").await;
    bed.end_of(id).await.is("FAILED");
    bed.wait_for("select tracked is not true from async.task").await;
    bed.run("update async.control set paused = true").await;
    bed.run("select async.wait_for_latch()").await;
    let entered = bed.text("select entered from async.task").await;
    bed.run(&format!("select async.restart_task({id})")).await;
    bed.assert_holds(
        "select async.task_execution_state(t) = 'READY' and consumed is null and processed is null and yielded is null
            and finish_status is null and failed is null and processing_error is null and times_up is null
            and eligible_when is null and tracked is not true and run = 1 from async.task t",
    )
    .await;
    assert_eq!(bed.text("select entered from async.task").await, entered);
    bed.run_there("insert into switch values (true)").await;
    bed.run("update async.control set paused = false").await;
    bed.end_of(id).await.succeeded();
    assert_eq!(bed.target.marks("ran").await, 1);
    assert_eq!(bed.number("select run from async.task").await, 2);
}

async fn every_end_may_be_restarted<E: Engine>() {
    let bed = Bed::<E>::led().await;
    let canceled = bed.push("select pg_sleep(0.4)").await;
    bed.wait_until_it_runs(canceled).await;
    bed.run(&format!("select async.cancel(array[{canceled}])")).await;
    bed.end_of(canceled).await.is("CANCELED");
    let dead = bed.id("select async.push_task(async.task('select 1', 'there'), 'DOA')", &[]).await;
    let overdue = bed.push_as("'select pg_sleep(0.6)', 'there', manual_timeout => '0.2 s'").await;
    bed.end_of(overdue).await.is("TIMED_OUT");
    bed.run(&format!("update async.task set manual_timeout = null where task_id = {overdue}")).await;
    for id in [canceled, dead, overdue] {
        bed.wait_for(&format!("select tracked is not true from async.task where task_id = {id}")).await;
        bed.run(&format!("select async.restart_task({id})")).await;
        bed.end_of(id).await.succeeded();
    }
    bed.wait_until_no_slot_is_taken().await;
}

async fn unknown_and_unfinished_tasks_are_refused<E: Engine>() {
    let bed = Bed::<E>::led().await;
    let running = bed.push("select pg_sleep(25)").await;
    let empty = bed.id("select async.push_task(async.task(null, 'there'), 'EMPTY')", &[]).await;
    for (id, wanted) in [
        (987_654.to_string(), "PA030"),
        (running.to_string(), "PA031"),
        (empty.to_string(), "PA033"),
        ("null".into(), "PA030"),
    ] {
        let (code, said) = bed.refused(&format!("select async.restart_task({id})")).await;
        assert_eq!(code, wanted, "{said}");
    }
    bed.wait_until_it_runs(running).await;
    assert_eq!(bed.refused(&format!("select async.restart_task({running})")).await.0, "PA031");
}

async fn a_restart_that_is_rolled_back_restarts_nothing<E: Engine>() {
    let bed = Bed::<E>::led().await;
    let id = bed.push("insert into ledger (mark) values ('x')").await;
    bed.end_of(id).await.succeeded();
    bed.wait_for("select tracked is not true from async.task").await;
    bed.run(&format!("begin; select async.restart_task({id}); rollback")).await;
    bed.run_task("select 1").await.succeeded();
    assert_eq!(bed.target.marks("x").await, 1);
}

async fn what_was_asked_of_the_run_before_does_not_reach_the_next<E: Engine>() {
    let bed = Bed::<E>::led().await;
    let id = bed.push("select pg_sleep(25)").await;
    bed.wait_until_it_runs(id).await;
    // Three cancels, of which one ends it.
    let cancel = format!("select async.cancel(array[{id}])");
    bed.run(&format!("{cancel}; {cancel}; {cancel}")).await;
    bed.end_of(id).await.is("CANCELED");
    bed.wait_for("select tracked is not true from async.task").await;
    bed.run(&format!("update async.task set query = 'select pg_sleep(0.3)' where task_id = {id}")).await;
    bed.run(&format!("select async.restart_task({id})")).await;
    bed.end_of(id).await.succeeded();
}

async fn a_restarted_pulled_task_is_offered_again<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.configure(&json!({ "targets": [{ "target": "pulled", "asynchronous_finish": true }] })).await;
    let id = bed.id("select async.push_task(async.task(null, 'pulled'))", &[]).await;
    for _ in 0..2 {
        assert_eq!(bed.number("select task_id from async.get_tasks('pulled')").await, id);
        bed.run(&format!("select async.finish(array[{id}], 'FINISHED', null)")).await;
        bed.end_of(id).await.succeeded();
        bed.wait_for("select tracked is not true from async.task").await;
        bed.run(&format!("select async.restart_task({id})")).await;
    }
}

conformance!(
    a_restarted_task_has_a_clean_slate_and_runs_again,
    every_end_may_be_restarted,
    unknown_and_unfinished_tasks_are_refused,
    a_restart_that_is_rolled_back_restarts_nothing,
    what_was_asked_of_the_run_before_does_not_reach_the_next,
    a_restarted_pulled_task_is_offered_again,
);
