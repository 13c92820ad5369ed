//! Users' triggers, views and indexes on `async.task`.

use pgasync_tests::Engine;

use super::fixture::Fixture;
use super::flows::{add_flow, flow_ended, with_framework};

async fn a_trigger_s_end_of_a_running_task_cancels_its_query<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture.run(
        "create function kill_all() returns trigger language plpgsql as $$ begin
            perform async.finish_internal(array_agg(task_id), 'CANCELED', 'kill_all', 'killed by another', null::interval)
            from async.task where processed is null and task_id <> new.task_id;
            return null; end $$;
         create trigger kill_all after update on async.task for each row
            when (new.processed is not null and new.tracked is distinct from false and new.task_data ? 'kills')
            execute procedure kill_all();",
    )
    .await;
    let mut fixture = fixture;
    fixture.engine.lead().await;
    // The tasks are running, waiting and deferred.
    let never = "'insert into ledger (mark) select ''never'' from pg_sleep(25)', 'there'";
    for _ in 0..6 {
        fixture.push_as(never).await;
    }
    fixture.run("select async.defer(array[async.push_task(async.task('select 1', 'there'))], '1 hour')").await;
    fixture.wait_for("select count(*) = 4 from async.task where consumed is not null").await;
    fixture.push_as("'select 1', 'SELF', '{\"kills\": true}'").await;
    fixture.wait_for_within("select bool_and(processed is not null) from async.task", super::fixture::SOON).await;
    fixture
        .assert_holds(
            "select count(*) filter (where finish_status = 'CANCELED' and processing_error = 'killed by another') = 7
            and count(*) filter (where finish_status = 'FINISHED') = 1 from async.task",
        )
        .await;
    assert_eq!(fixture.target.marks("never").await, 0);
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_trigger_may_finish_a_task_of_the_same_batch<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture
        .run(
            "create function finish_twin() returns trigger language plpgsql as $$ begin
            perform async.finish_internal(array_agg(task_id), 'FAILED', 'twin', 'my twin was first', null::interval)
            from async.task where task_data->>'pair' = new.task_data->>'pair' and task_id <> new.task_id
                and processed is null;
            return null; end $$;
         create trigger finish_twin after update on async.task for each row
            when (new.processed is not null and new.tracked is distinct from false) execute procedure finish_twin();
         update async.control set paused = true;",
        )
        .await;
    let mut fixture = fixture;
    fixture.engine.lead().await;
    // Pairs of tasks end at the same moment.
    fixture
        .run(
            "select async.push_tasks(array_agg(async.task('select pg_sleep(0.05)', 'there',
            jsonb_build_object('pair', n / 2)) order by n)) from generate_series(0, 39) n;
         update async.control set paused = false",
        )
        .await;
    fixture.wait_until_finished().await;
    fixture
        .assert_holds(
            "select bool_and(n >= 1) and sum(total) = 40 from (
            select count(*) filter (where finish_status = 'FINISHED') as n, count(*) as total
            from async.task group by task_data->>'pair') p",
        )
        .await;
    fixture
        .assert_holds(
            "select bool_and(finish_status = 'FINISHED' or processing_error = 'my twin was first') from async.task",
        )
        .await;
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_trigger_sees_each_end_once_and_the_release_of_the_slot_apart<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture
        .run(
            "create table seen (task_id bigint, tracked bool);
         create function see() returns trigger language plpgsql as $$ begin
            insert into seen values (new.task_id, new.tracked); return null; end $$;
         create trigger see after insert or update on async.task for each row
            when (new.processed is not null and new.tracked is distinct from false) execute procedure see();",
        )
        .await;
    let mut fixture = fixture;
    fixture.engine.lead().await;
    fixture.run(
        "select async.push_tasks(array_agg(async.task(case when n % 3 = 0 then 'select 1/0' else 'select 1' end, 'there')))
         from generate_series(1, 30) n;
         select async.push_tasks(array[async.task('select 1', 'there')], 'DOA')",
    )
    .await;
    fixture.wait_until_finished().await;
    fixture.wait_until_no_slot_is_taken().await;
    assert_eq!(fixture.number("select count(*) from seen").await, 31);
    assert_eq!(fixture.number("select count(distinct task_id) from seen").await, 31);
    assert_eq!(fixture.number("select count(*) from seen where tracked").await, 30);
    fixture.assert_holds("select bool_and(tracked is distinct from true) from async.task").await;
}

