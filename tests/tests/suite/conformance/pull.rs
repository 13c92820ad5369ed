//! Tasks that clients pull and run.

use std::time::{Duration, Instant};

use pgasync_tests::Engine;
use serde_json::json;

use super::fixture::{Fixture, SLOW, SOON};

/// A fixture with the target `pulled`, whose pool has `slots` slots.
async fn with_pulled<E: Engine>(slots: u32) -> Fixture<E> {
    let mut fixture = Fixture::<E>::prepared().await;
    fixture
        .configure(&json!({ "targets": [
        fixture.there(&json!({})),
        { "target": "pulled", "asynchronous_finish": true, "max_workers": slots },
    ] }))
        .await;
    fixture.engine.lead().await;
    fixture
}

async fn push_pulled<E: Engine>(fixture: &Fixture<E>, count: u32) {
    fixture
        .run(&format!(
            "select async.push_tasks(array_agg(async.task(null, 'pulled', jsonb_build_object('n', n)) order by n))
         from generate_series(1, {count}) n"
        ))
        .await;
}

async fn a_pulled_task_is_running_until_it_is_finished<E: Engine>() {
    let fixture = with_pulled::<E>(2).await;
    let id =
        fixture.push_as("null, 'pulled', '{\"what\": \"this\"}', priority => 3, manual_timeout => '5 minutes'").await;
    let row = &fixture
        .rows("select task_id, priority, times_up::text, task_data::text from async.get_tasks('pulled')", &[])
        .await[0];
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i32>(1)), (id, 3));
    assert_eq!(row.get::<_, &str>(3), "{\"what\": \"this\"}");
    fixture
        .assert_holds(&format!(
            "select async.task_execution_state(t) = 'RUNNING' and tracked and run = 1 and times_up = '{}'
            and times_up - consumed between '4 minutes' and '5 minutes 1 second' from async.task t",
            row.get::<_, &str>(2)
        ))
        .await;
    fixture.run(&format!("select async.finish(array[{id}], 'FAILED', 'could not')")).await;
    assert_eq!(fixture.end_of(id).await.is("FAILED").as_deref(), Some("could not"));
    fixture.wait_until_no_slot_is_taken().await;
}

async fn pulls_come_in_order_and_no_more_than_asked_for<E: Engine>() {
    let fixture = with_pulled::<E>(10).await;
    push_pulled(&fixture, 6).await;
    fixture.wait_for("select count(*) = 6 from async.task where tracked").await;
    let pulled = "select string_agg((task_data->>'n'), ',') from async.get_tasks('pulled', 4)";
    assert_eq!(fixture.text(pulled).await.as_deref(), Some("1,2,3,4"));
    assert_eq!(fixture.text(pulled).await.as_deref(), Some("5,6"));
}

async fn a_pull_waits_for_a_later_push<E: Engine>() {
    let fixture = with_pulled::<E>(2).await;
    let client = fixture.connect().await;
    let pull = tokio::spawn(async move {
        client
            .query("select task_id from async.get_tasks('pulled', 1, '20 seconds')", &[])
            .await
            .expect("it pulls")
            .len()
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let begin = Instant::now();
    push_pulled(&fixture, 1).await;
    assert_eq!(pull.await.expect("no panic"), 1);
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
}

async fn a_pull_gives_up_at_its_timeout<E: Engine>() {
    let fixture = with_pulled::<E>(2).await;
    let begin = Instant::now();
    assert_eq!(fixture.number("select count(*) from async.get_tasks('pulled', 1, '0.7 seconds')").await, 0);
    assert!(begin.elapsed() >= Duration::from_millis(700) && begin.elapsed() < SOON / 2, "{:?}", begin.elapsed());
    let begin = Instant::now();
    assert_eq!(fixture.number("select count(*) from async.get_tasks('pulled', 1, '0')").await, 0);
    assert!(begin.elapsed() < SOON / 4, "{:?}", begin.elapsed());
}

async fn many_callers_never_get_the_same_task<E: Engine>() {
    let fixture = with_pulled::<E>(8).await;
    push_pulled(&fixture, 60).await;
    let mut callers = Vec::new();
    for _ in 0..5 {
        let client = fixture.connect().await;
        callers.push(tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let rows = client
                    .query("select task_id from async.get_tasks('pulled', 2, '1.5 seconds')", &[])
                    .await
                    .expect("it pulls");
                if rows.is_empty() {
                    return mine;
                }
                let ids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
                client.execute("select async.finish($1, 'FINISHED', null)", &[&ids]).await.expect("it finishes");
                mine.extend(ids);
            }
        }));
    }
    let mut all = Vec::new();
    for caller in callers {
        all.extend(caller.await.expect("no panic"));
    }
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!((all.len(), count), (60, 60));
    fixture.wait_until_finished().await;
    fixture.assert_holds("select bool_and(finish_status = 'FINISHED' and run = 1) from async.task").await;
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_pull_that_is_rolled_back_is_undone<E: Engine>() {
    let fixture = with_pulled::<E>(2).await;
    push_pulled(&fixture, 1).await;
    let client = fixture.connect().await;
    client.batch_execute("begin; select async.get_tasks('pulled'); rollback").await.expect("it pulls");
    assert_eq!(fixture.number("select count(*) from async.get_tasks('pulled')").await, 1);
}

