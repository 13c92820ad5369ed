//! Kills between claim, mark, send, result and record: the leader is held there first.

use pgasync_tests::SqlEngine;

use super::arena::{Arena, Kill, LONG_PERCENT};
use super::failpoint::Point;
use super::judge::Allowed;
use super::seed::rounds;

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_killed_between_stages_runs_no_task_twice() {
    kill_between_stages(Kill::Leader).await;
}

/// Here the launch marks outlive the leader: what was claimed and not marked goes back to the queue.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_terminated_between_stages_runs_no_task_twice() {
    let arena = kill_between_stages(Kill::Session).await;
    arena.database.assert_holds("select count(*) > 0 from async.server_log where message like 'gave back%'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_between_stages_runs_no_task_twice() {
    kill_between_stages(Kill::Server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_killed_between_stages_run_no_task_twice() {
    kill_between_stages(Kill::Targets).await;
}

async fn kill_between_stages(victim: Kill) -> Arena<SqlEngine> {
    let mut arena = Arena::<SqlEngine>::open_with(&Point::install(), LONG_PERCENT).await;
    for (_, point) in (0..rounds(8)).zip(Point::ALL.iter().cycle()) {
        arena.wait_until_busy().await;
        point.hold(&arena.database).await;
        arena.kill(victim).await;
        Point::release(&arena.database).await;
        if victim != Kill::Targets {
            arena.lead_again().await;
        }
    }
    arena.assert_promises_kept(Allowed::OneLaunch).await;
    arena
}
