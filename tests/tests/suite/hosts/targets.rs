//! A target's host is paused, cut off, killed: what runs elsewhere goes on.

use std::time::Duration;

use pgasync_tests::Engine;

use super::stage::{SLOTS, Stage};

/// Enough that the other target was busy all the time.
const ELSEWHERE: usize = 200;

/// Until a cancel of a query at a silent host is given up.
const DEADLINE_PATIENCE: Duration = Duration::from_secs(60);

async fn a_paused_target_holds_up_its_own_tasks_alone<E: Engine>() {
    let stage = Stage::<E>::open().await;
    stage.push("left", 2, 3600.0, ", manual_timeout => '2 seconds'").await;
    stage.push("left", 20, 1.0, "").await;
    stage.wait_for_starts(&stage.left, SLOTS).await;
    stage.left_host.pause().await;

    stage.run_on_the_right(ELSEWHERE).await;
    let timed_out = "select count(*) = 2 and bool_and(finish_status = 'TIMED_OUT' and tracked)
         from async.task where manual_timeout is not null";
    stage.database.wait_for_within(timed_out, DEADLINE_PATIENCE).await;

    stage.left_host.wake().await;
    stage.settle().await;
    let ends = stage.judge().await;
    assert_eq!((ends["TIMED_OUT"], ends["FINISHED"]), (2, 20 + ELSEWHERE), "{ends:?}");
}

async fn a_target_that_is_cut_off_holds_up_its_own_tasks_alone<E: Engine>() {
    let stage = Stage::<E>::open().await;
    stage.push("left", SLOTS - 2, 1.0, "").await;
    stage.wait_for_starts(&stage.left, SLOTS - 2).await;
    stage.left_host.cut_off().await;

    // These want further sessions, and get none.
    stage.push("left", 20, 0.2, "").await;
    stage.run_on_the_right(ELSEWHERE).await;
    stage
        .database
        .wait_for("select exists (select from async.server_log where message like '%target \"left\"%lost%')")
        .await;
    stage.left_host.reconnect().await;
    stage.settle().await;
    let ends = stage.judge().await;
    assert!(ends["FINISHED"] >= 20 + ELSEWHERE, "{ends:?}");
}

async fn a_killed_target_comes_back_and_goes_on<E: Engine>() {
    let stage = Stage::<E>::open().await;
    stage.push("left", 20, 1.0, "").await;
    stage.wait_for_starts(&stage.left, SLOTS).await;
    stage.left_host.kill().await;

    stage.run_on_the_right(ELSEWHERE).await;
    stage.left_host.restart().await;
    stage.settle().await;
    let ends = stage.judge().await;
    assert!(ends["FINISHED"] >= 20 - 2 * SLOTS + ELSEWHERE, "{ends:?}");
}

on_both_engines!(
    a_paused_target_holds_up_its_own_tasks_alone,
    a_target_that_is_cut_off_holds_up_its_own_tasks_alone,
    a_killed_target_comes_back_and_goes_on,
);
