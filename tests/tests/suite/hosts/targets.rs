//! The host of a target is paused, disconnected or killed. Tasks at other targets continue.

use std::time::Duration;

use pgasync_tests::Engine;

use super::fixture::{HostsFixture, SLOTS};

/// The number of tasks that keeps the other target busy all the time.
const ELSEWHERE: usize = 200;

/// The limit on the time until the cancel of a query at a silent host is abandoned.
const DEADLINE_PATIENCE: Duration = Duration::from_secs(60);

async fn a_paused_target_holds_up_its_own_tasks_alone<E: Engine>() {
    let fixture = HostsFixture::<E>::open().await;
    fixture.push("left", 2, 3600.0, ", manual_timeout => '2 seconds'").await;
    fixture.push("left", 20, 1.0, "").await;
    fixture.wait_for_starts(&fixture.left, SLOTS).await;
    fixture.left_host.pause().await;

    fixture.run_on_the_right(ELSEWHERE).await;
    let timed_out = "select count(*) = 2 and bool_and(finish_status = 'TIMED_OUT' and tracked)
         from async.task where manual_timeout is not null";
    fixture.database.wait_for_within(timed_out, DEADLINE_PATIENCE).await;

    fixture.left_host.unpause().await;
    fixture.settle().await;
    let ends = fixture.judge().await;
    assert_eq!((ends["TIMED_OUT"], ends["FINISHED"]), (2, 20 + ELSEWHERE), "{ends:?}");
}

async fn a_target_that_is_cut_off_holds_up_its_own_tasks_alone<E: Engine>() {
    let fixture = HostsFixture::<E>::open().await;
    fixture.push("left", SLOTS - 2, 1.0, "").await;
    fixture.wait_for_starts(&fixture.left, SLOTS - 2).await;
    fixture.left_host.disconnect().await;

    // These tasks need further sessions, which cannot be opened.
    fixture.push("left", 20, 0.2, "").await;
    fixture.run_on_the_right(ELSEWHERE).await;
    fixture
        .database
        .wait_for("select exists (select from async.server_log where message like '%target \"left\"%lost%')")
        .await;
    fixture.left_host.reconnect().await;
    fixture.settle().await;
    let ends = fixture.judge().await;
    assert!(ends["FINISHED"] >= 20 + ELSEWHERE, "{ends:?}");
}

async fn a_killed_target_comes_back_and_goes_on<E: Engine>() {
    let fixture = HostsFixture::<E>::open().await;
    fixture.push("left", 20, 1.0, "").await;
    fixture.wait_for_starts(&fixture.left, SLOTS).await;
    fixture.left_host.kill().await;

    fixture.run_on_the_right(ELSEWHERE).await;
    fixture.left_host.restart().await;
    fixture.settle().await;
    let ends = fixture.judge().await;
    assert!(ends["FINISHED"] >= 20 - 2 * SLOTS + ELSEWHERE, "{ends:?}");
}

on_both_engines!(
    a_paused_target_holds_up_its_own_tasks_alone,
    a_target_that_is_cut_off_holds_up_its_own_tasks_alone,
    a_killed_target_comes_back_and_goes_on,
);
