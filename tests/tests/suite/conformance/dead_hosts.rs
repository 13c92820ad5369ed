//! Hosts that fail while they run tasks. The workers are free for other targets, the pool slots are
//! not.

use std::time::Duration;

use pgasync_tests::Engine;
use serde_json::json;

use super::fixture::{Fixture, SOON};
use super::link::Link;

/// Waits until both workers run a query at the host.
async fn wait_until_two_run<E: Engine>(fixture: &Fixture<E>) {
    let running = "select count(*) from pg_stat_activity where datname = current_database()
        and state = 'active' and pid <> pg_backend_pid() and query like '%pg_sleep(100)%'";
    while fixture.number_there(running).await < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn a_dead_host_does_not_keep_the_workers_of_others<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let link = Link::to(&fixture.target).await;
    let linked = json!({ "target": "linked", "connection_string": link.conninfo(), "max_workers": 2 });
    fixture.configure(&json!({ "control": { "workers": 2 }, "targets": [linked, fixture.there(&json!({}))] })).await;
    let ids = [
        fixture.push_as("'select pg_sleep(100)', 'linked'").await,
        fixture.push_as("'select pg_sleep(100)', 'linked'").await,
    ];
    fixture.wait_until_it_runs(ids[0]).await;
    fixture.wait_until_it_runs(ids[1]).await;
    wait_until_two_run(&fixture).await;
    link.close().await;
    let next = fixture.push("select 1").await;
    fixture.end_within(next, SOON).await.succeeded();
    // The pool's slots are taken until the sessions are known to be gone.
    fixture.wait_for("select workers = 2 from async.concurrency_pool_tracker where concurrency_pool = 'linked'").await;
    fixture.wait_for("select count(*) = 2 from async.v_lost_session").await;
    link.open();
    for id in ids {
        fixture.end_of(id).await.is("FAILED");
    }
    fixture.wait_until_no_slot_is_taken().await;
    fixture.wait_for("select count(*) = 0 from async.v_lost_session").await;
    for _ in 0..4 {
        fixture.run_task("select 1").await.succeeded();
    }
}

async fn a_dead_host_of_a_lost_leader_does_not_keep_the_workers_of_others<E: Engine>() {
    let mut fixture = Fixture::<E>::led().await;
    let link = Link::to(&fixture.target).await;
    let linked = json!({ "target": "linked", "connection_string": link.conninfo(), "max_workers": 2 });
    fixture
        .configure(&json!({
            "control": { "workers": 2, "takeover_grace": "0 s" }, "targets": [linked, fixture.there(&json!({}))]
        }))
        .await;
    let ids = [
        fixture.push_as("'select pg_sleep(100)', 'linked'").await,
        fixture.push_as("'select pg_sleep(100)', 'linked'").await,
    ];
    fixture.wait_until_it_runs(ids[0]).await;
    fixture.wait_until_it_runs(ids[1]).await;
    wait_until_two_run(&fixture).await;
    fixture.engine.terminate().await;
    link.close().await;
    fixture.engine = E::attach(&fixture.database);
    fixture.engine.lead().await;
    let next = fixture.push("select 1").await;
    fixture.end_within(next, SOON).await.succeeded();
    link.open();
    for id in ids {
        fixture.end_of(id).await.is("FAILED");
    }
    fixture.wait_until_no_slot_is_taken().await;
}

conformance!(
    a_dead_host_does_not_keep_the_workers_of_others,
    a_dead_host_of_a_lost_leader_does_not_keep_the_workers_of_others,
);
