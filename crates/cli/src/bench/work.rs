//! What Postgres counts for a task: WAL, transaction ids, commits and row versions.

use std::time::{Duration, Instant};

use anyhow::bail;
use tokio::time::sleep;

use super::context::Bench;
use super::databases::{Databases, Layout};
use super::engine::Engine;
use super::load::Tasks;
use super::results::Case;

/// The slots of the target, and the number of workers.
const WORKERS: [u32; 2] = [8, 32];

const TASKS: u32 = 10_000;

const PATIENCE: Duration = Duration::from_secs(120);

/// The numbers, and the expressions for them.
const COUNTERS: [(&str, &str); 6] = [
    ("wal_bytes_per_task", "pg_current_wal_insert_lsn() - '0/0'"),
    ("transaction_ids_per_task", "txid_snapshot_xmax(txid_current_snapshot())"),
    ("commits_per_task", "select xact_commit from pg_stat_database where datname = current_database()"),
    (
        "rows_inserted_per_task",
        "select sum(n_tup_ins) from pg_stat_user_tables where schemaname = 'async' and relname <> 'task'",
    ),
    ("updates_per_task", "select n_tup_upd from pg_stat_user_tables where relid = 'async.task'::regclass"),
    ("hot_updates_per_task", "select n_tup_hot_upd from pg_stat_user_tables where relid = 'async.task'::regclass"),
];

/// WAL and transaction ids are counted for the whole cluster.
pub(super) async fn measure(bench: &mut Bench<'_>) -> anyhow::Result<()> {
    let insert = Case::named("task", "insert");
    let databases = Databases::create(bench, &Layout::one_target(1)).await?;
    bench.show("inserts");
    databases.run("create table plain (id bigserial primary key, target text, query text)").await?;
    let before = read(&databases).await?;
    let sql = "do $$ begin for n in 1..10000 loop
        insert into plain (target, query) values ('bench 0', 'select 0'); commit; end loop; end $$";
    databases.run(sql).await?;
    let after = read(&databases).await?;
    for (n, (metric, _)) in COUNTERS.iter().enumerate().take(2) {
        bench.add(&insert, "insert and commit", metric, (after[n] - before[n]) / f64::from(TASKS));
    }
    for workers in WORKERS {
        let case = Case::of("workers", workers);
        for engine in bench.engines() {
            bench.show(&format!("{} engine, {workers} workers", engine.name()));
            let databases = Databases::create(bench, &Layout::one_target(workers)).await?;
            Tasks::of(TASKS).push(&databases).await?;
            // What follows is the work of the engine. A session reports its statistics at its end.
            let databases = Databases { session: databases.server.connect().await?, ..databases };
            sleep(Duration::from_millis(200)).await;
            let before = read(&databases).await?;
            let running = Engine::start(&databases, engine).await?;
            wait(&databases).await?;
            running.end(&databases).await?;
            sleep(Duration::from_millis(500)).await;
            let after = read(&databases).await?;
            for (n, (metric, _)) in COUNTERS.iter().enumerate() {
                bench.add(&case, engine.name(), metric, (after[n] - before[n]) / f64::from(TASKS));
            }
        }
    }
    Ok(())
}

async fn read(databases: &Databases) -> anyhow::Result<Vec<f64>> {
    let mut values = Vec::new();
    for (_, expression) in COUNTERS {
        values.push(databases.number(expression).await?);
    }
    Ok(values)
}

async fn wait(databases: &Databases) -> anyhow::Result<()> {
    let begin = Instant::now();
    while databases.number("select 1 from async.task where processed is null limit 1").await? > 0.0 {
        if begin.elapsed() > PATIENCE {
            bail!("the tasks did not end within {} s", PATIENCE.as_secs());
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
