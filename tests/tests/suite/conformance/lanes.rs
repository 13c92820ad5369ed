//! What a leader remembers of the queue: which tasks it finds, and what it forgets.

use std::time::Duration;

use pgasync_tests::{Engine, SqlEngine};
use serde_json::json;

use super::fixture::Fixture;

const SECONDS: Duration = Duration::from_secs(15);

const URGENT: &str = "select async.push_task(async.task('select 1', 'there', priority => -1))";

/// A LOOP routine of the SQL engine, which runs in its session, notes what `sql` says about the memory of the leader.
fn noting(sql: &str) -> String {
    format!(
        "create table seen (at timestamptz default clock_timestamp(), seen bigint);
         create procedure look() language plpgsql as $$ begin insert into seen (seen) {sql}; end $$;
         select async.push_routine('LOOP', 'look()')"
    )
}

/// A task that became READY by an update has not arrived, and its lane may be read up to a later task.
async fn a_task_that_was_changed_by_hand_is_found<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture.run("update async.control set paused = true").await;
    let deferred = fixture.id(URGENT, &[]).await;
    fixture
        .run(&format!("update async.task set eligible_when = now() + interval '1 hour' where task_id = {deferred}"))
        .await;
    fixture.run("update async.control set paused = false").await;
    for _ in 0..3 {
        fixture.run_task("select 1").await.succeeded();
    }
    fixture.run(&format!("update async.task set eligible_when = null where task_id = {deferred}")).await;
    fixture.end_within(deferred, SECONDS).await.succeeded();
}

/// The tasks that were pushed first are committed last, when their lane is read up to later tasks.
async fn pushes_that_commit_in_another_order_are_found<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    let mut open = Vec::new();
    for _ in 0..5 {
        let client = fixture.connect().await;
        client.batch_execute("begin").await.expect("begins");
        client.batch_execute(URGENT).await.expect("pushes");
        open.push(client);
        fixture.run_task("select 1").await.succeeded();
    }
    for client in open.into_iter().rev() {
        client.batch_execute("commit").await.expect("commits");
        fixture.run_task("select 1").await.succeeded();
    }
    fixture.wait_until_finished().await;
    fixture.assert_holds("select count(*) = 15 and bool_and(finish_status = 'FINISHED') from async.task").await;
}

/// More tasks than a poll reads one by one, in more lanes than it reads at once.
async fn many_tasks_that_arrive_at_once_are_found<E: Engine>() {
    let fixture = Fixture::<E>::led().await;
    fixture
        .run(
            "select async.push_tasks(array_agg(async.task('select 1', 'there', concurrency_pool => 'pool ' || n % 400)))
         from generate_series(1, 1500) n",
        )
        .await;
    fixture.wait_until_finished().await;
    fixture.assert_holds("select count(*) = 1500 and bool_and(finish_status = 'FINISHED') from async.task").await;
}

/// Every worker has a session, and those of one target are busy. Its lanes are before all others.
async fn many_lanes_of_a_target_with_busy_sessions_hold_up_no_other_target() {
    let fixture = Fixture::<SqlEngine>::led().await;
    let other = json!({ "target": "other", "connection_string": fixture.target.conninfo(), "max_workers": 1 });
    fixture.configure(&json!({ "control": { "workers": 4 }, "targets": [fixture.there(&json!({})), other] })).await;
    let to_other = "select async.push_task(async.task('select 1', 'other'))";
    let opened = fixture.id(to_other, &[]).await;
    fixture.end_of(opened).await.succeeded();
    let mut busy = Vec::new();
    for _ in 0..3 {
        busy.push(fixture.push("select pg_sleep(8)").await);
    }
    for id in &busy {
        fixture.wait_until_it_runs(*id).await;
    }
    fixture
        .run(
            "select async.push_tasks(array_agg(async.task('select 1', 'there', concurrency_pool => 'pool ' || n)))
         from generate_series(1, 200) n",
        )
        .await;
    let behind = fixture.id(to_other, &[]).await;
    fixture.end_of(behind).await.succeeded();
    fixture.assert_holds(&format!("select processed is null from async.task where task_id = {}", busy[2])).await;
}

conformance!(
    a_task_that_was_changed_by_hand_is_found,
    pushes_that_commit_in_another_order_are_found,
    many_tasks_that_arrive_at_once_are_found,
);

mod sql_only {
    use super::*;

    #[tokio::test]
    async fn many_lanes_of_a_target_with_busy_sessions_hold_up_no_other_target() {
        super::many_lanes_of_a_target_with_busy_sessions_hold_up_no_other_target().await;
    }

    #[tokio::test]
    async fn pools_without_tasks_are_forgotten() {
        let mut fixture = Fixture::<SqlEngine>::prepared().await;
        fixture.run(&noting("select count(*) from pg_temp.leader_pool")).await;
        fixture.engine.lead().await;
        fixture
            .run(
                "select async.push_tasks(array_agg(async.task('select 1', 'there', concurrency_pool => 'pool ' || n)))
             from generate_series(1, 300) n",
            )
            .await;
        fixture.wait_until_finished().await;
        fixture.assert_holds("select max(seen) > 200 from seen").await;
        fixture.wait_for("select seen < 5 from seen order by at desc limit 1").await;
    }

    /// The table of the workers has a few versions of each row on the page of the row.
    #[tokio::test]
    async fn the_memory_does_not_grow_with_the_tasks() {
        let mut fixture = Fixture::<SqlEngine>::prepared().await;
        fixture
            .configure(&json!({ "control": { "workers": 40 }, "targets": [{ "target": "there", "max_workers": 40 }] }))
            .await;
        fixture.run(&noting("select pg_relation_size('pg_temp.leader_worker')")).await;
        fixture.engine.lead().await;
        fixture
            .run("select async.push_tasks(array_agg(async.task('select 1', 'there'))) from generate_series(1, 6000) n")
            .await;
        fixture.wait_until_finished().await;
        let size = fixture.number("select max(seen) from seen").await;
        // With a version on another page for each task it has 12 MB. Up to Postgres 13, the snapshots of other
        // tests keep dead versions until the table is compacted.
        assert!(size < 4_000_000, "{size} bytes for 40 workers");
    }
}
