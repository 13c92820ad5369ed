//! The registry of target sessions, and the elections. Fences use them over their own connections.
//! No function here changes a task.

use pgasync_core::{Epoch, TargetName};
use pgasync_pg::{ConnectionString, Session};

use super::LeaderError;

/// The identity of the server of a connection, so that two connections can be compared. A field
/// that the role may not read is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerIdentity {
    /// When the server was started, `YYYY-MM-DD HH:MM:SS.US+00`.
    pub started: Option<String>,
    /// The server's address of the connection; `None` for a Unix socket.
    pub address: Option<String>,
    /// The server's port of the connection.
    pub port: Option<i32>,
    /// The system identifier from `pg_control_system()`.
    pub system_identifier: Option<String>,
    /// The timeline that it writes.
    pub timeline: Option<i32>,
    /// Whether it accepts writes.
    pub writable: bool,
}

/// A registered session that a fence has to end.
#[derive(Clone, Debug)]
pub struct OldSession {
    /// Its number in the registry.
    pub number: i64,
    /// The address of its server.
    pub connection_string: ConnectionString,
    /// The role of the session.
    pub role: String,
    /// The pid of its backend.
    pub pid: i32,
    /// When the backend started.
    pub backend_start: String,
    /// When its server was started; `None` if an older version of pgasync registered the session.
    pub server_started: Option<String>,
    /// The system identifier of its server.
    pub system_identifier: Option<String>,
    /// An operator has written the session off: no fence waits for it.
    pub written_off: bool,
    /// The session may belong to another server, of which this one is a copy. A fence waits for it
    /// and does not end it.
    pub left_alone: bool,
}

/// Returns the elections (`epoch.nonce`) among `names` that this server did not hold.
///
/// # Errors
/// When the query fails.
pub async fn unknown_elections(session: &Session, names: &[String]) -> Result<Vec<String>, LeaderError> {
    let rows = session
        .query(
            "select n.name from unnest($1::text[]) as n(name)
             where not exists (
               select from async.election e
               where e.epoch::text = split_part(n.name, '.', 1) and e.nonce = split_part(n.name, '.', 2))",
            &[&names],
        )
        .await
        .map_err(|error| LeaderError::of("reading the elections", &error))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

const SESSIONS: &str = "
    select s.session_id, s.connection_string, s.role, s.pid,
      to_char(s.backend_start at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS.US+00'),
      to_char(s.server_started at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS.US+00'),
      s.system_identifier, s.written_off, s.epoch < async.last_moved_epoch()
    from async.session s";

/// The sessions at a target that leaders of epochs before `before` have registered.
///
/// # Errors
/// When the query fails.
pub async fn old_sessions(
    session: &Session,
    target: &TargetName,
    before: Epoch,
) -> Result<Vec<OldSession>, LeaderError> {
    let sql = format!("{SESSIONS} where s.target = $1 and s.epoch < $2 order by s.session_id");
    let rows = session.query(&sql, &[&target.as_str(), &before.0]).await;
    let rows = rows.map_err(|error| LeaderError::of("reading the registry of sessions", &error))?;
    Ok(rows.iter().map(old_session).collect())
}

/// The registered session with this backend; `None` when the registry does not list it.
///
/// # Errors
/// When the query fails.
pub async fn registered_session(
    session: &Session,
    epoch: Epoch,
    target: &TargetName,
    pid: i32,
    backend_start: &str,
) -> Result<Option<OldSession>, LeaderError> {
    let sql = format!(
        "{SESSIONS} where s.epoch = $1 and s.target = $2 and s.pid = $3 and s.backend_start = $4::text::timestamptz
         order by s.session_id limit 1"
    );
    let row = session.query_opt(&sql, &[&epoch.0, &target.as_str(), &pid, &backend_start]).await;
    let row = row.map_err(|error| LeaderError::of("reading the registry of sessions", &error))?;
    Ok(row.as_ref().map(old_session))
}

fn old_session(row: &pgasync_pg::Row) -> OldSession {
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

/// Returns the sessions among `numbers` that are gone because `server` has replaced their server:
/// see `async.is_replaced`.
///
/// # Errors
/// When the query fails.
pub async fn replaced_sessions(
    session: &Session,
    numbers: &[i64],
    server: &ServerIdentity,
    several_hosts: bool,
) -> Result<Vec<i64>, LeaderError> {
    let ServerIdentity { started, address, port, system_identifier, timeline, writable } = server;
    let rows = session
        .query(
            "select s.session_id from async.session s
             where s.session_id = any ($1)
               and async.is_replaced(s, $2::text::timestamptz, $3, $4, $5, $6, $7, $8)",
            &[&numbers, started, address, port, system_identifier, timeline, writable, &several_hosts],
        )
        .await
        .map_err(|error| LeaderError::of("reading the registry of sessions", &error))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Records why sessions cannot be ended, for `async.v_lost_session`. A session without an error is
/// left alone.
///
/// # Errors
/// When the statement fails.
pub async fn note_lost(session: &Session, lost: &[(i64, Option<String>)]) -> Result<(), LeaderError> {
    let numbers: Vec<i64> = lost.iter().map(|(number, _)| *number).collect();
    let errors: Vec<Option<&str>> = lost.iter().map(|(_, error)| error.as_deref()).collect();
    session
        .execute(
            "update async.session s
             set lost_since = coalesce(s.lost_since, clock_timestamp()), lost_error = n.error
             from (
               select l.number, coalesce(async.mask_text(l.error), async.spared_session_reason(l.number)) as error
               from unnest($1::bigint[], $2::text[]) as l(number, error)) n
             where s.session_id = n.number and (s.lost_since is null or s.lost_error is distinct from n.error)",
            &[&numbers, &errors],
        )
        .await
        .map_err(|error| LeaderError::of("noting lost sessions", &error))?;
    Ok(())
}
