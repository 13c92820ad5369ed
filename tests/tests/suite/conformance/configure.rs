//! The configuration document.

use pgasync_tests::Engine;
use serde_json::{Value, json};

use super::fixture::Fixture;

/// All values that `configure` writes, as text.
async fn everything<E: Engine>(fixture: &Fixture<E>) -> String {
    fixture.text(
        "select concat_ws(E'\\n', (select (to_jsonb(c) - '{pid,running_since,last_light_maintenance,last_heavy_maintenance}'::text[])::text from async.control c),
            (select string_agg(to_jsonb(t)::text, E'\\n' order by target) from async.target t),
            (select string_agg(to_jsonb(p)::text, E'\\n' order by concurrency_pool) from async.concurrency_pool p))",
    )
    .await
    .expect("there is a row")
}

#[tokio::test]
async fn the_defaults_are_the_documented_ones() {
    let database = pgasync_tests::Database::create().await;
    let control = database.text("select to_jsonb(c) from async.control c").await.expect("one row");
    let control: Value = serde_json::from_str(&control).expect("it is JSON");
    for (key, value) in [
        ("enabled", json!(true)),
        ("workers", json!(20)),
        ("idle_sleep", json!(1)),
        ("heavy_maintenance_sleep", json!("24:00:00")),
        ("task_keep_duration", json!("30 days")),
        ("default_timeout", json!("01:00:00")),
        ("advisory_mutex_id", json!(0)),
        ("self_target", json!("async.self")),
        ("self_connection_string", json!("host=localhost")),
        ("self_concurrency", json!(4)),
        ("paused", json!(false)),
        ("busy_sleep", json!(0.01)),
        ("light_maintenance_sleep", json!("00:05:00")),
        ("default_concurrency_pool_workers", json!(4)),
        ("startup_routines", Value::Null),
        ("loop_routines", Value::Null),
        ("debug_log", json!(false)),
        ("target_patience", json!("00:01:00")),
        ("takeover_grace", json!("00:00:10")),
        ("pid", Value::Null),
        ("running_since", Value::Null),
    ] {
        assert_eq!(control[key].to_string().replace("1.0", "1"), value.to_string(), "{key}");
    }
    assert_eq!(control["version"], json!(pgasync_sql::VERSION));
    database.configure(&json!({ "targets": [{ "target": "t", "connection_string": "" }] })).await;
    database
        .assert_holds(
            "select max_concurrency = 8 and not asynchronous_finish and default_timeout is null
                and not concurrency_track_yielded and session_reset and not retired
             from async.target where target = 't'",
        )
        .await;
    database.assert_holds("select max_concurrency = 4 from async.target where target = 'async.self'").await;
}

async fn a_missing_key_and_a_null_change_nothing<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture.configure(&json!({ "concurrency_pools": [{ "concurrency_pool": "p", "max_workers": 3 }] })).await;
    let before = everything(&fixture).await;
    for document in [
        json!({}),
        json!({ "control": {} }),
        json!({ "control": null, "targets": null, "concurrency_pools": null }),
        json!({ "control": { "workers": null, "default_timeout": null, "self_target": null } }),
        json!({ "targets": [{ "target": "there" }] }),
        json!({ "targets": [{ "target": "there", "max_workers": null, "connection_string": null }] }),
        json!({ "concurrency_pools": [{ "concurrency_pool": "p" }] }),
    ] {
        fixture.configure(&document).await;
        assert_eq!(everything(&fixture).await, before, "{document}");
    }
}

async fn control_alone_touches_neither_targets_nor_history<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let id = fixture.push("select 1").await;
    fixture.end_of(id).await.succeeded();
    fixture.configure(&json!({ "control": { "workers": 5 } })).await;
    fixture.end_of(id).await.succeeded();
    fixture.assert_holds("select not retired from async.target where target = 'there'").await;
    fixture.run_task("select 1").await.succeeded();
}

async fn a_target_that_a_document_omits_is_retired_and_finishes_its_tasks<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let old = fixture.push("select 1").await;
    fixture.end_of(old).await.succeeded();
    let running = fixture.push("select pg_sleep(1)").await;
    fixture.wait_until_it_runs(running).await;
    let waiting = fixture
        .id(
            "select max(task_id) from async.push_tasks(array_fill(async.task('select pg_sleep(0.3)', 'there'), array[8]))",
            &[],
        )
        .await;
    fixture.configure(&json!({ "targets": [] })).await;
    assert_eq!(fixture.refused("select async.push_task(async.task('select 1', 'there'))").await.0, "PA012");
    fixture.end_of(running).await.succeeded();
    fixture.end_of(waiting).await.succeeded();
    assert_eq!(fixture.number("select count(*) from async.task where target = 'there'").await, 10);
    // The server itself remains a target.
    fixture.end_of(fixture.push_as("'select 1', 'SELF'").await).await.succeeded();
    fixture.configure(&json!({ "targets": [{ "target": "there" }] })).await;
    fixture.run_task("select 1").await.succeeded();
}

