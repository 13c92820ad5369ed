//! Whether the server notices that the client of `call async.main()` is gone, as after a kill of psql.

use pgasync_pg::Session;

use super::{Finding, row_of};
use crate::failure::Failure;

/// The first version with `client_connection_check_interval`.
const SINCE: i32 = 140_000;

/// The value that a session of the owner begins with: set for the role in this database, for the role, for the
/// database, or for the server.
const INTERVAL: &str = "select coalesce(
    (select pg_catalog.split_part(s.setting, '=', 2)
      from pg_catalog.pg_db_role_setting r cross join lateral pg_catalog.unnest(r.setconfig) as s(setting)
      where pg_catalog.split_part(s.setting, '=', 1) = 'client_connection_check_interval'
        and r.setdatabase in (0, (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()))
        and r.setrole in (0, (select n.nspowner from pg_catalog.pg_namespace n where n.nspname = 'async'))
      order by r.setrole = 0, r.setdatabase = 0
      limit 1),
    (select s.reset_val from pg_catalog.pg_settings s where s.name = 'client_connection_check_interval'
        and s.source not in ('client', 'user', 'database', 'database user', 'session'))),
  pg_catalog.quote_ident(pg_catalog.current_database())";

/// `None` where it does not matter: `pgasync run` leads, or led last, or Postgres is older.
pub(super) async fn examine(session: &Session, version: i32, engine: Option<&str>) -> Result<Option<Finding>, Failure> {
    if engine == Some("rust") || version < SINCE {
        return Ok(None);
    }
    let row = row_of(session, INTERVAL).await?;
    let interval: Option<&str> = row.get(0);
    if interval.is_some_and(|interval| interval.contains(|c| ('1'..='9').contains(&c))) {
        return Ok(Some(Finding::good("settings", "a lost client ends its call of async.main()")));
    }
    let database: &str = row.get(1);
    Ok(Some(Finding::warning(
        "settings",
        "client_connection_check_interval is 0, so call async.main() goes on, and leads, when its client is killed",
        format!(
            "alter database {database} set client_connection_check_interval = '5s'; it holds for later sessions, and \
             cannot be set within the call"
        ),
    )))
}
