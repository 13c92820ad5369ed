//! A load of tasks, and the work that an engine does for it.

use std::ops::Range;
use std::time::{Duration, Instant};

use pgasync_tests::{Database, Engine, PATIENCE, PrivateCluster, Target};
use serde_json::json;
use tokio::time::sleep;

use super::counters::{SETTINGS, Work};

/// The number of tasks that run.
const TASKS: i32 = 2000;

const SLOTS: i32 = 16;

/// Tasks `select 0` at one target, all of which wait when the engine starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// The number of pools that the tasks are divided among. One pool is that of the target.
    pub(super) pools: i32,
    /// Tasks that come first in the order, and wait in a pool whose one slot is taken.
    pub(super) waiting: i32,
    /// Whether the table of tasks has statistics before the engine starts.
    pub(super) analyzed: bool,
}

impl Load {
    /// Tasks of one lane, and no others.
    pub(super) const PLAIN: Self = Self { pools: 1, waiting: 0, analyzed: true };

    /// The work of an engine for one of the tasks that run.
    pub(super) async fn run<E: Engine>(self, cluster: &PrivateCluster) -> Work {
        let database = Database::create_on(cluster).await;
        let target = Target::create_on(cluster).await;
        let tasks = self.push(&database, &target).await;

        let before = Work::read(cluster, &database, &target).await;
        let mut engine = E::attach(&database);
        engine.lead().await;
        wait_until_finished(&database, tasks).await;
        engine.stop().await;
        let work = Work::read(cluster, &database, &target).await.per_task_since(before, TASKS);
        eprintln!("{}, {self:?}: {work:#.2?}", E::NAME);
        work
    }

    /// Pushes all tasks. Returns the ids of those that run.
    async fn push(self, database: &Database, target: &Target) -> Range<i64> {
        database
            .configure(&json!({
                "control": {"workers": SLOTS + 1},
                "targets": [{"target": "there", "connection_string": target.conninfo(), "max_workers": SLOTS}],
                "concurrency_pools": [{"concurrency_pool": "full", "max_workers": 1}],
            }))
            .await;
        let mut first = 1;
        if self.waiting > 0 {
            first += 1;
            let blocks = "select async.push_task(async.task('select pg_sleep(3600)', 'there', priority => -9,
                concurrency_pool => 'full'))";
            database.run(blocks).await;
        }
        let push = "select count(*) from (select async.push_tasks(array_agg(async.task('select 0', 'there',
            priority => $1, concurrency_pool => case $2::int when 1 then $3 else $3 || (n % $2)::text end)))
            from generate_series(1, $4) as n) as pushed";
        database.rows(push, &[&0, &self.pools, &"there", &TASKS]).await;
        if self.waiting > 0 {
            database.rows(push, &[&-9, &1, &"full", &self.waiting]).await;
        }
        // The counts are of tasks, and not of the maintenance that begins when an engine starts.
        database.run("update async.control set last_light_maintenance = now(), last_heavy_maintenance = now()").await;
        database.run(if self.analyzed { "vacuum analyze async.task" } else { "vacuum async.task" }).await;
        first..first + i64::from(TASKS)
    }
}

/// A cluster that counts.
pub(super) async fn start_cluster() -> PrivateCluster {
    let cluster = PrivateCluster::start(&SETTINGS);
    let extension = cluster.administrator().await.batch_execute("create extension pg_stat_statements").await;
    extension.expect("contrib is installed");
    cluster
}

/// Waits until all these tasks are finished. A look begins at the first task that was unfinished the
/// last time, so that the looks cost little.
pub(super) async fn wait_until_finished(database: &Database, tasks: Range<i64>) {
    let session = database.connect().await;
    let sql = "select min(task_id) from async.task where processed is null and task_id >= $1 and task_id < $2";
    let (mut first, begin) = (Some(tasks.start), Instant::now());
    while let Some(id) = first {
        assert!(begin.elapsed() < 4 * PATIENCE, "task {id} is unfinished\n{}", database.dump().await);
        sleep(Duration::from_millis(100)).await;
        first = session.query_one(sql, &[&id, &tasks.end]).await.expect("the table is readable").get(0);
    }
    session.close().await;
}
