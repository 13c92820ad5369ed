//! The host of the server is killed and restarted, or a standby replaces it.

use pgasync_tests::{Engine, Host, RustEngine};

use super::fixture::{HostsFixture, SLOTS};

async fn a_killed_server_comes_back_and_nothing_runs_twice<E: Engine>() {
    let mut fixture = HostsFixture::<E>::open().await;
    for round in 1..=2 {
        fixture.push("left", 30, 0.3, "").await;
        fixture.push("right", 30, 0.3, "").await;
        fixture.wait_for_starts(&fixture.left, round * SLOTS).await;
        fixture.server.kill().await;
        if !E::OUTLIVES_ITS_SESSION {
            fixture.engine.wait_until_ended().await;
        }
        fixture.server.restart().await;
        fixture.database.reconnect().await;
        if !E::OUTLIVES_ITS_SESSION {
            fixture.engine.lead().await;
        }
    }
    fixture.settle().await;
    let ends = fixture.judge().await;
    if E::OUTLIVES_ITS_SESSION {
        // The engine continues and records the outcomes of the queries that ran.
        assert_eq!(ends["FINISHED"], 120, "{ends:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_standby_is_served_by_the_same_process() {
    let mut fixture = HostsFixture::<RustEngine>::prepare().await;
    let standby = follow(&fixture).await;
    let both = format!(
        "host={},{} port=5432,5432 dbname={} user=postgres sslmode=disable target_session_attrs=read-write",
        fixture.server.address(),
        standby.address(),
        fixture.database.name()
    );
    fixture.engine = RustEngine::attach_at(&fixture.database, both);
    fixture.engine.lead().await;
    fixture.push("left", 40, 0.3, "").await;
    fixture.push("right", 40, 0.3, "").await;
    fixture.wait_for_starts(&fixture.left, SLOTS).await;
    fixture.server.kill().await;
    standby.promote().await;
    fixture.database.move_to(&standby).await;
    fixture.push("left", 10, 0.0, "").await;
    fixture.settle().await;
    let ends = fixture.judge().await;
    assert_eq!(ends["FINISHED"], 90, "{ends:?}");
    fixture.database.assert_holds("select epoch = 1 from async.leader").await;
}

/// Starts a synchronous standby of the server.
pub(super) async fn follow<E>(fixture: &HostsFixture<E>) -> Host {
    let standby = Host::with_standby(&fixture.network, &fixture.server).await;
    fixture.database.run("alter system set synchronous_standby_names = '*'").await;
    fixture.database.run("select pg_reload_conf()").await;
    fixture.database.wait_for("select exists (select from pg_stat_replication where sync_state = 'sync')").await;
    standby
}

on_both_engines!(a_killed_server_comes_back_and_nothing_runs_twice);
