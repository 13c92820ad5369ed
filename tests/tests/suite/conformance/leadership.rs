//! Leadership: one leader at a time, takeovers, and graceful shutdown.

use std::time::{Duration, Instant};

use pgasync_pg::Session;
use pgasync_tests::{Engine, Outcome};
use serde_json::json;

use super::fixture::{Fixture, SLOW, SOON};

async fn a_second_candidate_reports_the_leader_and_returns<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let mut second = E::attach(&fixture.database);
    second.start().await;
    assert_eq!(second.wait_until_ended().await, Outcome::Returned);
    assert!(!second.notices().is_empty());
    assert!(fixture.engine.is_leading().await);
    fixture.run_task("select 1").await.succeeded();
}

async fn a_change_of_the_mutex_does_not_make_two_leaders<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "control": { "advisory_mutex_id": 7 } })).await;
    let mut second = E::attach(&fixture.database);
    second.start().await;
    assert_eq!(second.wait_until_ended().await, Outcome::Returned);
    fixture.run_task("select 1").await.succeeded();
    assert!(fixture.engine.is_leading().await);
}

async fn a_forced_takeover_works_after_the_mutex_was_changed<E: Engine>() {
    let mut fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "control": { "advisory_mutex_id": -7 } })).await;
    let mut second = E::attach(&fixture.database);
    second.start_forced().await;
    second.wait_until_leading().await;
    fixture.engine.wait_until_ended().await;
    fixture.run_task("select 1").await.succeeded();
}

async fn a_forced_takeover_touches_no_other_database_s_orchestrator<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let neighbour = Fixture::<E>::led().await;
    let mut second = E::attach(&fixture.database);
    second.start_forced().await;
    second.wait_until_leading().await;
    assert!(neighbour.engine.is_leading().await);
    neighbour.run_task("select 1").await.succeeded();
}

async fn a_forced_start_without_anyone_leading_leads<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    fixture.engine.start_forced().await;
    fixture.engine.wait_until_leading().await;
    fixture.run_task("select 1").await.succeeded();
}

/// Another candidate took the lead when the leader resigned. The forced candidate waited for the old
/// leader, terminated its pid, and gave up.
async fn a_forced_takeover_asks_a_faster_candidate_too<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    let (leader, leader_pid) = session_of_a_leader(&fixture).await;
    let (faster, faster_pid) = session_of_a_leader(&fixture).await;
    let asks = |pid| {
        format!("select count(*) > 0 from async.server_log l where l.message ~ 'asks orchestrator pid {pid} to resign'")
    };
    leader.batch_execute("select async.take_locks()").await.expect("no orchestrator leads");
    // In a transaction a session never seems idle.
    leader.batch_execute("begin").await.expect("the session is idle");
    fixture.engine.start_forced().await;
    fixture.wait_for(&asks(leader_pid)).await;
    // No other candidate decides while this one has the row.
    faster.batch_execute("begin; select from async.leader_lock for update").await.expect("a candidate waits for it");
    leader.batch_execute("select async.release_locks()").await.expect("the old leader lives");
    let taken = faster.query_one("select async.take_locks()", &[]).await.expect("the row is locked");
    assert!(taken.get::<_, bool>(0), "the old leader has resigned");
    faster.batch_execute("commit; begin").await.expect("the faster candidate lives");
    fixture.wait_for(&asks(faster_pid)).await;
    faster.batch_execute("select async.release_locks()").await.expect("the faster candidate lives");
    fixture.engine.wait_until_leading().await;
    leader.batch_execute("commit").await.expect("the old leader was not terminated");
    fixture.run_task("select 1").await.succeeded();
}

/// A session of the owner, and its pid.
async fn session_of_a_leader<E: Engine>(fixture: &Fixture<E>) -> (Session, i32) {
    let session = fixture.database.settings().connect().await.expect("the server is up");
    let row = session.query_one("select pg_backend_pid()", &[]).await.expect("the session lives");
    (session, row.get(0))
}

/// The process of the Rust engine ended with an error when its first reads had waited for 0.1 s.
async fn a_client_that_locks_the_table_delays_an_election<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    let client = fixture.database.settings().connect().await.expect("the server is up");
    // If the test fails, its report reads the table.
    let locking =
        "set idle_in_transaction_session_timeout = '20 s'; begin; lock table async.task in access exclusive mode";
    client.batch_execute(locking).await.expect("the table is free");
    fixture.engine.start().await;
    let waits = "select exists (select from pg_stat_activity a
         where a.datname = current_database() and a.wait_event_type = 'Lock'
           and clock_timestamp() - a.query_start > '0.5 s')";
    fixture.wait_for(waits).await;
    client.batch_execute("commit").await.expect("the client continues");
    fixture.engine.wait_until_leading().await;
    fixture.run_task("select 1").await.succeeded();
}

