//! How many tasks a second go from claimed to recorded.

use std::time::{Duration, Instant};

use anyhow::bail;

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
    let push = "select count(*) from async.push_tasks(
        (select array_agg(async.task('select 0', 'bench')) from generate_series(1, $1::int)))";
    let tasks = i32::try_from(tasks)?;
    arena.session.query_one(push, &[&tasks]).await.map_err(in_words)?;
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
    let block = "select async.push_task(async.task('select pg_sleep(3600)', 'bench', concurrency_pool => 'parked'))";
    let task: i64 = arena.session.query_one(block, &[]).await.map_err(in_words)?.try_get(0)?;
    let begin = Instant::now();
    let running = "select consumed is not null from async.task where task_id = $1";
    while !arena.session.query_one(running, &[&task]).await?.try_get::<_, bool>(0)? {
        arena.leader.check().await?;
        if begin.elapsed() > PATIENCE {
            bail!("the task that should block the parked pool was never launched");
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    let push = "select count(*) from async.push_tasks(
        (select array_agg(async.task('select 0', 'bench', concurrency_pool => 'parked')) from generate_series(1, $1::int)))";
    arena.session.query_one(push, &[&i32::try_from(backlog)?]).await.map_err(in_words)?;
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
