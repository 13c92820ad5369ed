//! Kills between claim, mark, send, result and record, at a point where the leader is held.

use pgasync_tests::Engine;

use super::failpoint::Point;
use super::fixture::{ChaosFixture, Kill, LONG_PERCENT};
use super::judge::Allowed;
use super::seed::rounds;

async fn a_leader_killed_between_stages_runs_no_task_twice<E: Engine>() {
    let mut fixture = open::<E>().await;
    kill_between_stages(&mut fixture, Kill::Leader).await;
    fixture.assert_promises_kept(Allowed::OneLaunch).await;
}

/// The launch marks outlive the leader: claimed tasks without a mark return to the queue. The last
/// kill is where there are such tasks, wherever the others were.
async fn a_leader_terminated_between_stages_runs_no_task_twice<E: Engine>() {
    let mut fixture = open::<E>().await;
    kill_between_stages(&mut fixture, Kill::Session).await;
    kill_at(&mut fixture, Kill::Session, Point::Claimed).await;
    fixture.assert_promises_kept(Allowed::OneLaunch).await;
    if !E::OUTLIVES_ITS_SESSION {
        fixture
            .database
            .assert_holds("select count(*) > 0 from async.server_log where message like 'gave back%'")
            .await;
    }
}

async fn a_server_killed_between_stages_runs_no_task_twice<E: Engine>() {
    let mut fixture = open::<E>().await;
    kill_between_stages(&mut fixture, Kill::Server).await;
    fixture.assert_promises_kept(Allowed::OneLaunch).await;
}

async fn targets_killed_between_stages_run_no_task_twice<E: Engine>() {
    let mut fixture = open::<E>().await;
    kill_between_stages(&mut fixture, Kill::Targets).await;
    fixture.assert_promises_kept(Allowed::OneLaunch).await;
}

async fn open<E: Engine>() -> ChaosFixture<E> {
    ChaosFixture::open_with(&Point::install(), LONG_PERCENT).await
}

async fn kill_between_stages<E: Engine>(fixture: &mut ChaosFixture<E>, victim: Kill) {
    let each = Point::of::<E>().len();
    let first = usize::try_from(fixture.seed.below(each as u64)).expect("a few");
    let points = Point::of::<E>().iter().cycle().skip(first);
    for (_, point) in (0..rounds(u32::try_from(each).expect("a few"))).zip(points) {
        kill_at(fixture, victim, *point).await;
    }
}

async fn kill_at<E: Engine>(fixture: &mut ChaosFixture<E>, victim: Kill, point: Point) {
    fixture.wait_until_busy().await;
    point.hold(&fixture.database).await;
    fixture.kill(victim).await;
    Point::release(&fixture.database).await;
    fixture.recover(victim).await;
}

on_both_engines!(
    a_leader_killed_between_stages_runs_no_task_twice,
    a_leader_terminated_between_stages_runs_no_task_twice,
    a_server_killed_between_stages_runs_no_task_twice,
    targets_killed_between_stages_run_no_task_twice,
);
