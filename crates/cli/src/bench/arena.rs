//! The databases of one measurement: a server and a target, new each time, with an orchestrator leading.

use anyhow::Context;
use pgasync_core::TargetName;
use pgasync_pg::{ConnectionSettings, Session};
use pgasync_store::{Batch, Client, NewTask, Part, install};
use serde_json::json;

use crate::args::EngineName;
use crate::leader::Leader;
use crate::server::in_words;

/// What a measurement varies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Who runs the tasks.
    pub(super) engine: EngineName,
    /// The target's pool.
    pub(super) size: u32,
    /// Whether each task finds a clean session.
    pub(super) session_reset: bool,
}

pub(super) struct Arena {
    pub(super) engine: EngineName,
    administrator: Session,
    server: ConnectionSettings,
    target: ConnectionSettings,
    pub(super) session: Session,
    pub(super) client: Client,
    pub(super) leader: Leader,
}

impl Arena {
    /// What is pushed: tasks that do nothing.
    pub(super) fn tasks(&self, count: u32, task: impl Fn(NewTask) -> NewTask) -> anyhow::Result<Batch> {
        let target = TargetName::new("bench")?;
        Ok(Batch::of((0..count).map(|_| task(NewTask::query("select 0", target.clone())))))
    }

    pub(super) async fn build(cluster: &ConnectionSettings, shape: Shape) -> anyhow::Result<Self> {
        let administrator = cluster.connect().await?;
        let [server, target] = ["pgasync_bench", "pgasync_bench_target"].map(|name| cluster.with_database(name));
        for settings in [&server, &target] {
            let sql = format!("create database {}", settings.database());
            let made = administrator.batch_execute(&sql).await.map_err(in_words);
            made.context("the benchmark wants a Postgres to itself: ./dev bench")?;
        }
        let session = server.connect().await?;
        install(&session, Part::All).await?;
        let configuration = json!({
            // One worker more than the pool, for the task that blocks the backlog's pool.
            "control": {"workers": shape.size + 1, "self_connection_string": server.conninfo()},
            "targets": [{
                "target": "bench", "connection_string": target.conninfo(), "max_workers": shape.size,
                "session_reset": shape.session_reset,
            }],
            "concurrency_pools": [{"concurrency_pool": "parked", "max_workers": 1}],
        });
        let client = Client::with_sessions(server.clone(), 1, crate::server::PATIENCE);
        client.configure_json(&configuration).await?;
        let leader = Leader::start(&server, shape.engine).await?;
        Ok(Self { engine: shape.engine, administrator, server, target, session, client, leader })
    }

    /// Stops the orchestrator and drops the databases.
    pub(super) async fn clear(self) -> anyhow::Result<()> {
        let Self { administrator, server, target, session, leader, .. } = self;
        let stopped = leader.stop(&server).await;
        session.close().await;
        for settings in [&server, &target] {
            let name = settings.database();
            let end = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1";
            administrator.execute(end, &[&name]).await.map_err(in_words)?;
            administrator.batch_execute(&format!("drop database {name}")).await.map_err(in_words)?;
        }
        stopped
    }
}
