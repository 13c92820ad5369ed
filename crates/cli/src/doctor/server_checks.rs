//! The server: the schema, the leader, the settings, the limits.

use std::time::Instant;

use pgasync_pg::Session;
use pgasync_store::{Installation, Statistics, TargetState};

use super::connections::{self, Demand};
use super::poolers::{self, Path};
use super::{Finding, client_check, row_of};
use crate::failure::Failure;
use crate::server::{PATIENCE, Server};

/// The versions of Postgres that the schema works on.
const POSTGRES: std::ops::RangeInclusive<i32> = 11..=18;

/// A clock that differs by more makes ages and `+2h` wrong.
const CLOCK_SKEW_MAX_SECONDS: f64 = 2.0;

/// A transaction that is open for longer holds back vacuum, and tables grow.
const LONG_TRANSACTION_SECONDS: f64 = 1_800.0;

/// The sessions of `pgasync run` with its server: the leader session, `pgasync review`, `pgasync upkeep`, and
/// one for a fence or the proof of the lead.
const OWN_SESSIONS_OF_RUN: i64 = 4;

/// The sessions of `call async.main()`, beside its helpers: the call, its watchdog, and one of a client.
const OWN_SESSIONS_OF_MAIN: i64 = 3;

const FACTS: &str = "select
    pg_catalog.date_part('epoch', pg_catalog.clock_timestamp())::pg_catalog.float8 as now,
    (select n.nspname::pg_catalog.text from pg_catalog.pg_extension e
      join pg_catalog.pg_namespace n on n.oid = e.extnamespace where e.extname = 'dblink') as dblink,
    pg_catalog.current_setting('autovacuum') = 'on' and pg_catalog.current_setting('track_counts') = 'on' as autovacuum,
    (select pg_catalog.max(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - a.xact_start))::pg_catalog.float8
      from pg_catalog.pg_stat_activity a
      where a.backend_xmin is not null and a.datname = pg_catalog.current_database()) as oldest_transaction,
    (select pg_catalog.count(*) from pg_catalog.pg_prepared_xacts x
      where x.database = pg_catalog.current_database()) as prepared,
    (select pg_catalog.string_agg(s.setting, ', ' order by s.setting)
      from pg_catalog.pg_db_role_setting r cross join lateral pg_catalog.unnest(r.setconfig) as s(setting)
      where (r.setdatabase = 0 or r.setdatabase = (select d.oid from pg_catalog.pg_database d
          where d.datname = pg_catalog.current_database()))
        and (r.setrole = 0 or r.setrole = (select n.nspowner from pg_catalog.pg_namespace n where n.nspname = 'async'))
        and s.setting ~ '^(statement_timeout|idle_in_transaction_session_timeout|idle_session_timeout|transaction_timeout)='
        and s.setting !~ '=0') as timeouts,
    (select c.self_concurrency::pg_catalog.int8 from async.control c) as helpers,
    (select pg_catalog.count(*) from async.v_lost_session) as lost_sessions";

pub(super) async fn examine(
    server: &Server,
    session: &Session,
    installed: &Installation,
    begin: Instant,
    demand: &mut Demand,
) -> Result<Vec<Finding>, Failure> {
    let facts = row_of(session, FACTS).await?;
    let statistics = server.client.statistics().await?;
    let engine = statistics.leader.engine.as_deref();
    let mut found = vec![version(installed), schema(installed)];
    found.extend(leader(&statistics));
    let own = match engine {
        Some("sql") => OWN_SESSIONS_OF_MAIN + facts.get::<_, i64>("helpers").max(3),
        _ => OWN_SESSIONS_OF_RUN,
    };
    let limits = connections::limits(session, installed.owner.as_deref()).await?;
    demand.add_own(connections::instance(session).await?, own, &limits);
    found.push(match connections::exceeded(&limits, own) {
        Some(why) => Finding::warning(
            "connections",
            format!("the leader itself has up to {own} sessions: {why}"),
            "raise the limit, or find the clients that hold them in pg_stat_activity",
        ),
        None => Finding::good("connections", format!("there is room for the {own} sessions of the leader itself")),
    });
    if poolers::path(&server.settings.with_connect_timeout(PATIENCE), session, begin).await? == Path::Transactions {
        found.push(Finding::error(
            "connections",
            "a pooler in transaction mode is between this host and the server; the lead belongs to a session",
            "pgasync run and call async.main() need a direct connection; clients may use the pooler",
        ));
    }
    found.extend(client_check::examine(session, installed.postgres, engine).await?);
    found.push(match facts.get::<_, Option<&str>>("dblink") {
        Some(schema) => Finding::good("dblink", format!("it is installed in the schema {schema}")),
        None => Finding::error(
            "dblink",
            "the extension is not installed; the SQL engine and client databases need it",
            "create extension dblink",
        ),
    });
    found.push(if facts.get("autovacuum") {
        Finding::good("autovacuum", "it is on")
    } else {
        Finding::warning(
            "autovacuum",
            "autovacuum or track_counts is off",
            "set both to on: the leader vacuums its tables, and nothing vacuums the catalog",
        )
    });
    found.extend(timeouts(facts.get("timeouts")));
    found.push(transactions(facts.get("oldest_transaction"), facts.get("prepared")));
    found.push(clock(facts.get("now")));
    found.extend(lost_sessions(facts.get("lost_sessions")));
    Ok(found)
}

