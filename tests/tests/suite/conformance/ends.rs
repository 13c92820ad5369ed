//! Each task ends once, with its own outcome.

use std::time::Duration;

use pgasync_tests::Engine;
use tokio::time::sleep;

use super::fixture::Fixture;

async fn success_is_finished_without_an_error<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let id = fixture.push("insert into ledger (mark) values ('ran')").await;
    fixture.end_of(id).await.succeeded();
    assert_eq!(fixture.target.marks("ran").await, 1);
    fixture
        .assert_holds(
            "select entered <= consumed and consumed <= processed and yielded is null and times_up > consumed
         and run = 1 from async.task",
        )
        .await;
    fixture.wait_for("select tracked is not true from async.task").await;
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_failure_contains_all_fields_of_the_target_s_error<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .run_there(
            "create function explode() returns void language plpgsql as $$ begin
            raise exception 'boom %', 1 using errcode = 'XX123', detail = 'the detail', hint = 'the hint'; end $$",
        )
        .await;
    let error = fixture.run_task("select explode()").await.is("FAILED").expect("an error message");
    for part in ["XX123", "boom 1", "the detail", "the hint", "function explode() line"] {
        assert!(error.contains(part), "{part} is missing: {error}");
    }
    // The error does not mention how the orchestrator runs queries.
    for foreign in ["dblink", "inline_code_block", "pgasync"] {
        assert!(!error.contains(foreign), "{foreign}: {error}");
    }
}

async fn each_failure_carries_its_own_error_and_no_success_carries_one<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .run(
            "select async.push_tasks(array_agg(async.task(
            case when n % 4 = 0 then format('select %s', n)
                 when n % 4 = 1 then format('select 1/0 /* %s */', n)
                 else format('do $d$ begin raise exception ''own %s'';end $d$', n) end,
            'there', jsonb_build_object('n', n))))
         from generate_series(1, 260) as n",
        )
        .await;
    fixture.wait_until_finished().await;
    fixture
        .assert_holds(
            "select bool_and(case when (task_data->>'n')::int % 4 = 0
                then finish_status = 'FINISHED' and not failed and processing_error is null
            when (task_data->>'n')::int % 4 = 1
                then finish_status = 'FAILED' and failed and processing_error like '22012: %'
            else finish_status = 'FAILED' and failed
                and processing_error like format('P0001: own %s%%', task_data->>'n')
                and processing_error !~ format('own (?!%s\\y)', task_data->>'n') end)
         from async.task",
        )
        .await;
    fixture.wait_until_no_slot_is_taken().await;
}

async fn errors_are_cut_at_a_character<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let error = fixture
        .run_task("do $$ begin raise exception '%', repeat('x', 1) || repeat('é', 200000); end $$")
        .await
        .is("FAILED")
        .expect("an error message");
    assert!(error.len() <= 65536 && error.len() > 65000, "{} bytes", error.len());
    assert!(error.starts_with("P0001: xéé") && !error.contains('\u{fffd}'));
    // The leader continues.
    fixture.run_task("select 1").await.succeeded();
}

async fn an_error_in_another_encoding_is_recorded<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let error = fixture
        .run_task("do $$ begin set client_encoding = 'latin1'; raise exception 'größer'; end $$")
        .await
        .is("FAILED")
        .expect("an error message");
    assert!(error.starts_with("P0001: gr"), "{error}");
    fixture.run_task("select 1").await.succeeded();
}

async fn a_finished_task_is_overwritten_by_nothing_but_restart<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let ids = [fixture.push("select 1").await, fixture.push("select 1/0").await];
    fixture.wait_until_finished().await;
    fixture.wait_for("select bool_and(tracked is not true) from async.task").await;
    let rows = "select string_agg(t::text, ';' order by task_id) from async.task t";
    let before = fixture.text(rows).await;
    for id in ids {
        fixture
            .run(&format!(
                "select async.cancel(array[{id}]); select async.finish(array[{id}], 'FAILED', 'late');
             select async.finish(array[{id}], 'PAUSED', 'late'); select async.defer(array[{id}], '1 s')"
            ))
            .await;
    }
    fixture.run("select async.wait_for_latch()").await;
    fixture.run("select async.wait_for_latch()").await;
    assert_eq!(fixture.text(rows).await, before);
    assert_eq!(fixture.number("select count(*) from async.request").await, 0);
}

async fn a_task_that_is_finished_by_hand_stays_as_it_is<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let id = fixture.push("insert into ledger (mark) values ('x') returning pg_sleep(1)").await;
    fixture.wait_until_it_runs(id).await;
    fixture
        .run(&format!(
            "update async.task set processed = now(), finish_status = 'FAILED', failed = true,
         processing_error = 'by hand' where task_id = {id}"
        ))
        .await;
    // The session is busy until the query ends. Then the slot is free.
    let next = fixture.push("select 1").await;
    fixture.end_of(next).await.succeeded();
    fixture
        .wait_for(&format!(
            "select not exists (select from pg_stat_activity where datname = '{}' and state = 'active'
         and query like '%ledger%' and pid <> pg_backend_pid())",
            fixture.target.name()
        ))
        .await;
    fixture.wait_until_no_slot_is_taken().await;
    assert_eq!(fixture.end_of(id).await.is("FAILED").as_deref(), Some("by hand"));
}

