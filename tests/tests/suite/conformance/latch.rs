//! `wait_for_latch`: it returns after a whole cycle of the leader.

use std::time::Instant;

use pgasync_tests::Engine;
use serde_json::json;

use super::fixture::{Fixture, SLOW, SOON};

async fn requests_before_the_latch_are_applied_after_it<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run("update async.control set paused = true; select async.wait_for_latch()").await;
    for _ in 0..20 {
        let id = fixture.push("select 1").await;
        fixture.run(&format!("select async.cancel(array[{id}])")).await;
        fixture.run("select async.wait_for_latch()").await;
        fixture.assert_holds(&format!("select finish_status = 'CANCELED' from async.task where task_id = {id}")).await;
    }
}

async fn several_may_wait_at_once<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(fixture.connect().await);
    }
    let waiting: Vec<_> = clients
        .into_iter()
        .map(|client| tokio::spawn(async move { client.batch_execute("select async.wait_for_latch()").await }))
        .collect();
    for call in waiting {
        call.await.expect("no panic").expect("the latch opens");
    }
}

async fn a_latch_does_not_wait_for_queries<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let id = fixture.push(SLOW).await;
    fixture.wait_until_it_runs(id).await;
    let begin = Instant::now();
    fixture.run("select async.wait_for_latch()").await;
    assert!(begin.elapsed() < SOON / 2, "{:?}", begin.elapsed());
}

async fn a_latch_does_not_wait_for_an_idle_orchestrator_to_wake_by_itself<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "control": { "idle_sleep": 0.5 } })).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let begin = Instant::now();
    fixture.run("select async.wait_for_latch()").await;
    assert!(begin.elapsed() < SOON / 2, "{:?}", begin.elapsed());
}

async fn without_a_leader_the_latch_is_refused_at_once<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    assert_eq!(fixture.refused("select async.wait_for_latch()").await.0, "PA050");
    fixture.engine.lead().await;
    fixture.run("select async.wait_for_latch()").await;
    fixture.engine.stop().await;
    assert_eq!(fixture.refused("select async.wait_for_latch()").await.0, "PA050");
}

async fn above_read_committed_the_latch_is_refused<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    for level in ["repeatable read", "serializable"] {
        let (code, _) = fixture.refused(&format!("begin isolation level {level}; select async.wait_for_latch()")).await;
        assert_eq!(code, "PA051");
        fixture.run("rollback").await;
    }
}

conformance!(
    requests_before_the_latch_are_applied_after_it,
    several_may_wait_at_once,
    a_latch_does_not_wait_for_queries,
    a_latch_does_not_wait_for_an_idle_orchestrator_to_wake_by_itself,
    without_a_leader_the_latch_is_refused_at_once,
    above_read_committed_the_latch_is_refused,
);
