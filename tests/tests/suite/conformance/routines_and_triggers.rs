//! What users hang on `async.task` and have the leader run: triggers, routines, and what clients of a dependency
//! framework build of them.

use pgasync_tests::{Database, Engine};
use serde_json::json;

use super::bed::Bed;

/// A framework of flows of steps that depend on each other, in the spirit of those that were built on the original.
///
/// A task of it carries `flow_id` and `step`. A parent (`parent: true`) is pushed EMPTY and turned YIELDED by a BEFORE
/// trigger; an AFTER trigger finishes it when its last step has ended and pushes what depends on a step that succeeded;
/// what depends on one that failed is pushed DOA. A LOOP routine starts flows.
const FRAMEWORK: &str = r#"
    create schema flow;

    create table flow.flow (
        flow_id bigint primary key, parent_id bigint references async.task (task_id) on delete cascade,
        target text not null references async.target, started timestamptz);
    create table flow.step (
        flow_id bigint references flow.flow on delete cascade, step text, needs text, query text,
        primary key (flow_id, step));

    create unique index flow_one_task_a_step on async.task ((task_data->>'flow_id'), (task_data->>'step'))
        where task_data ? 'flow_id' and task_data ? 'step';

    create view flow.task as
        select task_id, (task_data->>'flow_id')::bigint as flow_id, task_data->>'step' as step, finish_status, failed,
            processed, processing_error, tracked, task_data
        from async.task where task_data ? 'flow_id';

    create function flow.before_task() returns trigger language plpgsql as $$
    begin
        new.finish_status := 'YIELDED';
        new.processed := null;
        new.failed := null;
        new.yielded := clock_timestamp();
        return new;
    end $$;
    create trigger before_task before insert or update on async.task for each row
        when (new.finish_status = 'FINISHED' and new.yielded is null and new.task_data->>'parent' = 'true')
        execute procedure flow.before_task();

    create function flow.push(in_flow_id bigint, in_needs text, in_run_type async.task_run_type_t)
    returns void language sql as $$
        select from async.push_tasks(array(
            select row(jsonb_build_object('flow_id', s.flow_id, 'step', s.step), f.target, 0, s.query, null, null,
                null)::async.task_push_t
            from flow.step s join flow.flow f using (flow_id)
            where s.flow_id = in_flow_id and s.needs is not distinct from in_needs
            order by s.step), in_run_type, 'flow')
    $$;

    create function flow.after_task() returns trigger language plpgsql as $$
    declare
        v_flow bigint := (new.task_data->>'flow_id')::bigint;
    begin
        if new.task_data->>'parent' = 'true' then
            return null;
        end if;
        -- What depends on it: run, or dead on arrival, all the way down.
        perform flow.push(v_flow, new.task_data->>'step',
            case when new.failed then 'DOA' else 'EXECUTE' end::async.task_run_type_t);
        -- The last one out finishes the flow.
        if not exists (
            select from flow.step s
            where s.flow_id = v_flow and not exists (
                select from flow.task t where t.flow_id = v_flow and t.step = s.step and t.processed is not null))
        then
            perform async.finish_internal(
                array_agg(f.parent_id),
                case when bool_or(t.failed) then 'FAILED' else 'FINISHED' end::async.finish_status_t,
                'flow.after_task', case when bool_or(t.failed) then 'a step failed' end, null::interval)
            from flow.flow f join flow.task t using (flow_id)
            where f.flow_id = v_flow and t.step is not null;
        end if;
        return null;
    end $$;
    create trigger after_task after insert or update on async.task for each row
        when (new.processed is not null and new.tracked is distinct from false and new.task_data->>'flow_id' is not null)
        execute procedure flow.after_task();

    create procedure flow.start() language plpgsql as $$
    declare
        v_flow flow.flow;
    begin
        for v_flow in select * from flow.flow where started is null loop
            update flow.flow set started = clock_timestamp(), parent_id = (
                select task_id from async.push_tasks(array[
                    async.task(null, v_flow.target, jsonb_build_object('flow_id', v_flow.flow_id, 'parent', true))],
                    'EMPTY', 'flow'))
            where flow_id = v_flow.flow_id;
            perform flow.push(v_flow.flow_id, null, 'EXECUTE');
        end loop;
    end $$;
    select async.push_routine('LOOP', 'flow.start()');
