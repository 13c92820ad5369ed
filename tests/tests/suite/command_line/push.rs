//! `pgasync push`.

use pgasync_tests::{Engine, RustEngine};
use serde_json::json;

use super::fixture::{on, server, with_input};

#[tokio::test]
async fn queries_options_and_targets_reach_the_rows() {
    let (database, _target) = server().await;
    let conninfo = database.conninfo();
    let ran = on(
        &conninfo,
        &[
            "push",
            "-t",
            "there",
            "--priority",
            "-3",
            "--pool",
            "p",
            "--timeout",
            "90s",
            "--source",
            "s",
            "--data",
            "{\"a\": 1}",
            "--unique-key",
            "k",
            "--keep-result",
            "--expires-at",
            "2100-01-01T00:00:00Z",
            "-o",
            "json",
            "select 1",
        ],
    )
    .done();
    assert_eq!(ran.json(), json!({"format": 1, "tasks": [{"task_id": 1, "target": "there", "duplicate": false}]}));
    database
        .assert_holds(
            "select (query, target, priority, concurrency_pool, manual_timeout, source, task_data, unique_key,
                     keep_result_for is not null, expires_at)
               = ('select 1', 'there', -3, 'p', interval '90 seconds', 's', jsonb '{\"a\": 1}', 'k', true,
                  timestamptz '2100-01-01 00:00:00Z') from async.task",
        )
        .await;
    let again = on(&conninfo, &["push", "-t", "there", "--unique-key", "k", "-o", "json", "select 2"]).done();
    assert_eq!(again.json()["tasks"][0]["duplicate"], json!(true));
    let each = on(&conninfo, &["push", "--each", "tag:prod,down", "-o", "csv", "select 3", "select 4"]).done();
    assert_eq!(each.stdout, "task_id,target,duplicate\n3,there,false\n4,down,false\n5,there,false\n6,down,false\n");
    on(&conninfo, &["push", "--each", "tag:none", "select 1"]).refused(1, "has the tag \"none\"");
    database.assert_holds("select count(*) = 5 from async.task").await;
}

#[tokio::test]
async fn files_and_standard_input_are_read() {
    let (database, _target) = server().await;
    let conninfo = database.conninfo();
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("it is written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let sql = path("a.sql", "select 1;\n-- two statements are one task\nselect 2\n");
    let csv = path("b.csv", "query,target,priority\n\"select 1, 2\",there,5\nselect 3,,\n");
    on(&conninfo, &["push", "-t", "there", "--file", &sql, "--file", &csv]).done();
    database.assert_holds("select array_agg(priority order by task_id) = '{0,5,0}' from async.task").await;
    let server = ["--server", conninfo.as_str()];
    with_input(&["push", "-t", "there"], &server, "select 'from stdin'").done();
    database.assert_holds("select query = 'select ''from stdin''' from async.task where task_id = 4").await;
    let lines: String = (0..2_500).map(|n| format!("{{\"query\": \"select {n}\", \"priority\": {n}}}\n")).collect();
    let many = with_input(&["push", "-t", "there", "--format", "jsonl"], &server, &lines).done();
    assert_eq!(many.stdout, "2500 tasks are pushed, 5 to 2504\n");
    assert_eq!(many.stderr, "", "progress is for terminals");
}

#[tokio::test]
async fn one_refused_line_pushes_nothing_and_is_named() {
    let (database, _target) = server().await;
    let conninfo = database.conninfo();
    let server = ["--server", conninfo.as_str()];
    let mut lines: Vec<String> = (0..1_500).map(|n| format!("{{\"query\": \"select {n}\"}}")).collect();
    lines[1_203] = "{\"query\": \"select 1\", \"priorty\": 3}".to_owned();
    let ran = with_input(&["push", "-t", "there", "--format", "jsonl"], &server, &lines.join("\n"));
    ran.refused(1, "standard input, line 1204: ");
    assert!(ran.stderr.contains("priorty") && ran.stderr.contains("nothing was pushed"), "{ran:#?}");
    on(&conninfo, &["push", "-t", "nowhere", "select 1"]).refused(1, "query 1: ");
    database.assert_holds("select count(*) = 0 from async.task").await;
}

#[tokio::test]
async fn wait_tells_the_outcome_by_its_exit_code() {
    let (database, _target) = server().await;
    let conninfo = database.conninfo();
    let alone = on(&conninfo, &["push", "-t", "there", "--wait", "--wait-timeout", "3s", "select 1"]);
    assert!(alone.code == Some(1) && alone.stderr.contains("no orchestrator leads"), "{alone:#?}");
    assert!(alone.stderr.contains("1 of 1 tasks have not ended within --wait-timeout"), "{alone:#?}");
    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    let good = on(&conninfo, &["push", "-t", "there", "--wait", "-o", "json", "select 1", "select 2"]).done();
    assert_eq!(good.json()["tasks"][1]["finish_status"], json!("FINISHED"));
    let bad = on(&conninfo, &["push", "-t", "there", "--wait", "select 1/0"]);
    assert!(bad.code == Some(1) && bad.stdout.contains("division by zero"), "{bad:#?}");
    let rows = on(
        &conninfo,
        &["push", "-t", "there", "--wait", "--keep-result", "-o", "csv", "select 1 as a, 'x,y' as b, null as c"],
    )
    .done();
    assert_eq!(rows.stdout, "a,b,c\n1,\"x,y\",\n");
    engine.stop().await;
}
