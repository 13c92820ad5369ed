//! Routines that the leader runs: at its start, and in each cycle.

use pgasync_tests::Engine;
use serde_json::json;

use super::fixture::Fixture;

async fn loop_routines_run_in_the_leader_s_session_each_cycle<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture
        .run(
            "create table rounds (pid int);
         create procedure round() language plpgsql as $$ begin insert into rounds values (pg_backend_pid()); end $$;
         select async.push_routine('LOOP', 'round()'), async.push_routine('LOOP', 'round()'),
            async.push_routine('LOOP', 'call round();')",
        )
        .await;
    fixture.assert_holds("select cardinality(loop_routines) = 1 from async.control").await;
    let mut fixture = fixture;
    fixture.engine.lead().await;
    fixture.wait_for("select count(*) > 3 from rounds").await;
    fixture.assert_holds("select bool_and(r.pid = c.pid) from rounds r, async.control c").await;
}

async fn startup_routines_run_once_before_any_task_is_resolved<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    fixture.configure(&json!({ "control": { "takeover_grace": "0.1 s" } })).await;
    fixture
        .run(
            "create table starts (leads bool, running bigint);
         create procedure starting() language plpgsql as $$ begin
            insert into starts select pid = pg_backend_pid(), (select count(*) from async.task where processed is null)
            from async.control; end $$",
        )
        .await;
    fixture.engine.lead().await;
    let lost = fixture.push("select pg_sleep(25)").await;
    fixture.wait_until_it_runs(lost).await;
    fixture.engine.terminate().await;
    fixture.run("select async.push_routine('STARTUP', 'starting()')").await;
    fixture.engine = E::attach(&fixture.database);
    fixture.engine.lead().await;
    fixture.end_within(lost, super::fixture::SOON).await.is("FAILED");
    assert_eq!(fixture.text("select string_agg(s::text, ' ') from starts s").await.as_deref(), Some("(t,1)"));
    fixture.engine.stop().await;
    fixture.engine = E::attach(&fixture.database);
    fixture.engine.lead().await;
    fixture.run("select async.wait_for_latch()").await;
    assert_eq!(fixture.number("select count(*) from starts").await, 2);
}

async fn routines_that_raise_or_commit_are_logged_and_do_not_end_the_leader<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture.run(
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
    let mut fixture = fixture;
    fixture.engine.lead().await;
    fixture.run_task("select 1").await.succeeded();
    fixture.wait_for("select count(*) > 2 and bool_and(n = 1) from rounds").await;
    for text in ["oops", "not_there", "commits", "sure", "nonsense"] {
        fixture.assert_holds(&format!("select count(*) > 0 from async.server_log where message like '%{text}%'")).await;
    }
    fixture.run_task("select 1").await.succeeded();
    assert!(fixture.engine.is_leading().await);
}

async fn a_broken_routine_does_not_fill_the_log<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture.run("select async.push_routine('LOOP', 'not_there()')").await;
    let mut fixture = fixture;
    fixture.engine.lead().await;
    fixture
        .run("select async.push_tasks(array_agg(async.task('select 1', 'there'))) from generate_series(1, 200)")
        .await;
    fixture.wait_until_finished().await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    fixture.assert_holds("select count(*) < 30 from async.server_log").await;
}

async fn routines_may_push_finish_and_log<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture.configure(&json!({ "targets": [fixture.there(&json!({ "asynchronous_finish": true }))] })).await;
    fixture
        .run(
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
    let mut fixture = fixture;
    fixture.engine.lead().await;
    fixture.wait_for("select count(*) = 1 and bool_and(finish_status = 'FINISHED') from async.task").await;
    fixture
        .assert_holds("select count(*) = 1 from async.server_log where level = 'NOTICE' and message = 'house is kept'")
        .await;
    fixture
        .assert_holds("select count(*) = 1 from async.server_log where level = 'WARNING' and message = 'mind the step'")
        .await;
    assert!(fixture.engine.is_leading().await);
}

async fn finish_internal_belongs_to_the_leader<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let id = fixture.push("select pg_sleep(25)").await;
    let (code, _) = fixture
        .refused(&format!("select async.finish_internal(array[{id}], 'FINISHED', 'me', null, null::interval)"))
        .await;
    assert_eq!(code, "PA201");
    fixture
        .run(
            "create procedure null_status() language plpgsql as $$ begin
            perform async.finish_internal(array_agg(task_id), null, 'me', null, null::interval) from async.task; end $$;
         select async.push_routine('LOOP', 'null_status()')",
        )
        .await;
    fixture.wait_for("select count(*) > 0 from async.server_log where message like '%PA202%'").await;
    fixture.assert_holds("select processed is null from async.task").await;
}

async fn a_routine_s_finish_of_any_unfinished_task_counts<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture
        .run(
            "create table wanted (task_id bigint, status async.finish_status_t, duration interval);
         create procedure serve() language plpgsql as $$ begin
            perform async.finish_internal(array[task_id], status, 'serve', 'served', duration) from wanted;
            delete from wanted; end $$;
         select async.push_routine('LOOP', 'serve()')",
        )
        .await;
    let mut fixture = fixture;
    fixture.engine.lead().await;
    let running = fixture.push("select pg_sleep(25)").await;
    fixture.wait_until_it_runs(running).await;
    fixture.run("update async.control set paused = true; select async.wait_for_latch()").await;
    let waiting = fixture.push("select 1").await;
    let deferred = fixture.push("select 1").await;
    fixture
        .run(&format!(
            "insert into wanted values ({running}, 'CANCELED', null), ({waiting}, 'FAILED', null),
            ({deferred}, 'DEFERRED', '1 hour')"
        ))
        .await;
    assert_eq!(fixture.end_within(running, super::fixture::SOON).await.is("CANCELED").as_deref(), Some("served"));
    assert_eq!(fixture.end_of(waiting).await.is("FAILED").as_deref(), Some("served"));
    fixture.wait_for(&format!("select eligible_when is not null from async.task where task_id = {deferred}")).await;
    fixture.wait_until_no_slot_is_taken().await;
}

conformance!(
    loop_routines_run_in_the_leader_s_session_each_cycle,
    startup_routines_run_once_before_any_task_is_resolved,
    routines_that_raise_or_commit_are_logged_and_do_not_end_the_leader,
    a_broken_routine_does_not_fill_the_log,
    routines_may_push_finish_and_log,
    finish_internal_belongs_to_the_leader,
    a_routine_s_finish_of_any_unfinished_task_counts,
);
