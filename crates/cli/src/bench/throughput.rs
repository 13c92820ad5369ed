//! How many tasks a second go from claimed to recorded.

use std::time::{Duration, Instant};

use anyhow::bail;
use pgasync_core::{PoolName, TargetName};
use pgasync_store::{Batch, NewTask};

use super::arena::Arena;
use crate::server::in_words;

const POLL_INTERVAL: Duration = Duration::from_millis(200);

const PATIENCE: Duration = Duration::from_secs(600);

/// Tasks a second, from the first claim to the last record by the server's clock. The `backlog` waits in a pool that
/// one task holds full.
pub(super) async fn measure(arena: &mut Arena, tasks: u32, backlog: u32) -> anyhow::Result<f64> {
    if backlog > 0 {
        park(arena, backlog).await?;
    }
    arena.client.push(&arena.tasks(tasks, |task| task)?).await?;
    wait(arena).await?;

    let sql = "select count(*)::float8 / extract(epoch from max(processed) - min(consumed))::float8,
            count(*) filter (where finish_status <> 'FINISHED')
        from async.task where concurrency_pool is distinct from 'parked'";
    let row = arena.session.query_one(sql, &[]).await.map_err(in_words)?;
    let unfinished: i64 = row.try_get(1)?;
    if unfinished > 0 {
        bail!("{unfinished} of {tasks} tasks did not end as FINISHED");
    }
    Ok(row.try_get(0)?)
}

async fn park(arena: &mut Arena, backlog: u32) -> anyhow::Result<()> {
    let parked = PoolName::new("parked")?;
    let block = NewTask::query("select pg_sleep(3600)", TargetName::new("bench")?).pool(parked.clone());
    let blocks = arena.client.push(&Batch::of([block])).await?;
    let begin = Instant::now();
    while arena.client.tasks(&blocks).await?.iter().any(|task| task.started.is_none()) {
        arena.leader.check().await?;
        if begin.elapsed() > PATIENCE {
            bail!("the task that should block the parked pool was never launched");
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    arena.client.push(&arena.tasks(backlog, |task| task.pool(parked.clone()))?).await?;
    Ok(())
}

/// Until the tasks are finished that are not parked.
async fn wait(arena: &mut Arena) -> anyhow::Result<()> {
    let left =
        "select exists (select from async.task where processed is null and concurrency_pool is distinct from 'parked')";
    let begin = Instant::now();
    while arena.session.query_one(left, &[]).await.map_err(in_words)?.try_get(0)? {
        arena.leader.check().await?;
        if begin.elapsed() > PATIENCE {
            bail!("the tasks did not end within {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(())
}