"#;

async fn with_framework<E: Engine>() -> Bed<E> {
    let mut bed = Bed::<E>::prepared().await;
    bed.run(FRAMEWORK).await;
    bed.engine.lead().await;
    bed
}

/// Adds a flow of steps, each `(step, needs, query)`.
async fn add_flow(database: &Database, flow: i64, steps: &[(&str, Option<&str>, &str)]) {
    database.run("begin").await;
    database.rows("insert into flow.flow (flow_id, target) values ($1, 'there')", &[&flow]).await;
    for (step, needs, query) in steps {
        database.rows("insert into flow.step values ($1, $2, $3, $4)", &[&flow, step, needs, query]).await;
    }
    database.run("commit").await;
}

/// What became of a flow's steps, and of its parent.
async fn flow_ended<E: Engine>(bed: &Bed<E>, flow: i64) -> String {
    bed.wait_for(&format!(
        "select t.processed is not null from flow.flow f join async.task t on t.task_id = f.parent_id where flow_id = {flow}"
    ))
    .await;
    bed.text(&format!(
        "select string_agg(coalesce(step, 'flow') || ' ' || finish_status, ', ' order by step nulls last)
         from flow.task where flow_id = {flow}"
    ))
    .await
    .unwrap_or_default()
}

async fn a_flow_runs_its_steps_in_the_order_of_their_needs<E: Engine>() {
    let bed = with_framework::<E>().await;
    let mark = |step: &str| format!("insert into ledger (mark) values ('{step}')");
    let (a, b, c) = (mark("a"), mark("b"), mark("c"));
    for flow in 1..=5 {
        add_flow(
            &bed,
            flow,
            &[("a", None, &a), ("b", Some("a"), &b), ("c", Some("b"), &c), ("d", Some("a"), "select 1")],
        )
        .await;
    }
    for flow in 1..=5 {
        assert_eq!(flow_ended(&bed, flow).await, "a FINISHED, b FINISHED, c FINISHED, d FINISHED, flow FINISHED");
    }
    bed.wait_until_finished().await;
    assert_eq!(bed.number_there("select count(*) from ledger").await, 15);
    bed.assert_holds("select bool_and(run = 1) from async.task where query is not null").await;
    bed.wait_until_no_slot_is_taken().await;
}

async fn a_failed_step_kills_what_needs_it_and_fails_the_flow<E: Engine>() {
    let bed = with_framework::<E>().await;
    let never = "insert into ledger (mark) values ('never')";
    add_flow(
        &bed,
        1,
        &[
            ("a", None, "select 1/0"),
            ("b", Some("a"), never),
            ("c", Some("b"), never),
            ("d", Some("c"), never),
            ("e", None, "select 1"),
        ],
    )
    .await;
    assert_eq!(flow_ended(&bed, 1).await, "a FAILED, b DOA, c DOA, d DOA, e FINISHED, flow FAILED");
    bed.assert_holds("select processing_error = 'a step failed' from flow.task where step is null").await;
    assert_eq!(bed.target.marks("never").await, 0);
    bed.wait_until_no_slot_is_taken().await;
}

async fn a_yielded_parent_is_one_that_a_trigger_made<E: Engine>() {
    let bed = with_framework::<E>().await;
    add_flow(&bed, 1, &[("a", None, "select pg_sleep(25)")]).await;
    bed.wait_for("select consumed is not null from async.task where query is not null").await;
    bed.assert_holds(
        "select finish_status = 'YIELDED' and processed is null and failed is null and yielded is not null
         from async.task where query is null",
    )
    .await;
    // It can be cancelled like any other; so can its step.
    bed.run("select async.cancel(array_agg(task_id)) from async.task").await;
    bed.wait_until_finished().await;
    bed.assert_holds("select bool_and(finish_status = 'CANCELED') from async.task").await;
    bed.wait_until_no_slot_is_taken().await;
}