fn version(installed: &Installation) -> Finding {
    let major = installed.postgres / 10_000;
    if POSTGRES.contains(&major) {
        return Finding::good("Postgres", format!("version {major}"));
    }
    let text =
        format!("version {major} is not one that pgasync is tested on ({} to {})", POSTGRES.start(), POSTGRES.end());
    Finding::warning("Postgres", text, "use a tested version for the server")
}

fn schema(installed: &Installation) -> Finding {
    let there = installed.fingerprint.as_deref().unwrap_or("none");
    if installed.is_current() {
        return Finding::good("schema", format!("it is that of this program ({there})"));
    }
    let ours = &*pgasync_sql::FINGERPRINT;
    Finding::error(
        "schema",
        format!("it is of another version ({there} there, {ours} here), so pgasync run refuses it"),
        "pgasync migrate --plan, then pgasync init; or use the program of that version",
    )
}

fn leader(statistics: &Statistics) -> Vec<Finding> {
    let leader = &statistics.leader;
    let mut found = vec![match (leader.leads, leader.enabled) {
        (true, true) => {
            Finding::good("leader", format!("the {} engine leads", leader.engine.as_deref().unwrap_or("unknown")))
        }
        (true, false) => Finding::warning("leader", "it is stopping: control.enabled is false", "pgasync start"),
        (false, true) => Finding::error(
            "leader",
            "no orchestrator leads, so no task runs",
            "start pgasync run, or call async.main()",
        ),
        (false, false) => Finding::error(
            "leader",
            "no orchestrator leads, and none may: control.enabled is false",
            "pgasync start, then start pgasync run",
        ),
    }];
    if leader.paused {
        found.push(Finding::warning("leader", "no new task starts: control.paused is true", "pgasync resume --all"));
    }
    for target in statistics.targets.iter().filter(|target| target.state == TargetState::Lost) {
        let error = target.error.as_deref().and_then(|error| error.lines().next()).unwrap_or("the reason is unknown");
        found.push(Finding::error(
            format!("target {}", target.target),
            format!("the leader cannot reach it: {error}"),
            "repair the cause, or correct its connection string with async.set_target",
        ));
    }
    found
}

fn timeouts(found: Option<&str>) -> Option<Finding> {
    let found = found?;
    Some(Finding::warning(
        "settings",
        format!("the owner of the schema has {found} by default, which ends a call of async.main()"),
        "alter role ... set statement_timeout = 0, for the role that leads",
    ))
}

fn transactions(oldest: Option<f64>, prepared: i64) -> Finding {
    if prepared > 0 {
        return Finding::warning(
            "vacuum",
            format!("{prepared} prepared transactions hold it back, and tables grow"),
            "commit or roll back those in pg_prepared_xacts",
        );
    }
    match oldest {
        Some(seconds) if seconds > LONG_TRANSACTION_SECONDS => Finding::warning(
            "vacuum",
            format!("a transaction is open for {:.0} minutes and holds it back, so tables grow", seconds / 60.0),
            "end it: select pid, xact_start, query from pg_stat_activity order by xact_start",
        ),
        _ => Finding::good("vacuum", "no long transaction holds it back"),
    }
}

fn clock(server_seconds: f64) -> Finding {
    let skew = server_seconds - jiff::Timestamp::now().as_millisecond() as f64 / 1e3;
    if skew.abs() > CLOCK_SKEW_MAX_SECONDS {
        return Finding::warning(
            "clock",
            format!("the server is {skew:+.1} s from this host"),
            "synchronize both (NTP); times of tasks are those of the server",
        );
    }
    Finding::good("clock", format!("the server and this host agree within {CLOCK_SKEW_MAX_SECONDS} s"))
}

fn lost_sessions(count: i64) -> Option<Finding> {
    (count > 0).then(|| {
        Finding::error(
            "sessions",
            format!("{count} sessions of lost orchestrators cannot be ended, and their tasks wait"),
            "select * from async.v_lost_session; see \"Sessions that cannot be ended\" in docs/operating.md",
        )
    })
}