async fn a_pool_that_a_document_omits_is_retired_and_finishes_its_tasks<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "concurrency_pools": [{ "concurrency_pool": "p", "max_workers": 1 }] })).await;
    fixture.run("select async.push_tasks(array_fill(async.task('select pg_sleep(0.2)', 'there', concurrency_pool => 'p'), array[4]))")
        .await;
    fixture.configure(&json!({ "concurrency_pools": [] })).await;
    let push = "select async.push_task(async.task('select 1', 'there', concurrency_pool => 'p'))";
    assert_eq!(fixture.refused(push).await.0, "PA013");
    fixture.wait_until_finished().await;
    fixture.configure(&json!({ "concurrency_pools": [{ "concurrency_pool": "p" }] })).await;
    fixture.run(push).await;
    fixture.wait_until_finished().await;
    fixture.assert_holds("select max_workers = 1 from async.concurrency_pool where concurrency_pool = 'p'").await;
}

async fn twice_in_one_transaction_is_fine<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture.run(
        "begin;
         select async.configure('{\"control\": {\"workers\": 3}, \"targets\": [{\"target\": \"a\", \"connection_string\": \"\"}]}');
         select async.configure('{\"control\": {\"workers\": 4}, \"targets\": [{\"target\": \"b\", \"connection_string\": \"\"}]}');
         commit",
    )
    .await;
    fixture.assert_holds("select workers = 4 from async.control").await;
    fixture
        .assert_holds(
            "select string_agg(target, ',' order by target) = 'async.self,b' from async.target where not retired",
        )
        .await;
}

async fn an_invalid_document_is_refused_with_its_path_and_changes_nothing<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    let before = everything(&fixture).await;
    let fine = json!({ "target": "x", "connection_string": "" });
    for (document, path) in [
        (json!([]), "the configuration"),
        (json!({ "contrl": {} }), "contrl"),
        (json!({ "control": [] }), "control"),
        (json!({ "control": { "wokers": 3 } }), "control.wokers"),
        (json!({ "control": { "workers": "3" } }), "control.workers"),
        (json!({ "control": { "workers": 0 } }), "control.workers"),
        (json!({ "control": { "workers": 2.5 } }), "control.workers"),
        (json!({ "control": { "workers": 5_000_000_000_i64 } }), "control.workers"),
        (json!({ "control": { "idle_sleep": -1 } }), "control.idle_sleep"),
        (json!({ "control": { "paused": 1 } }), "control.paused"),
        (json!({ "control": { "default_timeout": "soon" } }), "control.default_timeout"),
        (json!({ "control": { "default_timeout": "0" } }), "control.default_timeout"),
        (json!({ "control": { "task_keep_duration": "-1 day" } }), "control.task_keep_duration"),
        (json!({ "control": { "task_keep_duration": 5 } }), "control.task_keep_duration"),
        (json!({ "control": { "self_target": "" } }), "control.self_target"),
        (json!({ "control": { "self_connection_string": "host" } }), "control.self_connection_string"),
        (json!({ "control": { "loop_routines": "x()" } }), "control.loop_routines"),
        (json!({ "targets": {} }), "targets"),
        (json!({ "targets": [3] }), "targets[0]"),
        (json!({ "targets": [fine, {}] }), "targets[1].target"),
        (json!({ "targets": [fine, fine] }), "targets[1].target"),
        (json!({ "targets": [fine, { "target": "y" }] }), "targets[1].connection_string"),
        (json!({ "targets": [{ "target": "y", "connection_string": "a b" }] }), "targets[0].connection_string"),
        (json!({ "targets": [{ "target": "there", "max_workers": -1 }] }), "targets[0].max_workers"),
        (json!({ "targets": [{ "target": "there", "max_worker": 1 }] }), "targets[0].max_worker"),
        (
            json!({ "targets": [{ "target": "there", "max_workers": 1, "max_concurrency": 2 }] }),
            "targets[0].max_workers",
        ),
        (json!({ "targets": [{ "target": "there", "default_timeout": "-1 s" }] }), "targets[0].default_timeout"),
        (json!({ "targets": [{ "target": "async.self", "retired": true }] }), "targets[0].retired"),
        (json!({ "concurrency_pools": [{ "max_workers": 1 }] }), "concurrency_pools[0].concurrency_pool"),
        (json!({ "concurrency_pools": [{ "concurrency_pool": "p" }] }), "concurrency_pools[0].max_workers"),
        (
            json!({ "concurrency_pools": [{ "concurrency_pool": "p", "max_workers": "two" }] }),
            "concurrency_pools[0].max_workers",
        ),
    ] {
        // The document also has a valid setting.
        let mut document = document;
        if let Some(object) = document.as_object_mut() {
            object.entry("control").or_insert_with(|| json!({ "busy_sleep": 0.5 }));
        }
        let (code, message) = fixture.refused(&format!("select async.configure($pgasync${document}$pgasync$)")).await;
        assert_eq!(code, "PA060", "{document}: {message}");
        assert!(message.starts_with(&format!("{path}: ")), "{document}: {message}");
        assert_eq!(everything(&fixture).await, before, "{document}");
    }
    assert_eq!(fixture.refused("select async.configure(null)").await.0, "PA060");
}

