//! Leaders that are replaced, stopped, frozen or disabled while many tasks run.

use std::time::Duration;

use pgasync_tests::{Engine, Outcome, RustEngine, Signal, SqlEngine, send};
use tokio::time::sleep;

use super::fixture::{ChaosFixture, Kill};
use super::judge::Allowed;
use super::losses;
use super::seed::rounds;

#[tokio::test(flavor = "multi_thread")]
async fn sql_leaders_that_take_over_from_each_other_run_no_task_twice() {
    take_over_often::<SqlEngine, SqlEngine>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rust_leaders_that_take_over_from_each_other_run_no_task_twice() {
    take_over_often::<RustEngine, RustEngine>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leaders_of_both_engines_that_take_over_from_each_other_run_no_task_twice() {
    take_over_often::<SqlEngine, RustEngine>().await;
}

async fn take_over_often<A: Engine, B: Engine>() {
    let mut fixture = ChaosFixture::<A>::open().await;
    for _ in 0..rounds(2) {
        fixture = take_over::<B, A>(take_over::<A, B>(fixture).await).await;
    }
    fixture.assert_promises_kept(Allowed::OneLaunch).await;
}

async fn take_over<A: Engine, B: Engine>(mut fixture: ChaosFixture<A>) -> ChaosFixture<B> {
    fixture.wait_until_busy().await;
    let mut next = B::attach(&fixture.database);
    let begin = losses::now();
    next.start_forced().await;
    assert_eq!(fixture.engine.wait_until_ended().await, Outcome::Returned);
    fixture.note_loss_since(begin);
    next.wait_until_leading().await;
    fixture.with_engine(next)
}

async fn a_stopped_leader_pauses_running_tasks_and_leaves_no_session<E: Engine>() {
    let mut fixture = ChaosFixture::<E>::open().await;
    let (mut in_order, mut as_if_killed) = (0, 0);
    while in_order < rounds(5) {
        fixture.wait_until_busy().await;
        let begin = losses::now();
        match fixture.engine.stop().await {
            Outcome::Returned => in_order += 1,
            // A cancel that arrives while a procedure commits cannot be caught.
            Outcome::Failed(message) if message.contains("57014") && message.contains("async.cycle") => {
                as_if_killed += 1;
                fixture.note_loss_since(begin);
                assert!(
                    as_if_killed <= rounds(5),
                    "{as_if_killed} of {} stops went wrong: {message}",
                    in_order + as_if_killed
                );
                let left = "select string_agg(task_id::text, ', ') from async.task where consumed is not null and processed is null";
                let left = fixture.database.text(left).await.unwrap_or_else(|| "0".to_owned());
                fixture.lead_again().await;
                let resolved =
                    "select coalesce(bool_and(processed is not null), true) from async.task where task_id in";
                fixture.database.wait_for(&format!("{resolved} (0, {left})")).await;
                continue;
            }
            other => panic!("{other:?}"),
        }
        fixture.database.assert_holds("select async.leader_pid() is null").await;
        fixture
            .database
            .assert_holds("select not exists (select from async.task where consumed is not null and processed is null)")
            .await;
        fixture.wait_until_no_session_is_left().await;
        fixture.lead_again().await;
    }
    fixture.assert_promises_kept(Allowed::Pauses).await;
}

async fn a_disabled_leader_lets_running_queries_end<E: Engine>() {
    let mut fixture = ChaosFixture::<E>::open().await;
    for _ in 0..rounds(3) {
        fixture.wait_until_busy().await;
        fixture.database.run("update async.control set enabled = false").await;
        assert_eq!(fixture.engine.wait_until_ended().await, Outcome::Returned);
        fixture
            .database
            .assert_holds("select not exists (select from async.task where consumed is not null and processed is null)")
            .await;
        fixture.wait_until_no_session_is_left().await;
        fixture.database.run("update async.control set enabled = true").await;
        fixture.lead_again().await;
    }
    fixture.assert_promises_kept(Allowed::OneLaunch).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_leader_that_wakes_up_does_no_harm() {
    let mut fixture = ChaosFixture::<SqlEngine>::open().await;
    for round in 0..rounds(4) {
        fixture.wait_until_busy().await;
        let pid = fixture.engine.pid();
        assert!(send(Signal::Stop, pid), "the leader lives");
        sleep(Duration::from_millis(500 + fixture.seed.below(1000))).await;
        if round % 2 == 0 {
            // No engine can lead now, and the frozen one cannot read the request to resign.
            let mut second = SqlEngine::attach(&fixture.database);
            second.start().await;
            assert_eq!(second.wait_until_ended().await, Outcome::Returned);
            let begin = losses::now();
            fixture.database.rows("select pg_terminate_backend($1)", &[&pid]).await;
            assert!(send(Signal::Continue, pid), "the leader lives");
            fixture.engine.wait_until_ended().await;
            fixture.note_loss_since(begin);
            fixture.lead_again().await;
        } else {
            assert!(send(Signal::Continue, pid), "the leader lives");
        }
    }
    fixture.assert_promises_kept(Allowed::OneLaunch).await;
}

async fn a_session_that_cannot_be_ended_keeps_its_slot_and_its_worker<E: Engine>() {
    let mut fixture = ChaosFixture::<E>::open().await;
    let victim = if E::OUTLIVES_ITS_SESSION { Kill::Leader } else { Kill::Session };
    for _ in 0..rounds(2) {
        fixture.wait_until_busy().await;
        let mut frozen = fixture.observer.pids();
        frozen.retain(|&pid| fixture.elsewhere.freeze_backend(pid));
        fixture.kill_and_recover(victim).await;
        // The next leader launches within this time.
        sleep(Duration::from_secs(4)).await;
        for pid in frozen {
            assert!(fixture.elsewhere.signal_backend(Signal::Continue, pid), "a frozen backend does not end");
        }
    }
    fixture.assert_promises_kept(Allowed::OneLaunch).await;
}

on_both_engines!(
    a_stopped_leader_pauses_running_tasks_and_leaves_no_session,
    a_disabled_leader_lets_running_queries_end,
    a_session_that_cannot_be_ended_keeps_its_slot_and_its_worker,
);
