//! A database with the client part forwards all calls to its server.

use pgasync_store::{SchemaPart, install};
use pgasync_tests::{Database, Engine, Scratch};

use super::fixture::{Fixture, SOON};

/// A client of the fixture's server, and a session in it.
pub(super) async fn client_of(database: &Database) -> (Scratch, pgasync_pg::Session) {
    let scratch = Scratch::empty(database.cluster()).await;
    let session = scratch.connect().await;
    install(&session, SchemaPart::Client).await.expect("it installs");
    session.query("select async.server($1)", &[&database.conninfo()]).await.expect("an administrator sets it");
    (scratch, session)
}

async fn every_call_is_forwarded<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let (_scratch, client) = client_of(&fixture.database).await;
    client
        .batch_execute(&format!(
            "select async.configure('{{\"targets\": [{{\"target\": \"there\", \"connection_string\": \"{}\"}},
                {{\"target\": \"pulled\", \"asynchronous_finish\": true}}]}}')",
            fixture.target.conninfo()
        ))
        .await
        .expect("it configures");
    let rows = client
        .query(
            "select task_id, query from async.push_tasks(array(
                select async.task('select ' || n, 'there', manual_timeout => '1 mon 2 days 03:04:05')
                from generate_series(1, 5) n), _source => 'afar')",
            &[],
        )
        .await
        .expect("it pushes");
    let queries: Vec<&str> = rows.iter().map(|row| row.get(1)).collect();
    assert_eq!(queries, ["select 1", "select 2", "select 3", "select 4", "select 5"]);
    fixture.wait_until_finished().await;
    fixture.assert_holds(
        "select bool_and(source = 'afar' and manual_timeout = '1 mon 2 days 03:04:05' and not failed) from async.task",
    )
    .await;
    let first: i64 = rows[0].get(0);
    fixture.wait_for("select bool_and(tracked is not true) from async.task").await;
    client.query("select async.restart_task($1)", &[&first]).await.expect("it restarts");
    fixture.end_of(first).await.succeeded();

    let one = "select async.push_task(async.task($1, 'there'))";
    let slow: i64 = client.query_one(one, &[&"select pg_sleep(25)"]).await.expect("it pushes").get(0);
    client.query("select async.defer(array[$1::bigint], '1 hour')", &[&slow]).await.expect("it defers");
    fixture.wait_for(&format!("select eligible_when is not null from async.task where task_id = {slow}")).await;
    client.query("select async.cancel(array[$1::bigint], 'from afar')", &[&slow]).await.expect("it cancels");
    assert_eq!(fixture.end_within(slow, SOON).await.is("CANCELED").as_deref(), Some("from afar"));
    client.batch_execute("select async.push_task(async.task(null, 'pulled'))").await.expect("it pushes");
    let pulled: i64 =
        client.query_one("select task_id from async.get_tasks('pulled')", &[]).await.expect("it pulls").get(0);
    client.query("select async.finish(array[$1::bigint], 'FINISHED', null)", &[&pulled]).await.expect("it finishes");
    client.batch_execute("select async.wait_for_latch()").await.expect("the latch opens");
    fixture.end_of(pulled).await.succeeded();
}

async fn the_server_s_errors_and_warnings_come_back_as_they_are<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let (_scratch, client) = client_of(&fixture.database).await;
    for (sql, code) in [
        ("select async.push_task(async.task('select 1', 'nowhere'))", "PA011"),
        ("select async.configure('{\"x\": 1}')", "PA060"),
        ("select async.restart_task(99)", "PA030"),
        ("select async.get_tasks('there')", "PA040"),
        ("select async.finish(array[1], null, null)", "PA020"),
    ] {
        let error = client.batch_execute(sql).await.expect_err(sql);
        assert_eq!(error.sqlstate(), Some(code), "{sql}: {error:?}");
    }
}

async fn a_forwarded_call_commits_on_its_own<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let (_scratch, client) = client_of(&fixture.database).await;
    client
        .batch_execute("begin; select async.push_task(async.task('select 1', 'there')); rollback")
        .await
        .expect("it pushes");
    fixture.wait_for("select count(*) = 1 and bool_and(finish_status = 'FINISHED') from async.task").await;
}

#[tokio::test]
async fn without_a_server_calls_are_refused_with_a_reason() {
    let database = Database::create().await;
    let scratch = Scratch::empty(database.cluster()).await;
    let client = scratch.connect().await;
    install(&client, SchemaPart::Client).await.expect("it installs");
    let push = "select async.push_task(async.task('select 1', 'SELF'))";
    let code = async |sql: &str| {
        let error = client.batch_execute(sql).await.expect_err(sql);
        error.sqlstate().map(ToOwned::to_owned)
    };
    assert_eq!(code(push).await.as_deref(), Some("PA002"));
    assert_eq!(code("select async.server('nonsense')").await.as_deref(), Some("PA001"));
    client.query("select async.server($1)", &[&super::link::refused_conninfo()]).await.expect("it is set");
    let error = client.batch_execute(push).await.expect_err(push);
    assert_eq!(error.sqlstate(), Some("PA003"));
    assert!(!format!("{error:?}").contains("secret"));
}

conformance!(
    every_call_is_forwarded,
    the_server_s_errors_and_warnings_come_back_as_they_are,
    a_forwarded_call_commits_on_its_own,
);
