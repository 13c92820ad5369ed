//! Pushes: accepted and refused ones, and their tasks.

use pgasync_tests::Engine;
use serde_json::json;

use super::fixture::Fixture;

async fn rows_come_back_in_the_order_of_the_array<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    let rows = fixture
        .rows(
            "select task_id, (task_data->>'n')::int, entered = min(entered) over () from async.push_tasks(
                (select array_agg(async.task('select ' || n, 'there', jsonb_build_object('n', n)) order by n)
                 from generate_series(1, 100) n), _source => 'me')",
            &[],
        )
        .await;
    let ids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    let numbers: Vec<i32> = rows.iter().map(|row| row.get(1)).collect();
    assert!(ids.is_sorted() && ids.len() == 100);
    assert_eq!(numbers, (1..=100).collect::<Vec<_>>());
    fixture.assert_holds(
        "select bool_and(query = 'select ' || (task_data->>'n') and source = 'me' and priority = 0 and target = 'there'
            and coalesce(concurrency_pool, target) = 'there' and processed is null and consumed is null
            and finish_status is null and failed is null and tracked is null) from async.task",
    )
    .await;
}

async fn nothing_pushed_gives_no_rows<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    assert_eq!(fixture.number("select count(*) from async.push_tasks(null)").await, 0);
    assert_eq!(fixture.number("select count(*) from async.push_tasks('{}')").await, 0);
}

async fn a_task_is_a_row_of_seven<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let id = fixture
        .id(
            "select async.push_task(row('{\"a\": 1}', 'there', 7, 'select 1', 'mine', '5 minutes', true)::async.task_push_t)",
            &[],
        )
        .await;
    fixture.end_of(id).await.succeeded();
    fixture
        .assert_holds(
            "select task_data = '{\"a\": 1}' and priority = 7 and query = 'select 1' and concurrency_pool = 'mine'
            and manual_timeout = '5 minutes' and track_yielded and source = 'manual push' from async.task",
        )
        .await;
}

async fn refused_statements_are_refused_as_a_whole_and_named<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture
        .configure(&json!({ "targets": [fixture.there(&json!({})),
        { "target": "retired", "connection_string": fixture.target.conninfo() },
        { "target": "pulled", "asynchronous_finish": true }],
        "concurrency_pools": [{ "concurrency_pool": "gone", "max_workers": 1 }] }))
        .await;
    fixture
        .configure(&json!({ "targets": [fixture.there(&json!({})), { "target": "pulled" }], "concurrency_pools": [] }))
        .await;
    for (odd, code) in [
        ("async.task('select 1', null)", "PA010"),
        ("async.task('select 1', 'nowhere')", "PA011"),
        ("async.task('select 1', 'There')", "PA011"),
        ("async.task('select 1', 'retired')", "PA012"),
        ("async.task('select 1', 'there', concurrency_pool => 'gone')", "PA013"),
        ("async.task(null, 'there')", "PA014"),
        ("async.task('select 1', 'pulled')", "PA015"),
        ("async.task('select 1', 'there', manual_timeout => '-1 s')", "PA016"),
        ("null", "PA010"),
    ] {
        let fine = "async.task('select 1', 'there')";
        let (actual_code, message) =
            fixture.refused(&format!("select async.push_tasks(array[{fine}, {fine}, {odd}])")).await;
        assert_eq!(actual_code, code, "{odd}: {message}");
        assert!(message.starts_with("task 3"), "{odd}: {message}");
        assert_eq!(fixture.number("select count(*) from async.task").await, 0);
    }
}

async fn a_push_that_is_rolled_back_pushes_nothing<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let mark = "select async.push_task(async.task('insert into ledger (mark) values (''x'')', 'there'))";
    fixture.run(&format!("begin; {mark}; rollback")).await;
    fixture.run_task("select 1").await.succeeded();
    assert_eq!(fixture.target.marks("x").await, 0);
}

