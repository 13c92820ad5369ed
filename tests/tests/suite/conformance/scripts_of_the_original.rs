//! Unchanged scripts for the original library: the examples of its documentation, calls with named
//! arguments, and reads of columns, types and views.

use pgasync_tests::{Database, Engine};
use serde_json::json;

use super::fixture::Fixture;

async fn the_documentation_s_examples_run<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run("SELECT async.push_tasks(array[async.task('select 0', 'SELF')]);").await;
    fixture
        .run(
            "SELECT async.push_tasks(array_agg(t))
         FROM
         (
         SELECT async.task('select 0', 'SELF') AS t
         FROM generate_series(1,1000)
         ) q;",
        )
        .await;
    fixture.wait_until_finished().await;
    fixture
        .assert_holds("select count(*) = 1001 and bool_and(finish_status = 'FINISHED' and not failed) from async.task")
        .await;
}

async fn the_documented_configuration_is_taken<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({
        "control": {
            "workers": 20, "idle_sleep": 1.0, "heavy_maintenance_sleep": "24 hours", "task_keep_duration": "30 days",
            "default_timeout": "1 hour", "advisory_mutex_id": 0, "self_target": "async.self",
            "self_connection_string": "host=localhost", "self_concurrency": 4
        },
        "targets": [
            { "target": "plain", "connection_string": fixture.target.conninfo() },
            { "target": "full", "connection_string": fixture.target.conninfo(), "max_workers": 8, "asynchronous_finish": true }
        ],
        "concurrency_pools": [{ "concurrency_pool": "shared", "max_workers": 2 }]
    }))
    .await;
    let id = fixture.push_as("'select 1', 'plain', concurrency_pool => 'shared'").await;
    fixture.end_of(id).await.succeeded();
}

async fn calls_by_argument_name_work<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .configure(
            &json!({ "targets": [fixture.there(&json!({})), { "target": "pulled", "asynchronous_finish": true }] }),
        )
        .await;
    fixture.run(
        "select async.push_tasks(
            _tasks => array[async.task(
                _query => 'select 1', target => 'there', task_data => '{}'::jsonb, priority => 1,
                concurrency_pool => 'x', manual_timeout => '1 hour', track_yielded => false)],
            _run_type => 'EXECUTE', _source => 'script');
         select async.push_task(_task => async.task('select 1', 'there'), _run_type => 'EXECUTE_NOASYNC', _source => 's');
         select async.push_task(async.task(null, 'pulled'))",
    )
    .await;
    fixture.wait_for("select count(*) = 2 from async.task where finish_status = 'FINISHED'").await;
    let pulled = "select task_id from async.get_tasks(_target => 'pulled', _limit => 1, _timeout => '10 seconds')";
    let id = fixture.number(pulled).await;
    fixture
        .run(&format!(
            "set client_min_messages = error;
         select async.finish(_task_ids => array[{id}], _status => 'FAILED', _error_message => 'x', _duration => null);
         select async.finish(_task_ids => array[{id}], _status => 'FAILED', _error_message => 'x');
         select async.cancel(_task_ids => array[{id}], _error_message => 'x');
         select async.defer(_task_ids => array[{id}], _duration => '1 s')"
        ))
        .await;
    assert_eq!(fixture.end_of(id).await.is("FAILED").as_deref(), Some("x"));
    fixture.wait_for("select bool_and(tracked is not true) from async.task").await;
    fixture.run(&format!("select async.restart_task(_task_id => {id})")).await;
    fixture.run("select async.configure(_configuration => '{}'); select async.wait_for_latch()").await;
    fixture.run("select async.push_routine(_routine_type => 'LOOP', _routine => 'x()')").await;
    fixture.run("select async.set_concurrency_pool_tracker(_pools => array['x', 'y'])").await;
    fixture.run("select async.server(_new_connection_string => null)").await;
    fixture.run("select async.log(_level => 'NOTICE', _message => 'x'); select async.log(_message => 'x')").await;
}

async fn main_takes_its_arguments_by_name<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run("call async.main(_force => false, _manual_mode => false)").await;
    assert!(fixture.engine.is_leading().await);
}

