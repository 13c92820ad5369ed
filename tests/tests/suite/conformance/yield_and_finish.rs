//! Tasks that finish asynchronously.

use pgasync_tests::Engine;
use serde_json::json;

use super::fixture::{Fixture, SLOW, SOON};

/// A fixture with the target `calls_back`, which finishes asynchronously.
async fn with_calls_back<E: Engine>() -> Fixture<E> {
    let mut fixture = Fixture::<E>::prepared().await;
    let calls_back = json!({
        "target": "calls_back", "connection_string": fixture.target.conninfo(), "max_workers": 2,
        "asynchronous_finish": true });
    fixture.configure(&json!({ "targets": [fixture.there(&json!({})), calls_back] })).await;
    fixture.engine.lead().await;
    fixture
}

async fn a_task_of_an_asynchronous_target_is_yielded_until_it_is_finished<E: Engine>() {
    let fixture = with_calls_back::<E>().await;
    let id = fixture.push_as("'insert into ledger (mark) values (''ran'')', 'calls_back'").await;
    fixture.wait_until(id, "YIELDED").await;
    fixture
        .assert_holds(
            "select finish_status = 'YIELDED' and processed is null and failed is null and yielded >= consumed
         and tracked is null and processing_error is null from async.task",
        )
        .await;
    assert_eq!(fixture.target.marks("ran").await, 1);
    fixture.run(&format!("select async.finish(array[{id}], 'FINISHED', null)")).await;
    fixture.end_of(id).await.succeeded();
    fixture.assert_holds("select yielded <= processed from async.task").await;
}

async fn a_yielded_task_may_be_finished_with_any_status<E: Engine>() {
    let fixture = with_calls_back::<E>().await;
    for (status, message) in [("FAILED", "no good"), ("CANCELED", "enough"), ("TIMED_OUT", "late"), ("DOA", "dead")] {
        let id = fixture.push_as("'select 1', 'calls_back'").await;
        fixture.wait_until(id, "YIELDED").await;
        fixture.run(&format!("select async.finish(array[{id}], '{status}', '{message}')")).await;
        assert_eq!(fixture.end_of(id).await.is(status).as_deref(), Some(message));
    }
}

async fn a_failing_query_of_an_asynchronous_target_fails<E: Engine>() {
    let fixture = with_calls_back::<E>().await;
    let id = fixture.push_as("'select 1/0', 'calls_back'").await;
    let error = fixture.end_of(id).await.is("FAILED").expect("an error message");
    assert!(error.starts_with("22012"), "{error}");
}

async fn execute_noasync_is_complete_when_its_query_is<E: Engine>() {
    let fixture = with_calls_back::<E>().await;
    let id = fixture.id("select async.push_task(async.task('select 1', 'calls_back'), 'EXECUTE_NOASYNC')", &[]).await;
    fixture.end_of(id).await.succeeded();
}

async fn yielded_tasks_give_back_their_worker_and_their_pool_s_slot<E: Engine>() {
    let fixture = with_calls_back::<E>().await;
    fixture.configure(&json!({ "control": { "workers": 1 } })).await;
    fixture
        .run("select async.push_tasks(array_agg(async.task('select 1', 'calls_back'))) from generate_series(1, 7)")
        .await;
    fixture.wait_for("select bool_and(yielded is not null) from async.task").await;
    fixture.wait_until_no_slot_is_taken().await;
}

