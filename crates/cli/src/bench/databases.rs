//! The databases of one measurement: a new server and a new target, with an orchestrator that
//! leads.

use anyhow::Context;
use pgasync_core::TargetName;
use pgasync_pg::{ConnectionSettings, Session};
use pgasync_store::{Batch, Client, NewTask, SchemaPart, install};
use serde_json::json;

use crate::args::EngineName;
use crate::orchestrator::RunningOrchestrator;
use crate::server::error_text;

/// The parameters of a measurement.
#[derive(Clone, Copy, Debug)]
pub(super) struct BenchVariant {
    /// The engine that runs the tasks.
    pub(super) engine: EngineName,
    /// The size of the target's pool.
    pub(super) size: u32,
    /// Whether sessions are reset after each task.
    pub(super) session_reset: bool,
}

pub(super) struct BenchDatabases {
    pub(super) engine: EngineName,
    administrator: Session,
    server: ConnectionSettings,
    target: ConnectionSettings,
    pub(super) session: Session,
    pub(super) client: Client,
    pub(super) orchestrator: RunningOrchestrator,
}

impl BenchDatabases {
    /// A batch of tasks that do nothing.
    pub(super) fn tasks(&self, count: u32, task: impl Fn(NewTask) -> NewTask) -> anyhow::Result<Batch> {
        let target = TargetName::new("bench")?;
        Ok(Batch::of((0..count).map(|_| task(NewTask::query("select 0", target.clone())))))
    }

    pub(super) async fn set_up(cluster: &ConnectionSettings, variant: BenchVariant) -> anyhow::Result<Self> {
        let administrator = cluster.connect().await?;
        let [server, target] = ["pgasync_bench", "pgasync_bench_target"].map(|name| cluster.with_database(name));
        for settings in [&server, &target] {
            let sql = format!("create database {}", settings.database());
            let made = administrator.batch_execute(&sql).await.map_err(error_text);
            made.context("the benchmark needs a Postgres of its own: ./dev bench")?;
        }
        let session = server.connect().await?;
        install(&session, SchemaPart::All).await?;
        let configuration = json!({
            // One more worker than the pool has slots, for the task that blocks the pool of the
            // backlog.
            "control": {"workers": variant.size + 1, "self_connection_string": server.conninfo()},
            "targets": [{
                "target": "bench", "connection_string": target.conninfo(), "max_workers": variant.size,
                "session_reset": variant.session_reset,
            }],
            "concurrency_pools": [{"concurrency_pool": "parked", "max_workers": 1}],
        });
        let client = Client::with_sessions(server.clone(), 1, crate::server::PATIENCE);
        client.configure_json(&configuration).await?;
        let orchestrator = RunningOrchestrator::start(&server, variant.engine).await?;
        Ok(Self { engine: variant.engine, administrator, server, target, session, client, orchestrator })
    }

    /// Stops the orchestrator and drops the databases.
    pub(super) async fn drop_all(self) -> anyhow::Result<()> {
        let Self { administrator, server, target, session, orchestrator, .. } = self;
        let stopped = orchestrator.stop(&server).await;
        session.close().await;
        for settings in [&server, &target] {
            let name = settings.database();
            let end = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1";
            administrator.execute(end, &[&name]).await.map_err(error_text)?;
            administrator.batch_execute(&format!("drop database {name}")).await.map_err(error_text)?;
        }
        stopped
    }
}
