//! Names, messages and queries with line breaks and escape sequences.

use std::process::Command;

use pgasync_tests::{Database, Engine};
use serde_json::json;

use crate::conformance::fixture::Fixture;

/// It clears the screen and begins a line that looks like one of ours.
const FORGED: &str = "x\u{1b}[2J\r\npgasync: FORGED \u{202e}\u{9b}1m";

const HIDDEN: &str = r"x\u001b[2J\r\npgasync: FORGED \u202e\u009b1m";

/// Whether a text has what a terminal would obey, besides line breaks.
fn is_raw(text: &str) -> bool {
    text.contains(|c: char| c.is_control() && c != '\n' || c == '\u{202e}')
}

async fn the_log_has_one_line_for_a_message<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture.rows("select async.log($1)", &[&FORGED]).await;
    fixture.rows("select async.log_quiet('WARNING', $1)", &[&FORGED]).await;
    let rows = fixture.rows("select message from async.server_log", &[]).await;
    let messages: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(messages, [HIDDEN, HIDDEN]);
}

/// The table that also judges the log lines and the screens of the binary.
const VISIBLE: &str = include_str!("../../../../crates/text/cases/visible_texts.json");

#[tokio::test]
async fn texts_are_made_visible_as_the_table_says() {
    let database = Database::create().await;
    let cases: Vec<(String, String)> = serde_json::from_str(VISIBLE).expect("pairs of texts");
    for (text, visible) in cases {
        let rows = database.rows("select async.visible_text($1)", &[&text]).await;
        assert_eq!(rows[0].get::<_, String>(0), visible, "{text:?}");
    }
}

/// Names of targets and pools, and errors of targets, reach the log and the screen.
async fn names_and_errors_do_not_reach_the_terminal_raw<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    let target = format!("t {FORGED}");
    let string = fixture.target.conninfo().replace("dbname=", "dbname=missing");
    fixture.configure(&json!({ "targets": [{ "target": target, "connection_string": string }] })).await;
    fixture.engine.lead().await;
    let routine = format!("missing('{FORGED}')");
    fixture.rows("select async.push_routine('LOOP', $1)", &[&routine]).await;
    let push = "select async.push_task(async.task('select 1', $1, concurrency_pool => $2))";
    fixture.rows(push, &[&target, &format!("p {FORGED}")]).await;
    fixture.wait_for("select count(*) > 0 from async.server_log where message like '%routine missing%'").await;
    fixture.wait_for("select count(*) > 0 from async.v_target_state where state <> 'ok'").await;
    fixture
        .assert_holds(r"select bool_and(message !~ '[\u0001-\u001f\u007f-\u009f\u202e]') from async.server_log")
        .await;
    let printed = Command::new("pgasync").args(["status", "--server", &fixture.conninfo()]).output();
    let printed = printed.expect("./dev puts pgasync on PATH");
    let printed = String::from_utf8_lossy(&printed.stdout) + String::from_utf8_lossy(&printed.stderr);
    assert!(printed.contains("FORGED") && !is_raw(&printed), "{printed:?}");
    assert!(!printed.lines().any(|line| line.trim_start().starts_with("pgasync: FORGED")), "{printed}");
}

attacks!(the_log_has_one_line_for_a_message, names_and_errors_do_not_reach_the_terminal_raw);

/// An error that repeats a name, and the log of the engine.
#[tokio::test]
async fn the_binary_s_messages_are_not_raw() {
    let printed = Command::new("pgasync")
        .args(["status", "--server", &format!("host=127.0.0.1 port=1 dbname='{FORGED}'")])
        .output()
        .expect("./dev puts pgasync on PATH");
    let said = String::from_utf8_lossy(&printed.stderr);
    assert!(!printed.status.success() && said.contains("FORGED") && !is_raw(&said), "{said:?}");
    assert!(!said.lines().any(|line| line.starts_with("pgasync: FORGED")), "{said}");
}
