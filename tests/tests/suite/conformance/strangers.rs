//! Sessions at a target that bear this server's id: those that no election of its opened belong to a copy of the server.

use pgasync_pg::Session;
use pgasync_tests::{Engine, Outcome};

use super::bed::Bed;

/// A session of the last epoch, with the nonce that `nonce` gives.
async fn unregistered<E: Engine>(bed: &mut Bed<E>, nonce: &str) -> Session {
    bed.engine.lead().await;
    assert_eq!(bed.engine.stop().await, Outcome::Returned);
    let name = bed
        .text(&format!(
            "select concat_ws('/', 'pgasync', l.server_id, l.epoch || '.' || {nonce}, 77)
             from async.leader l join async.election e using (epoch)"
        ))
        .await;
    let settings = bed.target.settings().with_application_name(&name.expect("the server has an id"));
    settings.connect().await.expect("the target takes sessions")
}

/// A physical copy counts its epochs on from the same number.
async fn a_session_of_a_copy_with_the_same_epoch_keeps_the_leader_from_its_target<E: Engine>() {
    let mut bed = Bed::<E>::prepared().await;
    let other = unregistered(&mut bed, "'0badc0de'").await;
    bed.engine.lead().await;
    let id = bed.push("select 1").await;
    bed.wait_for("select exists (select from async.server_log where message like '%PA210%')").await;
    bed.assert_holds(&format!("select consumed is null from async.task where task_id = {id}")).await;
    other.close().await;
    bed.wait_for(&format!("select finish_status = 'FINISHED' from async.task where task_id = {id}")).await;
}

/// Its leader was lost before it could write the session down: nothing ran there.
async fn a_session_that_no_leader_wrote_down_keeps_nobody_from_its_target<E: Engine>() {
    let mut bed = Bed::<E>::prepared().await;
    let other = unregistered(&mut bed, "e.nonce").await;
    other.batch_execute("select 1").await.expect("it runs");
    bed.engine.lead().await;
    let id = bed.push("select 1").await;
    bed.wait_for(&format!("select finish_status = 'FINISHED' from async.task where task_id = {id}")).await;
    bed.assert_holds("select not exists (select from async.server_log where message like '%PA210%')").await;
    other.close().await;
}

/// Anybody may give a session any name.
async fn a_name_that_another_role_made_up_keeps_nobody_from_its_target<E: Engine>() {
    let mut bed = Bed::<E>::prepared().await;
    unregistered(&mut bed, "e.nonce").await.close().await;
    let role = format!("forger_{}", bed.target.name());
    bed.run(&format!("create role {role} login")).await;
    let server_id = bed.text("select server_id from async.leader").await.expect("the server has an id");
    let name = format!("pgasync/{server_id}/1.0badc0de/1");
    let conninfo = bed.target.conninfo().replace("user=postgres", &format!("user={role}"));
    let settings =
        pgasync_pg::ConnectionSettings::of_target(&conninfo).expect("it is fine").with_application_name(&name);
    let forged = settings.connect().await.expect("the target takes sessions");
    bed.engine.lead().await;
    bed.run_task("select 1").await.succeeded();
    forged.close().await;
    bed.run(&format!("drop role {role}")).await;
}

conformance!(
    a_session_of_a_copy_with_the_same_epoch_keeps_the_leader_from_its_target,
    a_session_that_no_leader_wrote_down_keeps_nobody_from_its_target,
    a_name_that_another_role_made_up_keeps_nobody_from_its_target,
);
