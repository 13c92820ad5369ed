//! The CPU time of an idle orchestrator.

use std::fs;
use std::process::Command;
use std::time::Duration;

use super::databases::BenchDatabases;
use crate::args::EngineName;

const SETTLE: Duration = Duration::from_secs(3);

const SPAN: Duration = Duration::from_secs(10);

/// The share of one core in percent; `None` when the process of the leader's backend is not on this
/// machine.
pub(super) async fn measure(databases: &mut BenchDatabases) -> anyhow::Result<Option<f64>> {
    tokio::time::sleep(SETTLE).await;
    let before = cpu_seconds(databases);
    tokio::time::sleep(SPAN).await;
    let after = cpu_seconds(databases);
    databases.orchestrator.check().await?;
    Ok(before.zip(after).map(|(before, after)| 100.0 * (after - before) / SPAN.as_secs_f64()))
}

/// The CPU time of the leader's backend, and of this process if it runs the engine.
fn cpu_seconds(databases: &BenchDatabases) -> Option<f64> {
    let backend = seconds_of(&databases.orchestrator.pid().to_string(), "(postgres")?;
    let here = match databases.engine {
        EngineName::Sql => 0.0,
        EngineName::Rust => seconds_of("self", "(")?,
    };
    Some(backend + here)
}

/// User and system time of a process, from `/proc/PID/stat`: fields 14 and 15, counted after the
/// name in brackets.
fn seconds_of(pid: &str, called: &str) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (name, fields) = stat.rsplit_once(')')?;
    if !name.contains(called) {
        return None;
    }
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<f64>);
    let ticks = times.next()?.ok()? + times.next()?.ok()?;
    Some(ticks / ticks_per_second())
}

fn ticks_per_second() -> f64 {
    let printed = Command::new("getconf").arg("CLK_TCK").output().map(|ran| ran.stdout).unwrap_or_default();
    String::from_utf8_lossy(&printed).trim().parse().unwrap_or(100.0)
}
