//! `pgasync report` and `logs`.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use pgasync_tests::{Signal, send};
use serde_json::{Value, json};

use super::fixture::{on, server};

#[tokio::test]
async fn a_report_groups_failures_of_one_cause_and_measures_waits_and_runs() {
    let (database, _target) = server().await;
    let conninfo = database.conninfo();
    database
        .run(
            "select async.push_tasks((select array_agg(async.task('select ' || n, 'there', jsonb_build_object('kind', 'k')))
               from generate_series(1, 10) n), _source => 'nightly');
             update async.task set entered = entered - interval '1 minute';
             update async.task set consumed = entered + interval '2 seconds', processed = entered + interval '5 seconds',
               failed = task_id <= 3, finish_status = case when task_id <= 3 then 'FAILED' else 'FINISHED' end::async.finish_status_t;
             update async.task set processing_error = format(E'23505: duplicate key %s\\nDETAIL: x', task_id * 100)
               where task_id <= 2;
             update async.task set processing_error = '22012: division by zero' where task_id = 3;
             update async.task set processed = processed - interval '3 days', consumed = null where task_id = 10;
             update async.task set entered = processed - interval '5 seconds' where task_id = 10",
        )
        .await;
    let ran = on(&conninfo, &["report", "-o", "json"]);
    assert_eq!(ran.code, Some(1), "a task failed: {ran:#?}");
    let report = ran.json();
    let error = &report["errors"][0];
    assert_eq!(
        (&error["sqlstate"], &error["times"], &error["error"], &error["last_task_id"]),
        (&json!("23505"), &json!(2), &json!("duplicate key #"), &json!(2))
    );
    assert_eq!(report["errors"].as_array().map(Vec::len), Some(2));
    let outcome = &report["outcomes"][0];
    assert_eq!((&outcome["tasks"], &outcome["finished"], &outcome["failed"]), (&json!(9), &json!(6), &json!(3)));
    let kind = &report["kinds"][0];
    assert_eq!((&kind["kind"], &kind["wait_median"], &kind["run_95"]), (&json!("nightly"), &json!(2.0), &json!(3.0)));
    let by_data = on(&conninfo, &["report", "--since", "10d", "--by", "data.kind", "-o", "json"]).json();
    assert_eq!((&by_data["kinds"][0]["kind"], &by_data["kinds"][0]["tasks"]), (&json!("k"), &json!(10)));
    let old = on(&conninfo, &["report", "--since", "10d", "--until", "2d", "-o", "json"]).done().json();
    assert_eq!(old["outcomes"][0]["tasks"], json!(1));
    let none = on(&conninfo, &["report", "-t", "down"]).done();
    assert!(none.stdout.is_empty() && none.stderr.contains("no task ended"), "{none:#?}");
    let table = on(&conninfo, &["report"]).stdout;
    assert!(table.contains("duplicate key #") && table.contains("Waits and runs"), "{table}");
    on(&conninfo, &["report", "--since", "1h", "--until", "2h"]).refused(2, "--until must be less than --since");
    on(&conninfo, &["report", "--by", "moon"]).refused(2, "data.KEY");
}

#[tokio::test]
async fn logs_prints_the_last_lines_and_follows() {
    let (database, _target) = server().await;
    let conninfo = database.conninfo();
    database.run("select async.log('NOTICE', 'one'); select async.log('WARNING', E'two \\x1b[31m')").await;
    let warnings = on(&conninfo, &["logs", "--level", "warning", "--grep", "TWO", "-o", "json"]).done().json();
    assert_eq!(warnings["lines"].as_array().map(Vec::len), Some(1), "{warnings}");
    let plain = on(&conninfo, &["logs"]).done();
    assert!(plain.stdout.contains("one\n") && !plain.stdout.contains('\u{1b}'), "{plain:#?}");
    let mut process = Command::new("pgasync")
        .args(["logs", "-f", "-n", "1", "-o", "json", "--server", &conninfo])
        .stdout(Stdio::piped())
        .spawn()
        .expect("./dev puts pgasync on PATH");
    let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().expect("a line").expect("UTF-8")).expect("JSON") };
    assert!(next()["message"].as_str().is_some_and(|message| message.starts_with("two")));
    database.run("select async.log('NOTICE', 'three')").await;
    assert_eq!(next()["message"], json!("three"));
    assert!(send(Signal::Interrupt, i32::try_from(process.id()).expect("process ids are small")));
    assert_eq!(process.wait().expect("it ends").code(), Some(0));
}
