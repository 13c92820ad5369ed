//! Kills at random moments, while many tasks run.

use std::time::Duration;

use pgasync_tests::Engine;
use tokio::time::sleep;

use super::fixture::{ChaosFixture, Kill};
use super::judge::Allowed;
use super::seed::rounds;

async fn a_killed_leader_runs_no_task_twice<E: Engine>() {
    kill_often::<E>(&[Kill::Leader]).await;
}

async fn a_terminated_leader_runs_no_task_twice<E: Engine>() {
    kill_often::<E>(&[Kill::Session]).await;
}

async fn a_killed_server_runs_no_task_twice<E: Engine>() {
    kill_often::<E>(&[Kill::Server]).await;
}

async fn a_killed_target_runs_no_task_twice<E: Engine>() {
    kill_often::<E>(&[Kill::TargetBackend, Kill::Targets]).await;
}

/// The next kill does not wait until all processes have recovered from the one before.
async fn whatever_is_killed_next_runs_no_task_twice<E: Engine>() {
    let mut fixture = ChaosFixture::<E>::open().await;
    for _ in 0..rounds(5) {
        fixture.wait_for_running(10).await;
        sleep(Duration::from_millis(fixture.seed.below(600))).await;
        let what = *fixture.seed.pick(&Kill::ALL);
        fixture.kill_and_recover(what).await;
        if fixture.seed.chance(50) {
            let what = *fixture.seed.pick(&Kill::ALL);
            fixture.kill_and_recover(what).await;
        }
    }
    fixture.assert_promises_kept(Allowed::OneLaunch).await;
}

async fn kill_often<E: Engine>(victims: &[Kill]) {
    let mut fixture = ChaosFixture::<E>::open().await;
    for (_, &victim) in (0..rounds(4)).zip(victims.iter().cycle()) {
        fixture.wait_until_busy().await;
        fixture.kill_and_recover(victim).await;
    }
    fixture.assert_promises_kept(Allowed::OneLaunch).await;
}

on_both_engines!(
    a_killed_leader_runs_no_task_twice,
    a_terminated_leader_runs_no_task_twice,
    a_killed_server_runs_no_task_twice,
    a_killed_target_runs_no_task_twice,
    whatever_is_killed_next_runs_no_task_twice,
);