async fn an_open_pull_holds_up_neither_others_nor_the_orchestrator<E: Engine>() {
    let fixture = with_pulled::<E>(3).await;
    push_pulled(&fixture, 4).await;
    fixture.wait_for("select count(*) = 3 from async.task where tracked").await;
    let client = fixture.connect().await;
    client.batch_execute("begin; select async.get_tasks('pulled')").await.expect("it pulls");
    assert_eq!(fixture.number("select count(*) from async.get_tasks('pulled', 2)").await, 2);
    fixture.run_task("select 1").await.succeeded();
    // The cancel of a task that an open transaction has pulled waits only for that transaction.
    fixture.run("select async.cancel(array_agg(task_id)) from async.task where processed is null").await;
    fixture.wait_for("select count(*) = 4 from async.task where processed is not null").await;
    fixture.run_task("select 1").await.succeeded();
    client.batch_execute("commit").await.expect("it commits");
    fixture.wait_until_finished().await;
    fixture.wait_until_no_slot_is_taken().await;
}

async fn pulled_tasks_are_limited_by_their_pool_and_need_no_worker<E: Engine>() {
    let fixture = with_pulled::<E>(2).await;
    fixture.configure(&json!({ "control": { "workers": 1 } })).await;
    let busy = fixture.push(SLOW).await;
    fixture.wait_until_it_runs(busy).await;
    push_pulled(&fixture, 3).await;
    assert_eq!(fixture.number("select count(*) from async.get_tasks('pulled', 1)").await, 1);
    assert_eq!(fixture.number("select count(*) from async.get_tasks('pulled', 5)").await, 1);
    assert_eq!(fixture.number("select count(*) from async.get_tasks('pulled', 5, '0.5 s')").await, 0);
    fixture.run("select async.finish(array(select task_id from async.task where query is null and consumed is not null limit 1), 'FINISHED', null)")
        .await;
    assert_eq!(fixture.number("select count(*) from async.get_tasks('pulled', 5)").await, 1);
}

async fn pulled_tasks_time_out<E: Engine>() {
    let fixture = with_pulled::<E>(2).await;
    let id = fixture.push_as("null, 'pulled', manual_timeout => '0.5 s'").await;
    assert_eq!(fixture.number("select task_id from async.get_tasks('pulled')").await, id);
    fixture.end_within(id, SOON).await.is("TIMED_OUT");
    fixture.wait_until_no_slot_is_taken().await;
}

async fn pulled_tasks_may_be_canceled_and_deferred<E: Engine>() {
    let fixture = with_pulled::<E>(2).await;
    push_pulled(&fixture, 2).await;
    fixture.wait_for("select count(*) = 2 from async.task where tracked").await;
    // One task is offered, another is taken.
    let taken = fixture.number("select task_id from async.get_tasks('pulled')").await;
    fixture.run("select async.cancel(array_agg(task_id)) from async.task where consumed is null").await;
    fixture.run(&format!("select async.defer(array[{taken}], '0.3 s')")).await;
    fixture.wait_for("select count(*) = 1 from async.task where finish_status = 'CANCELED'").await;
    assert_eq!(fixture.number("select task_id from async.get_tasks('pulled')").await, taken);
    fixture.run(&format!("select async.cancel(array[{taken}])")).await;
    fixture.end_of(taken).await.is("CANCELED");
    fixture.wait_until_no_slot_is_taken().await;
}

