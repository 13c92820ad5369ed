//! `pgasync bench`: the rate of an orchestrator beside the rate of pgbench, measured in one run on
//! the same machine.

mod databases;
mod idle;
mod latency;
mod pgbench;
mod report;
mod throughput;

use self::databases::{BenchDatabases, BenchVariant};
use self::report::BenchReport;
use crate::args::BenchArgs;

/// The pool sizes, and numbers of pgbench clients, that are measured.
const SIZES: [u32; 2] = [8, 32];

pub(crate) async fn run(options: &BenchArgs) -> anyhow::Result<()> {
    let cluster = options.server.settings()?;
    let mut report = BenchReport::of(options.engine);
    for size in SIZES.into_iter().filter(|size| options.pool.is_none_or(|only| only == *size)) {
        print_progress(&format!("pgbench, {size} clients"));
        let baseline = pgbench::rate(&cluster, size).await?;
        report.baselines.push((size, baseline));
        for (backlog, session_reset) in [(0, true), (0, false), (options.backlog, true), (options.backlog, false)] {
            print_progress(&format!(
                "{} tasks, pool of {size}, session_reset {session_reset}, {backlog} waiting",
                options.tasks
            ));
            let variant = BenchVariant { engine: options.engine, size, session_reset };
            let mut databases = BenchDatabases::set_up(&cluster, variant).await?;
            let rate = throughput::measure(&mut databases, options.tasks, backlog).await;
            databases.drop_all().await?;
            report.runs.push(report::ThroughputRun { variant, backlog, rate: rate?, baseline });
        }
    }
    print_progress("idle, then one task at a time");
    let mut databases =
        BenchDatabases::set_up(&cluster, BenchVariant { engine: options.engine, size: 8, session_reset: true }).await?;
    let quiet = async {
        let idle = idle::measure(&mut databases).await?;
        let latency = latency::measure(&mut databases).await?;
        anyhow::Ok((idle, latency))
    }
    .await;
    databases.drop_all().await?;
    let (idle, latency) = quiet?;
    report.idle = idle;
    report.latency = Some(latency);
    if options.json {
        println!("{:#}", report.to_json());
    } else {
        println!("{report}");
    }
    Ok(())
}

/// Prints progress to standard error, because standard output is for the result.
fn print_progress(step: &str) {
    eprintln!("bench: {step}");
}
