//! Tasks to measure with, and the rate at which an engine runs them.

use std::time::{Duration, Instant};

use anyhow::bail;
use tokio::time::sleep;

use super::context::Bench;
use super::cpu;
use super::databases::Databases;
use super::engine::Engine;
use crate::args::EngineName;
use crate::server::error_text;

/// Tasks in one array.
const ARRAY_MAX: u32 = 100_000;

/// The time that an engine runs before a measurement begins.
const WARM_UP: Duration = Duration::from_secs(2);

const PATIENCE: Duration = Duration::from_secs(30);

/// Tasks `select 0` that are pushed together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tasks<'a> {
    pub(super) count: u32,
    pub(super) targets: u32,
    /// The number of pools that the tasks are divided among. None is the pool of the target.
    pub(super) pools: Option<u32>,
    /// A pool for all of them.
    pub(super) pool: Option<&'a str>,
    /// Measured tasks have priority 0.
    pub(super) priority: i32,
}

impl Tasks<'_> {
    pub(super) const fn of(count: u32) -> Self {
        Self { count, targets: 1, pools: None, pool: None, priority: 0 }
    }

    pub(super) async fn push(self, databases: &Databases) -> anyhow::Result<()> {
        let sql = "select count(*) from (select async.push_tasks(array_agg(async.task(
                'select 0', 'bench ' || n % coalesce($1::bigint, n + 1) % $2::bigint,
                concurrency_pool => coalesce($3, 'pool ' || n % $1::bigint), priority => $4) order by n))
            from generate_series($5::bigint, $6::bigint) n) as p";
        let (pools, targets) = (self.pools.map(i64::from), i64::from(self.targets));
        let mut first = 0;
        while first < self.count {
            let last = self.count.min(first + ARRAY_MAX) - 1;
            databases
                .session
                .query(sql, &[&pools, &targets, &self.pool, &self.priority, &i64::from(first), &i64::from(last)])
                .await
                .map_err(error_text)?;
            first = last + 1;
        }
        Ok(())
    }
}

/// Tasks a second and, on this machine, the CPU time of the whole machine for a task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    pub(super) per_second: f64,
    pub(super) cpu_us: Option<f64>,
}

/// More tasks than an engine runs in a measurement.
pub(super) fn enough(engine: EngineName, workers: u32, seconds: f64) -> u32 {
    let most_a_second = match engine {
        EngineName::Rust => f64::from((workers * 3_000).min(20_000)),
        EngineName::Sql => f64::from((workers * 800).min(8_000)),
    };
    // The value is positive, and far below the largest one.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
    let count = (most_a_second * (seconds + 3.0)) as u32;
    count
}

/// The rate of the tasks with priority 0, from the warm-up on, until the time is over or all of them
/// have ended.
pub(super) async fn rate(bench: &Bench<'_>, databases: &Databases, engine: &mut Engine) -> anyhow::Result<Rate> {
    let any = "select exists (select from async.task where processed is not null and priority = 0)";
    let begin = Instant::now();
    while !databases.session.query_one(any, &[]).await.map_err(error_text)?.try_get::<_, bool>(0)? {
        engine.check().await?;
        if begin.elapsed() > PATIENCE {
            bail!("no task has ended within {} s", PATIENCE.as_secs());
        }
        sleep(Duration::from_millis(20)).await;
    }
    sleep(WARM_UP).await;
    let now = "select clock_timestamp()::text";
    let begin: String = databases.session.query_one(now, &[]).await.map_err(error_text)?.try_get(0)?;
    let cpu = cpu::machine_seconds();
    sleep(Duration::from_secs_f64(bench.options.seconds)).await;
    let cpu = cpu.zip(cpu::machine_seconds()).filter(|_| bench.is_local);
    engine.check().await?;
    // The end is the last record if all tasks have ended: an engine without work does not count.
    let sql = "with ended as (
            select t.processed, t.finish_status from async.task t
            where t.processed > $1::text::timestamptz and t.processed <= clock_timestamp() and t.priority = 0),
        span as (
            select extract(epoch from max(processed) - $1::text::timestamptz)::float8 as seconds from ended)
        select count(*)::float8, coalesce((select seconds from span), 0),
            count(*) filter (where finish_status <> 'FINISHED')
        from ended";
    let row = databases.session.query_one(sql, &[&begin]).await.map_err(error_text)?;
    let (count, seconds, others): (f64, f64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if others > 0 {
        bail!("{others} of {count} tasks did not end as FINISHED");
    }
    if count == 0.0 {
        bail!("no task has ended in {} s", bench.options.seconds);
    }
    let per_second = count / seconds;
    // The CPU time is that of the whole span, in which the rate of tasks is that of `ended`.
    let tasks = per_second * seconds.min(bench.options.seconds);
    Ok(Rate { per_second, cpu_us: cpu.map(|(before, after)| (after - before) / tasks * 1e6) })
}
