//! `pgasync report`, `logs` and `doctor`.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use pgasync_tests::{Cluster, Engine, RustEngine, Scratch, Signal, send};
use serde_json::{Value, json};

use super::fixture::{on, role, server};

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

/// The severity, subject and text of each finding.
fn findings(conninfo: &str) -> (Option<i32>, Vec<(String, String, String)>) {
    let ran = on(conninfo, &["doctor", "-o", "json"]);
    let document = ran.json();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let all = document["findings"].as_array().expect("an array").iter();
    for finding in all.clone() {
        assert_eq!(finding["severity"] == "ok", finding["fix"].is_null(), "a finding has its fix: {finding}");
    }
    (ran.code, all.map(|f| (text(f, "severity"), text(f, "about"), text(f, "finding"))).collect())
}

#[tokio::test]
async fn the_doctor_finds_what_is_planted_and_nothing_on_a_healthy_server() {
    let (database, target) = server().await;
    let conninfo = database.conninfo();
    database.run("select async.retire_target('down')").await;
    let mut engine = RustEngine::attach(&database);
    engine.lead().await;
    let (code, all) = findings(&conninfo);
    assert_eq!(code, Some(0), "{all:#?}");
    assert!(all.iter().all(|(severity, _, _)| severity == "ok"), "{all:#?}");
    assert!(all.iter().any(|(_, about, text)| about == "target there" && text.contains("it is reached")), "{all:#?}");
    engine.stop().await;

    let has = |all: &[(String, String, String)], severity: &str, about: &str, part: &str| {
        let found = all.iter().any(|(s, a, text)| s == severity && a == about && text.contains(part));
        assert!(found, "{severity} {about} {part}: {all:#?}");
    };
    database
        .run(&format!(
            "select async.set_target('down', '{{\"max_workers\": 2}}');
             select async.set_target('there', '{{\"max_workers\": 100000}}');
             select async.set_target('secret', '{{\"connection_string\": \"host=h password=${{ENV:PGASYNC_SECRET_X}}\"}}');
             update async.control set enabled = false, paused = true;
             alter database \"{}\" set statement_timeout = '1min'",
            database.name()
        ))
        .await;
    let (code, all) = findings(&conninfo);
    assert_eq!(code, Some(1));
    has(&all, "error", "leader", "none may");
    has(&all, "warning", "leader", "control.paused is true");
    has(&all, "error", "target down", "this host cannot reach it");
    has(&all, "warning", "target there", "100000 tasks may run there");
    has(&all, "warning", "settings", "statement_timeout=1min");
    has(&all, "warning", "target secret", "its password is a reference");
    let text = on(&conninfo, &["doctor"]);
    assert!(text.stdout.contains("fix: pgasync start") && !text.stdout.contains("password="), "{text:#?}");
    drop(target);

    let (name, other) = role(&database, "").await;
    on(&other, &["doctor"]).refused(1, "select async.grant_client");
    database.run(&format!("select async.grant_admin('{name}')")).await;
    has(&findings(&other).1, "ok", "targets", "only the owner");
    database.run(&format!("select async.revoke_admin('{name}'); drop owned by {name}; drop role {name}")).await;
    let empty = Scratch::empty(&Cluster::shared()).await;
    for command in ["doctor", "report", "logs"] {
        on(&empty.conninfo(), &[command]).refused(7, "has no schema async");
    }
}
