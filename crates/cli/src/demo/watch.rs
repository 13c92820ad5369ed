//! Waiting for the tasks, and cancelling the one that the demo cancels.

use std::time::{Duration, Instant};

use anyhow::bail;
use pgasync_pg::{Row, Session};

use super::progress::{Progress, TargetCount};
use crate::orchestrator::RunningOrchestrator;
use crate::server::error_text;

const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The demo takes about ten seconds. A slow or busy machine gets this time.
const PATIENCE: Duration = Duration::from_secs(300);

pub(super) async fn until_finished(session: &Session, orchestrator: &mut RunningOrchestrator) -> anyhow::Result<()> {
    let begin = Instant::now();
    let mut progress = Progress::new();
    loop {
        let counts = counts(session).await?;
        progress.show(&counts, begin.elapsed());
        if counts.iter().all(|count| count.finished == count.tasks) {
            progress.end();
            return Ok(());
        }
        if begin.elapsed() > PATIENCE {
            bail!("not all tasks ended within {} s: see async.task and async.server_log", PATIENCE.as_secs());
        }
        orchestrator.check().await?;
        cancel_task(session).await?;
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

async fn counts(session: &Session) -> anyhow::Result<Vec<TargetCount>> {
    let sql = "select target, count(*), count(processed),
            count(*) filter (where consumed is not null and processed is null),
            count(*) filter (where failed)
        from async.task group by target order by target";
    let rows = session.query(sql, &[]).await.map_err(error_text)?;
    let count = |row: &Row| TargetCount {
        target: row.get(0),
        tasks: row.get(1),
        finished: row.get(2),
        running: row.get(3),
        failed: row.get(4),
    };
    Ok(rows.iter().map(count).collect())
}

/// Cancels the task once it has run for a second. Repeated requests do no harm.
async fn cancel_task(session: &Session) -> anyhow::Result<()> {
    let sql = "select async.cancel(array_agg(task_id), 'cancelled by the demo') from async.task
        where task_data->>'kind' = 'canceled' and processed is null and consumed < clock_timestamp() - interval '1 second'
        having count(*) > 0";
    session.query(sql, &[]).await.map_err(error_text)?;
    Ok(())
}
