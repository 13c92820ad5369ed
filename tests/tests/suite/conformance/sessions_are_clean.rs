//! Each task finds its session in the state of a new connection.

use pgasync_tests::Engine;
use serde_json::json;

use super::fixture::Fixture;

/// Runs `first`. Then a task in the same session, if the engine keeps the session, checks that
/// `finds` has the value of a new connection.
async fn leaves_nothing<E: Engine>(first: &str, finds: &str) {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "targets": [fixture.there(&json!({ "max_workers": 1 }))] })).await;
    for round in 0..3 {
        fixture.run_task(first).await.succeeded();
        let id = fixture.push(&format!("insert into ledger (mark) select coalesce(({finds})::text, 'null')")).await;
        fixture.end_of(id).await.succeeded();
        assert_eq!(fixture.target.marks("true").await, round + 1, "after {first}\n{}", fixture.dump().await);
    }
}

async fn settings_are_reset<E: Engine>() {
    leaves_nothing::<E>(
        "set work_mem = '7777kB'; select set_config('a.b', 'c', false)",
        "current_setting('work_mem') <> '7777kB' and coalesce(current_setting('a.b', true), '') = ''",
    )
    .await;
}

async fn the_search_path_is_reset<E: Engine>() {
    leaves_nothing::<E>("set search_path = pg_catalog, public", "current_setting('search_path') like '%user%'").await;
}

async fn roles_are_reset<E: Engine>() {
    leaves_nothing::<E>("set role pg_monitor", "current_user = session_user").await;
}

async fn the_session_s_role_is_reset<E: Engine>() {
    leaves_nothing::<E>("set session authorization pg_monitor", "session_user = 'postgres'").await;
}

async fn temporary_tables_are_gone<E: Engine>() {
    leaves_nothing::<E>("create temp table left_behind (n int)", "to_regclass('pg_temp.left_behind') is null").await;
}

async fn advisory_locks_are_released<E: Engine>() {
    leaves_nothing::<E>(
        "select pg_advisory_lock(42), pg_advisory_lock(42), pg_advisory_lock_shared(43)",
        "not exists (select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid())",
    )
    .await;
}

async fn prepared_statements_are_gone<E: Engine>() {
    leaves_nothing::<E>("prepare left_behind as select 1", "not exists (select from pg_prepared_statements)").await;
}

async fn listens_are_gone<E: Engine>() {
    leaves_nothing::<E>("listen left_behind", "not exists (select from pg_listening_channels())").await;
}

async fn cursors_are_gone<E: Engine>() {
    leaves_nothing::<E>(
        "declare left_behind cursor with hold for select 1",
        "not exists (select from pg_cursors where name = 'left_behind')",
    )
    .await;
}

async fn sequences_are_forgotten<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "targets": [fixture.there(&json!({ "max_workers": 1 }))] })).await;
    fixture.run_there("create sequence s").await;
    fixture.run_task("select nextval('s')").await.succeeded();
    let error = fixture.run_task("select currval('s')").await.is("FAILED").expect("an error message");
    assert!(error.starts_with("55000"), "{error}");
}

async fn a_failed_task_leaves_nothing_either<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "targets": [fixture.there(&json!({ "max_workers": 1 }))] })).await;
    fixture
        .run_task("set work_mem = '7777kB'; commit; select pg_advisory_lock(42); commit; select 1/0")
        .await
        .is("FAILED");
    let id = fixture
        .push(
            "insert into ledger (mark) select (current_setting('work_mem') <> '7777kB' and not exists (
                select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()))::text",
        )
        .await;
    fixture.end_of(id).await.succeeded();
    assert_eq!(fixture.target.marks("true").await, 1);
}

async fn without_session_reset_a_target_s_sessions_are_kept_as_they_are<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    fixture
        .configure(&json!({ "targets": [fixture.there(&json!({ "max_workers": 1, "session_reset": false }))] }))
        .await;
    let mut fixture = fixture;
    fixture.engine.lead().await;
    for _ in 0..5 {
        fixture.run_task("insert into ledger (mark) values ('x')").await.succeeded();
    }
    // Without a reset, the second task runs in the same session and sees the settings of the first.
    fixture.run_task("select set_config('a.b', 'kept', false)").await.succeeded();
    fixture.run_task("insert into ledger (mark) select current_setting('a.b', true)").await.succeeded();
    assert_eq!(fixture.number_there("select count(distinct pid) from ledger").await, 1);
    assert_eq!(fixture.target.marks("kept").await, 1);
}

async fn sessions_are_kept_and_reused<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "targets": [fixture.there(&json!({ "max_workers": 1 }))] })).await;
    for _ in 0..8 {
        fixture.run_task("insert into ledger (mark) values ('x')").await.succeeded();
    }
    assert_eq!(fixture.number_there("select count(distinct pid) from ledger").await, 1);
}

async fn targets_see_the_name_of_each_session<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let id = fixture.push("insert into ledger (mark) select current_setting('application_name')").await;
    fixture.end_of(id).await.succeeded();
    let name = "select mark from ledger";
    let name: String = fixture.target.session().query_one(name, &[]).await.expect("a ledger").get(0);
    let parts: Vec<_> = name.split('/').collect();
    let server = fixture.text("select server_id from async.leader").await;
    let election = fixture.text("select epoch || '.' || nonce from async.election").await;
    assert_eq!(parts.len(), 4, "{name}");
    assert_eq!((parts[0], Some(parts[1]), Some(parts[2])), ("pgasync", server.as_deref(), election.as_deref()));
}

conformance!(
    settings_are_reset,
    the_search_path_is_reset,
    roles_are_reset,
    the_session_s_role_is_reset,
    temporary_tables_are_gone,
    advisory_locks_are_released,
    prepared_statements_are_gone,
    listens_are_gone,
    cursors_are_gone,
    sequences_are_forgotten,
    a_failed_task_leaves_nothing_either,
    without_session_reset_a_target_s_sessions_are_kept_as_they_are,
    sessions_are_kept_and_reused,
    targets_see_the_name_of_each_session,
);
