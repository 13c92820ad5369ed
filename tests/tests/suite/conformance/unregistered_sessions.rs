//! Sessions at a target that have the id of this server and are not in its registry. A nonce that
//! no election of this server drew proves a copy of the server.

use pgasync_pg::Session;
use pgasync_tests::{Engine, Outcome};

use super::fixture::Fixture;

/// A session with the name of the last epoch, and the nonce that the expression `nonce` returns.
async fn unregistered<E: Engine>(fixture: &mut Fixture<E>, nonce: &str) -> Session {
    fixture.engine.lead().await;
    assert_eq!(fixture.engine.stop().await, Outcome::Returned);
    let name = fixture
        .text(&format!(
            "select concat_ws('/', 'pgasync', l.server_id, l.epoch || '.' || {nonce}, 77)
             from async.leader l join async.election e using (epoch)"
        ))
        .await;
    let settings = fixture.target.settings().with_application_name(&name.expect("the server has an id"));
    settings.connect().await.expect("the target takes sessions")
}

/// A physical copy continues with the same epoch.
async fn a_session_of_a_copied_server_blocks_the_leader_at_its_target<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    let other = unregistered(&mut fixture, "'0badc0de'").await;
    fixture.engine.lead().await;
    let id = fixture.push("select 1").await;
    fixture.wait_for("select exists (select from async.server_log where message like '%PA210%')").await;
    fixture.assert_holds(&format!("select consumed is null from async.task where task_id = {id}")).await;
    other.close().await;
    fixture.wait_for(&format!("select finish_status = 'FINISHED' from async.task where task_id = {id}")).await;
}

/// The leader was lost before it registered the session, so nothing ran there.
async fn an_unregistered_session_with_a_known_nonce_blocks_no_leader<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    let other = unregistered(&mut fixture, "e.nonce").await;
    other.batch_execute("select 1").await.expect("it runs");
    fixture.engine.lead().await;
    let id = fixture.push("select 1").await;
    fixture.wait_for(&format!("select finish_status = 'FINISHED' from async.task where task_id = {id}")).await;
    fixture.assert_holds("select not exists (select from async.server_log where message like '%PA210%')").await;
    other.close().await;
}

/// Any role may give its session any name.
async fn a_session_name_forged_by_another_role_blocks_no_leader<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    unregistered(&mut fixture, "e.nonce").await.close().await;
    let role = format!("forger_{}", fixture.target.name());
    fixture.run(&format!("create role {role} login")).await;
    let server_id = fixture.text("select server_id from async.leader").await.expect("the server has an id");
    let name = format!("pgasync/{server_id}/1.0badc0de/1");
    let conninfo = fixture.target.conninfo().replace("user=postgres", &format!("user={role}"));
    let settings =
        pgasync_pg::ConnectionSettings::of_target(&conninfo).expect("it is fine").with_application_name(&name);
    let forged = settings.connect().await.expect("the target takes sessions");
    fixture.engine.lead().await;
    fixture.run_task("select 1").await.succeeded();
    forged.close().await;
    fixture.run(&format!("drop role {role}")).await;
}

conformance!(
    a_session_of_a_copied_server_blocks_the_leader_at_its_target,
    an_unregistered_session_with_a_known_nonce_blocks_no_leader,
    a_session_name_forged_by_another_role_blocks_no_leader,
);
