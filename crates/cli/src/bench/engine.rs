//! An engine that leads: `CALL async.main()` in a session, or a process `pgasync run`.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use super::databases::Databases;
use crate::args::EngineName;
use crate::orchestrator::RunningOrchestrator;

/// The limit on waiting for the lead.
const PATIENCE: Duration = Duration::from_secs(60);

/// Dropping this value kills the process of the Rust engine. The SQL engine ends with its database.
pub(super) enum Engine {
    Sql(RunningOrchestrator),
    Rust(Child),
}

impl Engine {
    /// Starts an engine, and returns once it leads.
    pub(super) async fn start(databases: &Databases, name: EngineName) -> anyhow::Result<Self> {
        if name == EngineName::Sql {
            return Ok(Self::Sql(RunningOrchestrator::start(&databases.server, name).await?));
        }
        let mut process = Command::new(std::env::current_exe().context("this program has no path")?)
            .args(["run", "--log", "error", "--server-file", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("pgasync run does not start")?;
        // Arguments of a process are visible to all, so the connection string is not one.
        if let Some(mut stdin) = process.stdin.take() {
            stdin.write_all(databases.server.conninfo().as_bytes()).await?;
        }
        let mut engine = Self::Rust(process);
        let begin = Instant::now();
        while databases.client.leader().await?.pid.is_none() {
            engine.check().await?;
            if begin.elapsed() > PATIENCE {
                bail!("pgasync run does not lead after {} s", PATIENCE.as_secs());
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(engine)
    }

    /// Returns an error when the engine has ended.
    pub(super) async fn check(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Sql(orchestrator) => orchestrator.check().await,
            Self::Rust(process) => match process.try_wait()? {
                Some(status) => bail!("pgasync run has ended by itself: {status}"),
                None => Ok(()),
            },
        }
    }

    /// The process id of `pgasync run`.
    pub(super) fn process_id(&self) -> Option<i64> {
        match self {
            Self::Sql(_) => None,
            Self::Rust(process) => process.id().map(i64::from),
        }
    }

    /// Ends the engine at once.
    pub(super) async fn end(self, databases: &Databases) -> anyhow::Result<()> {
        if let Self::Rust(mut process) = self {
            process.kill().await?;
        }
        databases
            .run(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()
                and application_name like 'pgasync%' and pid <> pg_backend_pid()
                and (application_name like 'pgasync/%' or application_name = 'pgasync main')",
            )
            .await
    }
}
