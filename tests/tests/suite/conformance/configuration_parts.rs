//! `async.set_target`, `retire_target`, `set_pool`, `set_control` and `async.configuration`.

use pgasync_tests::Engine;
use serde_json::{Value, json};

use super::fixture::Fixture;

async fn one_target_changes_while_the_leader_leads_and_the_others_stay<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let before = fixture.text("select to_jsonb(t) from async.target t where target = 'there'").await;
    let there = fixture.text("select connection_string from async.target where target = 'there'").await;
    let there = there.expect("it has one").replace('\'', "''");
    fixture
        .run(&format!(
            "select async.set_target('second', jsonb_build_object('connection_string', '{there}', 'max_workers', 2));
             select async.set_pool('parts', 1);
             select async.set_control('{{\"workers\": 5}}')"
        ))
        .await;
    fixture.run("select async.push_task(async.task('select 1', 'second', concurrency_pool => 'parts'))").await;
    fixture.wait_until_finished().await;
    fixture.assert_holds("select finish_status = 'FINISHED' from async.task").await;
    assert_eq!(fixture.text("select to_jsonb(t) from async.target t where target = 'there'").await, before);
    fixture.run("select async.set_target('second', '{\"tags\": [\"x\"]}')").await;
    fixture.assert_holds("select max_concurrency = 2 and tags = '{x}' from async.target where target = 'second'").await;
    fixture.run("select async.retire_target('second')").await;
    fixture.assert_holds("select array_agg(target) = '{second}' from async.target where retired").await;
    let (code, _) = fixture.refused("select async.push_task(async.task('select 1', 'second'))").await;
    assert_eq!(code, "PA012");
    fixture.run("select async.set_target('second')").await;
    fixture.assert_holds("select not exists (select from async.target where retired)").await;
}

#[tokio::test]
async fn a_refused_part_names_its_path_and_changes_nothing() {
    let database = pgasync_tests::Database::create().await;
    database.configure(&json!({"targets": [{"target": "a", "connection_string": "host=h"}]})).await;
    let before = database.text("select async.configuration()").await;
    for (sql, message) in [
        ("select async.set_target('new')", "targets[0].connection_string: is required for a new target"),
        ("select async.set_target('a', '{\"max_workers\": -1}')", "targets[0].max_workers"),
        ("select async.set_target('a', '{\"max_wokers\": 1}')", "targets[0].max_wokers"),
        ("select async.set_target('a', '{\"target\": \"b\"}')", "targets[0].target"),
        ("select async.set_target('a', '[]')", "targets[0]: must be an object"),
        ("select async.set_target('a', null)", "targets[0]: must be an object"),
        ("select async.set_target(null)", "targets[0].target"),
        ("select async.retire_target('b')", "targets: there is no target 'b'"),
        ("select async.retire_target('async.self')", "targets[0].retired: the server itself cannot be retired"),
        ("select async.set_pool('p')", "concurrency_pools[0].max_workers: is required for a new pool"),
        ("select async.set_pool('p', -1)", "concurrency_pools[0].max_workers"),
        ("select async.set_control('{\"workers\": 0}')", "control.workers"),
        ("select async.set_control('[]')", "control"),
    ] {
        let (code, refused) = database.refused(sql).await;
        assert!(code == "PA060" && refused.starts_with(message), "{sql}: {code} {refused}");
    }
    assert_eq!(database.text("select async.configuration()").await, before);
}

#[tokio::test]
async fn the_document_can_be_given_back_and_shows_no_password() {
    let database = pgasync_tests::Database::create().await;
    database
        .configure(&json!({
            "control": {"workers": 3, "idle_sleep": 0.5, "takeover_grace": "3 seconds"},
            "targets": [{"target": "a", "connection_string": "host=h", "tags": ["x"], "default_timeout": "90 seconds"},
                        {"target": "gone", "connection_string": "host=h", "retired": true}],
            "concurrency_pools": [{"concurrency_pool": "p", "max_workers": 2, "starts_max": 3, "interval": "1 minute"}],
            "retry_policies": [{"retry_policy": "r", "max_attempts": 7}],
            "schedules": [{"schedule": "s", "when": "0 3 * * *", "target": "a", "query": "select 1"}],
        }))
        .await;
    let document = database.text("select async.configuration()").await.expect("a document");
    let read: Value = serde_json::from_str(&document).expect("JSON");
    assert_eq!(read["control"]["takeover_grace"], json!("00:00:03"));
    assert_eq!(read["schedules"][0]["when"], json!("0 3 * * *"));
    assert!(read["control"]["pid"].is_null() && read["targets"].as_array().map(Vec::len) == Some(2), "{read}");
    let rows = "select concat_ws(' ', (select jsonb_agg(t order by target) from async.target t),
        (select jsonb_agg(p order by concurrency_pool) from async.concurrency_pool p),
        (select jsonb_agg(r order by retry_policy) from async.retry_policy r), (select workers from async.control),
        (select jsonb_agg(to_jsonb(s) - '{last_time,next_time,look_at}'::text[]) from async.schedule s))";
    let before = database.text(rows).await;
    database.configure(&read).await;
    assert_eq!(database.text(rows).await, before);
    assert_eq!(database.text("select async.configuration()").await, Some(document));
    database.run("select async.set_target('b', '{\"connection_string\": \"host=h password=geheim\"}')").await;
    database.assert_holds("select async.configuration()::text !~ 'geheim'").await;
}

#[tokio::test]
async fn a_notice_names_what_a_document_retires() {
    let database = pgasync_tests::Database::create().await;
    let entry = |name: &str| json!({"target": name, "connection_string": "host=h"});
    database
        .configure(&json!({"targets": [entry("a"), entry("b"), entry("B c")],
        "concurrency_pools": [{"concurrency_pool": "p", "max_workers": 1}]}))
        .await;
    let (sender, mut notices) = tokio::sync::mpsc::unbounded_channel();
    let settings = database.settings();
    let session =
        settings.connect_with(move |notice| drop(sender.send(format!("{notice:?}")))).await.expect("it connects");
    let configure = |document: Value| format!("select async.configure('{document}')");
    session
        .batch_execute(&configure(json!({"targets": [entry("a")], "concurrency_pools": []})))
        .await
        .expect("it is taken");
    let first = notices.recv().await.expect("a notice");
    assert!(
        first.contains("targets, which are retired now") && first.contains("B c") && first.contains(", b"),
        "{first}"
    );
    let second = notices.recv().await.expect("a notice");
    assert!(second.contains("pools, which are retired now: p"), "{second}");
    session.batch_execute(&configure(json!({"targets": [entry("a")]}))).await.expect("it is taken");
    session.batch_execute("select async.set_target('a')").await.expect("it is taken");
    session.close().await;
    assert!(notices.recv().await.is_none(), "nothing more is retired");
}

conformance!(one_target_changes_while_the_leader_leads_and_the_others_stay);
