//! The host of an orchestrator is paused, another orchestrator takes over, and the first continues.

use std::time::Instant;

use pgasync_tests::{Engine, Host, PATIENCE, RustEngine, SqlEngine};

use super::fixture::{HostsFixture, SLOTS, lines};
use super::servers::follow;

/// Exit code of `pgasync run` when another orchestrator has taken the lead.
const DEPOSED: i64 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn rust_takes_over_from_a_paused_rust() {
    take_over_from_a_paused_host::<RustEngine>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_takes_over_from_a_paused_rust() {
    take_over_from_a_paused_host::<SqlEngine>().await;
}

/// The host of the SQL engine is the host of the server. The standby is promoted, and the Rust
/// engine leads it.
#[tokio::test(flavor = "multi_thread")]
async fn rust_takes_over_from_a_paused_sql() {
    take_over_from_a_paused_server::<RustEngine>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_takes_over_from_a_paused_sql() {
    take_over_from_a_paused_server::<SqlEngine>().await;
}

async fn take_over_from_a_paused_host<B: Engine>() {
    let mut fixture = HostsFixture::<B>::prepare().await;
    let first = Host::with_orchestrator(&fixture.network, &fixture.database.conninfo(), &[]).await;
    push_some(&fixture).await;
    fixture.wait_for_starts(&fixture.left, SLOTS).await;
    first.pause().await;

    fixture.engine.start_forced().await;
    fixture.engine.wait_until_leading().await;
    let held = wait_for_launches_then_hold(&fixture).await;
    first.unpause().await;
    assert_eq!(first.wait_until_ended().await, DEPOSED, "{}", first.stderr().await);
    go_on_and_judge(&fixture, held).await;
}

async fn take_over_from_a_paused_server<B: Engine>() {
    let mut fixture = HostsFixture::<B>::prepare().await;
    let standby = follow(&fixture).await;
    let mut first = SqlEngine::attach(&fixture.database);
    first.lead().await;
    push_some(&fixture).await;
    fixture.wait_for_starts(&fixture.left, SLOTS).await;
    fixture.server.pause().await;

    standby.promote().await;
    fixture.database.move_to(&standby).await;
    fixture.engine = B::attach(&fixture.database);
    fixture.engine.lead().await;
    let held = wait_for_launches_then_hold(&fixture).await;
    fixture.server.unpause().await;
    // The old leader still leads its own server. Its claims wait for ever for the confirmation of
    // the standby.
    let at_the_commit = "select count(*) from pg_stat_activity where pid = $1 and wait_event = 'SyncRep'";
    let begin = Instant::now();
    let session = fixture.server.administrator().await;
    while session.query_one(at_the_commit, &[&first.pid()]).await.expect("it answers").get::<_, i64>(0) == 0 {
        assert!(begin.elapsed() < PATIENCE, "the old leader does not stand still");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    go_on_and_judge(&fixture, held).await;
}

async fn push_some<E: Engine>(fixture: &HostsFixture<E>) {
    fixture.push("left", 60, 0.3, "").await;
    fixture.push("right", 60, 0.3, "").await;
}

struct Held {
    checksum: Option<String>,
    lines: [i64; 2],
}

/// Waits until the new leader has launched tasks, and pauses it. Returns the state at that moment.
async fn wait_for_launches_then_hold<E: Engine>(fixture: &HostsFixture<E>) -> Held {
    let before = [lines(&fixture.left, ALL).await, lines(&fixture.right, ALL).await];
    let begin = Instant::now();
    while lines(&fixture.left, ALL).await == before[0] || lines(&fixture.right, ALL).await == before[1] {
        assert!(begin.elapsed() < PATIENCE, "the new leader launches nothing\n{}", fixture.database.dump().await);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    fixture.database.run("update async.control set paused = true").await;
    // After this the new leader has read the setting.
    fixture.database.run("select async.wait_for_latch()").await;
    fixture
        .database
        .wait_for(
            "select not exists (select from async.task where consumed is not null and processed is null)
               and exists (select from async.task where consumed is null)",
        )
        .await;
    held(fixture).await
}

const ALL: &str = "select count(*) from trace";

async fn held<E: Engine>(fixture: &HostsFixture<E>) -> Held {
    Held {
        checksum: fixture.database.checksum().await,
        lines: [lines(&fixture.left, ALL).await, lines(&fixture.right, ALL).await],
    }
}

async fn go_on_and_judge<E: Engine>(fixture: &HostsFixture<E>, before: Held) {
    let after = held(fixture).await;
    assert_eq!(before.lines, after.lines, "the old leader has launched");
    assert_eq!(before.checksum, after.checksum, "the old leader has written");
    fixture.database.run("update async.control set paused = false").await;
    fixture.settle().await;
    let ends = fixture.judge().await;
    assert!(ends["FINISHED"] >= 120 - 2 * SLOTS, "{ends:?}");
}