/// The row after the trigger decides about the pool slot. The slot is freed by a waiting task, and
/// by a YIELDED task that does not track its slot.
async fn a_trigger_may_make_something_else_of_an_end<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    fixture
        .run(
            "create function another_end() returns trigger language plpgsql as $$ begin
            new.processed := null;
            new.failed := null;
            if new.task_data->>'becomes' = 'READY' then
                new.consumed := null; new.finish_status := null; new.eligible_when := clock_timestamp() + '1 day';
            else
                new.yielded := clock_timestamp(); new.finish_status := 'YIELDED';
            end if;
            return new; end $$;
         create trigger another_end before update on async.task for each row
            when (new.processed is not null and old.yielded is null and new.task_data ? 'becomes')
            execute procedure another_end();",
        )
        .await;
    fixture.engine.lead().await;
    let ready = fixture.push_as("'select 1', 'there', '{\"becomes\": \"READY\"}'").await;
    let yielded = fixture.push_as("'select 1', 'there', '{\"becomes\": \"YIELDED\"}'").await;
    let tracked = fixture.push_as("'select 1', 'there', '{\"becomes\": \"YIELDED\"}', track_yielded => true").await;
    fixture
        .wait_for(&format!(
            "select bool_and(case task_id
            when {ready} then eligible_when is not null and consumed is null and tracked is null
            when {yielded} then yielded is not null and tracked is null
            when {tracked} then yielded is not null and tracked end) from async.task"
        ))
        .await;
    // The count of the pool is right: three of four slots are free.
    let waits = "select async.push_tasks(array_agg(async.task('select pg_sleep(25)', 'there')))
        from generate_series(1, 6)";
    fixture.run("update async.target set max_concurrency = 4 where target = 'there'").await;
    fixture.run(waits).await;
    let running = "select count(*) = 3 from async.task where consumed is not null and yielded is null";
    fixture.wait_for(running).await;
    fixture.run(&format!("select async.finish(array[{tracked}], 'FINISHED', null)")).await;
    fixture.wait_for(&running.replace('3', "4")).await;
    fixture.run("drop trigger another_end on async.task").await;
    fixture.run("select async.cancel(array_agg(task_id)) from async.task where processed is null").await;
    fixture.wait_until_finished().await;
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_raising_trigger_holds_up_only_its_own_task<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture
        .run(
            "create table fine (yes bool);
         create function raises() returns trigger language plpgsql as $$ begin
            if exists (select from fine) then return new; end if;
            raise exception 'not with me'; end $$;
         create trigger raises before update on async.task for each row
            when (new.processed is not null and new.task_data ? 'odd') execute procedure raises();",
        )
        .await;
    let mut fixture = fixture;
    fixture.engine.lead().await;
    let odd = fixture.push_as("'select 1', 'there', '{\"odd\": true}'").await;
    for _ in 0..8 {
        fixture.run_task("select 1").await.succeeded();
    }
    fixture.assert_holds(&format!("select processed is null from async.task where task_id = {odd}")).await;
    fixture.assert_holds("select count(*) > 0 from async.server_log where message like '%not with me%'").await;
    // The backoff grows, so the log stays short.
    fixture.assert_holds("select count(*) < 20 from async.server_log").await;
    fixture.run("insert into fine values (true)").await;
    fixture.end_of(odd).await.succeeded();
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_trigger_that_raises_at_the_claim_holds_up_only_its_own_task<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture.run(
        "create function raises() returns trigger language plpgsql as $$ begin raise exception 'not with me'; end $$;
         create trigger raises before update on async.task for each row
            when (new.consumed is not null and new.processed is null and new.task_data ? 'odd')
            execute procedure raises();",
    )
    .await;
    let mut fixture = fixture;
    fixture.engine.lead().await;
    let odd = fixture
        .push_as("'insert into ledger (mark) values (''never'')', 'there', '{\"odd\": true}', priority => -9")
        .await;
    for _ in 0..8 {
        fixture.run_task("select 1").await.succeeded();
    }
    assert_eq!(fixture.target.marks("never").await, 0);
    fixture.run(&format!("select async.cancel(array[{odd}])")).await;
    fixture.end_of(odd).await.is("CANCELED");
    fixture.wait_until_no_slot_is_taken().await;
}

async fn triggers_run_with_the_search_path_of_their_session<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture
        .run(
            "create table unqualified (what text);
         create function uses_public() returns trigger language plpgsql as $$ begin
            insert into unqualified values (tg_op || ' ' || current_setting('search_path')); return null; end $$;
         create trigger uses_public after insert or update on async.task for each row execute procedure uses_public();",
        )
        .await;
    let mut fixture = fixture;
    fixture.engine.lead().await;
    let id = fixture.push("select pg_sleep(0.2)").await;
    fixture.run(&format!("select async.defer(array[{id}], '0.1 s')")).await;
    fixture.end_of(id).await.succeeded();
    fixture.run(&format!("update async.task set tracked = false; select async.restart_task({id})")).await;
    fixture.end_of(id).await.succeeded();
    fixture.assert_holds("select bool_and(what like '%public%') and count(*) > 5 from unqualified").await;
}

