//! Waiting for tasks, and restarting several.

use std::time::Duration;

use pgasync_tests::Engine;
use serde_json::json;

use super::clients::client_of;
use super::fixture::Fixture;

const ALL_ENDED: &str = "select not exists (select from async.task where processed is null)";

async fn a_wait_ends_with_the_last_task<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let ids: Vec<i64> = fixture
        .rows(
            "select task_id from async.push_many('[{\"query\": \"select pg_sleep(1)\", \"target\": \"there\"},
               {\"query\": \"select 1/0\", \"target\": \"there\"}, {\"query\": \"select 1\", \"target\": \"there\"}]')",
            &[],
        )
        .await
        .iter()
        .map(|row| row.get(0))
        .collect();
    let asked = vec![ids[2], ids[0], ids[1], ids[2]];
    let sql = "select task_id, finish_status::text from async.wait_for($1, '30 s')";
    let ended: Vec<(i64, String)> =
        fixture.rows(sql, &[&asked]).await.iter().map(|row| (row.get(0), row.get(1))).collect();
    let finished = |id: i64, status: &str| (id, status.to_owned());
    assert_eq!(ended, [finished(ids[2], "FINISHED"), finished(ids[0], "FINISHED"), finished(ids[1], "FAILED")]);
}

async fn a_wait_returns_at_its_timeout_what_has_ended<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let later = fixture.id("select async.push('select 1', 'there', run_at => '2100-01-01')", &[]).await;
    let now = fixture.push("select 1").await;
    fixture.end_of(now).await.succeeded();
    for timeout in ["'0.3 s'", "'0'", "'-1 s'", "null"] {
        let sql = format!(
            "select array_agg(task_id) = array[{now}::bigint] from async.wait_for('{{{later},{now}}}', {timeout})"
        );
        fixture.assert_holds(&sql).await;
    }
    fixture.assert_holds("select count(*) = 0 from async.wait_for('{}', '30 s')").await;
    fixture.assert_holds("select count(*) = 0 from async.wait_for(null, '30 s')").await;
}

async fn a_wait_that_cannot_end_is_refused<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let id = fixture.push("select 1").await;
    fixture.end_of(id).await.succeeded();
    assert_eq!(fixture.refused("select async.wait_for('{4711}')").await.0, "PA052");
    fixture.run("begin").await;
    let own = fixture.push("select 2").await;
    let (code, message) = fixture.refused(&format!("select async.wait_for('{{{id},{own}}}')")).await;
    assert_eq!((code.as_str(), message.contains(&format!("task {own} "))), ("PA053", true), "{message}");
    fixture.run("rollback").await;
    fixture.wait_for("select bool_and(tracked is not true) from async.task").await;
    fixture.run("begin").await;
    fixture.run(&format!("select async.restart_task({id})")).await;
    assert_eq!(fixture.refused(&format!("select async.wait_for('{{{id}}}')")).await.0, "PA053");
    fixture.run("rollback").await;
    fixture.run("begin isolation level repeatable read").await;
    assert_eq!(fixture.refused(&format!("select async.wait_for('{{{id}}}')")).await.0, "PA051");
    fixture.run("rollback").await;
}

async fn a_client_database_waits_on_its_server<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let (_scratch, client) = client_of(&fixture.database).await;
    let push = "select async.push('select pg_sleep(1.5)', 'there')";
    let id: i64 = client.query_one(push, &[]).await.expect("it pushes").get(0);
    let wait = "select task_id, finish_status::text from async.wait_for(array[$1::bigint], $2::text::interval)";
    assert_eq!(client.query(wait, &[&id, &"0.1 s"]).await.expect("it waits").len(), 0);
    let ended = client.query(wait, &[&id, &"30 s"]).await.expect("it waits");
    assert_eq!((ended[0].get::<_, i64>(0), ended[0].get::<_, &str>(1)), (id, "FINISHED"));
    let refused = client.query(wait, &[&4711_i64, &"30 s"]).await.expect_err("there is none");
    assert_eq!(refused.sqlstate(), Some("PA052"));
    fixture.wait_for("select bool_and(tracked is not true) from async.task").await;
    client.query("select async.restart(array[$1, $1]::bigint[])", &[&id]).await.expect("it restarts");
    assert_eq!(client.query(wait, &[&id, &"30 s"]).await.expect("it waits").len(), 1);
    fixture.assert_holds("select run = 2 from async.task").await;
}

async fn several_tasks_are_restarted_or_none<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .run("select async.push_tasks(array_agg(async.task('select 1', 'there'))) from generate_series(1, 1200)")
        .await;
    fixture.wait_for_within(ALL_ENDED, Duration::from_secs(90)).await;
    fixture.wait_for("select bool_and(tracked is not true) from async.task").await;
    fixture.configure(&json!({ "control": { "paused": true } })).await;
    let waiting = fixture.push("select 1").await;
    for (bad, code) in [(waiting.to_string(), "PA031"), ("4711".to_owned(), "PA030"), ("null".to_owned(), "PA030")] {
        let sql = format!(
            "select async.restart(array_agg(task_id) || {bad}::bigint) from async.task where processed is not null"
        );
        let (sqlstate, message) = fixture.refused(&sql).await;
        assert_eq!((sqlstate.as_str(), message.contains(&bad)), (code, true), "{message}");
    }
    fixture.assert_holds("select count(*) = 1200 from async.task where processed is not null").await;
    fixture.run("select async.restart(array_agg(task_id)) from async.task where processed is not null").await;
    fixture.assert_holds("select count(*) = 1201 from async.task where processed is null and consumed is null").await;
    fixture.configure(&json!({ "control": { "paused": false } })).await;
    fixture.wait_for_within(ALL_ENDED, Duration::from_secs(90)).await;
    // The other task may have been claimed before the pause, and given back.
    fixture
        .assert_holds(&format!(
            "select count(*) = 1200 from async.task where run >= 2 and not failed and task_id <> {waiting}"
        ))
        .await;
    fixture.run("select async.restart('{}'), async.restart(null)").await;
}

conformance!(
    a_wait_ends_with_the_last_task,
    a_wait_returns_at_its_timeout_what_has_ended,
    a_wait_that_cannot_end_is_refused,
    a_client_database_waits_on_its_server,
    several_tasks_are_restarted_or_none,
);
