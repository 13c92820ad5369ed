//! Advisory locks of roles without any grant: they neither keep an orchestrator from leading, nor pass
//! for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pgasync_pg::{ConnectionSettings, Session};
use pgasync_tests::{Database, Engine};
use tokio::task::JoinSet;

use super::search_paths::{create_role, drop_role};
use crate::conformance::fixture::Fixture;

/// Takes every advisory lock of the database that another session holds, as soon as it is free.
const TAKE_WHAT_IS_SEEN: &str = "
    select case when l.objsubid = 1 then pg_try_advisory_lock(l.classid::bigint << 32 | l.objid::bigint)
      else pg_try_advisory_lock(l.classid::int, l.objid::int) end
    from (select distinct classid, objid, objsubid from pg_locks
          where locktype = 'advisory' and pid <> pg_backend_pid()) l";

/// A session that a role without a grant has authenticated for itself.
async fn stranger(database: &Database, role: &str) -> Session {
    database.run(&format!("alter role {role} login")).await;
    let conninfo = database.conninfo().replace("user=postgres", &format!("user={role}"));
    let settings = ConnectionSettings::resolve(&conninfo, |_| None).expect("a connection string");
    settings.connect().await.unwrap_or_else(|error| panic!("{error}"))
}

async fn locks_of_another_role_keep_no_orchestrator_from_leading<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    let role = create_role(&fixture, "squatter").await;
    let squatter = stranger(&fixture, &role).await;
    // The lock of `advisory_mutex_id`, and those of earlier versions.
    let class = fixture.number("select async.lock_class()").await;
    let known = format!("select pg_advisory_lock(0), pg_advisory_lock({class}, n) from generate_series(1, 4) n");
    squatter.batch_execute(&known).await.expect("any role may");
    fixture.assert_holds("select not async.leader_exists() and not leads from async.v_leader").await;
    for _ in 0..2 {
        fixture.engine.lead().await;
        squatter.batch_execute(TAKE_WHAT_IS_SEEN).await.expect("any role may");
        fixture.run_task("select 1").await.succeeded();
        fixture.configure(&serde_json::json!({ "control": { "workers": 5 } })).await;
        fixture.engine.stop().await;
        squatter.batch_execute(TAKE_WHAT_IS_SEEN).await.expect("any role may");
        fixture.assert_holds("select not async.leader_exists() and not leads from async.v_leader").await;
        fixture.engine = E::attach(&fixture.database);
    }
    drop(squatter);
    drop_role(&fixture, &role).await;
}

async fn the_lock_of_a_lost_leader_makes_no_other_session_the_leader<E: Engine>() {
    let mut fixture = Fixture::<E>::led().await;
    let role = create_role(&fixture, "squatter").await;
    let squatter = stranger(&fixture, &role).await;
    let key = fixture.number("select key from async.leader_lock").await;
    fixture.engine.terminate().await;
    fixture.wait_for("select not async.leader_exists()").await;
    squatter.batch_execute(&format!("select pg_advisory_lock({key})")).await.expect("any role may");
    // The worst case: the server gives the pid of the lost leader to this session.
    let pid = squatter.query_one("select pg_backend_pid()", &[]).await.expect("a pid").get::<_, i32>(0);
    fixture.run(&format!("update async.leader_lock set pid = {pid}; update async.control set pid = {pid}")).await;
    fixture.assert_holds("select not async.leader_exists() and not leads from async.v_leader").await;
    let mut next = E::attach(&fixture.database);
    next.lead().await;
    fixture.run_task("select 1").await.succeeded();
    drop(squatter);
    drop_role(&fixture, &role).await;
}

/// Takes the lead and resigns so often, like both engines. The one row of `reign` counts the sessions
/// that lead.
async fn lead_and_resign(candidate: Session, elections: usize) {
    let mut won = 0;
    while won < elections {
        if !candidate.query_one("select async.take_locks()", &[]).await.expect("it tries").get::<_, bool>(0) {
            continue;
        }
        won += 1;
        let leaders = "update reign set leaders = leaders + 1 returning leaders";
        let leaders: i32 = candidate.query_one(leaders, &[]).await.expect("it writes").get(0);
        assert_eq!(leaders, 1, "two sessions lead at once");
        let alone = "select async.leader_pid() is not distinct from pg_backend_pid()";
        assert!(candidate.query_one(alone, &[]).await.expect("it asks").get::<_, bool>(0));
        candidate.batch_execute("update reign set leaders = leaders - 1").await.expect("it writes");
        candidate.batch_execute("select async.release_locks()").await.expect("it resigns");
    }
}

#[tokio::test]
async fn candidates_among_squatters_never_lead_at_once() {
    let fixture = Fixture::<pgasync_tests::SqlEngine>::prepared().await;
    fixture.run("create table reign as select 0 as leaders").await;
    let role = create_role(&fixture, "squatter").await;
    let done = Arc::new(AtomicBool::new(false));
    let mut squatters = JoinSet::new();
    for _ in 0..3 {
        let (squatter, done) = (stranger(&fixture, &role).await, Arc::clone(&done));
        squatters.spawn(async move {
            while !done.load(Ordering::Relaxed) {
                squatter.batch_execute(TAKE_WHAT_IS_SEEN).await.expect("any role may");
            }
        });
    }
    let mut candidates = JoinSet::new();
    for _ in 0..4 {
        candidates.spawn(lead_and_resign(fixture.connect().await, 25));
    }
    candidates.join_all().await;
    done.store(true, Ordering::Relaxed);
    squatters.join_all().await;
    drop_role(&fixture, &role).await;
}

attacks!(
    locks_of_another_role_keep_no_orchestrator_from_leading,
    the_lock_of_a_lost_leader_makes_no_other_session_the_leader,
);