async fn pulled_tasks_at_the_head_of_a_pool_do_not_block_queries_behind_them<E: Engine>() {
    let fixture = with_pulled::<E>(2).await;
    fixture.configure(&json!({ "concurrency_pools": [{ "concurrency_pool": "both", "max_workers": 1 }] })).await;
    // No client pulls this task.
    let pulled = fixture.push_as("null, 'pulled', priority => -10, concurrency_pool => 'both'").await;
    let query = fixture.push_as("'select 1', 'there', concurrency_pool => 'both'").await;
    fixture.end_within(query, SOON).await.succeeded();
    fixture
        .assert_holds(&format!(
            "select consumed is null and processed is null from async.task where task_id = {pulled}"
        ))
        .await;
    assert_eq!(fixture.number("select task_id from async.get_tasks('pulled')").await, pulled);
}

async fn the_limit_counts_offers_and_queries_together<E: Engine>() {
    let fixture = with_pulled::<E>(2).await;
    fixture.configure(&json!({ "concurrency_pools": [{ "concurrency_pool": "both", "max_workers": 2 }] })).await;
    for _ in 0..2 {
        fixture.push_as("null, 'pulled', concurrency_pool => 'both'").await;
    }
    // A call may arrive when only one task is offered, so there are two calls.
    for _ in 0..2 {
        assert_eq!(fixture.number("select count(*) from async.get_tasks('pulled', 1)").await, 1);
    }
    let query = fixture.push_as("'select 1', 'there', concurrency_pool => 'both'").await;
    fixture.run_task("select 1").await.succeeded();
    fixture.run("select async.wait_for_latch()").await;
    fixture.assert_holds(&format!("select consumed is null from async.task where task_id = {query}")).await;
    fixture.run("select async.finish(array_agg(task_id), 'FINISHED', null) from async.task where query is null").await;
    fixture.end_of(query).await.succeeded();
}

async fn odd_pulls_are_refused<E: Engine>() {
    let fixture = with_pulled::<E>(2).await;
    for (arguments, wanted) in [
        ("'nowhere'", "PA040"),
        ("null", "PA040"),
        ("'there'", "PA040"),
        ("'pulled', 0", "PA041"),
        ("'pulled', -1", "PA041"),
    ] {
        let (code, message) = fixture.refused(&format!("select async.get_tasks({arguments})")).await;
        assert_eq!(code, wanted, "{message}");
    }
}

async fn above_read_committed_a_pull_polls_once<E: Engine>() {
    let fixture = with_pulled::<E>(2).await;
    push_pulled(&fixture, 1).await;
    fixture.wait_for("select count(*) = 1 from async.task where tracked").await;
    fixture.run("begin isolation level repeatable read").await;
    assert_eq!(fixture.number("select count(*) from async.get_tasks('pulled')").await, 1);
    let begin = Instant::now();
    assert_eq!(fixture.number("select count(*) from async.get_tasks('pulled')").await, 0);
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    fixture.run("commit").await;
}

conformance!(
    a_pulled_task_is_running_until_it_is_finished,
    pulls_come_in_order_and_no_more_than_asked_for,
    a_pull_waits_for_a_later_push,
    a_pull_gives_up_at_its_timeout,
    many_callers_never_get_the_same_task,
    a_pull_that_is_rolled_back_is_undone,
    an_open_pull_holds_up_neither_others_nor_the_orchestrator,
    pulled_tasks_are_limited_by_their_pool_and_need_no_worker,
    pulled_tasks_time_out,
    pulled_tasks_may_be_canceled_and_deferred,
    pulled_tasks_at_the_head_of_a_pool_do_not_block_queries_behind_them,
    the_limit_counts_offers_and_queries_together,
    odd_pulls_are_refused,
    above_read_committed_a_pull_polls_once,
);