#[tokio::test]
async fn rounds_may_be_run_by_hand() {
    let database = Database::create().await;
    database.run("create table here (n int)").await;
    database.run("select async.push_task(async.task('insert into here values (1)', 'SELF'))").await;
    database.run("call async.main(_manual_mode => true)").await;
    for _ in 0..400 {
        if database.holds("select processed is not null from async.task").await {
            break;
        }
        database.run("call async.cycle()").await;
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    database.assert_holds("select finish_status = 'FINISHED' from async.task").await;
    assert_eq!(database.number("select count(*) from here").await, 1);
}

#[tokio::test]
async fn types_have_the_members_in_their_order() {
    let database = Database::create().await;
    for (name, members) in [
        ("finish_status_t", "FINISHED FAILED CANCELED PAUSED TIMED_OUT YIELDED DOA DEFERRED"),
        ("task_run_type_t", "EXECUTE DOA EMPTY EXECUTE_NOASYNC"),
        ("task_execution_state_t", "READY RUNNING YIELDED FINISHED"),
        ("routine_type_t", "STARTUP LOOP"),
    ] {
        let sql = format!("select string_agg(e::text, ' ' order by e) from unnest(enum_range(null::async.{name})) e");
        assert_eq!(database.text(&sql).await.as_deref(), Some(members));
    }
}

#[tokio::test]
async fn tables_begin_with_the_columns_of_the_original() {
    let database = Database::create().await;
    for (name, columns) in [
        (
            "task_push_t",
            "task_data jsonb, target text, priority integer, query text, concurrency_pool text, manual_timeout interval, track_yielded boolean",
        ),
        (
            "task",
            "task_id bigint, target text, priority integer, entered timestamp with time zone, consumed timestamp with time zone, processed timestamp with time zone, yielded timestamp with time zone, finish_status async.finish_status_t, source text, query text, failed boolean, processing_error text, asynchronous_finish boolean, times_up timestamp with time zone, task_data jsonb, concurrency_pool text, manual_timeout interval, tracked boolean, track_yielded boolean, eligible_when timestamp with time zone",
        ),
        (
            "target",
            "target text, max_concurrency integer, connection_string text, asynchronous_finish boolean, default_timeout interval, concurrency_track_yielded boolean",
        ),
        ("concurrency_pool", "concurrency_pool text, max_workers integer"),
        ("concurrency_pool_tracker", "concurrency_pool text, workers integer, max_workers integer"),
        ("worker", "slot integer, name text, target text, task_id bigint, running_since timestamp with time zone"),
        (
            "control",
            "enabled boolean, workers integer, idle_sleep double precision, heavy_maintenance_sleep interval, task_keep_duration interval, default_timeout interval, advisory_mutex_id integer, self_target text, self_connection_string text, self_concurrency integer, last_heavy_maintenance timestamp with time zone, running_since timestamp with time zone, paused boolean, pid integer, busy_sleep double precision, light_maintenance_sleep interval, last_light_maintenance timestamp with time zone, default_concurrency_pool_workers integer, startup_routines text[], loop_routines text[], version text, debug_log boolean",
        ),
        ("client_control", "client_only boolean, connection_string text, version text"),
        ("server_log", "server_log bigint, happened timestamp with time zone, level text, message text"),
    ] {
        let sql = format!(
            "select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum)
             from pg_attribute where attrelid = 'async.{name}'::regclass and attnum > 0 and not attisdropped"
        );
        let there = database.text(&sql).await.unwrap_or_default();
        assert!(there.starts_with(columns), "{name}: {there}");
    }
    assert_eq!(
        database
            .number("select count(*) from pg_attribute where attrelid = 'async.task_push_t'::regclass and attnum > 0")
            .await,
        7
    );
    // The keys to which foreign keys of clients refer.
    database
        .run("create table a (t bigint references async.task (task_id) on delete cascade, g text references async.target (target))")
        .await;
}

#[tokio::test]
async fn arguments_have_their_names_and_order() {
    let database = Database::create().await;
    for signature in [
        "configure(_configuration jsonb)",
        "task(_query text, target text, task_data jsonb, priority integer, concurrency_pool text, manual_timeout interval, track_yielded boolean)",
        "push_tasks(_tasks async.task_push_t[], _run_type async.task_run_type_t, _source text)",
        "push_task(_task async.task_push_t, _run_type async.task_run_type_t, _source text)",
        "finish(_task_ids bigint[], _status async.finish_status_t, _error_message text)",
        "finish(_task_ids bigint[], _status async.finish_status_t, _error_message text, _duration interval)",
        "cancel(_task_ids bigint[], _error_message text)",
        "defer(_task_ids bigint[], _duration interval)",
        "restart_task(_task_id bigint)",
        "get_tasks(_target text, _limit integer, _timeout interval, OUT task_id bigint, OUT priority integer, OUT times_up timestamp with time zone, OUT task_data jsonb)",
        "wait_for_latch()",
        "server(_new_connection_string text)",
        "main(_force boolean, _manual_mode boolean)",
        "push_routine(_routine_type async.routine_type_t, _routine text)",
        "finish_internal(_task_ids bigint[], _status async.finish_status_t, _context text, _error_message text, _duration interval)",
        "log(_message text)",
        "log(_level text, _message text)",
        "tail(_grep text, _limit integer, _for interval)",
        "task_execution_state(t async.task)",
        "set_concurrency_pool_tracker(_pools text[])",
        "active_workers()",
        "reinitialize_workers()",
        "worker_info()",
        "grant_client(_role text, _targets text[])",
        "grant_admin(_role text)",
    ] {
        let sql = "select count(*) from pg_proc where pronamespace = 'async'::regnamespace
            and proname || '(' || replace(pg_get_function_identity_arguments(oid), 'IN ', '') || ')' = $1
            or pronamespace = 'async'::regnamespace and proname || '(' || regexp_replace(pg_get_function_arguments(oid), ' DEFAULT [^,)]+|\\mIN ', '', 'g') || ')' = $1";
        let found: i64 = database.rows(sql, &[&signature]).await[0].get(0);
        assert_eq!(found, 1, "{signature}");
    }
    for view in
        ["v_target", "v_target_status", "v_candidate_task", "v_worker_info", "v_concurrency_pool_info", "v_server_info"]
    {
        database.run(&format!("select * from async.{view}")).await;
    }
}

async fn the_log_can_be_followed<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .run("select async.log('first'); select async.log('warning', 'second'); select async.log('DEBUG', 'unheard')")
        .await;
    fixture
        .assert_holds(
            "select count(*) filter (where message = 'first' and level = 'NOTICE') = 1
            and count(*) filter (where message = 'second' and level = 'WARNING') = 1
            and count(*) filter (where message = 'unheard') = 0 from async.server_log",
        )
        .await;
    assert_eq!(fixture.number("select count(*) from async.tail_once(_grep => 'second')").await, 1);
    assert_eq!(fixture.number("select count(*) from async.tail_once(_limit => 1)").await, 1);
    // An error is raised. Its log line remains after the rollback.
    let (code, message) = fixture.refused("begin; select async.log('ERROR', 'third')").await;
    fixture.run("rollback").await;
    assert_eq!((code.as_str(), message.as_str()), ("PA070", "third"));
    fixture.assert_holds("select count(*) = 1 from async.server_log where message = 'third' and level = 'ERROR'").await;
    assert_eq!(fixture.refused("select async.log('LOUD', 'x')").await.0, "PA071");
    let logged = fixture
        .messages_of("set statement_timeout = '1 s'; do $$ begin perform 1; end $$; select async.log('heard')")
        .await;
    assert_eq!(logged, ["heard"]);
}

