//! State that a task leaves in its session must not affect another task.

use pgasync_tests::{Engine, Scratch};
use serde_json::json;

use crate::conformance::fixture::Fixture;

/// A fixture in which all tasks at `there` run in one session.
async fn led_with_one_session<E: Engine>() -> Fixture<E> {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "targets": [fixture.there(&json!({ "max_workers": 1 }))] })).await;
    fixture
}

/// DISCARD ALL does not close dblink connections.
async fn dblink_connections_of_a_task_are_closed_before_the_next<E: Engine>() {
    let fixture = led_with_one_session::<E>().await;
    fixture.run_there("create schema \"Odd \"\"one\"; create extension dblink schema \"Odd \"\"one\"").await;
    let conninfo = fixture.target.conninfo();
    let connect = format!("\"Odd \"\"one\".dblink_connect('left', '{conninfo}')");
    let queries = [
        format!("insert into ledger (mark) select {connect}"),
        format!("create table made as select {connect}"),
        format!("do $do$ begin perform {connect}; end $do$; insert into ledger (mark) values ('script')"),
    ];
    for query in queries {
        fixture.run_task(&query).await.succeeded();
        let check =
            "insert into ledger (mark) select coalesce(array_to_string(\"Odd \"\"one\".dblink_get_connections(), ','),
            'none')";
        fixture.run_task(check).await.succeeded();
    }
    assert_eq!(fixture.target.marks("none").await, 3);
    // The session was kept, and the backends of the connections are gone.
    assert_eq!(fixture.number_there("select count(distinct pid) from ledger").await, 1);
    fixture
        .wait_for(&format!(
            "select count(*) = 0 from pg_stat_activity where datname = '{}' and application_name not like 'pgasync%'
             and pid <> pg_backend_pid() and query = '' and backend_type = 'client backend'",
            fixture.target.name()
        ))
        .await;
}

/// The extension is created while a session with the target is open.
async fn dblink_connections_are_closed_although_the_session_is_older_than_the_extension<E: Engine>() {
    let fixture = led_with_one_session::<E>().await;
    fixture.run_task("select 1").await.succeeded();
    fixture.run_there("create extension dblink").await;
    let conninfo = fixture.target.conninfo();
    fixture.run_task(&format!("select dblink_connect('left', '{conninfo}')")).await.succeeded();
    let check = "do $$ begin if dblink_get_connections() is not null then raise 'left behind'; end if; end $$";
    fixture.run_task(check).await.succeeded();
}

/// A reset sets `client_encoding` to its value at the start of the connection.
async fn every_task_of_a_session_at_a_target_with_another_encoding_uses_the_encoding_of_the_server<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let latin = Scratch::encoded(fixture.cluster(), "LATIN1").await;
    let latin_session = latin.connect().await;
    latin_session
        .batch_execute("create table ledger (mark text, pid int default pg_backend_pid())")
        .await
        .expect("it is new");
    let target = json!({ "target": "latin", "connection_string": latin.conninfo(), "max_workers": 1 });
    fixture.configure(&json!({ "targets": [target] })).await;
    for query in [
        "insert into ledger (mark) values ('é')",
        "insert into ledger (mark) values ('é')",
        "create table made as select 'é'::text as mark",
        "set client_encoding = 'LATIN1'",
        "insert into ledger (mark) values ('é')",
    ] {
        let id = fixture.id("select async.push_task(async.task($1, 'latin'))", &[&query]).await;
        fixture.end_of(id).await.succeeded();
    }
    let row = latin_session
        .query_one(
            "select count(*), count(*) filter (where ascii(mark) = 233 and length(mark) = 1),
             (select count(*) from made where ascii(mark) = 233 and length(mark) = 1)
             from ledger",
            &[],
        )
        .await
        .expect("the ledger is readable");
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1), row.get::<_, i64>(2)), (3, 3, 1));
    let id = fixture.push_as("'select 1/0 as \"é\"', 'latin'").await;
    fixture.end_of(id).await.is("FAILED");
    latin_session.close().await;
}

async fn a_pool_of_any_name_runs<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    for name in ["''", "' '", "E'\\n'", "'*'"] {
        let id = fixture.push_as(&format!("'select 1', 'there', concurrency_pool => {name}")).await;
        fixture.end_of(id).await.succeeded();
    }
    fixture.wait_until_no_slot_is_taken().await;
}

attacks!(
    dblink_connections_of_a_task_are_closed_before_the_next,
    dblink_connections_are_closed_although_the_session_is_older_than_the_extension,
    every_task_of_a_session_at_a_target_with_another_encoding_uses_the_encoding_of_the_server,
    a_pool_of_any_name_runs,
);
