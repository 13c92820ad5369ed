//! The time from one push to its outcome, on an idle orchestrator.

use std::time::{Duration, Instant};

use anyhow::bail;

use super::databases::BenchDatabases;

const SAMPLES: usize = 50;

/// The pause between two tasks, in which the orchestrator falls asleep again.
const PAUSE: Duration = Duration::from_millis(300);

const PATIENCE: Duration = Duration::from_secs(30);

/// Milliseconds from the push until the outcome was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Latency {
    pub(super) median: f64,
    pub(super) p95: f64,
}

pub(super) async fn measure(databases: &mut BenchDatabases) -> anyhow::Result<Latency> {
    let mut samples = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        tokio::time::sleep(PAUSE).await;
        databases.orchestrator.check().await?;
        samples.push(one(databases).await?.as_secs_f64() * 1000.0);
    }
    samples.sort_by(f64::total_cmp);
    Ok(Latency { median: samples[SAMPLES / 2], p95: samples[SAMPLES * 95 / 100] })
}

async fn one(databases: &BenchDatabases) -> anyhow::Result<Duration> {
    let batch = databases.tasks(1, |task| task)?;
    let begin = Instant::now();
    let ids = databases.client.push(&batch).await?;
    while databases.client.tasks(&ids).await?.iter().any(|task| task.ended.is_none()) {
        if begin.elapsed() > PATIENCE {
            bail!("a single task did not end within {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(begin.elapsed())
}