async fn views_agree_with_the_tables<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "targets": [fixture.there(&json!({ "max_workers": 2 }))] })).await;
    fixture
        .run(
            "select async.push_tasks(array_agg(async.task('select pg_sleep(25)', 'there'))) from generate_series(1, 5)",
        )
        .await;
    fixture.wait_for("select count(*) = 2 from async.task where consumed is not null").await;
    fixture
        .wait_for("select count(*) = 2 from async.v_worker_info where task_id is not null and query like '%pg_sleep%'")
        .await;
    fixture
        .wait_for(
            "select tasks_pending = 3 and tasks_running = 2 and tasks_yielded = 0 and tasks_entered_1m = 5
            and concurency_assigned_workers = 2 and concurency_max_workers = 2
         from async.v_target_status where target = 'there'",
        )
        .await;
    fixture.assert_holds("select active_workers = 2 from async.v_target where target = 'there'").await;
    fixture
        .assert_holds("select count(*) = 2 from async.v_concurrency_pool_info where concurrency_pool = 'there'")
        .await;
    fixture
        .assert_holds("select pending_tasks = 3 and running_tasks = 2 and running_workers = 2 from async.v_server_info")
        .await;
    fixture.assert_holds("select count(*) = 0 from async.v_candidate_task").await;
    fixture.assert_holds(
        "select string_agg(async.task_execution_state(t)::text, ' ' order by task_id) = 'RUNNING RUNNING READY READY READY'
         from async.task t",
    )
    .await;
    fixture.assert_holds("select async.interval_pretty('1 day 2:03:04') = '1d 2h 3m 4s'").await;
    fixture.run("update async.control set paused = true; select async.wait_for_latch()").await;
    fixture.run("select async.push_tasks(array[async.task('select 1', 'SELF'), async.task('select 2', 'SELF', priority => -1)])")
        .await;
    fixture.assert_holds("select array_agg(query) = '{select 2,select 1}' from async.v_candidate_task").await;
}

conformance!(
    the_documentation_s_examples_run,
    the_documented_configuration_is_taken,
    calls_by_argument_name_work,
    main_takes_its_arguments_by_name,
    the_log_can_be_followed,
    views_agree_with_the_tables,
);
