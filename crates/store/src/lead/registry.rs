//! What leaders wrote down about their sessions and their elections. Fences read and note it over connections of their
//! own: nothing here changes a task.

use pgasync_core::{Epoch, TargetName};

use super::LeadError;
use crate::connection_string::ConnectionString;
use crate::session::Session;

/// What a server says of itself: whether two connections are with the same one. What a role may not read is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerIdentity {
    /// When it was started, `YYYY-MM-DD HH:MM:SS.US+00`.
    pub started: Option<String>,
    /// Its address on the connection; none behind a Unix socket.
    pub address: Option<String>,
    /// Its port there.
    pub port: Option<i32>,
    /// `pg_control_system()`.
    pub system_identifier: Option<String>,
    /// The timeline that it writes.
    pub timeline: Option<i32>,
    /// It takes writes.
    pub writable: bool,
}

/// A registered session that is to be ended.
#[derive(Clone, Debug)]
pub struct OldSession {
    /// Its number in the registry.
    pub number: i64,
    /// Where it is.
    pub connection_string: ConnectionString,
    /// The role that it is logged in as.
    pub role: String,
    /// Its backend.
    pub pid: i32,
    /// When that began.
    pub backend_start: String,
    /// When its server was started; none where an older version registered it.
    pub server_started: Option<String>,
    /// Its server's identifier.
    pub system_identifier: Option<String>,
    /// An operator says that nothing is to wait for it.
    pub written_off: bool,
    /// It may be another server's, of which this one is a copy: it is left alone until it ends.
    pub left_alone: bool,
}

/// Of names of elections (`epoch.nonce`), as sessions at a target bear them, those that this server did not hold.
///
/// # Errors
/// When the server cannot be asked.
pub async fn unknown_elections(session: &Session, names: &[String]) -> Result<Vec<String>, LeadError> {
    let rows = session
        .query(
            "select n.name from unnest($1::text[]) as n(name)
             where not exists (
               select from async.election e
               where e.epoch::text = split_part(n.name, '.', 1) and e.nonce = split_part(n.name, '.', 2))",
            &[&names],
        )
        .await
        .map_err(|error| LeadError::of("reading the elections", &error))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

const SESSIONS: &str = "
    select s.session_id, s.connection_string, s.role, s.pid,
      to_char(s.backend_start at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS.US+00'),
      to_char(s.server_started at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS.US+00'),
      s.system_identifier, s.written_off, s.epoch < async.last_moved_epoch()
    from async.session s";

/// The sessions at a target that leaders before `before` registered.
///
/// # Errors
/// When the server cannot be asked.
pub async fn old_sessions(session: &Session, target: &TargetName, before: Epoch) -> Result<Vec<OldSession>, LeadError> {
    let sql = format!("{SESSIONS} where s.target = $1 and s.epoch < $2 order by s.session_id");
    let rows = session.query(&sql, &[&target.as_str(), &before.0]).await;
    let rows = rows.map_err(|error| LeadError::of("reading the registry of sessions", &error))?;
    Ok(rows.iter().map(old_session).collect())
}

/// The session of an epoch that has this backend at a target; none when it is not in the registry (any more).
///
/// # Errors
/// When the server cannot be asked.
pub async fn registered_session(
    session: &Session,
    epoch: Epoch,
    target: &TargetName,
    pid: i32,
    backend_start: &str,
) -> Result<Option<OldSession>, LeadError> {
    let sql = format!(
        "{SESSIONS} where s.epoch = $1 and s.target = $2 and s.pid = $3 and s.backend_start = $4::text::timestamptz
         order by s.session_id limit 1"
    );
    let row = session.query_opt(&sql, &[&epoch.0, &target.as_str(), &pid, &backend_start]).await;
    let row = row.map_err(|error| LeadError::of("reading the registry of sessions", &error))?;
    Ok(row.as_ref().map(old_session))
}

fn old_session(row: &tokio_postgres::Row) -> OldSession {
    OldSession {
        number: row.get(0),
        connection_string: row.get::<_, String>(1).into(),
        role: row.get(2),
        pid: row.get(3),
        backend_start: row.get(4),
        server_started: row.get(5),
        system_identifier: row.get(6),
        written_off: row.get(7),
        left_alone: row.get(8),
    }
}

/// Those of registered sessions that are gone although `server`, which answers, is not the one that they were opened at:
/// see `async.is_replaced`.
///
/// # Errors
/// When the server that leads cannot be asked.
pub async fn replaced_sessions(
    session: &Session,
    numbers: &[i64],
    server: &ServerIdentity,
    several_hosts: bool,
) -> Result<Vec<i64>, LeadError> {
    let ServerIdentity { started, address, port, system_identifier, timeline, writable } = server;
    let rows = session
        .query(
            "select s.session_id from async.session s
             where s.session_id = any ($1)
               and async.is_replaced(s, $2::text::timestamptz, $3, $4, $5, $6, $7, $8)",
            &[&numbers, started, address, port, system_identifier, timeline, writable, &several_hosts],
        )
        .await
        .map_err(|error| LeadError::of("reading the registry of sessions", &error))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Shows sessions that cannot be ended in `async.v_lost_session`; without an error they are left alone.
///
/// # Errors
/// When the server refuses.
pub async fn note_lost(session: &Session, lost: &[(i64, Option<String>)]) -> Result<(), LeadError> {
    let numbers: Vec<i64> = lost.iter().map(|(number, _)| *number).collect();
    let errors: Vec<Option<&str>> = lost.iter().map(|(_, error)| error.as_deref()).collect();
    session
        .execute(
            "update async.session s
             set lost_since = coalesce(s.lost_since, clock_timestamp()), lost_error = n.error
             from (
               select l.number, coalesce(async.mask_connection_string(l.error), async.why_not_ended(l.number)) as error
               from unnest($1::bigint[], $2::text[]) as l(number, error)) n
             where s.session_id = n.number and (s.lost_since is null or s.lost_error is distinct from n.error)",
            &[&numbers, &errors],
        )
        .await
        .map_err(|error| LeadError::of("noting lost sessions", &error))?;
    Ok(())
}
