//! The demo's databases.

use anyhow::{bail, ensure};
use pgasync_pg::{ConnectionSettings, Session};
use pgasync_store::{Client, SchemaPart, install};
use serde_json::json;

use crate::server::error_text;

/// The database with the schema `async`.
const SERVER: &str = "pgasync_demo";

/// The names of the targets. The name of a target database is [`SERVER`], an underscore, and the
/// name of the target.
pub(super) const TARGETS: [&str; 3] = ["north", "south", "west"];

/// The databases, with pgasync installed and configured.
pub(super) struct DemoDatabases {
    administrator: Session,
    pub(super) server: ConnectionSettings,
    targets: Vec<(&'static str, ConnectionSettings)>,
}

impl DemoDatabases {
    /// Creates the databases on the cluster, installs pgasync and configures it.
    pub(super) async fn set_up(cluster: &ConnectionSettings) -> anyhow::Result<Self> {
        let administrator = cluster.connect().await?;
        let targets = TARGETS.map(|name| (name, cluster.with_database(&format!("{SERVER}_{name}"))));
        let databases = Self { administrator, server: cluster.with_database(SERVER), targets: targets.to_vec() };
        databases.refuse_to_overwrite().await?;
        match databases.create().await {
            Ok(()) => Ok(databases),
            Err(error) => {
                databases.drop_all().await?;
                Err(error)
            }
        }
    }

    async fn create(&self) -> anyhow::Result<()> {
        for settings in self.databases() {
            let sql = format!("create database {}", settings.database());
            self.administrator.batch_execute(&sql).await.map_err(error_text)?;
        }
        for (_, settings) in &self.targets {
            settings.connect().await?.batch_execute(include_str!("sql/target.sql")).await.map_err(error_text)?;
        }
        let session = self.server.connect().await?;
        install(&session, SchemaPart::All).await?;
        let client = Client::with_sessions(self.server.clone(), 1, crate::server::PATIENCE);
        Ok(client.configure_json(&self.configuration()).await?)
    }

    fn configuration(&self) -> serde_json::Value {
        let targets: Vec<_> = self
            .targets
            .iter()
            .map(|(name, settings)| json!({"target": name, "connection_string": settings.conninfo(), "max_workers": 6}))
            .collect();
        let mut pools = vec![json!({"concurrency_pool": "reporting", "max_workers": 3})];
        pools.extend(TARGETS.map(|name| json!({"concurrency_pool": format!("maintenance.{name}"), "max_workers": 1})));
        json!({
            "control": {"workers": 20, "idle_sleep": 0.2, "self_connection_string": self.server.conninfo()},
            "targets": targets,
            "concurrency_pools": pools,
        })
    }

    /// Checks that each target executed each transfer exactly once.
    pub(super) async fn audit(&self, transfers_on_each: i64) -> anyhow::Result<()> {
        for (name, settings) in &self.targets {
            let sql = "select (select count(*) from pgbench_history),
                (select coalesce(sum(delta), 0)::bigint from pgbench_history),
                (select sum(abalance)::bigint from pgbench_accounts),
                (select sum(bbalance)::bigint from pgbench_branches)";
            let row = settings.connect().await?.query_one(sql, &[]).await.map_err(error_text)?;
            let [transfers, moved, accounts, branches]: [i64; 4] =
                [row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?];
            ensure!(
                transfers == transfers_on_each && moved == accounts && moved == branches,
                "{name} holds {transfers} transfers of {transfers_on_each}; they moved {moved}, accounts have \
                 {accounts} and branches {branches}"
            );
        }
        Ok(())
    }

    pub(super) async fn drop_all(self) -> anyhow::Result<()> {
        for settings in self.databases() {
            let name = settings.database();
            let end = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1";
            self.administrator.execute(end, &[&name]).await.map_err(error_text)?;
            self.administrator.batch_execute(&format!("drop database if exists {name}")).await.map_err(error_text)?;
        }
        Ok(())
    }

    fn databases(&self) -> impl Iterator<Item = &ConnectionSettings> {
        std::iter::once(&self.server).chain(self.targets.iter().map(|(_, settings)| settings))
    }

    async fn refuse_to_overwrite(&self) -> anyhow::Result<()> {
        let names: Vec<&str> = self.databases().map(ConnectionSettings::database).collect();
        let sql = "select datname::text from pg_database where datname = any($1) order by datname";
        let there = self.administrator.query(sql, &[&names]).await.map_err(error_text)?;
        if let Some(first) = there.first() {
            let name: String = first.try_get(0)?;
            bail!("there is a database {name} already: drop it, or run the demo on another Postgres (./dev demo)");
        }
        Ok(())
    }
}
