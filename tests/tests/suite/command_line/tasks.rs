//! `pgasync tasks` and `pgasync show`.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use pgasync_tests::{Signal, send};
use serde_json::{Value, json};

use super::fixture::{Ran, on, server};

/// Tasks in all phases, without an engine: 1 waits, 2 runs, 3 failed, 4 ended well, 5 is old.
async fn tasks() -> (pgasync_tests::Database, pgasync_tests::Target) {
    let (database, target) = server().await;
    database
        .run(
            "select async.push_tasks(array[
               async.task('select 1', 'there'), async.task('select ''Running''', 'there', concurrency_pool => 'p'),
               async.task('select 1/0', 'down'), async.task('select 4', 'there'), async.task('select 5', 'there')],
               _source => 'test');
             update async.task set consumed = now() where task_id in (2, 3, 4);
             update async.task set processed = now(), failed = true, finish_status = 'FAILED',
               processing_error = E'22012: division by zero\\nDETAIL: \\x1b[31mred' where task_id = 3;
             update async.task set processed = now() - interval '3 hours', failed = false, finish_status = 'FINISHED'
               where task_id = 4;
             update async.task set entered = now() - interval '2 days' where task_id = 5",
        )
        .await;
    (database, target)
}

fn ids(ran: &Ran) -> Vec<i64> {
    let document = ran.json();
    assert_eq!(document["format"], json!(1));
    let tasks = document["tasks"].as_array().expect("an array");
    tasks.iter().map(|task| task["task_id"].as_i64().expect("an id")).collect()
}

#[tokio::test]
async fn each_filter_finds_its_tasks() {
    let (database, _target) = tasks().await;
    let conninfo = database.conninfo();
    for (words, expected) in [
        (&[][..], &[5, 4, 3, 2, 1][..]),
        (&["--phase", "ready"], &[5, 1]),
        (&["--phase", "unfinished"], &[5, 2, 1]),
        (&["--phase", "RUNNING,finished"], &[4, 3, 2]),
        (&["--status", "failed"], &[3]),
        (&["--status", "timed_out"], &[]),
        (&["--failed"], &[3]),
        (&["--failed", "--ended", "1h"], &[3]),
        (&["--ended", "4h"], &[4, 3]),
        (&["-t", "down"], &[3]),
        (&["-t", "down", "-t", "there", "--pool", "p"], &[2]),
        (&["--source", "test", "--text", "running"], &[2]),
        (&["--text", "DIVISION"], &[3]),
        (&["--older-than", "1d"], &[5]),
        (&["--newer-than", "1d", "--phase", "ready"], &[1]),
        (&["2", "4"], &[4, 2]),
        (&["--limit", "2"], &[5, 4]),
        (&["--limit", "2", "--before", "4"], &[3, 2]),
        (&["-t", "'; drop table async.task; --"], &[]),
    ] {
        let ran = on(&conninfo, &[&["tasks", "-o", "json"], words].concat()).done();
        assert_eq!(ids(&ran), expected, "{words:?}");
    }
    let unknown = on(&conninfo, &["tasks", "2", "77"]);
    assert!(unknown.code == Some(1) && unknown.stderr.contains("there is no task 77"), "{unknown:#?}");
}

#[tokio::test]
async fn the_forms_have_the_same_names_and_values() {
    let (database, _target) = tasks().await;
    let conninfo = database.conninfo();
    let document = on(&conninfo, &["tasks", "3", "-o", "json"]).done().json();
    let task = &document["tasks"][0];
    assert_eq!(
        (&task["phase"], &task["finish_status"], &task["failed"]),
        (&json!("FINISHED"), &json!("FAILED"), &json!(true))
    );
    assert!(task["took"].is_f64() && task["entered"].as_str().is_some_and(|time| time.ends_with('Z')), "{task}");
    let csv = on(&conninfo, &["tasks", "3", "-o", "csv"]).done().stdout;
    let header: BTreeSet<&str> = csv.lines().next().expect("a header").split(',').collect();
    let keys: BTreeSet<&str> = task.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(header, keys);
}

#[tokio::test]
async fn a_table_fits_60_and_200_columns_and_hides_escape_sequences() {
    let (database, _target) = tasks().await;
    for columns in [60, 80, 200] {
        let ran = Command::new("pgasync")
            .args(["tasks", "--server", &database.conninfo()])
            .env("COLUMNS", columns.to_string())
            .output();
        let text = String::from_utf8(ran.expect("it runs").stdout).expect("UTF-8");
        let longest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(longest <= columns && text.contains("FAILED") && !text.contains('\u{1b}'), "{columns}: {text}");
    }
    let shown = on(&database.conninfo(), &["show", "3"]).done();
    assert!(!shown.stdout.contains('\u{1b}') && shown.stdout.contains("\\u001b[31mred"), "{shown:#?}");
}

#[tokio::test]
async fn show_has_the_row_the_requests_the_attempts_and_the_result() {
    let (database, _target) = tasks().await;
    let conninfo = database.conninfo();
    database
        .run(
            "select async.cancel('{2}', 'enough');
             insert into async.attempt values (3, 1, 1, now() - interval '1 minute', now(), 'FAILED', 'first try')",
        )
        .await;
    let text = on(&conninfo, &["show", "2"]).done().stdout;
    for part in ["RUNNING", "select 'Running'", "open requests", "enough"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let document = on(&conninfo, &["show", "3", "-o", "json"]).done().json();
    assert_eq!(document["attempts"][0]["error"], json!("first try"));
    assert_eq!((&document["task"]["query"], &document["result"]), (&json!("select 1/0"), &Value::Null));
    on(&conninfo, &["show", "77"]).refused(1, "there is no task 77");
    on(&conninfo, &["show", "3", "--result"]).refused(1, "task 3 has no result");
}

#[tokio::test]
async fn follow_prints_what_is_pushed_and_what_ends_until_it_is_interrupted() {
    let (database, _target) = tasks().await;
    let mut process = Command::new("pgasync")
        .args(["tasks", "--follow", "--limit", "1", "-o", "json", "--server", &database.conninfo()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("./dev puts pgasync on PATH");
    let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().expect("a line").expect("UTF-8")).expect("JSON") };
    assert_eq!(next()["task_id"], json!(5));
    database.run("select async.push_task(async.task('select 6', 'there'))").await;
    assert_eq!(next()["task_id"], json!(6));
    database
        .run(
            "update async.task set consumed = clock_timestamp(), processed = clock_timestamp(), failed = false,
               finish_status = 'FINISHED' where task_id = 1",
        )
        .await;
    let ended = next();
    assert_eq!((&ended["task_id"], &ended["phase"]), (&json!(1), &json!("FINISHED")));
    let pid = i32::try_from(process.id()).expect("process ids are small");
    assert!(send(Signal::Interrupt, pid));
    assert_eq!(process.wait().expect("it ends").code(), Some(0));
}
