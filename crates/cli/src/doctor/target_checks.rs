//! Each target: is it reached from this host, how many sessions may it have, is a pooler between.

use std::time::{Duration, Instant};

use pgasync_pg::{ConnectionSettings, Session};
use pgasync_store::Installation;

use super::connections::{self, Demand, Instance, Limit};
use super::poolers::{self, Path};
use super::{Finding, row_of};
use crate::failure::Failure;
use crate::server::Server;

const PATIENCE: Duration = Duration::from_secs(5);

/// The clocks of two hosts.
const CLOCK_SKEW_MAX_SECONDS: f64 = 5.0;

/// With the sessions that may run tasks there at once.
const TARGETS: &str = "select t.target, t.connection_string,
    least(t.max_concurrency, t.max_sessions, c.workers)::pg_catalog.int8, c.workers::pg_catalog.int8
  from async.target t, async.control c
  where not t.retired and t.target <> c.self_target and t.connection_string is not null
  order by t.target";

const FACTS: &str = "select pg_catalog.current_setting('application_name') = 'pgasync doctor',
    pg_catalog.date_part('epoch', pg_catalog.clock_timestamp())::pg_catalog.float8,
    pg_catalog.pg_is_in_recovery(),
    pg_catalog.current_setting('server_version_num')::pg_catalog.int4";

/// What was found, and `control.workers` (0 if it was not read).
#[derive(Debug, Default)]
pub(super) struct Examined {
    pub(super) findings: Vec<Finding>,
    pub(super) workers: i64,
}

pub(super) async fn examine(
    server: &Server,
    session: &Session,
    installed: &Installation,
    demand: &mut Demand,
) -> Result<Examined, Failure> {
    if !installed.owned {
        let found = Finding::good("targets", "not checked: only the owner of the schema may read how to reach them");
        return Ok(Examined { findings: vec![found], workers: 0 });
    }
    let mut workers = 0;
    let mut found = Vec::new();
    for row in session.query_typed(TARGETS, &[]).await? {
        let (target, conninfo, sessions): (&str, &str, i64) = (row.get(0), row.get(1), row.get(2));
        workers = row.get(3);
        let about = format!("target {target}");
        // A password by reference is known where pgasync run is.
        let findings = match server.settings.target(conninfo) {
            _ if has_reference(conninfo) => vec![Finding::warning(
                about,
                "not checked: its password is a reference, which only the host of pgasync run can follow",
                "connect to it from that host with psql",
            )],
            Ok(settings) => one(target, &settings, sessions, demand).await,
            Err(error) => vec![Finding::error(
                about,
                format!("its connection string cannot be used here: {error}"),
                "correct it with async.set_target",
            )],
        };
        found.extend(findings);
    }
    Ok(Examined { findings: found, workers })
}

fn has_reference(conninfo: &str) -> bool {
    conninfo.contains("${ENV:") || conninfo.contains("${FILE:")
}

async fn one(target: &str, settings: &ConnectionSettings, sessions: i64, demand: &mut Demand) -> Vec<Finding> {
    let about = format!("target {target}");
    let settings = settings.with_application_name("pgasync doctor").with_connect_timeout(PATIENCE);
    let begin = Instant::now();
    let session = match settings.connect().await {
        Ok(session) => session,
        Err(error) => {
            return vec![Finding::error(
                about,
                format!("this host cannot reach it: {error}"),
                "repair the cause, or correct its connection string with async.set_target",
            )];
        }
    };
    let read = tokio::time::timeout(PATIENCE, read(&settings, &session, begin)).await;
    let found = match read {
        Ok(Ok(facts)) => {
            demand.add_target(facts.instance.clone(), target, sessions, &facts.limits);
            judge(&about, sessions, &facts)
        }
        Ok(Err(error)) => vec![Finding::error(
            about,
            format!("it refuses a query: {error}"),
            "check that it is Postgres, and what its role may do",
        )],
        Err(_) => vec![Finding::error(
            about,
            "it does not answer a query",
            "see what its sessions wait for in pg_stat_activity there",
        )],
    };
    session.close().await;
    found
}

/// What a target says about itself.
struct Facts {
    limits: Vec<Limit>,
    instance: Instance,
    keeps_names: bool,
    path: Path,
    clock_skew: f64,
    is_standby: bool,
    major: i32,
}

async fn read(settings: &ConnectionSettings, session: &Session, begin: Instant) -> Result<Facts, Failure> {
    let row = row_of(session, FACTS).await?;
    let now = jiff::Timestamp::now().as_millisecond() as f64 / 1e3;
    Ok(Facts {
        limits: connections::limits(session, None).await?,
        instance: connections::instance(session).await?,
        keeps_names: row.get(0),
        path: poolers::path(settings, session, begin).await?,
        clock_skew: row.get::<_, f64>(1) - now,
        is_standby: row.get(2),
        major: row.get::<_, i32>(3) / 10_000,
    })
}

fn judge(about: &str, sessions: i64, facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(why) = connections::exceeded(&facts.limits, sessions) {
        found.push(Finding::warning(
            about,
            format!("{sessions} tasks may run there at once: {why}"),
            "lower max_workers or max_sessions with async.set_target, or raise the limit there",
        ));
    }
    match facts.path {
        Path::Transactions => found.push(Finding::error(
            about,
            "a pooler in transaction mode is before it: two sessions had one backend, so a cancel may end the query of \
             another client",
            "name the server itself in its connection string, or a port of the pooler in session mode",
        )),
        Path::Sessions => found.push(Finding::warning(
            about,
            "a pooler in session mode is before it: a backend serves one session after the other",
            "connect directly: a lost session is gone when its backend is, and the pooler keeps backends",
        )),
        Path::Direct if !facts.keeps_names => found.push(Finding::warning(
            about,
            "it does not keep the name of a session, as some poolers do",
            "connect directly: sessions are ended by their name and their backend",
        )),
        Path::Direct => {}
    }
    if facts.clock_skew.abs() > CLOCK_SKEW_MAX_SECONDS {
        found.push(Finding::warning(
            about,
            format!("its clock is {:+.1} s from this host", facts.clock_skew),
            "synchronize it (NTP)",
        ));
    }
    if facts.is_standby {
        found.push(Finding::warning(
            about,
            "it is a standby, where tasks can only read",
            "name the primary, or several hosts with target_session_attrs=read-write",
        ));
    }
    if found.is_empty() {
        found.push(Finding::good(about, format!("it is reached, on Postgres {}", facts.major)));
    }
    found
}
