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
      not pg_catalog.pg_is_in_recovery() and not pg_catalog.current_setting('transaction_read_only')::pg_catalog.bool,
      (select pg_catalog.quote_ident(n.nspname)
        from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace
        where e.extname = 'dblink')
    from pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) s";

/// The limit on a name, an address or a number of a server.
const TEXT_BYTES_MAX: usize = 255;

#[derive(Clone, Debug)]
pub(crate) struct SessionIdentity {
    pub(crate) pid: i32,
    pub(crate) version: i32,
    pub(crate) backend_start: String,
    pub(crate) role: String,
    pub(crate) server: ServerIdentity,
    /// The schema of the extension `dblink` at the target, quoted.
    pub(crate) dblink_schema: Option<String>,
}

impl SessionIdentity {
    pub(crate) async fn of(session: &Session) -> Result<Self, String> {
        let rows = session.simple_query(IDENTITY).await.map_err(|error| error_text::connection_error(&error))?;
        rows.first().and_then(Self::read).ok_or_else(|| "the session did not identify itself".to_owned())
    }

    /// `None` when a value is not one of Postgres. The server would refuse to register the session, and
    /// with it the sessions at other targets in the same batch.
    fn read(row: &SimpleQueryRow) -> Option<Self> {
        let value = |column: usize| row.try_get(column).ok().flatten();
        let text = |column| value(column).map(ToOwned::to_owned);
        let started = text(4);
        let is_short = (0..row.len()).filter_map(value).all(|text| text.len() <= TEXT_BYTES_MAX);
        if !is_short || started.as_deref().is_some_and(|started| !is_time(started)) {
            return None;
        }
        Some(Self {
            pid: value(0)?.parse().ok()?,
            version: value(1)?.parse().ok()?,
            backend_start: text(2).filter(|time| is_time(time))?,
            role: text(3)?,
            server: ServerIdentity {
                started,
                address: text(5),
                port: value(6).and_then(|port| port.parse().ok()),
                system_identifier: text(7),
                timeline: value(8).and_then(|hex| i32::from_str_radix(hex, 16).ok()),
                writable: value(9) == Some("t"),
            },
            dblink_schema: text(10),
        })
    }
}

/// Whether a text is a time as [`IDENTITY`] asks for it: `2026-01-31 23:59:59.000001+00`.
fn is_time(text: &str) -> bool {
    const SHAPE: &[u8] = b"0000-00-00 00:00:00.000000+00";
    let fits = |(byte, shape): (u8, &u8)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == *shape };
    if text.len() != SHAPE.len() || !text.bytes().zip(SHAPE).all(fits) {
        return false;
    }
    let number = |from, to| text[from..to].parse::<u32>().unwrap_or(u32::MAX);
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    year > 0
        && (1..=days).contains(&day)
        && number(11, 13) < 24
        && number(14, 16) < 60
        && number(17, 19) < 60
        && number(27, 29) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_times_that_postgres_reads_pass() {
        for time in ["2026-01-31 23:59:59.000001+00", "2024-02-29 00:00:00.000000+00"] {
            assert!(is_time(time), "{time}");
        }
        for text in [
            "",
            "now",
            "infinity",
            "2026-02-29 00:00:00.000000+00",
            "2026-13-01 00:00:00.000000+00",
            "2026-00-01 00:00:00.000000+00",
            "2026-01-00 00:00:00.000000+00",
            "2026-01-01 24:00:00.000000+00",
            "2026-01-01 00:00:00.000000+99",
            "0000-01-01 00:00:00.000000+00",
            "2026-01-01 00:00:00.000000é0",
            "2026-01-01 00:00:00.00000é+00",
        ] {
            assert!(!is_time(text), "{text}");
        }
    }
}
