//! The server's host is killed and comes back, or a standby takes its place.

use pgasync_tests::{Engine, Host, RustEngine};

use super::stage::{SLOTS, Stage};

async fn a_killed_server_comes_back_and_nothing_runs_twice<E: Engine>() {
    let mut stage = Stage::<E>::open().await;
    for round in 1..=2 {
        stage.push("left", 30, 0.3, "").await;
        stage.push("right", 30, 0.3, "").await;
        stage.wait_for_starts(&stage.left, round * SLOTS).await;
        stage.server.kill().await;
        if !E::OUTLIVES_ITS_SESSION {
            stage.engine.wait_until_ended().await;
        }
        stage.server.restart().await;
        stage.database.reconnect().await;
        if !E::OUTLIVES_ITS_SESSION {
            stage.engine.lead().await;
        }
    }
    stage.settle().await;
    let ends = stage.judge().await;
    if E::OUTLIVES_ITS_SESSION {
        // What ran is reported from memory.
        assert_eq!(ends["FINISHED"], 120, "{ends:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_standby_is_served_by_the_same_process() {
    let mut stage = Stage::<RustEngine>::prepare().await;
    let standby = follow(&stage).await;
    let both = format!(
        "host={},{} port=5432,5432 dbname={} user=postgres sslmode=disable target_session_attrs=read-write",
        stage.server.address(),
        standby.address(),
        stage.database.name()
    );
    stage.engine = RustEngine::attach_at(&stage.database, both);
    stage.engine.lead().await;
    stage.push("left", 40, 0.3, "").await;
    stage.push("right", 40, 0.3, "").await;
    stage.wait_for_starts(&stage.left, SLOTS).await;
    stage.server.kill().await;
    standby.promote().await;
    stage.database.move_to(&standby).await;
    stage.push("left", 10, 0.0, "").await;
    stage.settle().await;
    let ends = stage.judge().await;
    assert_eq!(ends["FINISHED"], 90, "{ends:?}");
    stage.database.assert_holds("select epoch = 1 from async.leader").await;
}

/// A standby of the server to which every commit goes before it is confirmed.
pub(super) async fn follow<E>(stage: &Stage<E>) -> Host {
    let standby = Host::with_standby(&stage.network, &stage.server).await;
    stage.database.run("alter system set synchronous_standby_names = '*'").await;
    stage.database.run("select pg_reload_conf()").await;
    stage.database.wait_for("select exists (select from pg_stat_replication where sync_state = 'sync')").await;
    standby
}

on_both_engines!(a_killed_server_comes_back_and_nothing_runs_twice);