async fn a_trigger_s_end_of_a_running_task_cancels_its_query<E: Engine>() {
    let bed = Bed::<E>::prepared().await;
    bed.run(
        "create function kill_all() returns trigger language plpgsql as $$ begin
            perform async.finish_internal(array_agg(task_id), 'CANCELED', 'kill_all', 'killed by another', null::interval)
            from async.task where processed is null and task_id <> new.task_id;
            return null; end $$;
         create trigger kill_all after update on async.task for each row
            when (new.processed is not null and new.tracked is distinct from false and new.task_data ? 'kills')
            execute procedure kill_all();",
    )
    .await;
    let mut bed = bed;
    bed.engine.lead().await;
    // Running, waiting, deferred.
    let never = "'insert into ledger (mark) select ''never'' from pg_sleep(25)', 'there'";
    for _ in 0..6 {
        bed.push_as(never).await;
    }
    bed.run("select async.defer(array[async.push_task(async.task('select 1', 'there'))], '1 hour')").await;
    bed.wait_for("select count(*) = 4 from async.task where consumed is not null").await;
    bed.push_as("'select 1', 'SELF', '{\"kills\": true}'").await;
    bed.wait_for_within("select bool_and(processed is not null) from async.task", super::bed::SOON).await;
    bed.assert_holds(
        "select count(*) filter (where finish_status = 'CANCELED' and processing_error = 'killed by another') = 7
            and count(*) filter (where finish_status = 'FINISHED') = 1 from async.task",
    )
    .await;
    assert_eq!(bed.target.marks("never").await, 0);
    bed.wait_until_no_slot_is_taken().await;
}

async fn a_trigger_may_finish_a_task_of_the_same_batch<E: Engine>() {
    let bed = Bed::<E>::prepared().await;
    bed.run(
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
    let mut bed = bed;
    bed.engine.lead().await;
    // Pairs that end at the same moment.
    bed.run(
        "select async.push_tasks(array_agg(async.task('select pg_sleep(0.05)', 'there',
            jsonb_build_object('pair', n / 2)) order by n)) from generate_series(0, 39) n;
         update async.control set paused = false",
    )
    .await;
    bed.wait_until_finished().await;
    bed.assert_holds(
        "select bool_and(n >= 1) and sum(total) = 40 from (
            select count(*) filter (where finish_status = 'FINISHED') as n, count(*) as total
            from async.task group by task_data->>'pair') p",
    )
    .await;
    bed.assert_holds(
        "select bool_and(finish_status = 'FINISHED' or processing_error = 'my twin was first') from async.task",
    )
    .await;
    bed.wait_until_no_slot_is_taken().await;
}

async fn a_trigger_sees_each_end_once_and_the_release_of_the_slot_apart<E: Engine>() {
    let bed = Bed::<E>::prepared().await;
    bed.run(
        "create table seen (task_id bigint, tracked bool);
         create function see() returns trigger language plpgsql as $$ begin
            insert into seen values (new.task_id, new.tracked); return null; end $$;
         create trigger see after insert or update on async.task for each row
            when (new.processed is not null and new.tracked is distinct from false) execute procedure see();",
    )
    .await;
    let mut bed = bed;
    bed.engine.lead().await;
    bed.run(
        "select async.push_tasks(array_agg(async.task(case when n % 3 = 0 then 'select 1/0' else 'select 1' end, 'there')))
         from generate_series(1, 30) n;
         select async.push_tasks(array[async.task('select 1', 'there')], 'DOA')",
    )
    .await;
    bed.wait_until_finished().await;
    bed.wait_until_no_slot_is_taken().await;
    assert_eq!(bed.number("select count(*) from seen").await, 31);
    assert_eq!(bed.number("select count(distinct task_id) from seen").await, 31);
    assert_eq!(bed.number("select count(*) from seen where tracked").await, 30);
    bed.assert_holds("select bool_and(tracked is distinct from true) from async.task").await;
}

