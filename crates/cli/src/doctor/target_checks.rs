//! Each target: is it reached from this host, how many sessions may it have, is a pooler between.

use std::time::Duration;

use pgasync_pg::{ConnectionSettings, Session};
use pgasync_store::Installation;

use super::Finding;
use crate::failure::Failure;
use crate::server::Server;

const PATIENCE: Duration = Duration::from_secs(5);

/// The clocks of two hosts.
const CLOCK_SKEW_MAX_SECONDS: f64 = 5.0;

const TARGETS: &str = "select t.target, t.connection_string, least(t.max_concurrency, t.max_sessions)::pg_catalog.int8
  from async.target t, async.control c
  where not t.retired and t.target <> c.self_target and t.connection_string is not null
  order by t.target";

const FACTS: &str = "select pg_catalog.current_setting('max_connections')::pg_catalog.int8,
    (select r.rolconnlimit::pg_catalog.int8 from pg_catalog.pg_roles r where r.rolname = current_user),
    (select d.datconnlimit::pg_catalog.int8 from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()),
    pg_catalog.current_setting('application_name') = 'pgasync doctor',
    pg_catalog.date_part('epoch', pg_catalog.clock_timestamp())::pg_catalog.float8,
    pg_catalog.pg_is_in_recovery(),
    pg_catalog.current_setting('server_version_num')::pg_catalog.int4";

pub(super) async fn examine(
    server: &Server,
    session: &Session,
    installed: &Installation,
) -> Result<Vec<Finding>, Failure> {
    if !installed.owned {
        return Ok(vec![Finding::good(
            "targets",
            "not checked: only the owner of the schema may read how to reach them",
        )]);
    }
    let mut found = Vec::new();
    for row in session.query(TARGETS, &[]).await? {
        let (target, conninfo, sessions): (&str, &str, i64) = (row.get(0), row.get(1), row.get(2));
        let about = format!("target {target}");
        // A password by reference is known where pgasync run is.
        let findings = match server.settings.target(conninfo) {
            _ if has_reference(conninfo) => vec![Finding::warning(
                about,
                "not checked: its password is a reference, which only the host of pgasync run can follow",
                "connect to it from that host with psql",
            )],
            Ok(settings) => one(&about, &settings, sessions).await,
            Err(error) => vec![Finding::error(
                about,
                format!("its connection string cannot be used here: {error}"),
                "correct it with async.set_target",
            )],
        };
        found.extend(findings);
    }
    Ok(found)
}

fn has_reference(conninfo: &str) -> bool {
    conninfo.contains("${ENV:") || conninfo.contains("${FILE:")
}

async fn one(about: &str, settings: &ConnectionSettings, sessions: i64) -> Vec<Finding> {
    let settings = settings.with_application_name("pgasync doctor").with_connect_timeout(PATIENCE);
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
    let read = tokio::time::timeout(PATIENCE, session.query_one(FACTS, &[])).await;
    let row = match read {
        Ok(Ok(row)) => row,
        Ok(Err(error)) => {
            return vec![Finding::error(
                about,
                format!("it refuses a query: {error}"),
                "check that it is Postgres, and what its role may do",
            )];
        }
        Err(_) => {
            return vec![Finding::error(
                about,
                "it does not answer a query",
                "see what its sessions wait for in pg_stat_activity there",
            )];
        }
    };
    let limits: [i64; 3] =
        [row.get(0), row.get::<_, Option<i64>>(1).unwrap_or(-1), row.get::<_, Option<i64>>(2).unwrap_or(-1)];
    let limit = limits.into_iter().filter(|limit| *limit >= 0).min().unwrap_or(i64::MAX);
    let mut found = Vec::new();
    if sessions > limit {
        found.push(Finding::warning(
            about,
            format!("{sessions} tasks may run there at once, and its role may have {limit} connections"),
            "lower max_workers or max_sessions with async.set_target, or raise the limit there",
        ));
    }
    if !row.get::<_, bool>(3) {
        found.push(Finding::warning(
            about,
            "it does not keep the name of a session, as poolers do",
            "connect directly: sessions are ended by their name and their backend",
        ));
    }
    let skew = row.get::<_, f64>(4) - jiff::Timestamp::now().as_millisecond() as f64 / 1e3;
    if skew.abs() > CLOCK_SKEW_MAX_SECONDS {
        found.push(Finding::warning(
            about,
            format!("its clock is {skew:+.1} s from this host"),
            "synchronize it (NTP)",
        ));
    }
    if row.get(5) {
        found.push(Finding::warning(
            about,
            "it is a standby, where tasks can only read",
            "name the primary, or several hosts with target_session_attrs=read-write",
        ));
    }
    if found.is_empty() {
        found.push(Finding::good(about, format!("it is reached, on Postgres {}", row.get::<_, i32>(6) / 10_000)));
    }
    session.close().await;
    found
}
