//! How long one push takes to become one result, on an orchestrator that had nothing to do.

use std::time::{Duration, Instant};

use anyhow::bail;

use super::arena::Arena;

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
    let batch = arena.tasks(1, |task| task)?;
    let begin = Instant::now();
    let ids = arena.client.push(&batch).await?;
    while arena.client.tasks(&ids).await?.iter().any(|task| task.ended.is_none()) {
        if begin.elapsed() > PATIENCE {
            bail!("a single task did not end within {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(begin.elapsed())
}