/// What a trigger made of an end decides about the slot: who waits again or yields without holding it gives it back.
async fn a_trigger_may_make_something_else_of_an_end<E: Engine>() {
    let mut bed = Bed::<E>::prepared().await;
    bed.run(
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
    bed.engine.lead().await;
    let ready = bed.push_as("'select 1', 'there', '{\"becomes\": \"READY\"}'").await;
    let yielded = bed.push_as("'select 1', 'there', '{\"becomes\": \"YIELDED\"}'").await;
    let tracked = bed.push_as("'select 1', 'there', '{\"becomes\": \"YIELDED\"}', track_yielded => true").await;
    bed.wait_for(&format!(
        "select bool_and(case task_id
            when {ready} then eligible_when is not null and consumed is null and tracked is null
            when {yielded} then yielded is not null and tracked is null
            when {tracked} then yielded is not null and tracked end) from async.task"
    ))
    .await;
    // The pool knows: four slots less one.
    let waits = "select async.push_tasks(array_agg(async.task('select pg_sleep(25)', 'there')))
        from generate_series(1, 6)";
    bed.run("update async.target set max_concurrency = 4 where target = 'there'").await;
    bed.run(waits).await;
    let running = "select count(*) = 3 from async.task where consumed is not null and yielded is null";
    bed.wait_for(running).await;
    bed.run(&format!("select async.finish(array[{tracked}], 'FINISHED', null)")).await;
    bed.wait_for(&running.replace('3', "4")).await;
    bed.run("drop trigger another_end on async.task").await;
    bed.run("select async.cancel(array_agg(task_id)) from async.task where processed is null").await;
    bed.wait_until_finished().await;
    bed.wait_until_no_slot_is_taken().await;
}

async fn a_raising_trigger_holds_up_only_its_own_task<E: Engine>() {
    let bed = Bed::<E>::prepared().await;
    bed.run(
        "create table fine (yes bool);
         create function raises() returns trigger language plpgsql as $$ begin
            if exists (select from fine) then return new; end if;
            raise exception 'not with me'; end $$;
         create trigger raises before update on async.task for each row
            when (new.processed is not null and new.task_data ? 'odd') execute procedure raises();",
    )
    .await;
    let mut bed = bed;
    bed.engine.lead().await;
    let odd = bed.push_as("'select 1', 'there', '{\"odd\": true}'").await;
    for _ in 0..8 {
        bed.run_task("select 1").await.succeeded();
    }
    bed.assert_holds(&format!("select processed is null from async.task where task_id = {odd}")).await;
    bed.assert_holds("select count(*) > 0 from async.server_log where message like '%not with me%'").await;
    // Tried less and less often, so the log stays short.
    bed.assert_holds("select count(*) < 20 from async.server_log").await;
    bed.run("insert into fine values (true)").await;
    bed.end_of(odd).await.succeeded();
    bed.wait_until_no_slot_is_taken().await;
}

async fn a_trigger_that_raises_at_the_claim_holds_up_only_its_own_task<E: Engine>() {
    let bed = Bed::<E>::prepared().await;
    bed.run(
        "create function raises() returns trigger language plpgsql as $$ begin raise exception 'not with me'; end $$;
         create trigger raises before update on async.task for each row
            when (new.consumed is not null and new.processed is null and new.task_data ? 'odd')
            execute procedure raises();",
    )
    .await;
    let mut bed = bed;
    bed.engine.lead().await;
    let odd =
        bed.push_as("'insert into ledger (mark) values (''never'')', 'there', '{\"odd\": true}', priority => -9").await;
    for _ in 0..8 {
        bed.run_task("select 1").await.succeeded();
    }
    assert_eq!(bed.target.marks("never").await, 0);
    bed.run(&format!("select async.cancel(array[{odd}])")).await;
    bed.end_of(odd).await.is("CANCELED");
    bed.wait_until_no_slot_is_taken().await;
}

async fn triggers_run_with_the_search_path_of_their_session<E: Engine>() {
    let bed = Bed::<E>::prepared().await;
    bed.run(
        "create table unqualified (what text);
         create function uses_public() returns trigger language plpgsql as $$ begin
            insert into unqualified values (tg_op || ' ' || current_setting('search_path')); return null; end $$;
         create trigger uses_public after insert or update on async.task for each row execute procedure uses_public();",
    )
    .await;
    let mut bed = bed;
    bed.engine.lead().await;
    let id = bed.push("select pg_sleep(0.2)").await;
    bed.run(&format!("select async.defer(array[{id}], '0.1 s')")).await;
    bed.end_of(id).await.succeeded();
    bed.run(&format!("update async.task set tracked = false; select async.restart_task({id})")).await;
    bed.end_of(id).await.succeeded();
    bed.assert_holds("select bool_and(what like '%public%') and count(*) > 5 from unqualified").await;
}