async fn a_task_that_is_deleted_by_hand_frees_its_slot<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let running = fixture.push("select pg_sleep(1)").await;
    fixture.wait_until_it_runs(running).await;
    fixture.run("delete from async.task").await;
    fixture.wait_until_no_slot_is_taken().await;
    for _ in 0..6 {
        fixture.run_task("select 1").await.succeeded();
    }
}

async fn rows_changed_and_deleted_while_waiting_delay_no_other_row<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture
        .run(
            "select async.push_tasks(array_agg(async.task(format('insert into ledger (mark) values (''%s'')', n),
            'there'))) from generate_series(1, 30) as n",
        )
        .await;
    fixture
        .run(
            "delete from async.task where task_id % 3 = 0;
         update async.task set query = 'insert into ledger (mark) values (''changed '  || task_id || ''')'
         where task_id % 3 = 1;",
        )
        .await;
    let mut fixture = fixture;
    fixture.engine.lead().await;
    fixture.wait_until_finished().await;
    assert_eq!(fixture.number_there("select count(*) from ledger").await, 20);
    assert_eq!(fixture.number_there("select count(*) from ledger where mark like 'changed%'").await, 10);
}

async fn a_locked_row_delays_no_other_row<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let held = fixture.push("select pg_sleep(0.5)").await;
    fixture.wait_until_it_runs(held).await;
    let client = fixture.connect().await;
    client
        .batch_execute(&format!("begin; select from async.task where task_id = {held} for update"))
        .await
        .expect("it locks");
    for _ in 0..12 {
        fixture.run_task("select 1").await.succeeded();
    }
    fixture.assert_holds(&format!("select processed is null from async.task where task_id = {held}")).await;
    client.batch_execute("commit").await.expect("it commits");
    fixture.end_of(held).await.succeeded();
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_query_whose_backend_was_ended_fails_with_an_unknown_outcome<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let id = fixture.push("insert into ledger (mark) values ('once') returning pg_sleep(25)").await;
    fixture.wait_until_it_runs(id).await;
    fixture
        .run(&format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{}' and query like '%once%'
         and pid <> pg_backend_pid() and application_name like 'pgasync/%'",
            fixture.target.name()
        ))
        .await;
    let error = fixture.end_of(id).await.is("FAILED").expect("an error message");
    assert!(error.contains("outcome unknown"), "{error}");
    // The task does not run again, and the session is replaced.
    fixture.run_task("select 1").await.succeeded();
    assert_eq!(fixture.target.marks("once").await, 0);
    assert_eq!(fixture.number("select max(run) from async.task").await, 1);
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_kept_session_that_died_is_replaced_before_it_is_used<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run_task("select 1").await.succeeded();
    for _ in 0..5 {
        fixture
            .run(&format!(
                "select pg_terminate_backend(pid) from pg_stat_activity
             where datname = '{}' and application_name like 'pgasync/%'",
                fixture.target.name()
            ))
            .await;
        fixture
            .wait_for(&format!(
                "select not exists (select from pg_stat_activity
             where datname = '{}' and application_name like 'pgasync/%')",
                fixture.target.name()
            ))
            .await;
        // A backend leaves the view before its process ends and its socket is closed.
        sleep(Duration::from_millis(300)).await;
        fixture.run_task("select 1").await.succeeded();
    }
}

async fn a_task_may_end_its_own_backend<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let error =
        fixture.run_task("select pg_terminate_backend(pg_backend_pid())").await.is("FAILED").expect("an error message");
    assert!(error.contains("outcome unknown"), "{error}");
    let error =
        fixture.run_task("select pg_cancel_backend(pg_backend_pid())").await.is("FAILED").expect("an error message");
    assert!(error.starts_with("57014"), "{error}");
    fixture.run_task("select 1").await.succeeded();
}

conformance!(
    success_is_finished_without_an_error,
    a_failure_contains_all_fields_of_the_target_s_error,
    each_failure_carries_its_own_error_and_no_success_carries_one,
    errors_are_cut_at_a_character,
    an_error_in_another_encoding_is_recorded,
    a_finished_task_is_overwritten_by_nothing_but_restart,
    a_task_that_is_finished_by_hand_stays_as_it_is,
    a_task_that_is_deleted_by_hand_frees_its_slot,
    rows_changed_and_deleted_while_waiting_delay_no_other_row,
    a_locked_row_delays_no_other_row,
    a_query_whose_backend_was_ended_fails_with_an_unknown_outcome,
    a_kept_session_that_died_is_replaced_before_it_is_used,
    a_task_may_end_its_own_backend,
);
