//! Paused targets and pools: no task of theirs starts, what runs goes on, and nothing fails because
//! of the pause.

use std::time::Duration;

use pgasync_tests::{Engine, RustEngine, SqlEngine};
use serde_json::json;

use super::fixture::{Fixture, SOON};
use super::link::Link;

/// Longer than a leader needs to see a change and to start a task.
const A_WHILE: Duration = Duration::from_millis(1_500);

const PAUSE_TARGET: &str = "select async.set_target('there', '{\"paused\": true}')";
const RESUME_TARGET: &str = "select async.set_target('there', '{\"paused\": false}')";
const PAUSE_POOL: &str = "select async.set_pool('p', null, '{\"paused\": true}')";
const RESUME_POOL: &str = "select async.set_pool('p', null, '{\"paused\": false}')";

impl<E: Engine> Fixture<E> {
    /// Waits until the leader has seen the configuration.
    async fn wait_until_seen(&self) {
        self.run("select async.wait_for_latch()").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.run("select async.wait_for_latch()").await;
    }

    async fn reason(&self) -> Option<String> {
        self.text("select reason from async.v_why_waiting").await
    }
}

async fn a_paused_target_starts_nothing_and_what_runs_goes_on<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let elsewhere = json!({ "target": "elsewhere", "connection_string": fixture.target.conninfo() });
    fixture.configure(&json!({ "targets": [fixture.there(&json!({})), elsewhere] })).await;
    let running = fixture.push("select pg_sleep(2)").await;
    fixture.wait_until_it_runs(running).await;
    fixture.run(PAUSE_TARGET).await;
    fixture.wait_until_seen().await;
    let waiting = fixture.push("insert into ledger (mark) values ('paused')").await;
    let other = fixture.push_as("'select 1', 'elsewhere'").await;
    fixture.end_within(other, SOON).await.succeeded();
    fixture.end_within(running, SOON).await.succeeded();
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(fixture.reason().await.as_deref(), Some("target there is paused"));
    fixture.assert_holds("select state = 'paused' and paused from async.v_target_state where target = 'there'").await;
    fixture.assert_holds("select paused from async.v_target where target = 'there'").await;
    fixture.assert_holds("select count(*) = 0 from async.v_candidate_task").await;
    assert_eq!(fixture.target.marks("paused").await, 0);
    fixture.run(RESUME_TARGET).await;
    fixture.end_within(waiting, SOON).await.succeeded();
    assert_eq!(fixture.target.marks("paused").await, 1);
    fixture.assert_holds("select state = 'ok' from async.v_target_state where target = 'there'").await;
    fixture.wait_until_no_slot_is_taken().await;
}

async fn a_paused_pool_starts_nothing_and_other_pools_go_on<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run("select async.set_pool('p', 2)").await;
    fixture.run(PAUSE_POOL).await;
    fixture.wait_until_seen().await;
    let ids: Vec<i64> = vec![
        fixture.push_as("'select 1', 'there', concurrency_pool => 'p'").await,
        fixture.push_as("'select 2', 'there', concurrency_pool => 'p'").await,
    ];
    for _ in 0..3 {
        fixture.run_task("select 3").await.succeeded();
    }
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(fixture.reason().await.as_deref(), Some("pool p is paused"));
    fixture.assert_holds("select paused and max_workers = 2 from async.v_pool where concurrency_pool = 'p'").await;
    fixture.assert_holds("select count(*) = 2 from async.task where concurrency_pool = 'p' and consumed is null").await;
    fixture.run(RESUME_POOL).await;
    for id in ids {
        fixture.end_within(id, SOON).await.succeeded();
    }
}

async fn pulled_tasks_are_not_offered_and_offers_are_withdrawn<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.configure(&json!({ "targets": [{ "target": "pulled", "asynchronous_finish": true }] })).await;
    fixture.push_as("null, 'pulled'").await;
    fixture.wait_for("select count(*) = 1 from async.offer").await;
    fixture.run("select async.set_target('pulled', '{\"paused\": true}')").await;
    fixture.wait_for("select count(*) = 0 from async.offer").await;
    fixture.push_as("null, 'pulled'").await;
    fixture.assert_holds("select count(*) = 0 from async.get_tasks('pulled', 5, '1.5 s')").await;
    assert_eq!(fixture.reason().await.as_deref(), Some("target pulled is paused"));
    fixture.run("select async.set_target('pulled', '{\"paused\": false}')").await;
    fixture.wait_for("select count(*) = 2 from async.offer").await;
    fixture.assert_holds("select count(*) = 2 from async.get_tasks('pulled', 5, '5 s')").await;
    // What a client has taken goes on.
    fixture.run("select async.set_target('pulled', '{\"paused\": true}')").await;
    fixture.wait_until_seen().await;
    fixture.run("select async.finish(array_agg(task_id), 'FINISHED', null) from async.task").await;
    fixture.wait_until_finished().await;
}

