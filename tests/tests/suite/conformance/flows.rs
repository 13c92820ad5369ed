//! A dependency framework that a user builds on `async.task` with triggers, routines and views.

use pgasync_tests::{Database, Engine};

use super::fixture::Fixture;

/// A framework of flows whose steps depend on each other, like the frameworks that users built on
/// the original library.
///
/// A task of the framework has `flow_id` and `step` in its `task_data`. A parent (`parent: true`)
/// is pushed EMPTY and turned YIELDED by a BEFORE trigger; an AFTER trigger finishes it when its
/// last step has ended and pushes the dependents of a step that succeeded; the dependents of a
/// failed step are pushed DOA. A LOOP routine starts flows.
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

pub(super) async fn with_framework<E: Engine>() -> Fixture<E> {
    let mut fixture = Fixture::<E>::prepared().await;
    fixture.run(FRAMEWORK).await;
    fixture.engine.lead().await;
    fixture
}

/// Adds a flow of steps, each `(step, needs, query)`.
pub(super) async fn add_flow(database: &Database, flow: i64, steps: &[(&str, Option<&str>, &str)]) {
    database.run("begin").await;
    database.rows("insert into flow.flow (flow_id, target) values ($1, 'there')", &[&flow]).await;
    for (step, needs, query) in steps {
        database.rows("insert into flow.step values ($1, $2, $3, $4)", &[&flow, step, needs, query]).await;
    }
    database.run("commit").await;
}

/// Waits for the end of a flow. Returns the statuses of its steps and of its parent.
pub(super) async fn flow_ended<E: Engine>(fixture: &Fixture<E>, flow: i64) -> String {
    fixture.wait_for(&format!(
        "select t.processed is not null from flow.flow f join async.task t on t.task_id = f.parent_id where flow_id = {flow}"
    ))
    .await;
    fixture
        .text(&format!(
            "select string_agg(coalesce(step, 'flow') || ' ' || finish_status, ', ' order by step nulls last)
         from flow.task where flow_id = {flow}"
        ))
        .await
        .unwrap_or_default()
}

async fn a_flow_runs_its_steps_in_the_order_of_their_needs<E: Engine>() {
    let fixture = with_framework::<E>().await;
    let mark = |step: &str| format!("insert into ledger (mark) values ('{step}')");
    let (a, b, c) = (mark("a"), mark("b"), mark("c"));
    for flow in 1..=5 {
        add_flow(
            &fixture,
            flow,
            &[("a", None, &a), ("b", Some("a"), &b), ("c", Some("b"), &c), ("d", Some("a"), "select 1")],
        )
        .await;
    }
    for flow in 1..=5 {
        assert_eq!(flow_ended(&fixture, flow).await, "a FINISHED, b FINISHED, c FINISHED, d FINISHED, flow FINISHED");
    }
    fixture.wait_until_finished().await;
    // Each step ran once, although a claim ahead may have been given back.
    for mark in ["a", "b", "c"] {
        let marks = format!("select count(*) from ledger where mark = '{mark}'");
        assert_eq!(fixture.number_there(&marks).await, 5, "{mark}");
    }
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_failed_step_fails_its_dependents_and_the_flow<E: Engine>() {
    let fixture = with_framework::<E>().await;
    let never = "insert into ledger (mark) values ('never')";
    add_flow(
        &fixture,
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
    assert_eq!(flow_ended(&fixture, 1).await, "a FAILED, b DOA, c DOA, d DOA, e FINISHED, flow FAILED");
    fixture.assert_holds("select processing_error = 'a step failed' from flow.task where step is null").await;
    assert_eq!(fixture.target.marks("never").await, 0);
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_trigger_may_make_a_yielded_parent<E: Engine>() {
    let fixture = with_framework::<E>().await;
    add_flow(&fixture, 1, &[("a", None, "select pg_sleep(25)")]).await;
    fixture.wait_for("select consumed is not null from async.task where query is not null").await;
    fixture
        .assert_holds(
            "select finish_status = 'YIELDED' and processed is null and failed is null and yielded is not null
         from async.task where query is null",
        )
        .await;
    // The parent and its step can be cancelled like any other task.
    fixture.run("select async.cancel(array_agg(task_id)) from async.task").await;
    fixture.wait_until_finished().await;
    fixture.assert_holds("select bool_and(finish_status = 'CANCELED') from async.task").await;
    fixture.wait_until_no_slot_is_taken().await;
}

conformance!(
    a_flow_runs_its_steps_in_the_order_of_their_needs,
    a_failed_step_fails_its_dependents_and_the_flow,
    a_trigger_may_make_a_yielded_parent,
);
