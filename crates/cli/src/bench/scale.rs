//! Whether the rate holds with many lanes, with a backlog and with a history.

use serde_json::json;

use super::context::Bench;
use super::databases::{Databases, Layout};
use super::engine::Engine;
use super::load::{Rate, Tasks, enough, rate};
use super::results::Case;
use crate::args::EngineName;
use crate::server::error_text;

/// The workers of the scenario `lanes`, which are at eight targets.
const LANES_WORKERS: u32 = 64;

const LANES_TARGETS: u32 = 8;

/// The workers of the other scenarios.
const WORKERS: u32 = 32;

/// The first case is one pool for each target.
pub(super) async fn measure_lanes(bench: &mut Bench<'_>) -> anyhow::Result<()> {
    if !bench.has_connections(LANES_WORKERS) {
        return Ok(());
    }
    let pools: &[u32] =
        if bench.options.full { &[LANES_TARGETS, 100, 2_000, 10_000] } else { &[LANES_TARGETS, 100, 2_000] };
    let reference = bench.reference(LANES_WORKERS).await?;
    for pools in pools {
        let case = Case::of("pools", *pools);
        bench.add(&case, bench.reference_name(), "per_second", reference.per_second);
        for engine in bench.engines() {
            bench.show(&format!("{} engine, {pools} pools", engine.name()));
            let (targets, slots) = (LANES_TARGETS, LANES_WORKERS / LANES_TARGETS);
            let layout = Layout { targets, slots, ..Layout::one_target(LANES_WORKERS) };
            let databases = Databases::create(bench, &layout).await?;
            let mut running = Engine::start(&databases, engine).await?;
            let count = enough(engine, LANES_WORKERS, bench.options.seconds);
            Tasks { targets, pools: Some(*pools), ..Tasks::of(count) }.push(&databases).await?;
            let measured = rate(bench, &databases, &mut running).await;
            add(bench, &case, engine, measured);
            running.end(&databases).await?;
        }
    }
    Ok(())
}

/// Where tasks wait beside the measured ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Nowhere,
    /// Behind the measured tasks.
    SameLane,
    /// Of lanes that are open, behind the measured tasks.
    ThousandLanes,
    /// Before the measured tasks.
    FullPool,
}

pub(super) async fn measure_backlog(bench: &mut Bench<'_>) -> anyhow::Result<()> {
    let count = if bench.options.full { 1_000_000 } else { 100_000 };
    for (waiting, label) in [
        (Waiting::Nowhere, "none waiting".to_owned()),
        (Waiting::SameLane, format!("{count} in the same lane")),
        (Waiting::ThousandLanes, format!("{count} in 1000 lanes")),
        (Waiting::FullPool, format!("{count} behind a full pool")),
    ] {
        let case = Case::named("waiting", &label);
        for engine in bench.engines() {
            bench.show(&format!("{} engine, {label}", engine.name()));
            let full = json!({"concurrency_pool": "full", "max_workers": 0});
            let layout = Layout { pools: vec![full], ..Layout::one_target(WORKERS) };
            let databases = Databases::create(bench, &layout).await?;
            let behind = Tasks { priority: 1, ..Tasks::of(count) };
            match waiting {
                Waiting::Nowhere => {}
                Waiting::SameLane => behind.push(&databases).await?,
                Waiting::ThousandLanes => Tasks { pools: Some(1_000), ..behind }.push(&databases).await?,
                Waiting::FullPool => Tasks { pool: Some("full"), priority: -1, ..behind }.push(&databases).await?,
            }
            measure_with(bench, &case, engine, &databases).await?;
        }
    }
    Ok(())
}

pub(super) async fn measure_history(bench: &mut Bench<'_>) -> anyhow::Result<()> {
    for count in [0, if bench.options.full { 5_000_000 } else { 100_000 }] {
        let case = Case::of("finished", count);
        for engine in bench.engines() {
            bench.show(&format!("{} engine, {count} finished", engine.name()));
            let databases = Databases::create(bench, &Layout::one_target(WORKERS)).await?;
            let sql = "insert into async.task (target, priority, entered, consumed, processed, finish_status, query,
                    failed, concurrency_pool, run)
                select 'bench 0', 1, now(), now(), now(), 'FINISHED', 'select 0', false, 'bench 0', 1
                from generate_series(1, $1::int)";
            databases.session.execute(sql, &[&count]).await.map_err(error_text)?;
            measure_with(bench, &case, engine, &databases).await?;
        }
    }
    Ok(())
}

/// The rate of an engine that starts now.
async fn measure_with(
    bench: &mut Bench<'_>,
    case: &Case,
    engine: EngineName,
    databases: &Databases,
) -> anyhow::Result<()> {
    Tasks::of(enough(engine, WORKERS, bench.options.seconds)).push(databases).await?;
    databases.run("vacuum analyze async.task").await?;
    let mut running = Engine::start(databases, engine).await?;
    let measured = rate(bench, databases, &mut running).await;
    add(bench, case, engine, measured);
    running.end(databases).await
}

/// Adds a rate, and its share of the rate of the first case. A case that fails is noted, because
/// the others are worth measuring.
fn add(bench: &mut Bench<'_>, case: &Case, engine: EngineName, measured: anyhow::Result<Rate>) {
    let per_second = match measured {
        Ok(rate) => rate.per_second,
        Err(error) => return bench.skip(&format!("{case}, {}", engine.name()), &format!("{error:#}")),
    };
    bench.add(case, engine.name(), "per_second", per_second);
    if let Some(first) = bench.first_of(engine.name(), "per_second") {
        bench.add(case, engine.name(), "share_of_first", per_second / first);
    }
}
