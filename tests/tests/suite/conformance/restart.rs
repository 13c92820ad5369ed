//! Restarts of finished tasks.

use pgasync_tests::Engine;
use serde_json::json;

use super::fixture::Fixture;

async fn a_restarted_task_has_a_clean_slate_and_runs_again<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run_there("create table switch (off bool)").await;
    let id = fixture.push("insert into ledger (mark) select 'ran' where 1 / (select count(*) from switch) = 1").await;
    fixture.end_of(id).await.is("FAILED");
    fixture.wait_for("select tracked is not true from async.task").await;
    fixture.run("update async.control set paused = true").await;
    fixture.run("select async.wait_for_latch()").await;
    let entered = fixture.text("select entered from async.task").await;
    fixture.run(&format!("select async.restart_task({id})")).await;
    fixture.assert_holds(
        "select async.task_execution_state(t) = 'READY' and consumed is null and processed is null and yielded is null
            and finish_status is null and failed is null and processing_error is null and times_up is null
            and eligible_when is null and tracked is not true and run = 1 from async.task t",
    )
    .await;
    assert_eq!(fixture.text("select entered from async.task").await, entered);
    fixture.run_there("insert into switch values (true)").await;
    fixture.run("update async.control set paused = false").await;
    fixture.end_of(id).await.succeeded();
    assert_eq!(fixture.target.marks("ran").await, 1);
    assert_eq!(fixture.number("select run from async.task").await, 2);
}

async fn every_end_may_be_restarted<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let canceled = fixture.push("select pg_sleep(0.4)").await;
    fixture.wait_until_it_runs(canceled).await;
    fixture.run(&format!("select async.cancel(array[{canceled}])")).await;
    fixture.end_of(canceled).await.is("CANCELED");
    let dead = fixture.id("select async.push_task(async.task('select 1', 'there'), 'DOA')", &[]).await;
    let overdue = fixture.push_as("'select pg_sleep(0.6)', 'there', manual_timeout => '0.2 s'").await;
    fixture.end_of(overdue).await.is("TIMED_OUT");
    fixture.run(&format!("update async.task set manual_timeout = null where task_id = {overdue}")).await;
    for id in [canceled, dead, overdue] {
        fixture.wait_for(&format!("select tracked is not true from async.task where task_id = {id}")).await;
        fixture.run(&format!("select async.restart_task({id})")).await;
        fixture.end_of(id).await.succeeded();
    }
    fixture.wait_until_no_slot_is_taken().await;
}

async fn unknown_and_unfinished_tasks_are_refused<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let running = fixture.push("select pg_sleep(25)").await;
    let empty = fixture.id("select async.push_task(async.task(null, 'there'), 'EMPTY')", &[]).await;
    for (id, wanted) in [
        (987_654.to_string(), "PA030"),
        (running.to_string(), "PA031"),
        (empty.to_string(), "PA033"),
        ("null".into(), "PA030"),
    ] {
        let (code, message) = fixture.refused(&format!("select async.restart_task({id})")).await;
        assert_eq!(code, wanted, "{message}");
    }
    fixture.wait_until_it_runs(running).await;
    assert_eq!(fixture.refused(&format!("select async.restart_task({running})")).await.0, "PA031");
}

async fn a_restart_that_is_rolled_back_restarts_nothing<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let id = fixture.push("insert into ledger (mark) values ('x')").await;
    fixture.end_of(id).await.succeeded();
    fixture.wait_for("select tracked is not true from async.task").await;
    fixture.run(&format!("begin; select async.restart_task({id}); rollback")).await;
    fixture.run_task("select 1").await.succeeded();
    assert_eq!(fixture.target.marks("x").await, 1);
}

async fn a_request_for_one_run_does_not_apply_to_the_next<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let id = fixture.push("select pg_sleep(25)").await;
    fixture.wait_until_it_runs(id).await;
    // One of the three cancels ends the task.
    let cancel = format!("select async.cancel(array[{id}])");
    fixture.run(&format!("{cancel}; {cancel}; {cancel}")).await;
    fixture.end_of(id).await.is("CANCELED");
    fixture.wait_for("select tracked is not true from async.task").await;
    fixture.run(&format!("update async.task set query = 'select pg_sleep(0.3)' where task_id = {id}")).await;
    fixture.run(&format!("select async.restart_task({id})")).await;
    fixture.end_of(id).await.succeeded();
}

async fn a_restarted_pulled_task_is_offered_again<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "targets": [{ "target": "pulled", "asynchronous_finish": true }] })).await;
    let id = fixture.id("select async.push_task(async.task(null, 'pulled'))", &[]).await;
    for _ in 0..2 {
        assert_eq!(fixture.number("select task_id from async.get_tasks('pulled')").await, id);
        fixture.run(&format!("select async.finish(array[{id}], 'FINISHED', null)")).await;
        fixture.end_of(id).await.succeeded();
        fixture.wait_for("select tracked is not true from async.task").await;
        fixture.run(&format!("select async.restart_task({id})")).await;
    }
}

conformance!(
    a_restarted_task_has_a_clean_slate_and_runs_again,
    every_end_may_be_restarted,
    unknown_and_unfinished_tasks_are_refused,
    a_restart_that_is_rolled_back_restarts_nothing,
    a_request_for_one_run_does_not_apply_to_the_next,
    a_restarted_pulled_task_is_offered_again,
);