async fn doa_is_born_failed_and_empty_is_born_finished_and_neither_runs<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let query = "async.task('insert into ledger (mark) values (''x'')', 'there')";
    fixture.run(&format!("select async.push_tasks(array[{query}, {query}], 'DOA')")).await;
    fixture.run(&format!("select async.push_tasks(array[{query}], 'EMPTY')")).await;
    fixture.run("select async.push_tasks(array[async.task(null, 'there')], 'EMPTY')").await;
    fixture
        .assert_holds(
            "select bool_and(processed is not null and tracked is null and consumed is not null
            and (finish_status, failed) = case when task_id <= 2 then ('DOA'::async.finish_status_t, true)
                else ('FINISHED'::async.finish_status_t, false) end) and count(*) = 4 from async.task",
        )
        .await;
    fixture.run_task("select 1").await.succeeded();
    assert_eq!(fixture.target.marks("x").await, 0);
}

async fn self_is_the_server_in_any_case_and_by_its_own_name<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run("create table here (mark text)").await;
    for name in ["SELF", "self", "Self", "async.self"] {
        let id = fixture.push_as(&format!("'insert into here values (''{name}'')', '{name}'")).await;
        fixture.end_of(id).await.succeeded();
    }
    assert_eq!(fixture.number("select count(distinct mark) from here").await, 4);
    fixture.assert_holds("select bool_and(target = 'async.self') from async.task").await;
}

async fn a_target_named_self_is_that_target<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .configure(&json!({ "targets": [fixture.there(&json!({})),
        { "target": "SELF", "connection_string": fixture.target.conninfo() }] }))
        .await;
    let id = fixture.push_as("'insert into ledger (mark) values (''x'')', 'SELF'").await;
    fixture.end_of(id).await.succeeded();
    assert_eq!(fixture.target.marks("x").await, 1);
}

async fn a_query_knows_its_task<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let id = fixture.push("insert into ledger (mark) values ('##flow.TASK_ID##'), ('again ##flow.TASK_ID##')").await;
    fixture.end_of(id).await.succeeded();
    assert_eq!(fixture.target.marks(&id.to_string()).await, 1);
    assert_eq!(fixture.target.marks(&format!("again {id}")).await, 1);
    fixture.assert_holds("select query like '%##flow.TASK_ID##%' from async.task").await;
}

async fn ids_beyond_two_to_the_31_work<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run("select setval('async.task_task_id_seq', 5000000000)").await;
    let id = fixture.push("insert into ledger (mark) values ('##flow.TASK_ID##')").await;
    assert_eq!(id, 5_000_000_001);
    fixture.end_of(id).await.succeeded();
    assert_eq!(fixture.target.marks("5000000001").await, 1);
    let id = fixture.push("select pg_sleep(25)").await;
    fixture.wait_until_it_runs(id).await;
    fixture.run(&format!("select async.cancel(array[{id}])")).await;
    fixture.end_of(id).await.is("CANCELED");
    fixture.run(&format!("select async.restart_task({id})")).await;
    fixture.run(&format!("select async.cancel(array[{id}])")).await;
    fixture.end_of(id).await.is("CANCELED");
}

async fn a_push_does_not_wait_for_an_open_push<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let other = fixture.connect().await;
    let push = "select async.push_task(async.task('select 1', 'there', concurrency_pool => 'new'))";
    other.batch_execute(&format!("begin; {push}")).await.expect("it pushes");
    fixture.run(&format!("set lock_timeout = '2 s'; {push}")).await;
    fixture.wait_until_finished().await;
    other.batch_execute("commit").await.expect("it commits");
    fixture.wait_for("select count(*) = 2 and bool_and(processed is not null) from async.task").await;
}

async fn a_push_does_not_wait_for_a_pull<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    fixture
        .configure(
            &json!({ "targets": [fixture.there(&json!({})), { "target": "pulled", "asynchronous_finish": true }] }),
        )
        .await;
    fixture.engine.lead().await;
    fixture.run("select async.push_task(async.task(null, 'pulled'))").await;
    let other = fixture.connect().await;
    other.batch_execute("begin; select * from async.get_tasks('pulled')").await.expect("it takes one");
    fixture.run("set lock_timeout = '2 s'; select async.push_task(async.task(null, 'pulled'))").await;
    // The orchestrator does not wait either.
    fixture.run_task("select 1").await.succeeded();
    other.batch_execute("rollback").await.expect("it rolls back");
}

