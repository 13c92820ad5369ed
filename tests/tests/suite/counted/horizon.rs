//! A transaction that stays open for long keeps the index entries of all tasks that ended meanwhile.

use pgasync_tests::{Database, Engine, PrivateCluster, Target};
use serde_json::json;

use super::counters::Work;
use super::load::{start_cluster, wait_until_finished};

/// More than a poll reads one by one.
const PUSHED: i64 = 1100;

const PUSHES: i64 = 25;

/// The work of a task of large pushes, each of which ends before the next one.
async fn run_large_pushes<E: Engine>(cluster: &PrivateCluster, held: bool) -> Work {
    let database = Database::create_on(cluster).await;
    let target = Target::create_on(cluster).await;
    let there = json!({"target": "there", "connection_string": target.conninfo(), "max_workers": 16});
    database.configure(&json!({"control": {"workers": 16}, "targets": [there]})).await;
    database.run("update async.control set last_light_maintenance = now(), last_heavy_maintenance = now()").await;
    let before = Work::read(cluster, &database, &target).await;
    // The counters end the sessions that were open.
    let (client, holder) = (database.connect().await, database.connect().await);
    if held {
        let hold = "begin isolation level repeatable read; select count(*) from async.target";
        holder.batch_execute(hold).await.expect("it opens a snapshot");
    }
    let mut engine = E::attach(&database);
    engine.lead().await;
    for pushed in 0..PUSHES {
        let push = "select count(*) from (select async.push_tasks(array_agg(async.task('select 0', 'there')))
            from generate_series(1, $1::int8)) as pushed";
        client.query(push, &[&PUSHED]).await.expect("it pushes");
        // A look at one row: a search for unfinished tasks reads those that ended as well.
        wait_until_finished(&database, (pushed + 1) * PUSHED..(pushed + 1) * PUSHED + 1).await;
    }
    engine.stop().await;
    holder.close().await;
    let tasks = i32::try_from(PUSHES * PUSHED).expect("it is small");
    let work = Work::read(cluster, &database, &target).await.per_task_since(before, tasks);
    eprintln!("{}, held: {held}: {work:#.2?}", E::NAME);
    work
}

/// Measured: 13 rows and 56 to 86 buffers of a task, and while a snapshot is held 34 to 41 rows and 72 to 89
/// buffers, of which the review of all lanes is the most: it reads their fronts for a fiftieth of the time. When
/// each large push made the leader read the front of its lane, the Rust engine read 180 rows.
async fn large_pushes_do_not_read_the_tasks_that_ended<E: Engine>() {
    let cluster = start_cluster().await;
    let (free, held) = (run_large_pushes::<E>(&cluster, false).await, run_large_pushes::<E>(&cluster, true).await);
    let (rows, buffers) = (held.rows_read - free.rows_read, held.buffers / free.buffers);
    assert!(rows < 80.0 && buffers < 1.8, "{}: {rows:.1} rows more of a task, {buffers:.1} times the buffers", E::NAME);
}

crate::conformance::run_on!(
    pgasync_tests::SqlEngine => sql: large_pushes_do_not_read_the_tasks_that_ended);
crate::conformance::run_on!(
    pgasync_tests::RustEngine => rust: large_pushes_do_not_read_the_tasks_that_ended);
