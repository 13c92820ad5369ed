//! `pgasync bench`: what an orchestrator makes of a machine, beside what pgbench makes of it in the same minutes.

mod arena;
mod idle;
mod latency;
mod outcome;
mod pgbench;
mod throughput;

use self::arena::{Arena, Shape};
use self::outcome::Outcome;
use crate::args::BenchArgs;

/// Pool sizes, and clients of pgbench, that are measured.
const SIZES: [u32; 2] = [8, 32];

pub(crate) async fn run(options: &BenchArgs) -> anyhow::Result<()> {
    let cluster = options.server.settings()?;
    let mut outcome = Outcome::of(options.engine);
    for size in SIZES.into_iter().filter(|size| options.pool.is_none_or(|only| only == *size)) {
        say(&format!("pgbench, {size} clients"));
        let yardstick = pgbench::rate(&cluster, size).await?;
        outcome.yardsticks.push((size, yardstick));
        for (backlog, session_reset) in [(0, true), (0, false), (options.backlog, true), (options.backlog, false)] {
            say(&format!("{} tasks, pool of {size}, session_reset {session_reset}, {backlog} waiting", options.tasks));
            let shape = Shape { engine: options.engine, size, session_reset };
            let mut arena = Arena::build(&cluster, shape).await?;
            let rate = throughput::measure(&mut arena, options.tasks, backlog).await;
            arena.clear().await?;
            outcome.runs.push(outcome::Run { shape, backlog, rate: rate?, yardstick });
        }
    }
    say("idle, then one task at a time");
    let mut arena = Arena::build(&cluster, Shape { engine: options.engine, size: 8, session_reset: true }).await?;
    let quiet = async {
        let idle = idle::measure(&mut arena).await?;
        let latency = latency::measure(&mut arena).await?;
        anyhow::Ok((idle, latency))
    }
    .await;
    arena.clear().await?;
    let (idle, latency) = quiet?;
    outcome.idle = idle;
    outcome.latency = Some(latency);
    if options.json {
        println!("{:#}", outcome.to_json());
    } else {
        println!("{outcome}");
    }
    Ok(())
}

/// Reports progress on standard error. Standard output is for the result.
fn say(what: &str) {
    eprintln!("bench: {what}");
}