async fn every_row_may_be_put_back<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({
        "control": { "default_timeout": "7 minutes", "loop_routines": [] },
        "targets": [fixture.there(&json!({ "default_timeout": "3 minutes", "concurrency_track_yielded": true })),
            { "target": "gone", "connection_string": "" }],
        "concurrency_pools": [{ "concurrency_pool": "p", "max_workers": 3 }, { "concurrency_pool": "q", "max_workers": 0 }],
    }))
    .await;
    fixture
        .configure(&json!({ "targets": [{ "target": "there" }], "concurrency_pools": [{ "concurrency_pool": "p" }] }))
        .await;
    let before = everything(&fixture).await;
    fixture
        .run(
            "select async.configure(jsonb_build_object(
            'control', (select to_jsonb(c) from async.control c),
            'targets', (select jsonb_agg(to_jsonb(t)) from async.target t),
            'concurrency_pools', (select jsonb_agg(to_jsonb(p)) from async.concurrency_pool p)))",
        )
        .await;
    assert_eq!(everything(&fixture).await, before);
    fixture.run_task("select 1").await.succeeded();
}

async fn both_names_of_a_target_s_size_are_taken<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    for (key, size) in [("max_workers", 3), ("max_concurrency", 5)] {
        fixture.configure(&json!({ "targets": [{ "target": "there", key: size }] })).await;
        fixture
            .assert_holds(&format!("select max_concurrency = {size} from async.target where target = 'there'"))
            .await;
    }
}

async fn the_server_itself_can_be_renamed_and_resized<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let old = fixture.push_as("'select 1', 'async.self'").await;
    fixture.end_of(old).await.succeeded();
    fixture.configure(&json!({ "control": { "self_target": "home", "self_concurrency": 2 } })).await;
    for name in ["home", "SELF"] {
        let id = fixture.push_as(&format!("'select 1', '{name}'")).await;
        fixture.end_of(id).await.succeeded();
        fixture.assert_holds(&format!("select target = 'home' from async.task where task_id = {id}")).await;
    }
    assert_eq!(fixture.refused("select async.push_task(async.task('select 1', 'async.self'))").await.0, "PA012");
    fixture.assert_holds("select max_concurrency = 2 from async.target where target = 'home'").await;
}

async fn tasks_of_new_targets_are_not_failed_before_the_leader_has_met_them<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    for n in 0..12 {
        fixture.run("begin").await;
        fixture
            .configure(
                &json!({ "targets": [{ "target": format!("t{n}"), "connection_string": fixture.target.conninfo() }] }),
            )
            .await;
        fixture.run(&format!("select async.push_task(async.task('select 1', 't{n}')); commit")).await;
        tokio::time::sleep(std::time::Duration::from_millis(70)).await;
    }
    fixture.wait_until_finished().await;
    fixture.assert_holds("select bool_and(finish_status = 'FINISHED') from async.task").await;
}

async fn a_new_target_runs_at_once<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .configure(&json!({ "targets": [fixture.there(&json!({})),
        { "target": "new", "connection_string": fixture.target.conninfo() }] }))
        .await;
    let id = fixture.push_as("'insert into ledger (mark) values (''new'')', 'new'").await;
    fixture.end_of(id).await.succeeded();
    assert_eq!(fixture.target.marks("new").await, 1);
}

