//! Leaders that are frozen at each point, or at any other moment, and continue after another engine
//! has taken the lead.
//!
//! The process of the Rust engine is frozen while its statement waits. The statement continues, and
//! another engine takes the lead. When the other engine has launched tasks, it is paused, and the
//! first process continues. The ledgers show that it launches nothing, and a checksum of the tables
//! shows that it writes nothing. The SQL engine is a backend, and holds the lock while the backend
//! lives. So it continues first and is ended, before another engine leads.

use std::time::{Duration, Instant};

use pgasync_tests::{Engine, Outcome, PATIENCE, RustEngine, SqlEngine};
use tokio::time::sleep;

use super::failpoint::Point;
use super::fixture::ChaosFixture;
use super::judge::Allowed;
use super::losses;
use super::seed::{Seed, rounds};

#[tokio::test(flavor = "multi_thread")]
async fn rust_leaders_frozen_at_each_point_do_no_harm_when_they_wake_up() {
    freeze_at_each_point::<RustEngine, RustEngine>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_leaders_frozen_at_each_point_do_no_harm_when_they_wake_up() {
    freeze_at_each_point::<SqlEngine, SqlEngine>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leaders_of_both_engines_frozen_at_each_point_do_no_harm_when_they_wake_up() {
    freeze_at_each_point::<SqlEngine, RustEngine>().await;
}

/// The places where an engine is frozen, from any of them on: each of its points, and (`None`) any
/// other moment.
fn places<E: Engine>(seed: &mut Seed) -> impl Iterator<Item = Option<Point>> + use<E> {
    let first = seed.below(Point::of::<E>().len() as u64);
    let places = Point::of::<E>().iter().copied().map(Some).chain([None]);
    places.cycle().skip(usize::try_from(first).expect("a few"))
}

/// In each round the leader is frozen, and an engine of the other kind takes over.
async fn freeze_at_each_point<A: Engine, B: Engine>() {
    let mut fixture = ChaosFixture::<A>::open_with(&Point::install(), 0).await;
    let (mut of_a, mut of_b) = (places::<A>(&mut fixture.seed), places::<B>(&mut fixture.seed));
    // The number of rounds that covers each place of both engines.
    let places = Point::of::<A>().len().max(Point::of::<B>().len()) + 1;
    let pairs = if A::NAME == B::NAME { places.div_ceil(2) } else { places };
    for round in 0..rounds(u32::try_from(pairs).expect("a few")) {
        let place = of_a.next().flatten();
        let other: ChaosFixture<B> = freeze(fixture, place, round % 2 == 0).await;
        let place = if A::NAME == B::NAME { of_a.next() } else { of_b.next() };
        fixture = freeze(other, place.flatten(), round % 2 == 1).await;
    }
    fixture.assert_promises_kept(Allowed::OneLaunch).await;
}

async fn freeze<A: Engine, B: Engine>(
    mut fixture: ChaosFixture<A>,
    place: Option<Point>,
    force: bool,
) -> ChaosFixture<B> {
    eprintln!("{} at {place:?}, then {}", A::NAME, B::NAME);
    fixture.wait_until_busy().await;
    if let Some(point) = place {
        point.hold(&fixture.database).await;
    }
    let frozen = losses::now();
    fixture.engine.freeze();
    Point::release(&fixture.database).await;
    let mut next = B::attach(&fixture.database);
    if !A::OUTLIVES_ITS_SESSION {
        // No other engine can lead while the backend is frozen.
        next.start().await;
        assert_eq!(next.wait_until_ended().await, Outcome::Returned);
        fixture.database.run("select pg_terminate_backend(pid) from async.control").await;
        fixture.engine.thaw();
        fixture.engine.wait_until_ended().await;
        fixture.database.wait_for("select async.leader_pid() is null").await;
        fixture.note_loss_since(frozen);
        next.lead().await;
        return fixture.with_engine(next);
    }
    if force {
        next.start_forced().await;
    } else {
        // The server ends the session in the same way when a host no longer answers.
        let done = "select a.state = 'idle' from pg_stat_activity a, async.control c where a.pid = c.pid";
        fixture.database.wait_for(done).await;
        fixture.database.run("select pg_terminate_backend(pid) from async.control").await;
        fixture.database.wait_for("select async.leader_pid() is null").await;
        next.start().await;
    }
    next.wait_until_leading().await;
    fixture.note_loss_since(frozen);
    wait_for_launches(&fixture).await;
    let resting = fixture.client.rest().await;
    hold(&fixture).await;
    let (checksum, lines) = (fixture.database.checksum().await, ledgers(&fixture).await);
    fixture.engine.thaw();
    assert_eq!(fixture.engine.wait_until_ended().await, Outcome::Returned);
    assert_eq!(ledgers(&fixture).await, lines, "the old leader has launched");
    assert_eq!(fixture.database.checksum().await, checksum, "the old leader has written");
    fixture.database.run("update async.control set paused = false").await;
    drop(resting);
    fixture.with_engine(next)
}

/// Waits until sessions of the present leader run queries.
async fn wait_for_launches<E: Engine>(fixture: &ChaosFixture<E>) {
    let epoch = fixture.database.number("select epoch from async.leader").await;
    let sql = format!(
        "select count(*) from pg_stat_activity
         where application_name like 'pgasync/%/{epoch}.%/%' and state = 'active' and query ~ 'pool:'"
    );
    let begin = Instant::now();
    let session = fixture.targets[0].session();
    while session.query_one(&sql, &[]).await.expect("pg_stat_activity is readable").get::<_, i64>(0) == 0 {
        assert!(begin.elapsed() < PATIENCE, "nothing is launched\n{}", fixture.database.dump().await);
        sleep(Duration::from_millis(10)).await;
    }
}

/// Pauses the leader, and waits until no query runs and no request is left.
async fn hold<E: Engine>(fixture: &ChaosFixture<E>) {
    fixture.database.run("update async.control set paused = true").await;
    fixture
        .database
        .wait_for(
            "select not exists (select from async.task where consumed is not null and processed is null)
               and not exists (select from async.task where tracked)
               and not exists (select from async.request)
               and not exists (select from async.session s, async.leader l where s.epoch < l.epoch)",
        )
        .await;
}

async fn ledgers<E: Engine>(fixture: &ChaosFixture<E>) -> Vec<i64> {
    let mut counts = Vec::new();
    for target in &fixture.targets {
        let row = target.session().query_one("select count(*) from ledger", &[]).await;
        counts.push(row.expect("the ledger is readable").get(0));
    }
    counts
}
