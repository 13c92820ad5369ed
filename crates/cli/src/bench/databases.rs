//! The databases of a measurement: a server and a target, with names of their own.

use std::time::Duration;

use anyhow::{Context, bail};
use pgasync_pg::{ConnectionSettings, Session};
use pgasync_store::{Client, SchemaPart, install};
use serde_json::{Value, json};

use super::context::Bench;
use crate::server::error_text;

const SERVER: &str = "pgasync_bench";

const TARGET: &str = "pgasync_bench_target";

/// A server database to copy, because an installation takes seconds.
const TEMPLATE: &str = "pgasync_bench_template";

const ALL: [&str; 3] = [SERVER, TARGET, TEMPLATE];

/// The key of the lock that one benchmark on a server holds.
const LOCK: i64 = 0x7067_6265_6e63_6800;

/// The limit on tries to drop a database, whose sessions are ending.
const TRIES_MAX: u32 = 50;

/// What a measurement configures.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) workers: u32,
    /// The number of targets, `bench 0` and so on.
    pub(super) targets: u32,
    /// The size of the pool of each target.
    pub(super) slots: u32,
    /// Other targets.
    pub(super) more_targets: Vec<Value>,
    pub(super) pools: Vec<Value>,
}

impl Layout {
    /// One target whose pool has a slot for each worker.
    pub(super) fn one_target(workers: u32) -> Self {
        Self { workers, targets: 1, slots: workers, more_targets: Vec::new(), pools: Vec::new() }
    }
}

/// A server database with the schema `async`, configured, without a leader.
pub(super) struct Databases {
    pub(super) server: ConnectionSettings,
    pub(super) session: Session,
    pub(super) client: Client,
}

/// Fails if the server cannot be used, or has databases with these names. Changes nothing.
pub(super) async fn check_server(administrator: &Session) -> anyhow::Result<()> {
    let sql = "select rolsuper or rolcreatedb, rolname::text,
            exists (select from pg_available_extensions where name = 'dblink'),
            pg_is_in_recovery(), pg_try_advisory_lock($1)
        from pg_roles where rolname = current_user";
    let row = administrator.query_one(sql, &[&LOCK]).await.map_err(error_text)?;
    let role: String = row.try_get(1)?;
    if row.try_get(3)? {
        bail!("the server is a standby: the benchmark writes, so name the primary");
    }
    if !row.try_get::<_, bool>(0)? {
        bail!(
            "the role {role} may not create databases, and the benchmark needs two of its own: \
               alter role {role} createdb, or connect as another role"
        );
    }
    if !row.try_get::<_, bool>(2)? {
        bail!("the server has no extension dblink, which the schema needs: install Postgres' contrib package there");
    }
    if !row.try_get::<_, bool>(4)? {
        bail!("another pgasync bench runs on this server: wait for its end");
    }
    let sql = "select datname::text from pg_database where datname = any($1) order by datname";
    let there = administrator.query(sql, &[&ALL.as_slice()]).await.map_err(error_text)?;
    if let Some(first) = there.first() {
        let name: String = first.try_get(0)?;
        bail!("there is a database {name} already, perhaps from a benchmark that was killed: drop database {name}");
    }
    Ok(())
}

/// Drops the databases that [`Databases::create`] has created.
pub(super) async fn drop_all(cluster: &ConnectionSettings) -> anyhow::Result<()> {
    let administrator = cluster.connect().await?;
    for name in ALL {
        drop_one(&administrator, name).await?;
    }
    Ok(())
}

async fn drop_one(administrator: &Session, name: &str) -> anyhow::Result<()> {
    let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = $1";
    for tried in 1.. {
        administrator.execute(end, &[&name]).await.map_err(error_text)?;
        match administrator.batch_execute(&format!("drop database if exists {name}")).await {
            Ok(()) => break,
            Err(error) if tried == TRIES_MAX => {
                return Err(error_text(error)).with_context(|| format!("the database {name} stays"));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    Ok(())
}

/// Creates the target and the template, unless they exist.
async fn create_shared(cluster: &ConnectionSettings, administrator: &Session) -> anyhow::Result<()> {
    let sql = "select exists (select from pg_database where datname = $1)";
    for name in [TARGET, TEMPLATE] {
        if administrator.query_one(sql, &[&name]).await.map_err(error_text)?.try_get(0)? {
            continue;
        }
        administrator.batch_execute(&format!("create database {name}")).await.map_err(error_text)?;
        if name == TEMPLATE {
            let session = cluster.with_database(name).connect().await?;
            let installed = install(&session, SchemaPart::All).await;
            session.close().await;
            installed.context(
                "the schema cannot be installed: its owner must be a superuser, or template1 must have dblink",
            )?;
        }
    }
    Ok(())
}

/// Copies the template. The session that installed it may exist for a moment.
async fn copy_template(administrator: &Session) -> anyhow::Result<()> {
    for tried in 1.. {
        match administrator.batch_execute(&format!("create database {SERVER} template {TEMPLATE}")).await {
            Ok(()) => break,
            Err(error) if tried == TRIES_MAX => return Err(error_text(error)),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    Ok(())
}

impl Databases {
    /// Drops the server database of the measurement before, and creates another.
    pub(super) async fn create(bench: &Bench<'_>, layout: &Layout) -> anyhow::Result<Self> {
        let administrator = bench.cluster.connect().await?;
        drop_one(&administrator, SERVER).await?;
        create_shared(&bench.cluster, &administrator).await?;
        copy_template(&administrator).await?;
        administrator.close().await;
        let [server, own_target] = [SERVER, TARGET].map(|name| bench.cluster.with_database(name));
        let session = server.connect().await?;
        let given = &bench.options.target;
        let conninfo = |n: u32| match given.len() {
            0 => own_target.conninfo(),
            len => given[usize::try_from(n).unwrap_or_default() % len].clone(),
        };
        let targets = (0..layout.targets).map(
            |n| json!({"target": format!("bench {n}"), "connection_string": conninfo(n), "max_workers": layout.slots}),
        );
        let configuration = json!({
            "control": {"workers": layout.workers, "self_connection_string": server.conninfo()},
            "targets": targets.chain(layout.more_targets.iter().cloned()).collect::<Vec<_>>(),
            "concurrency_pools": layout.pools,
        });
        let client = Client::with_sessions(server.clone(), 2, crate::server::PATIENCE);
        client.configure_json(&configuration).await?;
        // Maintenance begins with an engine, and is not what is measured.
        let later = "update async.control set last_light_maintenance = now(), last_heavy_maintenance = now()";
        session.batch_execute(later).await.map_err(error_text)?;
        Ok(Self { server, session, client })
    }

    /// The first column of the one row of a query.
    pub(super) async fn number(&self, sql: &str) -> anyhow::Result<f64> {
        let sql = format!("select coalesce(({sql}), 0)::float8");
        Ok(self.session.query_one(&sql, &[]).await.map_err(error_text)?.try_get(0)?)
    }

    /// Runs statements.
    pub(super) async fn run(&self, sql: &str) -> anyhow::Result<()> {
        self.session.batch_execute(sql).await.map_err(error_text)
    }
}
