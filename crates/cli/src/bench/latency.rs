//! The time from a push to the record of its outcome, as a client sees it.

use std::time::{Duration, Instant};

use anyhow::bail;
use pgasync_pg::Session;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::context::Bench;
use super::databases::{Databases, Layout};
use super::engine::Engine;
use super::results::Case;
use super::throughput;
use crate::server::error_text;

/// The workers of the target.
const WORKERS: u32 = 8;

/// The pause between two tasks, in which the leader falls asleep again.
const PAUSE: Duration = Duration::from_millis(250);

/// The pause between two tasks under load.
const PAUSE_UNDER_LOAD: Duration = Duration::from_millis(20);

/// The time between two pushes of the load.
const LOAD_INTERVAL: Duration = Duration::from_millis(10);

/// The client asks without a pause for so long, and then every millisecond.
const EAGER: Duration = Duration::from_millis(40);

const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn measure(bench: &mut Bench<'_>) -> anyhow::Result<()> {
    let samples = if bench.options.full { 400 } else { 50 };
    let idle = Case::named("leader", "asleep");
    measure_insert(bench, &idle, samples).await?;
    for engine in bench.engines() {
        bench.show(&format!("{} engine, asleep", engine.name()));
        let databases = Databases::create(bench, &Layout::one_target(WORKERS)).await?;
        let mut running = Engine::start(&databases, engine).await?;
        sample(&databases, 1, Duration::from_secs(1)).await?; // opens a session at the target
        let found = sample(&databases, samples, PAUSE).await?;
        running.check().await?;
        add(bench, &idle, engine.name(), found);
        running.end(&databases).await?;
    }
    let half = Case::named("leader", "at half load");
    for engine in bench.engines() {
        let full_rate = throughput::one(bench, engine, WORKERS).await?.per_second;
        bench.show(&format!("{} engine, at half load", engine.name()));
        let databases = Databases::create(bench, &Layout::one_target(WORKERS)).await?;
        let mut running = Engine::start(&databases, engine).await?;
        let session = databases.server.connect().await?;
        let found = tokio::select! {
            found = sample(&databases, samples * 3, PAUSE_UNDER_LOAD) => found?,
            failed = keep_pushing(&session, full_rate / 2.0) => return failed,
        };
        running.check().await?;
        add(bench, &half, engine.name(), found);
        running.end(&databases).await?;
    }
    Ok(())
}

/// The reference: an insert of one row into a plain table.
async fn measure_insert(bench: &mut Bench<'_>, case: &Case, samples: u32) -> anyhow::Result<()> {
    bench.show("inserts");
    let databases = Databases::create(bench, &Layout::one_target(WORKERS)).await?;
    databases.run("create table plain (id bigserial primary key, query text)").await?;
    let insert = databases.session.prepare("insert into plain (query) values ('select 0')").await?;
    let mut found = Vec::new();
    for _ in 0..samples {
        sleep(PAUSE_UNDER_LOAD).await;
        let begin = Instant::now();
        databases.session.execute(&insert, &[]).await.map_err(error_text)?;
        found.push(begin.elapsed().as_secs_f64() * 1000.0);
    }
    add(bench, case, "insert", found);
    Ok(())
}

/// Milliseconds of so many tasks, one at a time.
async fn sample(databases: &Databases, samples: u32, pause: Duration) -> anyhow::Result<Vec<f64>> {
    let session = &databases.session;
    let push = session.prepare("select async.push_task(async.task('select 0', 'bench 0'))").await?;
    let ended = session.prepare("select processed is not null from async.task where task_id = $1").await?;
    let mut found = Vec::new();
    for _ in 0..samples {
        sleep(pause).await;
        let begin = Instant::now();
        let id: i64 = session.query_one(&push, &[]).await.map_err(error_text)?.try_get(0)?;
        while !session.query_one(&ended, &[&id]).await.map_err(error_text)?.try_get::<_, bool>(0)? {
            if begin.elapsed() > PATIENCE {
                bail!("a single task did not end within {} s", PATIENCE.as_secs());
            }
            if begin.elapsed() > EAGER {
                sleep(Duration::from_millis(1)).await;
            }
        }
        found.push(begin.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(found)
}

/// Pushes tasks at a rate until it is dropped, or fails.
async fn keep_pushing(session: &Session, per_second: f64) -> anyhow::Result<()> {
    let sql = "select count(*) from (select async.push_tasks(array_agg(async.task('select 0', 'bench 0')))
        from generate_series(1, $1::float8::int)) as p";
    let push = session.prepare(sql).await?;
    let begin = Instant::now();
    let mut pushed = 0.0;
    let mut ticks = interval(LOAD_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let due = (per_second * begin.elapsed().as_secs_f64() - pushed).floor();
        if due >= 1.0 {
            session.query(&push, &[&due]).await.map_err(error_text)?;
            pushed += due;
        }
    }
}

fn add(bench: &mut Bench<'_>, case: &Case, subject: &str, mut found: Vec<f64>) {
    found.sort_by(f64::total_cmp);
    let at = |share: usize| found[(found.len() * share / 100).min(found.len() - 1)];
    for (metric, value) in [("p50_ms", at(50)), ("p95_ms", at(95)), ("p99_ms", at(99)), ("max_ms", at(100))] {
        bench.add(case, subject, metric, value);
    }
}
