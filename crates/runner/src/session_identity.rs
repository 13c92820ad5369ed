//! The identity of a target session: its backend, its role, and the server of the backend.

use pgasync_pg::{Session, SimpleQueryRow};
use pgasync_store::ServerIdentity;

use crate::error_text;

/// The query of a session's identity, the same as in `async.identity_query`. Postgres checks the
/// privileges of all functions of a statement when the statement starts. So calls that need a
/// privilege are texts, which `query_to_xml` executes only if the role has the privilege.
const IDENTITY: &str = "select s.pid, pg_catalog.current_setting('server_version_num'),
      pg_catalog.to_char(pg_catalog.timezone('utc', s.backend_start), 'YYYY-MM-DD HH24:MI:SS.US+00'), session_user,
      pg_catalog.to_char(pg_catalog.timezone('utc', pg_catalog.pg_postmaster_start_time()), 'YYYY-MM-DD HH24:MI:SS.US+00'),
      pg_catalog.host(pg_catalog.inet_server_addr()), pg_catalog.inet_server_port(),
      case when pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'execute')
        then pg_catalog.substring(pg_catalog.query_to_xml(
          'select system_identifier as v from pg_catalog.pg_control_system()', false, false, '')::pg_catalog.text,
          '<v>([0-9]+)</v>')
      end,
      case when not pg_catalog.pg_is_in_recovery()
          and pg_catalog.has_function_privilege('pg_catalog.pg_current_wal_lsn()', 'execute')
          and pg_catalog.has_function_privilege('pg_catalog.pg_walfile_name(pg_catalog.pg_lsn)', 'execute')
        then pg_catalog.substring(pg_catalog.query_to_xml(
          'select pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8) as v',
          false, false, '')::pg_catalog.text, '<v>([0-9A-F]+)</v>')
      end,
      not pg_catalog.pg_is_in_recovery() and not pg_catalog.current_setting('transaction_read_only')::pg_catalog.bool
    from pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) s";

#[derive(Clone, Debug)]
pub(crate) struct SessionIdentity {
    pub(crate) pid: i32,
    pub(crate) version: i32,
    pub(crate) backend_start: String,
    pub(crate) role: String,
    pub(crate) server: ServerIdentity,
}

impl SessionIdentity {
    pub(crate) async fn of(session: &Session) -> Result<Self, String> {
        let rows = session.simple_query(IDENTITY).await.map_err(|error| error_text::connection_error(&error))?;
        rows.first().and_then(Self::read).ok_or_else(|| "the session did not identify itself".to_owned())
    }

    fn read(row: &SimpleQueryRow) -> Option<Self> {
        let text = |column| row.get(column).map(ToOwned::to_owned);
        Some(Self {
            pid: row.get(0)?.parse().ok()?,
            version: row.get(1)?.parse().ok()?,
            backend_start: text(2)?,
            role: text(3)?,
            server: ServerIdentity {
                started: text(4),
                address: text(5),
                port: row.get(6).and_then(|port| port.parse().ok()),
                system_identifier: text(7),
                timeline: row.get(8).and_then(|hex| i32::from_str_radix(hex, 16).ok()),
                writable: row.get(9) == Some("t"),
            },
        })
    }
}