async fn tracked_yielded_tasks_keep_their_pool_s_slot_and_give_back_the_worker<E: Engine>() {
    let fixture = with_calls_back::<E>().await;
    fixture.configure(&json!({ "control": { "workers": 1 } })).await;
    fixture
        .run(
            "select async.push_tasks(array_agg(async.task('select 1', 'calls_back', track_yielded => true)))
         from generate_series(1, 3)",
        )
        .await;
    fixture.wait_for("select count(*) = 2 from async.task where yielded is not null and tracked").await;
    // The worker is free, the pool of two is full.
    fixture.run_task("select 1").await.succeeded();
    fixture.run("select async.wait_for_latch()").await;
    fixture.assert_holds("select count(*) = 1 from async.task where consumed is null").await;
    fixture
        .wait_for("select workers = 2 from async.concurrency_pool_tracker where concurrency_pool = 'calls_back'")
        .await;
    fixture.run("select async.finish(array(select task_id from async.task where yielded is not null limit 1), 'FINISHED', null)")
        .await;
    fixture.wait_for("select count(*) = 3 from async.task where yielded is not null").await;
    fixture
        .run("select async.finish(array_agg(task_id), 'FINISHED', null) from async.task where processed is null")
        .await;
    fixture.wait_until_finished().await;
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_target_may_track_yielded_tasks<E: Engine>() {
    let fixture = with_calls_back::<E>().await;
    fixture.configure(&json!({ "targets": [{ "target": "calls_back", "concurrency_track_yielded": true }] })).await;
    let tracked = fixture.push_as("'select 1', 'calls_back'").await;
    let untracked = fixture.push_as("'select 1', 'calls_back', track_yielded => false").await;
    fixture.wait_until(tracked, "YIELDED").await;
    fixture.wait_until(untracked, "YIELDED").await;
    let sql = "select array_agg(tracked order by task_id) from async.task";
    assert_eq!(fixture.text(sql).await.as_deref(), Some("{t,NULL}"));
}

async fn a_yielded_task_times_out<E: Engine>() {
    let fixture = with_calls_back::<E>().await;
    let id = fixture.push_as("'select 1', 'calls_back', manual_timeout => '0.5 s', track_yielded => true").await;
    fixture.wait_until(id, "YIELDED").await;
    fixture.end_within(id, SOON).await.is("TIMED_OUT");
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_yielded_task_may_be_canceled_or_deferred<E: Engine>() {
    let fixture = with_calls_back::<E>().await;
    let id = fixture.push_as("'insert into ledger (mark) values (''ran'')', 'calls_back', track_yielded => true").await;
    fixture.wait_until(id, "YIELDED").await;
    fixture.run(&format!("select async.defer(array[{id}], '0.3 s')")).await;
    fixture.wait_for("select run = 2 and yielded is not null from async.task").await;
    assert_eq!(fixture.target.marks("ran").await, 2);
    fixture.run(&format!("select async.cancel(array[{id}])")).await;
    fixture.end_of(id).await.is("CANCELED");
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_task_that_finishes_itself_keeps_its_own_status<E: Engine>() {
    let fixture = with_calls_back::<E>().await;
    // The tasks run on the server itself, with and without asynchronous finish. Each gets a status
    // that the result of its query would not give.
    fixture
        .run(
            "select async.push_tasks(array_agg(async.task(
            'select async.finish(array[##flow.TASK_ID##], ''FAILED'', ''said so'')', 'SELF')))
         from generate_series(1, 30)",
        )
        .await;
    fixture.wait_until_finished().await;
    fixture
        .assert_holds(
            "select bool_and(finish_status = 'FAILED' and failed and processing_error = 'said so') from async.task",
        )
        .await;
    assert_eq!(fixture.number("select count(*) from async.request").await, 0);
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_task_may_yield_itself<E: Engine>() {
    let fixture = with_calls_back::<E>().await;
    let id = fixture.push_as("'select async.finish(array[##flow.TASK_ID##], ''YIELDED'', null)', 'SELF'").await;
    fixture.wait_until(id, "YIELDED").await;
    fixture.assert_holds("select finish_status = 'YIELDED' and failed is null from async.task").await;
    fixture.run(&format!("select async.finish(array[{id}], 'FINISHED', null)")).await;
    fixture.end_of(id).await.succeeded();
    fixture.wait_until_no_slot_is_taken().await;
}

async fn finishing_before_the_query_has_ended_needs_no_luck<E: Engine>() {
    let fixture = with_calls_back::<E>().await;
    // The request arrives while the query is still running.
    let id = fixture.push_as("'select pg_sleep(0.5)', 'calls_back'").await;
    fixture.wait_until_it_runs(id).await;
    fixture.run(&format!("select async.finish(array[{id}], 'FINISHED', null)")).await;
    fixture.end_of(id).await.succeeded();
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_running_query_that_was_finished_is_ended_in_the_end<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let id = fixture.push(SLOW).await;
    fixture.wait_until_it_runs(id).await;
    fixture.run(&format!("select async.finish(array[{id}], 'FINISHED', null)")).await;
    fixture.end_within(id, SOON).await.succeeded();
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_waiting_task_may_be_finished_and_never_runs<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run("update async.control set paused = true").await;
    fixture.run("select async.wait_for_latch()").await;
    let id = fixture.push("insert into ledger (mark) values ('never')").await;
    fixture.run(&format!("select async.finish(array[{id}], 'FINISHED', null)")).await;
    fixture.end_of(id).await.succeeded();
    fixture.run("update async.control set paused = false").await;
    fixture.run_task("select 1").await.succeeded();
    assert_eq!(fixture.target.marks("never").await, 0);
}

async fn late_finishes_never_drive_a_pool_below_zero<E: Engine>() {
    let fixture = with_calls_back::<E>().await;
    fixture.run("set client_min_messages = error").await;
    for _ in 0..5 {
        let id = fixture.push_as("'select 1', 'calls_back', track_yielded => true").await;
        fixture.wait_until(id, "YIELDED").await;
        // Each task is finished repeatedly, within one transaction and in several.
        let finish = format!("select async.finish(array[{id}, {id}], 'FINISHED', null)");
        fixture.run(&format!("{finish}; {finish}; {finish}")).await;
        fixture.run(&finish).await;
        fixture.end_of(id).await.succeeded();
    }
    fixture.wait_until_no_slot_is_taken().await;
    // Two tasks fit into the pool.
    fixture.run("select async.push_tasks(array_agg(async.task('select pg_sleep(0.6)', 'calls_back', track_yielded => true))) from generate_series(1, 5)").await;
    fixture.wait_for("select count(*) = 2 from async.task where tracked and processed is null").await;
    fixture.run("select async.wait_for_latch()").await;
    fixture.assert_holds("select count(*) = 2 from async.task where tracked and processed is null").await;
}

async fn ids_that_cannot_be_finished_are_named_in_a_warning_and_change_nothing<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let done = fixture.push("select 1").await;
    fixture.end_of(done).await.succeeded();
    let running = fixture.push(SLOW).await;
    let messages = fixture.messages_of(&format!("select async.cancel(array[{done}, {running}, 987654321])")).await;
    let [warning] = &messages[..] else { panic!("one warning: {messages:?}") };
    assert!(warning.contains(&format!("{done} (finished)")), "{warning}");
    assert!(warning.contains("987654321 (unknown)") && !warning.contains(&format!("{running} (")), "{warning}");
    fixture.end_within(running, SOON).await.is("CANCELED");
    fixture.end_of(done).await.succeeded();
    assert_eq!(fixture.messages_of("select async.finish(null, 'FINISHED', null), async.cancel('{}')").await, [""; 0]);
}

conformance!(
    a_task_of_an_asynchronous_target_is_yielded_until_it_is_finished,
    a_yielded_task_may_be_finished_with_any_status,
    a_failing_query_of_an_asynchronous_target_fails,
    execute_noasync_is_complete_when_its_query_is,
    yielded_tasks_give_back_their_worker_and_their_pool_s_slot,
    tracked_yielded_tasks_keep_their_pool_s_slot_and_give_back_the_worker,
    a_target_may_track_yielded_tasks,
    a_yielded_task_times_out,
    a_yielded_task_may_be_canceled_or_deferred,
    a_task_that_finishes_itself_keeps_its_own_status,
    a_task_may_yield_itself,
    finishing_before_the_query_has_ended_needs_no_luck,
    a_running_query_that_was_finished_is_ended_in_the_end,
    a_waiting_task_may_be_finished_and_never_runs,
    late_finishes_never_drive_a_pool_below_zero,
    ids_that_cannot_be_finished_are_named_in_a_warning_and_change_nothing,
);