async fn tasks_may_be_changed_and_deleted_through_views<E: Engine>() {
    let bed = with_framework::<E>().await;
    add_flow(&bed, 1, &[("a", None, "select 1"), ("b", Some("a"), "select 1")]).await;
    assert_eq!(flow_ended(&bed, 1).await, "a FINISHED, b FINISHED, flow FINISHED");
    bed.wait_until_no_slot_is_taken().await;
    bed.run("update flow.task set task_data = task_data || '{\"note\": 1}' where step = 'a'").await;
    assert_eq!(bed.number("select count(*) from async.task where task_data ? 'note'").await, 1);
    // The parent's row takes the flow with it.
    bed.run("delete from flow.task where flow_id = 1").await;
    assert_eq!(bed.number("select count(*) from async.task").await, 0);
    assert_eq!(bed.number("select count(*) from flow.step").await, 0);
    add_flow(&bed, 2, &[("a", None, "select 1")]).await;
    assert_eq!(flow_ended(&bed, 2).await, "a FINISHED, flow FINISHED");
}

async fn a_unique_index_of_a_client_refuses_the_second_push<E: Engine>() {
    let bed = with_framework::<E>().await;
    add_flow(&bed, 1, &[("a", None, "select 1")]).await;
    assert_eq!(flow_ended(&bed, 1).await, "a FINISHED, flow FINISHED");
    let again = "select async.push_tasks(array[async.task('select 1', 'there'),
        async.task('select 1', 'there', '{\"flow_id\": 1, \"step\": \"a\"}')])";
    assert_eq!(bed.refused(again).await.0, "23505");
    assert_eq!(bed.number("select count(*) from async.task").await, 2);
}

async fn loop_routines_run_in_the_leader_s_session_each_cycle<E: Engine>() {
    let bed = Bed::<E>::prepared().await;
    bed.run(
        "create table rounds (pid int);
         create procedure round() language plpgsql as $$ begin insert into rounds values (pg_backend_pid()); end $$;
         select async.push_routine('LOOP', 'round()'), async.push_routine('LOOP', 'round()'),
            async.push_routine('LOOP', 'call round();')",
    )
    .await;
    bed.assert_holds("select cardinality(loop_routines) = 1 from async.control").await;
    let mut bed = bed;
    bed.engine.lead().await;
    bed.wait_for("select count(*) > 3 from rounds").await;
    bed.assert_holds("select bool_and(r.pid = c.pid) from rounds r, async.control c").await;
}

async fn startup_routines_run_once_when_it_starts_before_anything_is_resolved<E: Engine>() {
    let mut bed = Bed::<E>::prepared().await;
    bed.configure(&json!({ "control": { "takeover_grace": "0.1 s" } })).await;
    bed.run(
        "create table starts (leads bool, running bigint);
         create procedure starting() language plpgsql as $$ begin
            insert into starts select pid = pg_backend_pid(), (select count(*) from async.task where processed is null)
            from async.control; end $$",
    )
    .await;
    bed.engine.lead().await;
    let lost = bed.push("select pg_sleep(25)").await;
    bed.wait_until_it_runs(lost).await;
    bed.engine.terminate().await;
    bed.run("select async.push_routine('STARTUP', 'starting()')").await;
    bed.engine = E::attach(&bed.database);
    bed.engine.lead().await;
    bed.end_within(lost, super::bed::SOON).await.is("FAILED");
    assert_eq!(bed.text("select string_agg(s::text, ' ') from starts s").await.as_deref(), Some("(t,1)"));
    bed.engine.stop().await;
    bed.engine = E::attach(&bed.database);
    bed.engine.lead().await;
    bed.run("select async.wait_for_latch()").await;
    assert_eq!(bed.number("select count(*) from starts").await, 2);
}

