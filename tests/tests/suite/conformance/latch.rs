//! Waiting until the leader has passed through a cycle.

use std::time::Instant;

use pgasync_tests::Engine;
use serde_json::json;

use super::bed::{Bed, SLOW, SOON};

async fn what_was_asked_before_the_latch_is_done_behind_it<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.run("update async.control set paused = true; select async.wait_for_latch()").await;
    for _ in 0..20 {
        let id = bed.push("select 1").await;
        bed.run(&format!("select async.cancel(array[{id}])")).await;
        bed.run("select async.wait_for_latch()").await;
        bed.assert_holds(&format!("select finish_status = 'CANCELED' from async.task where task_id = {id}")).await;
    }
}

async fn several_may_wait_at_once<E: Engine>() {
    let bed = Bed::<E>::led().await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(bed.connect().await);
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
    let bed = Bed::<E>::led().await;
    let id = bed.push(SLOW).await;
    bed.wait_until_it_runs(id).await;
    let begin = Instant::now();
    bed.run("select async.wait_for_latch()").await;
    assert!(begin.elapsed() < SOON / 2, "{:?}", begin.elapsed());
}

async fn a_latch_does_not_wait_for_an_idle_orchestrator_to_wake_by_itself<E: Engine>() {
    let bed = Bed::<E>::led().await;
    bed.configure(&json!({ "control": { "idle_sleep": 0.5 } })).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let begin = Instant::now();
    bed.run("select async.wait_for_latch()").await;
    assert!(begin.elapsed() < SOON / 2, "{:?}", begin.elapsed());
}

async fn without_a_leader_it_is_refused_and_does_not_hang<E: Engine>() {
    let mut bed = Bed::<E>::prepared().await;
    assert_eq!(bed.refused("select async.wait_for_latch()").await.0, "PA050");
    bed.engine.lead().await;
    bed.run("select async.wait_for_latch()").await;
    bed.engine.stop().await;
    assert_eq!(bed.refused("select async.wait_for_latch()").await.0, "PA050");
}

async fn above_read_committed_it_is_refused<E: Engine>() {
    let bed = Bed::<E>::led().await;
    for level in ["repeatable read", "serializable"] {
        let (code, _) = bed.refused(&format!("begin isolation level {level}; select async.wait_for_latch()")).await;
        assert_eq!(code, "PA051");
        bed.run("rollback").await;
    }
}

conformance!(
    what_was_asked_before_the_latch_is_done_behind_it,
    several_may_wait_at_once,
    a_latch_does_not_wait_for_queries,
    a_latch_does_not_wait_for_an_idle_orchestrator_to_wake_by_itself,
    without_a_leader_it_is_refused_and_does_not_hang,
    above_read_committed_it_is_refused,
);
