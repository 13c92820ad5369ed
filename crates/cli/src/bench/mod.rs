//! `pgasync bench`: what the engines do on a server, each number beside a reference of the same run.
//!
//! A [`Scenario`] measures, and adds [`results`]. The tables, the JSON document and the plot show
//! any result, and know no scenario.

mod arguments;
mod context;
mod cpu;
mod databases;
mod engine;
mod horizon;
mod idle;
mod latency;
mod load;
mod peers;
mod plot;
mod pull;
mod push;
mod reference;
mod report;
mod results;
mod scale;
mod table;
mod throughput;
mod work;

use std::process::ExitCode;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

pub(crate) use self::arguments::{BenchArgs, Scenario};
use self::context::Bench;
use crate::print;

/// The exit code after SIGINT, as shells have it.
const INTERRUPTED: u8 = 130;

pub(crate) async fn run(options: &BenchArgs) -> anyhow::Result<ExitCode> {
    let mut bench = Bench::prepare(options).await?;
    let mut terminated = signal(SignalKind::terminate())?;
    let measured = tokio::select! {
        measured = measure_all(&mut bench) => Some(measured),
        _ = tokio::signal::ctrl_c() => None,
        _ = terminated.recv() => None,
    };
    // What was measured is worth showing even if the databases stay.
    let dropped = databases::drop_all(&bench.cluster).await;
    let Some(failures) = measured else {
        dropped?;
        print::failure("interrupted; the databases of the benchmark are dropped");
        return Ok(ExitCode::from(INTERRUPTED));
    };
    let report = bench.into_report();
    if let Some(path) = &options.svg {
        std::fs::write(path, plot::svg(&report)).with_context(|| format!("--svg {}", path.display()))?;
    }
    if options.json {
        print::write(&format!("{:#}\n", report.to_json()))?;
    } else if options.markdown {
        print::write(&report.to_markdown())?;
    } else {
        print::write(&report.to_text())?;
    }
    dropped?;
    failures.iter().for_each(|failure| print::failure(failure));
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns what failed. The other scenarios are measured all the same.
async fn measure_all(bench: &mut Bench<'_>) -> Vec<String> {
    let mut failures = Vec::new();
    for run in 1..=bench.options.runs {
        bench.begin_run(run);
        for scenario in bench.scenarios() {
            if let Err(error) = measure(bench, scenario).await {
                failures.push(format!("{}: {error:#}", scenario.name()));
            }
        }
    }
    failures
}

async fn measure(bench: &mut Bench<'_>, scenario: Scenario) -> anyhow::Result<()> {
    bench.begin(scenario);
    match scenario {
        Scenario::Throughput => throughput::measure(bench).await,
        Scenario::Cost => throughput::measure_cost(bench).await,
        Scenario::Lanes => scale::measure_lanes(bench).await,
        Scenario::Latency => latency::measure(bench).await,
        Scenario::Push => push::measure(bench).await,
        Scenario::Pull => pull::measure(bench).await,
        Scenario::Backlog => scale::measure_backlog(bench).await,
        Scenario::History => scale::measure_history(bench).await,
        Scenario::Horizon => horizon::measure(bench).await,
        Scenario::Idle => idle::measure(bench).await,
        Scenario::Work => work::measure(bench).await,
        Scenario::Peers => peers::measure(bench).await,
    }
}
