//! A target that leads to the server database itself, as a member of its owner.

use pgasync_tests::Engine;
use serde_json::json;

use super::role::{Role, code, expect, run};
use crate::conformance::fixture::Fixture;
use crate::conformance::link::Link;

const ROB: &str = "create table robbed ()";

fn push(query: &str, target: &str) -> String {
    format!("select async.push_task(async.task('{query}', '{target}'))")
}

/// The targets `there` and `mirror`, which leads to this very database by a connection string.
async fn configure<E: Engine>(fixture: &Fixture<E>, mirror: &str) {
    let mirror = json!({ "target": "mirror", "connection_string": mirror });
    fixture.configure(&json!({ "targets": [fixture.there(&json!({})), mirror] })).await;
}

/// The same while an engine leads. A cycle that began before the change may still launch at the old
/// address.
async fn reconfigure<E: Engine>(fixture: &Fixture<E>, mirror: &str) {
    configure(fixture, mirror).await;
    fixture.run("select async.wait_for_latch()").await;
}

async fn assert_refused<E: Engine>(fixture: &Fixture<E>, task: i64) {
    let error = fixture.end_of(task).await.is("FAILED").expect("a message");
    assert!(error.starts_with("PA082: the target leads to the server itself"), "{error}");
    fixture.assert_holds("select to_regclass('public.robbed') is null").await;
}

async fn a_target_that_leads_to_the_server_itself_counts_as_the_server_itself<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    // A proxy hides the address.
    let link = Link::to(&fixture).await;
    configure(&fixture, &link.conninfo()).await;
    let client = Role::client(&fixture, "client", "null").await;
    let session = client.connect(&fixture).await;
    let id = session.query_one(&push(ROB, "mirror"), &[]).await.expect("nobody has been there").get(0);
    fixture.engine.lead().await;
    assert_refused(&fixture, id).await;

    // It is known now.
    fixture.assert_holds("select array_agg(target) = '{mirror}' from async.target_at_self").await;
    expect("mirror", code(&session, &push(ROB, "mirror")).await.as_deref(), Some("PA082"));
    expect("there", code(&session, &push("select 1", "there")).await.as_deref(), None);
    client.grant(&fixture, "'{mirror}'").await;
    expect("mirror by name", code(&session, &push(ROB, "mirror")).await.as_deref(), Some("PA082"));
    client.grant(&fixture, "'{SELF}'").await;
    expect("SELF alone", code(&session, &push(ROB, "mirror")).await.as_deref(), Some("PA082"));
    client.grant(&fixture, "'{*,SELF}'").await;
    let id = session.query_one(&push("select 1", "mirror"), &[]).await.expect("it was granted").get(0);
    fixture.end_of(id).await.succeeded();
    let id = fixture.push_as("'create table by_the_owner ()', 'mirror'").await;
    fixture.end_of(id).await.succeeded();
    fixture.assert_holds("select to_regclass('public.by_the_owner') is not null").await;

    // The name leads elsewhere: what was seen under the other string says nothing.
    client.grant(&fixture, "null").await;
    reconfigure(&fixture, &fixture.target.conninfo()).await;
    let id = session.query_one(&push("select 1", "mirror"), &[]).await.expect("it leads elsewhere").get(0);
    fixture.end_of(id).await.succeeded();
    fixture.wait_for("select count(*) = 0 from async.target_at_self").await;
    // And back, by a string that was not seen before: a task that was accepted is refused when it is
    // to be launched.
    reconfigure(&fixture, &fixture.conninfo()).await;
    let id = session.query_one(&push(ROB, "mirror"), &[]).await.expect("it was not seen there").get(0);
    assert_refused(&fixture, id).await;
    client.drop_from(&[&fixture]).await;
}

async fn a_restart_counts_as_a_push_of_the_role_that_restarts<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    configure(&fixture, &fixture.conninfo()).await;
    let of_owner: i64 = fixture.id(&format!("select async.push_task(async.task('{ROB}', 'mirror'), 'DOA')"), &[]).await;
    let client = Role::client(&fixture, "client", "null").await;
    let session = client.connect(&fixture).await;
    let restart = format!("select async.restart_task({of_owner})");
    run(&session, &restart).await;
    fixture.engine.lead().await;
    assert_refused(&fixture, of_owner).await;
    fixture.wait_for("select bool_and(tracked is not true) from async.task").await;
    expect(&restart, code(&session, &restart).await.as_deref(), Some("PA082"));
    // The owner may.
    fixture.run(&restart).await;
    fixture.end_of(of_owner).await.succeeded();
    fixture.assert_holds("select to_regclass('public.robbed') is not null").await;
    client.drop_from(&[&fixture]).await;
}

async fn a_target_at_this_database_without_the_owner_s_rights_is_like_any_other<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    let weak = Role::create(&fixture, "weak").await;
    configure(&fixture, &fixture.conninfo().replace("user=postgres", &format!("user={}", weak.0))).await;
    let client = Role::client(&fixture, "client", "null").await;
    let session = client.connect(&fixture).await;
    fixture.engine.lead().await;
    for _ in 0..2 {
        let id = session.query_one(&push("select 1", "mirror"), &[]).await.expect("it was granted").get(0);
        fixture.end_of(id).await.succeeded();
    }
    fixture.assert_holds("select count(*) = 0 from async.target_at_self").await;
    fixture.engine.stop().await;
    for role in [client, weak] {
        role.drop_from(&[&fixture]).await;
    }
}

attacks!(
    a_target_that_leads_to_the_server_itself_counts_as_the_server_itself,
    a_restart_counts_as_a_push_of_the_role_that_restarts,
    a_target_at_this_database_without_the_owner_s_rights_is_like_any_other,
);
