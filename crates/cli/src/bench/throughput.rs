//! Tasks a second, from claim to record.

use std::time::{Duration, Instant};

use anyhow::bail;
use pgasync_core::{PoolName, TargetName};
use pgasync_store::{Batch, NewTask};

use super::databases::BenchDatabases;
use crate::server::error_text;

const POLL_INTERVAL: Duration = Duration::from_millis(200);

const PATIENCE: Duration = Duration::from_secs(600);

/// Tasks a second between the first claim and the last record, by the server's clock. The tasks of
/// the `backlog` wait in a pool whose one slot is taken.
pub(super) async fn measure(databases: &mut BenchDatabases, tasks: u32, backlog: u32) -> anyhow::Result<f64> {
    if backlog > 0 {
        park(databases, backlog).await?;
    }
    databases.client.push(&databases.tasks(tasks, |task| task)?).await?;
    wait(databases).await?;

    let sql = "select count(*)::float8 / extract(epoch from max(processed) - min(consumed))::float8,
            count(*) filter (where finish_status <> 'FINISHED')
        from async.task where concurrency_pool is distinct from 'parked'";
    let row = databases.session.query_one(sql, &[]).await.map_err(error_text)?;
    let unfinished: i64 = row.try_get(1)?;
    if unfinished > 0 {
        bail!("{unfinished} of {tasks} tasks did not end as FINISHED");
    }
    Ok(row.try_get(0)?)
}

async fn park(databases: &mut BenchDatabases, backlog: u32) -> anyhow::Result<()> {
    let parked = PoolName::new("parked")?;
    let block = NewTask::query("select pg_sleep(3600)", TargetName::new("bench")?).pool(parked.clone());
    let blocks = databases.client.push(&Batch::of([block])).await?;
    let begin = Instant::now();
    while databases.client.tasks(&blocks).await?.iter().any(|task| task.started.is_none()) {
        databases.orchestrator.check().await?;
        if begin.elapsed() > PATIENCE {
            bail!("the task that should block the parked pool was never launched");
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    databases.client.push(&databases.tasks(backlog, |task| task.pool(parked.clone()))?).await?;
    Ok(())
}

/// Waits until all tasks outside the parked pool are finished.
async fn wait(databases: &mut BenchDatabases) -> anyhow::Result<()> {
    let left =
        "select exists (select from async.task where processed is null and concurrency_pool is distinct from 'parked')";
    let begin = Instant::now();
    while databases.session.query_one(left, &[]).await.map_err(error_text)?.try_get(0)? {
        databases.orchestrator.check().await?;
        if begin.elapsed() > PATIENCE {
            bail!("the tasks did not end within {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(())
}
