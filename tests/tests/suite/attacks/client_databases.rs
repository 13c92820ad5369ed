//! A client database checks the grants of its own callers; the server those of the role that it
//! forwards them as.

use pgasync_pg::Session;
use pgasync_store::{SchemaPart, install};
use pgasync_tests::{Database, Scratch};
use serde_json::json;

use super::role::{Role, code, expect, run};

fn push(target: &str) -> String {
    format!("select async.push_task(async.task('select 1', '{target}'))")
}

/// A server with the targets `there`, `other` and `pulled`, and a client database that reaches it as
/// `role`.
async fn server_and_client(role: &str) -> (Database, Scratch, Session) {
    let server = Database::create().await;
    let target = |name: &str| json!({ "target": name, "connection_string": "host=127.0.0.1 port=1" });
    let pulled = json!({ "target": "pulled", "asynchronous_finish": true });
    server.configure(&json!({ "targets": [target("there"), target("other"), pulled] })).await;
    let client = Scratch::empty(server.cluster()).await;
    let owner = client.connect().await;
    install(&owner, SchemaPart::Client).await.expect("it installs");
    let conninfo = server.conninfo().replace("user=postgres", &format!("user={role}"));
    owner.query("select async.server($1)", &[&conninfo]).await.expect("it is set");
    (server, client, owner)
}

/// The client database connects as the owner of the server, so the server refuses nothing by itself.
#[tokio::test]
async fn a_client_database_checks_its_own_grants() {
    let (server, client, owner) = server_and_client("postgres").await;
    server.run("select async.push_task(async.task('select 1', 'SELF'), 'DOA')").await;
    server.run("select async.push_task(async.task('select 1', 'there'), 'DOA')").await;
    let role = Role::client(&client, "client", "'{there}'").await;
    let session = role.connect(&client).await;
    let pull = |target: &str| format!("select * from async.get_tasks('{target}', 1, '0')");
    let restart = |task: i64| format!("select async.restart_task({task})");
    let expected = [
        (
            "'{there}'",
            vec![(push("there"), true), (push("other"), false), (restart(1), false), (pull("pulled"), false)],
        ),
        // The server knows other names of its own than SELF.
        ("null", vec![(push("other"), true), (push("self"), false), (push("async.self"), false), (restart(1), false)]),
        ("'{pulled}'", vec![(pull("pulled"), true), (pull("async.self"), false), (restart(2), false)]),
        ("'{there}'", vec![(restart(2), true)]),
        (
            "'{SELF}'",
            vec![(push("async.self"), false), (push("SELF"), true), (push("there"), false), (restart(1), true)],
        ),
    ];
    for (grant, calls) in expected {
        role.grant(&client, grant).await;
        for (sql, granted) in calls {
            let refusal = Some("PA082").filter(|_| !granted);
            expect(&format!("{grant}: {sql}"), code(&session, &sql).await.as_deref(), refusal);
        }
    }
    run(&owner, &push("async.self")).await;
    role.drop_from(&[&client]).await;
}

#[tokio::test]
async fn the_server_checks_the_grants_of_the_role_that_forwards() {
    let (server, client, owner) = server_and_client("postgres").await;
    let forwarding = Role::client(&server, "forwarding", "'{there}'").await;
    let conninfo = server.conninfo().replace("user=postgres", &format!("user={}", forwarding.0));
    owner.query("select async.server($1)", &[&conninfo]).await.expect("it is set");
    let role = Role::client(&client, "client", "'{*,SELF}'").await;
    let session = role.connect(&client).await;
    for session in [&session, &owner] {
        for (target, expected) in [("there", None), ("other", Some("PA082")), ("SELF", Some("PA082"))] {
            expect(target, code(session, &push(target)).await.as_deref(), expected);
        }
    }
    server
        .assert_holds(&format!("select count(*) = 2 and bool_and(pushed_by = '{}') from async.task", forwarding.0))
        .await;
    role.drop_from(&[&client]).await;
    forwarding.drop_from(&[&server]).await;
}

#[tokio::test]
async fn an_administrator_of_a_client_database_is_not_the_owner_of_its_server() {
    let (_server, client, owner) = server_and_client("postgres").await;
    let admin = Role::create(&client, "admin").await;
    run(&owner, &format!("select async.grant_admin('{}')", admin.0)).await;
    let session = admin.connect(&client).await;
    let routine = "select async.configure('{\"control\": {\"loop_routines\": [\"x()\"]}}')";
    expect(routine, code(&session, routine).await.as_deref(), Some("PA084"));
    run(&session, "select async.configure('{\"control\": {\"workers\": 3}}')").await;
    expect("SELF", code(&session, &push("SELF")).await.as_deref(), Some("PA082"));
    run(&owner, routine).await;
    admin.drop_from(&[&client]).await;
}

/// A transaction that writes nothing here may push there.
#[tokio::test]
async fn a_read_only_transaction_of_a_client_database_pushes() {
    let (server, _client, owner) = server_and_client("postgres").await;
    run(&owner, &format!("begin read only; {}; commit", push("there"))).await;
    server.assert_holds("select count(*) = 1 from async.task").await;
}
