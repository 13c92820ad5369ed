//! Tasks a second and their CPU time, over the number of workers.

use super::context::Bench;
use super::databases::{Databases, Layout};
use super::engine::Engine;
use super::load::{Rate, Tasks, enough, rate};
use super::reference::ReferenceRate;
use super::results::Case;
use crate::args::EngineName;

/// The numbers of workers of the scenario `cost`.
const COST_WORKERS: [u32; 2] = [8, 32];

pub(super) async fn measure(bench: &mut Bench<'_>) -> anyhow::Result<()> {
    for workers in bench.options.workers.clone() {
        if bench.has_connections(workers) {
            let reference = bench.reference(workers).await?;
            let case = Case::of("workers", workers);
            bench.add(&case, bench.reference_name(), "per_second", reference.per_second);
            for engine in bench.engines() {
                let rate = one(bench, engine, workers).await?;
                bench.add(&case, engine.name(), "per_second", rate.per_second);
                bench.add(&case, engine.name(), "share_of_reference", rate.per_second / reference.per_second);
            }
        }
    }
    Ok(())
}

/// The CPU time of the whole machine for a task, divided by that for a transaction of the reference.
pub(super) async fn measure_cost(bench: &mut Bench<'_>) -> anyhow::Result<()> {
    if !bench.is_local {
        bench.skip("CPU time", "the server is not on this machine, or there is no /proc/stat");
        return Ok(());
    }
    for workers in COST_WORKERS {
        if bench.has_connections(workers) {
            let reference = bench.reference(workers).await?;
            let case = Case::of("workers", workers);
            add_cost(bench, &case, reference, bench.reference_name(), reference.cpu_us);
            for engine in bench.engines() {
                let rate = one(bench, engine, workers).await?;
                add_cost(bench, &case, reference, engine.name(), rate.cpu_us);
            }
        }
    }
    Ok(())
}

fn add_cost(bench: &mut Bench<'_>, case: &Case, reference: ReferenceRate, subject: &str, cpu_us: Option<f64>) {
    if let Some((cpu_us, of_reference)) = cpu_us.zip(reference.cpu_us) {
        bench.add(case, subject, "cpu_us", cpu_us);
        bench.add(case, subject, "cost", cpu_us / of_reference);
    }
}

/// The rate of one engine with one target.
pub(super) async fn one(bench: &Bench<'_>, engine: EngineName, workers: u32) -> anyhow::Result<Rate> {
    bench.show(&format!("{} engine, {workers} workers", engine.name()));
    let databases = Databases::create(bench, &Layout::one_target(workers)).await?;
    let mut running = Engine::start(&databases, engine).await?;
    Tasks::of(enough(engine, workers, bench.options.seconds)).push(&databases).await?;
    let rate = rate(bench, &databases, &mut running).await?;
    running.end(&databases).await?;
    Ok(rate)
}