async fn a_changed_address_is_used_for_the_next_task<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run_task("select 1").await.succeeded();
    fixture.run("create table ledger (mark text)").await;
    fixture.configure(&json!({ "targets": [{ "target": "there", "connection_string": fixture.conninfo() }] })).await;
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    fixture.run_task("insert into ledger (mark) values ('moved')").await.succeeded();
    assert_eq!(fixture.number("select count(*) from ledger").await, 1);
    assert_eq!(fixture.target.marks("moved").await, 0);
}

/// Even while the leader has not read the change yet, and after a session was busy when it did.
#[tokio::test]
async fn a_task_that_is_pushed_after_a_change_of_address_does_not_run_at_the_old_one() {
    let fixture = Fixture::<pgasync_tests::SqlEngine>::led().await;
    fixture.run("create table ledger (mark text)").await;
    let (there, here) = (fixture.target.conninfo(), fixture.conninfo());
    for turn in 0..4 {
        fixture.run_task("select 1").await.succeeded();
        let busy = fixture.push("select pg_sleep(0.5)").await;
        fixture.wait_until(busy, "RUNNING").await;
        let address = if turn % 2 == 0 { here.clone() } else { there.to_owned() };
        fixture.configure(&json!({ "targets": [{ "target": "there", "connection_string": address }] })).await;
        fixture.run_task(&format!("insert into ledger (mark) values ('at once {turn}')")).await.succeeded();
        fixture.end_of(busy).await.succeeded();
        fixture.run_task(&format!("insert into ledger (mark) values ('later {turn}')")).await.succeeded();
        for mark in [format!("at once {turn}"), format!("later {turn}")] {
            assert_eq!(fixture.target.marks(&mark).await, i64::from(turn % 2 == 1), "{mark}");
        }
    }
}

async fn every_form_of_connection_string_works<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let (host, port): (String, String) = {
        let row = &fixture.rows("select host(inet_server_addr()), current_setting('port')", &[]).await[0];
        (row.get(0), row.get(1))
    };
    let name = fixture.target.name();
    for (n, conninfo) in [
        format!("host={host} port={port} dbname={name} user=postgres"),
        format!("host = '{host}' port='{port}'  dbname=\t'{name}' user=postgres"),
        format!("postgresql://postgres@{host}:{port}/{name}"),
        format!("postgres://postgres@{host}:{port}/{name}?connect_timeout=5&application_name=mine"),
        format!("postgresql:///{name}?host={host}&port={port}&user=postgres"),
        format!("host={host} port={port} dbname={name} user=postgres options='-c work_mem=5MB -c search_path=public'"),
    ]
    .into_iter()
    .enumerate()
    {
        fixture.configure(&json!({ "targets": [{ "target": format!("t{n}"), "connection_string": conninfo }] })).await;
        let id = fixture.push_as(&format!("'insert into ledger (mark) values (''{n}'')', 't{n}'")).await;
        fixture.end_of(id).await.succeeded();
        assert_eq!(fixture.target.marks(&n.to_string()).await, 1, "{conninfo}");
    }
}

async fn tasks_at_a_hundred_targets_all_run<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let targets: Vec<_> = (0..100)
        .map(|n| json!({ "target": format!("t{n}"), "connection_string": fixture.target.conninfo(), "max_workers": 1 }))
        .collect();
    fixture.configure(&json!({ "targets": targets })).await;
    fixture
        .run("select async.push_tasks(array_agg(async.task('select 1', 't' || n))) from generate_series(0, 99) n")
        .await;
    fixture.wait_until_finished().await;
    fixture.assert_holds("select bool_and(finish_status = 'FINISHED') from async.task").await;
}

conformance!(
    a_missing_key_and_a_null_change_nothing,
    control_alone_touches_neither_targets_nor_history,
    a_target_that_a_document_omits_is_retired_and_finishes_its_tasks,
    a_pool_that_a_document_omits_is_retired_and_finishes_its_tasks,
    twice_in_one_transaction_is_fine,
    an_invalid_document_is_refused_with_its_path_and_changes_nothing,
    every_row_may_be_put_back,
    both_names_of_a_target_s_size_are_taken,
    the_server_itself_can_be_renamed_and_resized,
    tasks_of_new_targets_are_not_failed_before_the_leader_has_met_them,
    a_new_target_runs_at_once,
    a_changed_address_is_used_for_the_next_task,
    every_form_of_connection_string_works,
    tasks_at_a_hundred_targets_all_run,
);