async fn routines_that_raise_or_commit_are_logged_and_kill_nobody<E: Engine>() {
    let bed = Bed::<E>::prepared().await;
    bed.run(
        "create table rounds (n int);
         create procedure raises() language plpgsql as $$ begin insert into rounds values (0); raise exception 'oops'; end $$;
         create procedure commits() language plpgsql as $$ begin insert into rounds values (0); commit; end $$;
         create procedure asserts() language plpgsql as $$ begin assert false, 'sure'; end $$;
         create procedure fine() language plpgsql as $$ begin insert into rounds values (1); end $$;
         select async.push_routine(kind, routine)
         from unnest('{STARTUP,LOOP}'::async.routine_type_t[]) kind,
            unnest('{raises(),not_there(),commits(),asserts(),nonsense((,fine()}'::text[]) routine",
    )
    .await;
    let mut bed = bed;
    bed.engine.lead().await;
    bed.run_task("select 1").await.succeeded();
    bed.wait_for("select count(*) > 2 and bool_and(n = 1) from rounds").await;
    for said in ["oops", "not_there", "commits", "sure", "nonsense"] {
        bed.assert_holds(&format!("select count(*) > 0 from async.server_log where message like '%{said}%'")).await;
    }
    bed.run_task("select 1").await.succeeded();
    assert!(bed.engine.is_leading().await);
}

async fn a_broken_routine_does_not_fill_the_log<E: Engine>() {
    let bed = Bed::<E>::prepared().await;
    bed.run("select async.push_routine('LOOP', 'not_there()')").await;
    let mut bed = bed;
    bed.engine.lead().await;
    bed.run("select async.push_tasks(array_agg(async.task('select 1', 'there'))) from generate_series(1, 200)").await;
    bed.wait_until_finished().await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    bed.assert_holds("select count(*) < 30 from async.server_log").await;
}

async fn routines_may_push_finish_and_log<E: Engine>() {
    let bed = Bed::<E>::prepared().await;
    bed.configure(&json!({ "targets": [bed.there(&json!({ "asynchronous_finish": true }))] })).await;
    bed.run(
        "create procedure keeps_house() language plpgsql as $$ begin
            if not exists (select from async.task) then
                -- As the original did, an element without a target is left out.
                perform async.push_tasks(array[async.task('select 1', null), async.task('select 1', 'there')]);
                perform async.log('house is kept');
                perform async.log('WARNING', 'mind the step');
                perform async.wait_for_latch();
            end if;
            perform async.finish(array_agg(task_id), 'FINISHED', null) from async.task where yielded is not null;
         end $$;
         select async.push_routine('LOOP', 'keeps_house()')",
    )
    .await;
    let mut bed = bed;
    bed.engine.lead().await;
    bed.wait_for("select count(*) = 1 and bool_and(finish_status = 'FINISHED') from async.task").await;
    bed.assert_holds("select count(*) = 1 from async.server_log where level = 'NOTICE' and message = 'house is kept'")
        .await;
    bed.assert_holds("select count(*) = 1 from async.server_log where level = 'WARNING' and message = 'mind the step'")
        .await;
    assert!(bed.engine.is_leading().await);
}

async fn finish_internal_belongs_to_the_leader<E: Engine>() {
    let bed = Bed::<E>::led().await;
    let id = bed.push("select pg_sleep(25)").await;
    let (code, _) = bed
        .refused(&format!("select async.finish_internal(array[{id}], 'FINISHED', 'me', null, null::interval)"))
        .await;
    assert_eq!(code, "PA201");
    bed.run(
        "create procedure null_status() language plpgsql as $$ begin
            perform async.finish_internal(array_agg(task_id), null, 'me', null, null::interval) from async.task; end $$;
         select async.push_routine('LOOP', 'null_status()')",
    )
    .await;
    bed.wait_for("select count(*) > 0 from async.server_log where message like '%PA202%'").await;
    bed.assert_holds("select processed is null from async.task").await;
}