async fn a_takeover_loses_no_task_and_runs_none_twice<E: Engine>() {
    let mut fixture = Fixture::<E>::led().await;
    fixture
        .run(
            "select async.push_tasks(array_agg(async.task(
            'insert into ledger (mark) select ''##flow.TASK_ID##'' from pg_sleep(0.03)', 'there')))
         from generate_series(1, 200)",
        )
        .await;
    for _ in 0..2 {
        fixture
            .wait_for("select exists (select from async.task where consumed is not null and processed is null)")
            .await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        let mut next = E::attach(&fixture.database);
        next.start_forced().await;
        next.wait_until_leading().await;
        std::mem::replace(&mut fixture.engine, next).wait_until_ended().await;
    }
    fixture.wait_until_finished().await;
    fixture.assert_holds("select bool_and(finish_status = 'FINISHED') from async.task").await;
    assert!(fixture.target.repeated_marks().await.is_empty());
    assert_eq!(fixture.number_there("select count(*) from ledger").await, 200);
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_stopped_leader_releases_its_locks_and_closes_its_sessions<E: Engine>() {
    let mut fixture = Fixture::<E>::led().await;
    fixture.run_task("select 1").await.succeeded();
    let begin = Instant::now();
    fixture.engine.stop().await;
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    assert!(!fixture.engine.is_leading().await);
    fixture
        .wait_for("select not async.leader_exists() and pid is null and running_since is null from async.control")
        .await;
    fixture
        .wait_for(&format!(
            "select not exists (select from pg_stat_activity where application_name like 'pgasync/%'
            and datname in ('{}', '{}'))",
            fixture.name(),
            fixture.target.name()
        ))
        .await;
    fixture
        .wait_for(
            "select not exists (select from pg_locks l join pg_database d on d.oid = l.database
        where locktype = 'advisory' and datname = current_database())",
        )
        .await;
}

async fn a_stopping_leader_ends_or_requeues_running_queries<E: Engine>() {
    let mut fixture = Fixture::<E>::led().await;
    let id = fixture.push("insert into ledger (mark) select 'ran' from pg_sleep(25)").await;
    fixture.wait_until_it_runs(id).await;
    let begin = Instant::now();
    fixture.engine.stop().await;
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    // No unregistered session is left at the target.
    fixture
        .wait_for(&format!(
            "select not exists (select from pg_stat_activity where datname = '{}' and query like '%ran%'
            and state = 'active' and pid <> pg_backend_pid())",
            fixture.target.name()
        ))
        .await;
    fixture
        .assert_holds("select async.task_execution_state(t) = 'READY' and tracked is not true from async.task t")
        .await;
    assert_eq!(fixture.target.marks("ran").await, 0);
    fixture.run("update async.task set query = 'insert into ledger (mark) values (''ran'')'").await;
    let mut next = E::attach(&fixture.database);
    next.lead().await;
    fixture.end_of(id).await.succeeded();
    assert_eq!(fixture.target.marks("ran").await, 1);
}

async fn a_disabled_engine_ends_after_its_short_queries<E: Engine>() {
    let mut fixture = Fixture::<E>::led().await;
    let id = fixture.push("select pg_sleep(0.7)").await;
    fixture.wait_until_it_runs(id).await;
    fixture.run("update async.control set enabled = false").await;
    assert_eq!(fixture.engine.wait_until_ended().await, Outcome::Returned);
    fixture.end_of(id).await.succeeded();
    // While the orchestrator is disabled, an engine does not lead, and reports the reason.
    let mut second = E::attach(&fixture.database);
    second.start().await;
    assert_eq!(second.wait_until_ended().await, Outcome::Returned);
    assert!(!second.notices().is_empty());
    fixture.run("update async.control set enabled = true").await;
    let mut third = E::attach(&fixture.database);
    third.lead().await;
    fixture.run_task("select 1").await.succeeded();
}

