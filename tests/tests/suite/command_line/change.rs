//! `pgasync cancel`, `restart` and `defer`.

use pgasync_store::{SchemaPart, install};
use pgasync_tests::{Database, Engine, RustEngine, Scratch};
use serde_json::json;

use super::fixture::{in_terminal, on, role, server};

const WAITING: &str = "select async.push_tasks(array_agg(async.task('select pg_sleep(600)', t)))
    from unnest(array['there', 'there', 'down']) as t";

async fn requests(database: &Database) -> Option<String> {
    database.text("select string_agg(task_id || ' ' || status, ', ' order by task_id) from async.request").await
}

#[tokio::test]
async fn nothing_changes_without_a_terminal_and_without_yes() {
    let (database, _target) = server().await;
    let conninfo = database.conninfo();
    database.run(WAITING).await;
    let rows = "select md5(string_agg(t::text, ' ' order by task_id)) from async.task t";
    let before = database.text(rows).await;
    for words in [&["cancel", "1", "2"][..], &["cancel", "-t", "there"], &["defer", "--by", "1h", "1"]] {
        on(&conninfo, words).refused(2, "nothing was changed; --yes");
    }
    on(&conninfo, &["cancel", "-t", "there"]).refused(2, "Cancel 2 tasks (2 READY)?");
    for command in [&["cancel"][..], &["restart"], &["defer", "--by", "1h"]] {
        on(&conninfo, &[command, &["--yes"]].concat()).refused(2, "no task is chosen");
    }
    assert_eq!((database.text(rows).await, requests(&database).await), (before, None));
}

#[tokio::test]
async fn a_terminal_is_asked_and_only_yes_is_yes() {
    let (database, _target) = server().await;
    database.run(WAITING).await;
    let conninfo = database.conninfo();
    let no = in_terminal(&["cancel", "--server", &conninfo, "-t", "there"], 80, "n\n");
    assert!(no.code == Some(1) && no.stdout.contains("Cancel 2 tasks (2 READY)? [y/N]"), "{no:#?}");
    assert_eq!(requests(&database).await, None);
    let yes = in_terminal(&["cancel", "--server", &conninfo, "-t", "there"], 80, "y\n");
    assert!(yes.code == Some(0) && yes.stdout.contains("cancel requested: 2 tasks"), "{yes:#?}");
    assert_eq!(requests(&database).await.as_deref(), Some("1 CANCELED, 2 CANCELED"));
}

#[tokio::test]
async fn a_filter_changes_its_tasks_and_ids_that_cannot_are_named() {
    let (database, _target) = server().await;
    let conninfo = database.conninfo();
    database.run(WAITING).await;
    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    database.wait_for("select count(*) = 2 from async.task where consumed is not null").await;
    let ran = on(&conninfo, &["cancel", "-t", "there", "--message", "enough", "--yes", "-o", "json"]).done();
    let listed = ran.json();
    assert_eq!(listed["tasks"][0], json!({"task_id": 1, "outcome": "cancel requested", "reason": null}));
    assert_eq!(listed["tasks"].as_array().map(Vec::len), Some(2));
    database.wait_for("select count(*) = 2 from async.task where finish_status = 'CANCELED'").await;
    database.assert_holds("select bool_and(processing_error ~ 'enough') from async.task where task_id < 3").await;
    let skipped = on(&conninfo, &["cancel", "1", "77", "--yes", "-o", "json"]);
    assert_eq!(skipped.code, Some(1));
    assert_eq!(
        skipped.json()["tasks"],
        json!([{"task_id": 1, "outcome": "skipped", "reason": "it is FINISHED"},
               {"task_id": 77, "outcome": "skipped", "reason": "it does not exist"}])
    );
    let none = on(&conninfo, &["cancel", "-t", "nowhere", "--yes"]).done();
    assert!(none.stderr.contains("no task is so"), "{none:#?}");

    on(&conninfo, &["defer", "--by", "1h", "3", "--yes"]).done();
    database.wait_for("select eligible_when > now() + interval '50 minutes' from async.task where task_id = 3").await;
    engine.stop().await;
}

#[tokio::test]
async fn a_restart_skips_what_cannot_run_again_and_restarts_the_others() {
    let (database, _target) = server().await;
    let conninfo = database.conninfo();
    database
        .run(
            "select async.push_tasks(array[async.task('select 1', 'there'), async.task('select 2', 'there'),
               async.task('select 3', 'there')]);
             update async.task set processed = now(), failed = true, finish_status = 'FAILED';
             update async.task set expires_at = now() - interval '1 second' where task_id = 2",
        )
        .await;
    let ran = on(&conninfo, &["restart", "--failed", "--ended", "1h", "--yes", "-o", "json"]).done();
    let tasks = &ran.json()["tasks"];
    assert_eq!((&tasks[0]["outcome"], &tasks[2]["outcome"]), (&json!("restarted"), &json!("restarted")));
    assert!(
        tasks[1]["outcome"] == "skipped" && tasks[1]["reason"].as_str().is_some_and(|r| r.contains("PA034")),
        "{tasks}"
    );
    database
        .assert_holds("select array_agg(task_id order by task_id) = '{1,3}' from async.task where processed is null")
        .await;
    let named = on(&conninfo, &["restart", "1", "--yes"]);
    assert!(named.code == Some(1) && named.stdout.contains("it is READY"), "{named:#?}");
}

#[tokio::test]
async fn a_client_cancels_and_a_stranger_does_not() {
    let (database, _target) = server().await;
    database.run(WAITING).await;
    let (role, conninfo) = role(&database, "").await;
    on(&conninfo, &["cancel", "1", "--yes"]).refused(1, "select async.grant_client");
    database.run(&format!("select async.grant_client('{role}', '{{there}}')")).await;
    on(&conninfo, &["cancel", "1", "--yes"]).done();
    assert_eq!(requests(&database).await.as_deref(), Some("1 CANCELED"));
    database.run(&format!("select async.revoke_client('{role}'); drop owned by {role}; drop role {role}")).await;
}

#[tokio::test]
async fn a_client_database_forwards_ids_and_refuses_filters() {
    let (database, _target) = server().await;
    database.run(WAITING).await;
    let client = Scratch::empty(database.cluster()).await;
    let session = client.connect().await;
    install(&session, SchemaPart::Client).await.expect("it is installed");
    let sql = format!("select async.server('{}')", database.conninfo());
    session.batch_execute(&sql).await.expect("a superuser may");
    let ran = on(&client.conninfo(), &["cancel", "1", "77", "--yes", "-o", "json"]);
    assert_eq!((ran.code, &ran.json()["tasks"][1]["reason"]), (Some(1), &json!("it does not exist")), "{ran:#?}");
    assert_eq!(requests(&database).await.as_deref(), Some("1 CANCELED"));
    on(&client.conninfo(), &["cancel", "-t", "there", "--yes"]).refused(7, "is a client database");
}