async fn a_routine_s_finish_of_any_unfinished_task_counts<E: Engine>() {
    let bed = Bed::<E>::prepared().await;
    bed.run(
        "create table wanted (task_id bigint, status async.finish_status_t, duration interval);
         create procedure serve() language plpgsql as $$ begin
            perform async.finish_internal(array[task_id], status, 'serve', 'served', duration) from wanted;
            delete from wanted; end $$;
         select async.push_routine('LOOP', 'serve()')",
    )
    .await;
    let mut bed = bed;
    bed.engine.lead().await;
    let running = bed.push("select pg_sleep(25)").await;
    bed.wait_until_it_runs(running).await;
    bed.run("update async.control set paused = true; select async.wait_for_latch()").await;
    let waiting = bed.push("select 1").await;
    let deferred = bed.push("select 1").await;
    bed.run(&format!(
        "insert into wanted values ({running}, 'CANCELED', null), ({waiting}, 'FAILED', null),
            ({deferred}, 'DEFERRED', '1 hour')"
    ))
    .await;
    assert_eq!(bed.end_within(running, super::bed::SOON).await.is("CANCELED").as_deref(), Some("served"));
    assert_eq!(bed.end_of(waiting).await.is("FAILED").as_deref(), Some("served"));
    bed.wait_for(&format!("select eligible_when is not null from async.task where task_id = {deferred}")).await;
    bed.wait_until_no_slot_is_taken().await;
}

/// A deferral ends with a write like any other.
async fn a_row_that_cannot_leave_its_deferral_holds_up_nobody<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.run(
        "create function stubborn() returns trigger language plpgsql as $$ begin
            if old.eligible_when is not null and new.eligible_when is null and new.task_data->>'stubborn' = 'true' then
                raise exception 'not this one';
            end if;
            return new; end $$;
         create trigger stubborn before update on async.task for each row execute procedure stubborn()",
    )
    .await;
    let odd = bed.push_as("'select pg_sleep(600)', 'there', jsonb_build_object('stubborn', true)").await;
    let even = bed.push("do $$ begin perform pg_sleep(600); end $$").await;
    bed.wait_until_it_runs(odd).await;
    bed.wait_until_it_runs(even).await;
    bed.run(&format!("update async.task set query = 'select 1' where task_id in ({odd}, {even})")).await;
    bed.run(&format!("select async.defer(array[{odd}, {even}]::bigint[], interval '1 second')")).await;
    bed.end_within(even, super::bed::SOON).await.succeeded();
    bed.run_task("select 2").await.succeeded();
    bed.wait_for("select count(*) > 0 from async.server_log where message ~ 'not this one'").await;
    bed.assert_holds(&format!("select eligible_when is not null from async.task where task_id = {odd}")).await;
    bed.assert_holds("select count(*) < 6 from async.server_log where level in ('WARNING', 'ERROR')").await;
    let pid = bed.number("select pid from async.control").await;
    bed.run("alter table async.task disable trigger stubborn").await;
    bed.end_of(odd).await.succeeded();
    assert_eq!(bed.number("select pid from async.control").await, pid, "the lead was lost");
}

conformance!(
    a_row_that_cannot_leave_its_deferral_holds_up_nobody,
    a_flow_runs_its_steps_in_the_order_of_their_needs,
    a_failed_step_kills_what_needs_it_and_fails_the_flow,
    a_yielded_parent_is_one_that_a_trigger_made,
    a_trigger_s_end_of_a_running_task_cancels_its_query,
    a_trigger_may_finish_a_task_of_the_same_batch,
    a_trigger_sees_each_end_once_and_the_release_of_the_slot_apart,
    a_trigger_may_make_something_else_of_an_end,
    a_raising_trigger_holds_up_only_its_own_task,
    a_trigger_that_raises_at_the_claim_holds_up_only_its_own_task,
    triggers_run_with_the_search_path_of_their_session,
    tasks_may_be_changed_and_deleted_through_views,
    a_unique_index_of_a_client_refuses_the_second_push,
    loop_routines_run_in_the_leader_s_session_each_cycle,
    startup_routines_run_once_when_it_starts_before_anything_is_resolved,
    routines_that_raise_or_commit_are_logged_and_kill_nobody,
    a_broken_routine_does_not_fill_the_log,
    routines_may_push_finish_and_log,
    finish_internal_belongs_to_the_leader,
    a_routine_s_finish_of_any_unfinished_task_counts,
);