async fn requests_and_deadlines_work_while_paused<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let running = fixture.push_as("'select pg_sleep(25)', 'there', manual_timeout => '2 s'").await;
    fixture.wait_until_it_runs(running).await;
    fixture.run(PAUSE_TARGET).await;
    fixture.wait_until_seen().await;
    let expiring = fixture
        .id("select async.push('select 1', 'there', expires_at => clock_timestamp() + interval '1 s')", &[])
        .await;
    let canceled = fixture.push("select 1").await;
    let deferred = fixture.push("select 1").await;
    fixture
        .run(&format!("select async.cancel(array[{canceled}]); select async.defer(array[{deferred}], '0.3 s')"))
        .await;
    fixture.end_within(canceled, SOON).await.is("CANCELED");
    fixture.end_within(expiring, SOON).await.is("TIMED_OUT");
    fixture.end_within(running, SOON).await.is("TIMED_OUT");
    tokio::time::sleep(A_WHILE).await;
    fixture.assert_holds(&format!("select consumed is null from async.task where task_id = {deferred}")).await;
    fixture.run(RESUME_TARGET).await;
    fixture.end_within(deferred, SOON).await.succeeded();
}

async fn no_task_fails_because_its_paused_target_is_down<E: Engine>() {
    let fixture = Fixture::<E>::prepared().await;
    let link = Link::to(&fixture.target).await;
    link.close().await;
    let mut fixture = fixture;
    fixture
        .configure(&json!({
            "control": { "target_patience": "1 s" },
            "targets": [{ "target": "there", "connection_string": link.conninfo(), "paused": true }],
        }))
        .await;
    fixture.engine.lead().await;
    let id = fixture.push("select 1").await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    fixture.assert_holds(&format!("select processed is null from async.task where task_id = {id}")).await;
    assert_eq!(fixture.reason().await.as_deref(), Some("target there is paused"));
    link.open();
    fixture.run(RESUME_TARGET).await;
    fixture.end_within(id, SOON).await.succeeded();
}

async fn a_document_without_paused_leaves_it_and_the_live_document_shows_it_where_true<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run("select async.set_pool('p', 2)").await;
    let shown = "select coalesce(string_agg(e ->> 'paused', ' '), 'none')
        from (select async.configuration() as c) d,
          jsonb_array_elements(d.c -> 'targets' || (d.c -> 'concurrency_pools')) e where e ? 'paused'";
    assert_eq!(fixture.text(shown).await.as_deref(), Some("none"));
    fixture.run(PAUSE_TARGET).await;
    fixture.run(PAUSE_POOL).await;
    assert_eq!(fixture.text(shown).await.as_deref(), Some("true true"));
    let document = json!({
        "targets": [fixture.there(&json!({ "max_workers": 3 }))],
        "concurrency_pools": [{ "concurrency_pool": "p", "max_workers": 5 }],
    });
    fixture.configure(&document).await;
    assert_eq!(fixture.text(shown).await.as_deref(), Some("true true"));
    fixture.run("select async.configure('{\"targets\": [], \"concurrency_pools\": []}')").await;
    fixture.configure(&document).await;
    assert_eq!(fixture.text(shown).await.as_deref(), Some("true true"), "also after they were retired");
    fixture.run("select async.configure(async.configuration() #- '{targets,0,connection_string}')").await;
    assert_eq!(fixture.text(shown).await.as_deref(), Some("true true"));
    fixture.run(RESUME_TARGET).await;
    fixture.run(RESUME_POOL).await;
    assert_eq!(fixture.text(shown).await.as_deref(), Some("none"));
    let (code, message) = fixture.refused("select async.set_target('there', '{\"paused\": 3}')").await;
    assert_eq!((code.as_str(), message.starts_with("targets[0].paused")), ("PA060", true), "{message}");
}

/// The first leader is killed while the target is paused, and the other engine follows.
async fn a_successor_starts_nothing_of_what_is_paused<First: Engine, Second: Engine>() {
    let mut fixture = Fixture::<First>::led().await;
    fixture.configure(&json!({ "control": { "takeover_grace": "0.2 s" } })).await;
    fixture.run(PAUSE_TARGET).await;
    fixture.run("select async.set_pool('p', 2)").await;
    fixture.run(PAUSE_POOL).await;
    fixture.wait_until_seen().await;
    let of_target = fixture.push("select 1").await;
    let of_pool = fixture.push_as("'select 1', 'SELF', concurrency_pool => 'p'").await;
    fixture.engine.stop().await;
    let mut second = Second::attach(&fixture.database);
    second.lead().await;
    let other = fixture.push_as("'select 1', 'SELF'").await;
    fixture.end_within(other, SOON).await.succeeded();
    tokio::time::sleep(A_WHILE).await;
    fixture.assert_holds("select count(*) = 2 from async.task where consumed is null").await;
    fixture.run(RESUME_TARGET).await;
    fixture.run(RESUME_POOL).await;
    fixture.end_within(of_target, SOON).await.succeeded();
    fixture.end_within(of_pool, SOON).await.succeeded();
    second.stop().await;
}

#[tokio::test]
async fn a_rust_leader_after_a_sql_leader_starts_nothing_of_what_is_paused() {
    a_successor_starts_nothing_of_what_is_paused::<SqlEngine, RustEngine>().await;
}

#[tokio::test]
async fn a_sql_leader_after_a_rust_leader_starts_nothing_of_what_is_paused() {
    a_successor_starts_nothing_of_what_is_paused::<RustEngine, SqlEngine>().await;
}

conformance!(
    a_paused_target_starts_nothing_and_what_runs_goes_on,
    a_paused_pool_starts_nothing_and_other_pools_go_on,
    pulled_tasks_are_not_offered_and_offers_are_withdrawn,
    requests_and_deadlines_work_while_paused,
    no_task_fails_because_its_paused_target_is_down,
    a_document_without_paused_leaves_it_and_the_live_document_shows_it_where_true,
);