async fn a_target_that_cannot_be_fenced_delays_no_other_target<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    let link = super::link::Link::to(&fixture.target).await;
    fixture
        .configure(&json!({ "control": { "takeover_grace": "0.1 s" }, "targets": [
        fixture.there(&json!({})), { "target": "linked", "connection_string": link.conninfo() }] }))
        .await;
    fixture.engine.lead().await;
    let behind = fixture.push_as("'select pg_sleep(25)', 'linked'").await;
    let here = fixture.push(SLOW).await;
    fixture.wait_until(behind, "RUNNING").await;
    fixture.wait_until_it_runs(here).await;
    link.freeze();
    fixture.engine.terminate().await;
    let mut next = E::attach(&fixture.database);
    next.lead().await;
    fixture.end_within(here, SOON).await.is("FAILED");
    fixture.run_task("select 1").await.succeeded();
    // The outcome of the other task is unknown. The task is not resolved, and its pool slot is
    // taken.
    fixture
        .assert_holds(&format!("select processed is null and tracked from async.task where task_id = {behind}"))
        .await;
    link.open();
    fixture.end_of(behind).await.is("FAILED");
    fixture.wait_until_no_slot_is_taken().await;
}

async fn the_leader_publishes_itself<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.assert_holds("select pid is not null and running_since <= now() from async.control").await;
    fixture.assert_holds("select async.leader_exists()").await;
    fixture.assert_holds("select server_status = 'running' and uptime is not null from async.v_server_info").await;
    fixture.run("update async.control set paused = true").await;
    fixture.assert_holds("select server_status = 'paused' from async.v_server_info").await;
}

/// A task whose claim a crash of the server undid would run twice.
async fn a_leader_commits_synchronously_even_if_the_database_does_not<E: Engine>() {
    let mut fixture = Fixture::<E>::prepared().await;
    fixture
        .run(
            "do $$ begin execute format('alter database %I set synchronous_commit = off', current_database()); end $$;
         create table seen (setting text);
         create procedure look() language plpgsql as $$ begin
            insert into seen values (current_setting('synchronous_commit')); end $$;
         select async.push_routine('LOOP', 'look()')",
        )
        .await;
    fixture.engine.lead().await;
    fixture.wait_for("select count(*) > 0 from seen").await;
    fixture.assert_holds("select bool_and(setting = 'local') from seen").await;
}

/// `pg_stat_activity` hides `backend_start` of sessions of roles that the reader is not a member
/// of.
async fn a_session_that_is_hidden_is_not_taken_for_gone<E: Engine>() {
    let mut fixture = Fixture::<E>::led().await;
    fixture.engine.stop().await;
    let blind = format!("blind_{}", fixture.target.name());
    fixture.run(&format!("create role {blind} login")).await;
    let session = fixture.target.settings().connect().await.expect("a second session");
    let backend = "select pg_backend_pid(), a.backend_start::text, a.usename::text
               from pg_stat_get_activity(pg_backend_pid()) s join pg_stat_activity a using (pid)";
    let backend = session.query_one(backend, &[]).await.expect("activity");
    let (pid, start, role): (i32, String, String) = (backend.get(0), backend.get(1), backend.get(2));
    fixture
        .run(&format!(
            "insert into async.session (epoch, slot, target, connection_string, role, pid, backend_start)
         select epoch, 1, 'there', '{} user={blind}', '{role}', {pid}, '{start}' from async.leader",
            fixture.target.conninfo()
        ))
        .await;
    fixture.engine = E::attach(&fixture.database);
    fixture.engine.lead().await;
    fixture.wait_for("select count(*) > 0 from async.server_log where message ~ 'hidden from this role'").await;
    fixture.assert_holds(&format!("select count(*) = 1 from async.session where pid = {pid}")).await;
    session.close().await;
    fixture.wait_for(&format!("select count(*) = 0 from async.session where pid = {pid}")).await;
    fixture.engine.stop().await;
    fixture.run(&format!("drop role {blind}")).await;
}

conformance!(
    a_session_that_is_hidden_is_not_taken_for_gone,
    a_leader_commits_synchronously_even_if_the_database_does_not,
    a_second_candidate_reports_the_leader_and_returns,
    a_change_of_the_mutex_does_not_make_two_leaders,
    a_forced_takeover_works_after_the_mutex_was_changed,
    a_forced_takeover_touches_no_other_database_s_orchestrator,
    a_forced_start_without_anyone_leading_leads,
    a_client_that_locks_the_table_delays_an_election,
    a_forced_takeover_asks_a_faster_candidate_too,
    a_takeover_loses_no_task_and_runs_none_twice,
    a_stopped_leader_releases_its_locks_and_closes_its_sessions,
    a_stopping_leader_ends_or_requeues_running_queries,
    a_disabled_engine_ends_after_its_short_queries,
    a_target_that_cannot_be_fenced_delays_no_other_target,
    the_leader_publishes_itself,
);
