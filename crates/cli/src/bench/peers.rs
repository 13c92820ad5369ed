//! Other queues on the same server, with drivers that `./dev bench --peers` installs.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::context::Bench;
use super::databases::{Databases, Layout};
use super::results::Case;
use super::throughput;
use crate::server::error_text;

/// Jobs that a queue runs at once.
const CONCURRENCIES: [u32; 2] = [8, 32];

/// A queue, with the program and the driver that run it, in the folder of `--peers`.
///
/// A driver gets the concurrency and the number of jobs, and the database as a URL in
/// `PGASYNC_BENCH_URL`. It pushes jobs that do nothing, runs them, and prints jobs a second.
struct Peer {
    name: &'static str,
    program: &'static str,
    driver: &'static str,
}

const PEERS: [Peer; 3] = [
    Peer { name: "graphile-worker", program: "node", driver: "graphile-worker.mjs" },
    Peer { name: "pg-boss", program: "node", driver: "pg-boss.mjs" },
    Peer { name: "pgqueuer", program: "venv/bin/python", driver: "pgqueuer_driver.py" },
];

/// The limit on a driver.
const PATIENCE: Duration = Duration::from_secs(120);

const JOBS: u32 = 20_000;

pub(super) async fn measure(bench: &mut Bench<'_>) -> anyhow::Result<()> {
    let Some(folder) = bench.options.peers.clone() else {
        bench.skip("other queues", "their drivers are installed by ./dev bench --peers");
        return Ok(());
    };
    for concurrency in CONCURRENCIES {
        let case = Case::of("at_once", concurrency);
        let reference = bench.reference(concurrency).await?;
        bench.add(&case, bench.reference_name(), "per_second", reference.per_second);
        for engine in bench.engines() {
            let rate = throughput::one(bench, engine, concurrency).await?;
            bench.add(&case, engine.name(), "per_second", rate.per_second);
        }
        for peer in &PEERS {
            bench.show(&format!("{}, {concurrency} at once", peer.name));
            match run(bench, peer, &folder, concurrency).await? {
                Ok(per_second) => bench.add(&case, peer.name, "per_second", per_second),
                Err(reason) => bench.skip(&format!("{}, {case}", peer.name), &reason),
            }
        }
    }
    Ok(())
}

/// Jobs a second, or why there is no such number.
async fn run(bench: &Bench<'_>, peer: &Peer, folder: &Path, concurrency: u32) -> anyhow::Result<Result<f64, String>> {
    let databases = Databases::create(bench, &Layout::one_target(concurrency)).await?;
    let own = folder.join(peer.program);
    let program = if own.exists() { own } else { peer.program.into() };
    let ran = Command::new(program)
        .arg(folder.join(peer.driver))
        .args([concurrency.to_string(), JOBS.to_string()])
        .env("PGASYNC_BENCH_URL", url(&databases).await?)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ran = match timeout(PATIENCE, ran).await {
        Err(_) => return Ok(Err(format!("it did not end within {} s", PATIENCE.as_secs()))),
        Ok(Err(error)) => return Ok(Err(format!("{}: {error}", peer.program))),
        Ok(Ok(ran)) => ran,
    };
    let printed = String::from_utf8_lossy(&ran.stdout);
    let rate = printed.trim().lines().last().and_then(|line| line.trim().parse::<f64>().ok());
    Ok(rate.filter(|_| ran.status.success()).ok_or_else(|| {
        let said = String::from_utf8_lossy(&ran.stderr);
        let error = said.lines().find(|line| line.contains("rror")).or(said.lines().last());
        error.unwrap_or("its driver printed no rate").trim().to_owned()
    }))
}

/// The address of the server as it was reached. The password comes from the environment or from a
/// password file, as with all clients.
async fn url(databases: &Databases) -> anyhow::Result<String> {
    let sql = "select current_user::text, coalesce(host(inet_server_addr()), ''), current_setting('port'),
        current_database()::text";
    let row = databases.session.query_one(sql, &[]).await.map_err(error_text)?;
    let [user, host, port, database]: [String; 4] =
        [row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?];
    let host = if host.is_empty() { "localhost".to_owned() } else { host };
    Ok(format!("postgres://{user}@{host}:{port}/{database}"))
}