async fn a_push_that_was_open_for_long_is_picked_up_when_it_commits<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .configure(&json!({ "control": { "light_maintenance_sleep": "0.1 s", "heavy_maintenance_sleep": "0.1 s" } }))
        .await;
    let other = fixture.connect().await;
    other
        .batch_execute("begin; select async.push_task(async.task('select 1', 'there', priority => -1))")
        .await
        .expect("it pushes");
    // Later tasks are pushed and end while the push is open, and maintenance runs.
    for _ in 0..5 {
        fixture.run_task("select 1").await.succeeded();
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    other.batch_execute("commit").await.expect("it commits");
    fixture.wait_until_finished().await;
    assert_eq!(fixture.number("select count(*) from async.task where not failed").await, 6);
}

async fn pushes_from_a_snapshot_of_old_are_fine<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let other = fixture.connect().await;
    other
        .batch_execute("begin isolation level repeatable read; select count(*) from async.task")
        .await
        .expect("a snapshot");
    fixture.run_task("select 1").await.succeeded();
    other.batch_execute("select async.push_task(async.task('select 1', 'there')); commit").await.expect("it pushes");
    fixture.wait_for("select count(*) = 2 and bool_and(processed is not null) from async.task").await;
}

async fn a_push_to_a_sleeping_orchestrator_runs_at_once<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    // The leader falls asleep within this time. `idle_sleep` is 0.1 s here.
    tokio::time::sleep(std::time::Duration::from_millis(800)).await;
    let begin = std::time::Instant::now();
    fixture.run_task("select 1").await.succeeded();
    assert!(begin.elapsed() < std::time::Duration::from_secs(5), "{:?}", begin.elapsed());
}

/// A session keeps prepared statements. They must notice the column.
async fn a_session_pushes_on_when_the_table_has_got_a_column<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let other = fixture.connect().await;
    let push = "select * from async.push_tasks(array[async.task('select 1', 'there')])";
    for column in ["one", "two"] {
        for _ in 0..2 {
            other.batch_execute(push).await.expect("it pushes");
        }
        fixture.run(&format!("alter table async.task add column of_the_users_{column} text")).await;
    }
    other.batch_execute(push).await.expect("it pushes");
    fixture.wait_until_finished().await;
    assert_eq!(fixture.number("select count(*) from async.task where finish_status = 'FINISHED'").await, 5);
}

/// No client function does this. The owner may.
async fn a_task_that_an_update_makes_ready_runs<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run_task("select 1").await.succeeded();
    fixture
        .run(
            "update async.task set consumed = null, processed = null, finish_status = null, failed = null, tracked = null",
        )
        .await;
    fixture.wait_for("select bool_and(processed is not null and run = 2) from async.task").await;
}

/// The tasks of one push come in more than one transaction id, and more than a poll reads.
async fn savepoints_and_large_arrays_are_run_whole<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .run(
            "begin; savepoint a; select async.push_task(async.task('select 1', 'there')); release a;
            savepoint b; select async.push_task(async.task('select 2', 'there')); rollback to b;
            select count(*) from async.push_tasks(array(
              select async.task('select 3', 'there', priority => i % 3) from generate_series(1, 1500) i)); commit",
        )
        .await;
    fixture.wait_until_finished().await;
    assert_eq!(fixture.number("select count(*) from async.task where finish_status = 'FINISHED'").await, 1501);
}

conformance!(
    rows_come_back_in_the_order_of_the_array,
    nothing_pushed_gives_no_rows,
    a_task_is_a_row_of_seven,
    refused_statements_are_refused_as_a_whole_and_named,
    a_push_that_is_rolled_back_pushes_nothing,
    doa_is_born_failed_and_empty_is_born_finished_and_neither_runs,
    self_is_the_server_in_any_case_and_by_its_own_name,
    a_target_named_self_is_that_target,
    a_query_knows_its_task,
    ids_beyond_two_to_the_31_work,
    a_push_does_not_wait_for_an_open_push,
    a_push_does_not_wait_for_a_pull,
    a_push_that_was_open_for_long_is_picked_up_when_it_commits,
    pushes_from_a_snapshot_of_old_are_fine,
    a_push_to_a_sleeping_orchestrator_runs_at_once,
    a_session_pushes_on_when_the_table_has_got_a_column,
    a_task_that_an_update_makes_ready_runs,
    savepoints_and_large_arrays_are_run_whole,
);
