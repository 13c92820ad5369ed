//! Targets that answer something else than a result for a task whose rows are kept: the task ends as its
//! query did, and the row of its result says what is wrong.

use pgasync_tests::{Answer, Engine, FakeServer};
use serde_json::json;

use crate::conformance::fixture::Fixture;

/// Base64, without which no target can answer.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let number =
            three.iter().chain([&0, &0]).take(3).fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
        for place in 0..4 {
            let digit = DIGITS[number >> (18 - 6 * place) & 63];
            text.push(if place > three.len() { '=' } else { char::from(digit) });
        }
    }
    text
}

fn one(text: impl Into<String>) -> Answer {
    Answer::Rows(vec![vec![Some(text.into())]])
}

/// An answer with these rows.
fn rows(row_count: &str, rows: &[u8]) -> Answer {
    one(format!(r#"{{"row_count": {row_count}, "truncated": false, "rows": "{}"}}"#, base64(rows)))
}

/// The answers, and what the error of each result contains, on both engines.
fn answers() -> Vec<(Answer, &'static str)> {
    let nested = "[".repeat(200_000);
    let long = format!("[\"{}\"]", "x".repeat(1_048_600));
    vec![
        (Answer::Valid, "target"),
        (Answer::Rows(vec![vec![None]]), "target"),
        (Answer::Rows(vec![vec![Some("{}".to_owned()), Some("{}".to_owned())]]), ""),
        (one("{}"), "no rows"),
        (one("hello"), "cannot be read: 22P02"),
        (one("[1]"), "it is an array"),
        (one("null"), "it is null"),
        (one(r#"{"row_count": "many", "rows": "W10="}"#), "cannot be read: 22P02"),
        (one(r#"{"row_count": 1, "rows": "%%%"}"#), "cannot be read: 22023"),
        (one(r#"{"row_count": 1, "error": "\u0000"}"#), "cannot be read: 22P05"),
        (rows("-1", b"[]"), "negative number"),
        (rows("1e400", b"[]"), "cannot be read: 22"),
        (rows("99999999999999999999", b"[]"), "cannot be read: 22"),
        (rows("0", b"[1]"), "more than were counted"),
        (rows("1", b"{}"), "no array"),
        (rows("1", b"7"), "no array"),
        (rows("1", b"[1"), "cannot store the rows: 22P02"),
        (rows("1", br#"["\u0000"]"#), "cannot store the rows: 22P05"),
        (rows("1", br#"["\ud800"]"#), "cannot store the rows: 22P02"),
        (rows("1", b"[1e200000]"), "cannot store the rows: 22003"),
        (rows("1", b"[\"\xff\"]"), "cannot store the rows: 22021"),
        (rows("1", nested.as_bytes()), "cannot store the rows: 54001"),
        (rows("1", long.as_bytes()), "result_bytes_max"),
        (one(format!(r#"{{"error": "{}"}}"#, "x".repeat(100_000))), "xxxx"),
        (one(r#"{"row_count": 1, "error": "é"}"#), ""),
    ]
}

async fn no_answer_for_a_result_changes_the_end_of_its_task<E: Engine>() {
    let server = FakeServer::start(move |received| {
        let text = received.query.clone().unwrap_or_default();
        let case = text.split("case number ").nth(1).and_then(|rest| rest.split('\'').next());
        match case.and_then(|case| case.parse::<usize>().ok()) {
            Some(case) => answers().swap_remove(case).0,
            None => Answer::Valid,
        }
    });
    let fixture = Fixture::<E>::led().await;
    let hostile = json!({ "target": "hostile", "connection_string": server.conninfo(), "max_workers": 4 });
    fixture.configure(&json!({ "targets": [fixture.there(&json!({})), hostile] })).await;
    for (case, (_, said)) in answers().into_iter().enumerate() {
        let push = "select async.push($1, 'hostile', keep_result => true)";
        let id = fixture.id(push, &[&format!("select 'case number {case}'")]).await;
        fixture.end_of(id).await.succeeded();
        let sql = "select rows is null and bytes is null and truncated and length(error) <= 1000, error
                   from async.result where task_id = $1";
        let row = &fixture.rows(sql, &[&id]).await[0];
        let error: String = row.get(1);
        assert!(row.get::<_, bool>(0) && error.contains(said), "case {case}, {said}: {error}");
    }
    let logged = format!(
        "select count(*) = {} from async.server_log where level = 'WARNING' and message like 'task %its rows are kept:%'",
        answers().len()
    );
    fixture.assert_holds(&logged).await;
    fixture.assert_holds("select not exists (select from async.server_log where message like 'stage %')").await;
    // The leader is as before.
    let id = fixture.id("select async.push('select 1 as n', 'there', keep_result => true)", &[]).await;
    fixture.end_of(id).await.succeeded();
    fixture.assert_holds(&format!("select rows = '[{{\"n\": 1}}]' from async.result where task_id = {id}")).await;
}

/// The query is run by a role whose search path has functions, operators and types that shadow those of
/// the text around it, and sets the setting in which the result travels.
async fn a_query_and_its_search_path_do_not_change_the_result<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .run_there(
            "create schema traps;
             create function traps.wrong() returns text language plpgsql as $$ begin raise exception 'trapped'; end $$;
             create function traps.to_jsonb(anyelement) returns jsonb language sql as 'select traps.wrong()::jsonb';
             create function traps.concat(text, text, text) returns text language sql as 'select traps.wrong()';
             create function traps.set_config(text, text, bool) returns text language sql as 'select traps.wrong()';
             create function traps.current_setting(text) returns text language sql as 'select traps.wrong()';
             create function traps.plus(bigint, int) returns bigint language sql as 'select traps.wrong()::bigint';
             create operator traps.+ (leftarg = bigint, rightarg = int, procedure = traps.plus);
             create domain traps.text as pg_catalog.int4;
             create domain traps.bool as pg_catalog.text;
             create domain traps.record as pg_catalog.text;",
        )
        .await;
    let name = fixture.target.name().to_owned();
    fixture.run_there(&format!("alter database {name} set search_path = traps, pg_catalog, public")).await;
    let query = "select pg_catalog.set_config('pgasync.result', 'forged', false) as set, n
                 from pg_catalog.generate_series(1, 2) n";
    let id = fixture.id("select async.push($1, 'there', keep_result => true)", &[&query]).await;
    fixture.end_of(id).await.succeeded();
    let expected = r#"select rows = '[{"n": 1, "set": "forged"}, {"n": 2, "set": "forged"}]' from async.result"#;
    fixture.assert_holds(expected).await;
    // The setting ends with the transaction, also of a session that is not reset.
    fixture.configure(&json!({ "targets": [fixture.there(&json!({ "session_reset": false }))] })).await;
    let query = "select coalesce(pg_catalog.current_setting('pgasync.result', true), '') as left_behind";
    let id = fixture.id("select async.push($1, 'there', keep_result => true)", &[&query]).await;
    fixture.end_of(id).await.succeeded();
    let expected = format!(r#"select rows = '[{{"left_behind": ""}}]' from async.result where task_id = {id}"#);
    fixture.assert_holds(&expected).await;
}

attacks!(no_answer_for_a_result_changes_the_end_of_its_task, a_query_and_its_search_path_do_not_change_the_result);
