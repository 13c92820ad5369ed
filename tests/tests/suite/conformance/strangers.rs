//! Sessions at a target that bear this server's id and are not in its registry: those of a copy of the server, unless
//! they ran nothing yet.

use pgasync_store::Session;
use pgasync_tests::{Engine, Outcome};

use super::bed::Bed;

/// A session of the last leader that it did not write down.
async fn unregistered<E: Engine>(bed: &mut Bed<E>) -> Session {
    bed.engine.lead().await;
    assert_eq!(bed.engine.stop().await, Outcome::Returned);
    let name = bed.text("select concat_ws('/', 'pgasync', server_id, epoch, 77) from async.leader").await;
    let settings = bed.target.settings().with_application_name(&name.expect("the server has an id"));
    settings.connect().await.expect("the target takes sessions")
}

async fn a_session_that_ran_something_keeps_the_leader_from_its_target<E: Engine>() {
    let mut bed = Bed::<E>::prepared().await;
    let other = unregistered(&mut bed).await;
    other.batch_execute("select 1").await.expect("it runs");
    bed.engine.lead().await;
    let id = bed.push("select 1").await;
    bed.wait_for("select exists (select from async.server_log where message like '%PA210%')").await;
    bed.assert_holds(&format!("select consumed is null from async.task where task_id = {id}")).await;
    other.close().await;
    bed.wait_for(&format!("select finish_status = 'FINISHED' from async.task where task_id = {id}")).await;
}

/// Its leader was lost before it could be written down, and has not noticed.
async fn a_session_that_ran_nothing_keeps_nobody_from_its_target<E: Engine>() {
    let mut bed = Bed::<E>::prepared().await;
    let other = unregistered(&mut bed).await;
    bed.engine.lead().await;
    let id = bed.push("select 1").await;
    bed.wait_for(&format!("select finish_status = 'FINISHED' from async.task where task_id = {id}")).await;
    bed.assert_holds("select not exists (select from async.server_log where message like '%PA210%')").await;
    other.close().await;
}

conformance!(
    a_session_that_ran_something_keeps_the_leader_from_its_target,
    a_session_that_ran_nothing_keeps_nobody_from_its_target,
);
