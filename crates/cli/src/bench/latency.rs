//! How long one push takes to become one result, on an orchestrator that had nothing to do.

use std::time::{Duration, Instant};

use anyhow::bail;

use super::arena::Arena;
use crate::server::in_words;

const SAMPLES: usize = 50;

/// Between two tasks, so that the orchestrator has gone back to sleep.
const PAUSE: Duration = Duration::from_millis(300);

const PATIENCE: Duration = Duration::from_secs(30);

/// Milliseconds from the call that pushes to the outcome being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Latency {
    pub(super) median: f64,
    pub(super) p95: f64,
}

pub(super) async fn measure(arena: &mut Arena) -> anyhow::Result<Latency> {
    let mut samples = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        tokio::time::sleep(PAUSE).await;
        arena.leader.check().await?;
        samples.push(one(arena).await?.as_secs_f64() * 1000.0);
    }
    samples.sort_by(f64::total_cmp);
    Ok(Latency { median: samples[SAMPLES / 2], p95: samples[SAMPLES * 95 / 100] })
}

async fn one(arena: &Arena) -> anyhow::Result<Duration> {
    let begin = Instant::now();
    let push = "select async.push_task(async.task('select 0', 'bench'))";
    let task: i64 = arena.session.query_one(push, &[]).await.map_err(in_words)?.try_get(0)?;
    let finished = "select processed is not null from async.task where task_id = $1";
    while !arena.session.query_one(finished, &[&task]).await.map_err(in_words)?.try_get::<_, bool>(0)? {
        if begin.elapsed() > PATIENCE {
            bail!("a single task did not end within {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(begin.elapsed())
}