async fn tasks_may_be_changed_and_deleted_through_views<E: Engine>() {
    let fixture = with_framework::<E>().await;
    add_flow(&fixture, 1, &[("a", None, "select 1"), ("b", Some("a"), "select 1")]).await;
    assert_eq!(flow_ended(&fixture, 1).await, "a FINISHED, b FINISHED, flow FINISHED");
    fixture.wait_until_no_slot_is_taken().await;
    fixture.run("update flow.task set task_data = task_data || '{\"note\": 1}' where step = 'a'").await;
    assert_eq!(fixture.number("select count(*) from async.task where task_data ? 'note'").await, 1);
    // The deletion of the parent's row deletes the flow.
    fixture.run("delete from flow.task where flow_id = 1").await;
    assert_eq!(fixture.number("select count(*) from async.task").await, 0);
    assert_eq!(fixture.number("select count(*) from flow.step").await, 0);
    add_flow(&fixture, 2, &[("a", None, "select 1")]).await;
    assert_eq!(flow_ended(&fixture, 2).await, "a FINISHED, flow FINISHED");
}

async fn a_unique_index_of_a_client_refuses_the_second_push<E: Engine>() {
    let fixture = with_framework::<E>().await;
    add_flow(&fixture, 1, &[("a", None, "select 1")]).await;
    assert_eq!(flow_ended(&fixture, 1).await, "a FINISHED, flow FINISHED");
    let again = "select async.push_tasks(array[async.task('select 1', 'there'),
        async.task('select 1', 'there', '{\"flow_id\": 1, \"step\": \"a\"}')])";
    assert_eq!(fixture.refused(again).await.0, "23505");
    assert_eq!(fixture.number("select count(*) from async.task").await, 2);
}

/// The end of a deferral is a write.
async fn a_row_that_cannot_leave_its_deferral_delays_no_other_row<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .run(
            "create function stubborn() returns trigger language plpgsql as $$ begin
            if old.eligible_when is not null and new.eligible_when is null and new.task_data->>'stubborn' = 'true' then
                raise exception 'not this one';
            end if;
            return new; end $$;
         create trigger stubborn before update on async.task for each row execute procedure stubborn()",
        )
        .await;
    let odd = fixture.push_as("'select pg_sleep(600)', 'there', jsonb_build_object('stubborn', true)").await;
    let even = fixture.push("do $$ begin perform pg_sleep(600); end $$").await;
    fixture.wait_until_it_runs(odd).await;
    fixture.wait_until_it_runs(even).await;
    fixture.run(&format!("update async.task set query = 'select 1' where task_id in ({odd}, {even})")).await;
    fixture.run(&format!("select async.defer(array[{odd}, {even}]::bigint[], interval '1 second')")).await;
    fixture.end_within(even, super::fixture::SOON).await.succeeded();
    fixture.run_task("select 2").await.succeeded();
    fixture.wait_for("select count(*) > 0 from async.server_log where message ~ 'not this one'").await;
    fixture.assert_holds(&format!("select eligible_when is not null from async.task where task_id = {odd}")).await;
    fixture.assert_holds("select count(*) < 6 from async.server_log where level in ('WARNING', 'ERROR')").await;
    let pid = fixture.number("select pid from async.control").await;
    fixture.run("alter table async.task disable trigger stubborn").await;
    fixture.end_of(odd).await.succeeded();
    assert_eq!(fixture.number("select pid from async.control").await, pid, "the lead was lost");
}

conformance!(
    a_row_that_cannot_leave_its_deferral_delays_no_other_row,
    a_trigger_s_end_of_a_running_task_cancels_its_query,
    a_trigger_may_finish_a_task_of_the_same_batch,
    a_trigger_sees_each_end_once_and_the_release_of_the_slot_apart,
    a_trigger_may_make_something_else_of_an_end,
    a_raising_trigger_holds_up_only_its_own_task,
    a_trigger_that_raises_at_the_claim_holds_up_only_its_own_task,
    triggers_run_with_the_search_path_of_their_session,
    tasks_may_be_changed_and_deleted_through_views,
    a_unique_index_of_a_client_refuses_the_second_push,
);
