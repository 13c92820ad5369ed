//! `async.run`: pushes, commits, waits, and returns the rows or raises the error of the task.

use std::time::Duration;

use pgasync_pg::{Notice, Session};
use pgasync_tests::Engine;
use serde_json::{Value, json};

use super::clients::client_of;
use super::fixture::Fixture;

async fn run_in(session: &Session, call: &str) -> Option<Value> {
    session.query_one(call, &[]).await.unwrap_or_else(|error| panic!("{call}\n{error:?}")).get(0)
}

/// The SQLSTATE and the message of a call that fails.
async fn refused(session: &Session, call: &str) -> (String, String) {
    let error = session.batch_execute(call).await.expect_err(call);
    (error.sqlstate().unwrap_or_else(|| panic!("{call}: {error:?}")).to_owned(), error.to_string())
}

async fn the_rows_of_the_task_are_returned<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let session = fixture.connect().await;
    let rows = run_in(&session, "call async.run('select n from generate_series(1, 2) n', 'there')").await;
    assert_eq!(rows, Some(json!([{"n": 1}, {"n": 2}])));
    // Longer than one of its waits.
    let rows = run_in(&session, "call async.run('select 1 as n from pg_sleep(2.5)', 'there', source => 'run')").await;
    assert_eq!(rows, Some(json!([{"n": 1}])));
    assert_eq!(run_in(&session, "call async.run('select 1', 'there', keep_result => false)").await, None);
    fixture.assert_holds("select count(*) = 3 and bool_or(source = 'run') from async.task").await;
    // A block at the top level may commit.
    let block = "do $$ declare v jsonb; begin call async.run('select 3 as n', 'there', _result => v);
        if v <> '[{\"n\": 3}]' then raise exception '%', v; end if; end $$";
    session.batch_execute(block).await.expect("it runs");
    fixture.assert_holds("select count(*) = 4 from async.task").await;
}

async fn the_error_of_the_task_is_raised<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let session = fixture.connect().await;
    for (call, code, message) in [
        ("call async.run('select 1 / 0', 'there')", "22012", "division by zero"),
        (
            "call async.run('do $x$ begin raise exception ''no'' using errcode = ''ABC12'', detail = ''why''; end $x$',
            'there')",
            "ABC12",
            "no",
        ),
        ("call async.run('select pg_sleep(60)', 'there', timeout => '0.2 s')", "PA055", "is TIMED_OUT"),
        ("call async.run('select 1; select 2', 'there')", "PA01K", "several statements"),
        ("call async.run('select 1', 'nowhere')", "PA011", "nowhere"),
    ] {
        let (sqlstate, text) = refused(&session, call).await;
        assert_eq!(sqlstate, code, "{call}: {text}");
        assert!(text.contains(message), "{call}: {text}");
    }
    // The session is in no transaction.
    session.batch_execute("vacuum async.client_control").await.expect("it may");
    fixture.assert_holds("select count(*) = 3 from async.task").await;
}

async fn a_caller_that_cannot_commit_is_told_before_anything_is_pushed<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let session = fixture.connect().await;
    let call = "call async.run('select 1', 'there')";
    let nested = "call async.run('select 1', 'there', _result => v)";
    session
        .batch_execute(&format!(
            "create function inside() returns void language plpgsql as $f$
             declare v jsonb; begin {nested}; end $f$;
             create procedure nested() language plpgsql as $p$
             declare v jsonb; begin {nested}; exception when others then raise; end $p$;"
        ))
        .await
        .expect("it creates them");
    for (before, call, code) in [
        ("begin", call, "PA054"),
        ("begin; insert into public.work values (1)", call, "PA054"),
        ("", "select public.inside()", "PA054"),
        ("", "begin; call async.run('select 1', 'there'); commit", "PA054"),
        ("set default_transaction_isolation = 'repeatable read'", call, "PA051"),
    ] {
        fixture.run("create table if not exists public.work (n int)").await;
        session.batch_execute(before).await.expect("it begins");
        let (sqlstate, text) = refused(&session, call).await;
        assert_eq!(sqlstate, code, "{before}; {call}: {text}");
        let _ = session.batch_execute("rollback; reset default_transaction_isolation").await;
    }
    let (_, text) = refused(&session, "select public.inside()").await;
    assert!(text.contains("needs autocommit"), "{text}");
    // A block with a handler around the call may not commit either. The majors differ in when they say so.
    let (code, text) = refused(&session, "call public.nested()").await;
    assert!(["PA054", "2D000"].contains(&code.as_str()), "{code}: {text}");
    fixture.assert_holds("select count(*) = 0 from async.task").await;
}

async fn the_task_of_a_canceled_caller_goes_on<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let caller = "set statement_timeout = '1500ms'; call async.run('select 5 as n from pg_sleep(3)', 'there')";
    let (first, second) = caller.split_once("; ").expect("two statements");
    let session = fixture.connect().await;
    session.batch_execute(first).await.expect("it sets it");
    assert_eq!(refused(&session, second).await.0, "57014");
    let id = fixture.id("select task_id from async.task", &[]).await;
    fixture.end_within(id, Duration::from_secs(30)).await.succeeded();
    fixture.assert_holds("select rows = '[{\"n\": 5}]' from async.result").await;

    let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
    let keep = move |notice| {
        if let Notice::Message { text, .. } = notice {
            drop(sender.send(text));
        }
    };
    let session = fixture.settings().connect_with(keep).await.expect("it connects");
    session.batch_execute(first).await.expect("it sets it");
    assert_eq!(refused(&session, second).await.0, "57014");
    let id = fixture.id("select max(task_id) from async.task", &[]).await;
    let told = received.recv().await.expect("a notice");
    assert!(told.starts_with(&format!("task {id} goes on: ")), "{told}");
}

async fn missing_rows_are_told<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "control": { "result_bytes_max": 1024 } })).await;
    let session = fixture.connect().await;
    let call = "call async.run('select repeat(''x'', 500) as x from generate_series(1, 5)', 'there')";
    let rows = run_in(&session, call).await.expect("some rows");
    assert_eq!(rows.as_array().map(Vec::len), Some(2));
    let messages = fixture.messages_of(call).await;
    assert!(messages.iter().any(|text| text.contains("only 2 of 5 rows")), "{messages:?}");
}

async fn a_client_database_runs_at_its_server<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let (_scratch, client) = client_of(&fixture.database).await;
    assert_eq!(run_in(&client, "call async.run('select 1 as n', 'there')").await, Some(json!([{"n": 1}])));
    assert_eq!(refused(&client, "call async.run('select 1 / 0', 'there')").await.0, "22012");
    client.batch_execute("begin").await.expect("it begins");
    assert_eq!(refused(&client, "call async.run('select 1', 'there')").await.0, "PA054");
    client.batch_execute("rollback").await.expect("it ends");
    fixture.assert_holds("select count(*) = 2 from async.task").await;
}

conformance!(
    the_rows_of_the_task_are_returned,
    the_error_of_the_task_is_raised,
    a_caller_that_cannot_commit_is_told_before_anything_is_pushed,
    the_task_of_a_canceled_caller_goes_on,
    missing_rows_are_told,
    a_client_database_runs_at_its_server,
);
