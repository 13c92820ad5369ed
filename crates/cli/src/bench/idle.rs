//! What an idle leader costs: CPU time of its sessions and its process, WAL and transaction ids.

use std::time::Duration;

use tokio::time::sleep;

use super::context::Bench;
use super::cpu;
use super::databases::{Databases, Layout};
use super::engine::Engine;
use super::results::Case;
use crate::server::error_text;

const WORKERS: u32 = 8;

/// The time after which a leader without work is idle.
const SETTLE: Duration = Duration::from_secs(5);

const SPAN: Duration = Duration::from_secs(10);

pub(super) async fn measure(bench: &mut Bench<'_>) -> anyhow::Result<()> {
    let case = Case::named("leader", "idle");
    let span = if bench.options.full { SPAN * 6 } else { SPAN };
    if !bench.is_local {
        bench.skip("CPU time", "the server is not on this machine");
    }
    let databases = Databases::create(bench, &Layout::one_target(WORKERS)).await?;
    bench.show("no leader");
    measure_one(bench, &case, "no leader", &databases, None, span).await?;
    for engine in bench.engines() {
        bench.show(&format!("{} engine", engine.name()));
        let databases = Databases::create(bench, &Layout::one_target(WORKERS)).await?;
        let mut running = Engine::start(&databases, engine).await?;
        databases.run("select async.push_task(async.task('select 0', 'bench 0'))").await?;
        measure_one(bench, &case, engine.name(), &databases, running.process_id(), span).await?;
        running.check().await?;
        if let Some(mebibytes) = running.process_id().filter(|_| bench.is_local).and_then(cpu::peak_mebibytes) {
            bench.add(&case, engine.name(), "peak_mib", mebibytes);
        }
        running.end(&databases).await?;
    }
    Ok(())
}

async fn measure_one(
    bench: &mut Bench<'_>,
    case: &Case,
    subject: &str,
    databases: &Databases,
    process: Option<i64>,
    span: Duration,
) -> anyhow::Result<()> {
    sleep(SETTLE).await;
    let before = read(databases, process).await?;
    sleep(span).await;
    let after = read(databases, process).await?;
    let seconds = span.as_secs_f64();
    if bench.is_local {
        bench.add(case, subject, "cpu_percent_of_core", 100.0 * (after.cpu - before.cpu) / seconds);
    }
    bench.add(case, subject, "wal_bytes_per_second", (after.wal - before.wal) / seconds);
    bench.add(case, subject, "transaction_ids_per_second", (after.ids - before.ids) / seconds);
    Ok(())
}

struct Reading {
    cpu: f64,
    wal: f64,
    ids: f64,
}

/// The CPU time of the process and of the sessions of the leader that are on this machine.
async fn read(databases: &Databases, process: Option<i64>) -> anyhow::Result<Reading> {
    let sessions = "select pid::bigint from pg_stat_activity
        where datname like 'pgasync\\_bench%' and pid <> pg_backend_pid() and application_name like 'pgasync%'";
    let rows = databases.session.query(sessions, &[]).await.map_err(error_text)?;
    let mut cpu = process.and_then(cpu::process_seconds).unwrap_or(0.0);
    for row in rows {
        cpu += cpu::process_seconds(row.try_get(0)?).unwrap_or(0.0);
    }
    Ok(Reading {
        cpu,
        wal: databases.number("pg_current_wal_insert_lsn() - '0/0'").await?,
        ids: databases.number("txid_snapshot_xmax(txid_current_snapshot())").await?,
    })
}
