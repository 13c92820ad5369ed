//! Kills at random moments, with many tasks in flight.

use std::time::Duration;

use pgasync_tests::SqlEngine;
use tokio::time::sleep;

use super::arena::{Arena, Kill};
use super::judge::Allowed;
use super::seed::rounds;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_runs_no_task_twice() {
    kill_often(&[Kill::Leader]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_leader_runs_no_task_twice() {
    kill_often(&[Kill::Session]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_runs_no_task_twice() {
    kill_often(&[Kill::Server]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_target_runs_no_task_twice() {
    kill_often(&[Kill::TargetBackend, Kill::Targets]).await;
}

/// Nobody waits until everything has recovered before the next thing dies.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_next_runs_no_task_twice() {
    let mut arena = Arena::<SqlEngine>::open().await;
    for _ in 0..rounds(6) {
        arena.wait_for_running(10).await;
        sleep(Duration::from_millis(arena.seed.below(600))).await;
        let what = *arena.seed.pick(&Kill::ALL);
        arena.kill_and_recover(what).await;
        if arena.seed.chance(50) {
            let what = *arena.seed.pick(&Kill::ALL);
            arena.kill_and_recover(what).await;
        }
    }
    arena.assert_promises_kept(Allowed::OneLaunch).await;
}

async fn kill_often(victims: &[Kill]) {
    let mut arena = Arena::<SqlEngine>::open().await;
    for (_, &victim) in (0..rounds(5)).zip(victims.iter().cycle()) {
        arena.wait_until_busy().await;
        arena.kill_and_recover(victim).await;
    }
    arena.assert_promises_kept(Allowed::OneLaunch).await;
}
