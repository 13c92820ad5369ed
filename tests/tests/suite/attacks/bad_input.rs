//! Input that Postgres refuses, and tasks that remove what the engine works with.

use pgasync_tests::{Engine, Outcome};

use super::role::{Role, code, expect};
use crate::conformance::fixture::Fixture;

async fn texts_that_are_no_texts_are_refused_and_delay_nobody<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let client = Role::client(&fixture, "client", "null").await;
    let session = client.connect(&fixture).await;
    for (sql, expected) in [
        ("select async.push_task(async.task(e'select ''a\\x00b''', 'there'))", Some("22021")),
        ("select async.push_task(async.task(e'select ''\\xff''', 'there'))", Some("22021")),
        ("select async.push_task(async.task(e'select ''\\xed\\xa0\\x80''', 'there'))", Some("22021")),
        ("select async.push_task(async.task('select 1', e'th\\xc3ere'))", Some("22021")),
        ("select async.finish('{1}', 'FAILED', e'\\xff')", Some("22021")),
        ("select async.push_task(async.task('select 1', 'there', in_task_data => '\"\\u0000\"'))", None),
        ("select async.push_task(async.task(U&'select ''\\FFFE\\+10FFFF''', 'there'))", None),
        ("select async.push_task(async.task(U&'select \\2028 1', 'there'))", None),
    ] {
        let found = code(&session, sql).await;
        if expected.is_some() {
            expect(sql, found.as_deref(), expected);
        }
    }
    fixture.wait_until_finished().await;
    fixture.run_task("select 1").await.succeeded();
    client.drop_from(&[&fixture]).await;
}

/// Only the owner can push it. The engine ends instead of waiting for tables that do not come back.
async fn a_task_that_drops_the_schema_ends_the_engine<E: Engine>() {
    let mut fixture = Fixture::<E>::led().await;
    let running = fixture.push("select pg_sleep(600)").await;
    fixture.wait_until(running, "RUNNING").await;
    fixture.push_as("'drop schema async cascade', 'SELF'").await;
    let outcome = fixture.engine.wait_until_ended().await;
    if let Outcome::Failed(error) = &outcome {
        assert!(error.contains("async"), "{error}");
    }
    fixture.assert_holds("select to_regnamespace('async') is null").await;
}

attacks!(texts_that_are_no_texts_are_refused_and_delay_nobody, a_task_that_drops_the_schema_ends_the_engine,);
