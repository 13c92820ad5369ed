//! The reference: `select 0` in a loop, by pgbench or by a loop of this program.

use std::env;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures_util::future::try_join_all;
use pgasync_pg::ConnectionSettings;
use tokio::process::Command;

use super::cpu;

#[derive(Clone, Copy, Debug)]
pub(super) struct ReferenceRate {
    pub(super) per_second: f64,
    /// CPU time of the whole machine for a transaction.
    pub(super) cpu_us: Option<f64>,
}

pub(super) enum Reference {
    /// The program, and the line that it prints about its version.
    Pgbench { program: String, version: String },
    /// A loop over as many sessions in this program.
    Loop,
}

impl Reference {
    /// pgbench, if `PGBENCH` names it or it is on the path.
    pub(super) async fn find() -> Self {
        let program = env::var("PGBENCH").unwrap_or_else(|_| "pgbench".into());
        match Command::new(&program).arg("--version").output().await {
            Ok(ran) if ran.status.success() => {
                let version = String::from_utf8_lossy(&ran.stdout).trim().to_owned();
                Self::Pgbench { program, version }
            }
            _ => Self::Loop,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Pgbench { .. } => "pgbench",
            Self::Loop => "own loop",
        }
    }

    pub(super) fn describe(&self) -> String {
        match self {
            Self::Pgbench { version, .. } => format!("{version}, select 0"),
            Self::Loop => "own loop, select 0 (pgbench is neither on the path nor named by PGBENCH)".to_owned(),
        }
    }

    pub(super) async fn measure(
        &self,
        cluster: &ConnectionSettings,
        clients: u32,
        seconds: f64,
        is_local: bool,
    ) -> anyhow::Result<ReferenceRate> {
        let (cpu, begin) = (cpu::machine_seconds(), Instant::now());
        let per_second = match self {
            Self::Pgbench { program, .. } => pgbench(program, cluster, clients, seconds).await?,
            Self::Loop => own_loop(cluster, clients, seconds).await?,
        };
        let transactions = per_second * begin.elapsed().as_secs_f64();
        let cpu = cpu.zip(cpu::machine_seconds()).filter(|_| is_local);
        Ok(ReferenceRate { per_second, cpu_us: cpu.map(|(before, after)| (after - before) / transactions * 1e6) })
    }
}

async fn pgbench(program: &str, cluster: &ConnectionSettings, clients: u32, seconds: f64) -> anyhow::Result<f64> {
    let script = env::temp_dir().join(format!("pgasync-bench-{}.sql", std::process::id()));
    std::fs::write(&script, "select 0;\n").context("cannot write the script of pgbench")?;
    let ran = Command::new(program)
        .args(["-n", "-c", &clients.to_string(), "-j", &clients.min(2).to_string()])
        .args(["-T", &format!("{:.0}", seconds.ceil()), "-f"])
        .arg(&script)
        .arg(cluster.conninfo())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await;
    // The system clears the folder for temporary files.
    let _ = std::fs::remove_file(&script);
    let ran = ran.with_context(|| format!("cannot run {program}"))?;
    if !ran.status.success() {
        bail!("pgbench failed: {}", String::from_utf8_lossy(&ran.stderr).trim());
    }
    let printed = String::from_utf8_lossy(&ran.stdout);
    let tps = printed.lines().filter_map(|line| line.strip_prefix("tps = ")).next_back();
    tps.and_then(|rest| rest.split(' ').next()?.parse().ok()).context("pgbench printed no rate")
}

async fn own_loop(cluster: &ConnectionSettings, clients: u32, seconds: f64) -> anyhow::Result<f64> {
    let sessions = try_join_all((0..clients).map(|_| cluster.connect())).await?;
    let span = Duration::from_secs_f64(seconds);
    let begin = Instant::now();
    let loops = sessions.iter().map(|session| async move {
        let statement = session.prepare("select 0").await?;
        let mut transactions = 0_u32;
        while begin.elapsed() < span {
            session.query(&statement, &[]).await?;
            transactions += 1;
        }
        Ok::<_, pgasync_pg::Error>(f64::from(transactions))
    });
    let transactions: f64 = try_join_all(loops).await?.into_iter().sum();
    Ok(transactions / begin.elapsed().as_secs_f64())
}
