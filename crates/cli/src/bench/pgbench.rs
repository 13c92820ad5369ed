//! The baseline: pgbench with the smallest query.

use std::env;

use anyhow::{Context, bail};
use pgasync_pg::ConnectionSettings;
use tokio::process::Command;

const SECONDS: u32 = 5;

/// Transactions a second of `pgbench -n -f 'select 0;'`. `PGBENCH` names the program if it is not
/// on the path.
pub(super) async fn rate(cluster: &ConnectionSettings, clients: u32) -> anyhow::Result<f64> {
    let script = env::temp_dir().join(format!("pgasync-bench-{}.sql", std::process::id()));
    std::fs::write(&script, "select 0;\n").context("cannot write pgbench's script")?;
    let program = env::var("PGBENCH").unwrap_or_else(|_| "pgbench".into());
    let ran = Command::new(&program)
        .args(["-n", "-c", &clients.to_string(), "-j", "2", "-T", &SECONDS.to_string(), "-f"])
        .arg(&script)
        .arg(cluster.conninfo())
        .output()
        .await;
    // The system clears the folder for temporary files.
    let _ = std::fs::remove_file(&script);
    let ran = ran.with_context(|| format!("cannot run {program}: ./dev bench brings one"))?;
    if !ran.status.success() {
        bail!("pgbench failed: {}", String::from_utf8_lossy(&ran.stderr).trim());
    }
    let printed = String::from_utf8_lossy(&ran.stdout);
    let tps = printed.lines().filter_map(|line| line.strip_prefix("tps = ")).next_back();
    tps.and_then(|rest| rest.split(' ').next()?.parse().ok()).context("pgbench printed no rate")
}
