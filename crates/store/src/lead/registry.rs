//! What older leaders wrote down about their sessions.

use pgasync_core::{Epoch, TargetName};

use super::LeadError;
use crate::connection_string::ConnectionString;
use crate::session::Session;

/// A session of an older leader.
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
}

/// Which of these backends, by pid and start, no leader registered.
///
/// # Errors
/// When the server cannot be asked.
pub async fn unregistered(session: &Session, backends: &[(i32, String)]) -> Result<Vec<i32>, LeadError> {
    let pids: Vec<i32> = backends.iter().map(|(pid, _)| *pid).collect();
    let starts: Vec<&str> = backends.iter().map(|(_, start)| start.as_str()).collect();
    let rows = session
        .query(
            "select b.pid from unnest($1::int[], $2::text[]) as b(pid, backend_start)
             where not exists (
               select from async.session s where s.pid = b.pid and s.backend_start = b.backend_start::timestamptz)
             order by b.pid",
            &[&pids, &starts],
        )
        .await
        .map_err(|error| LeadError::of("reading the registry of sessions", &error))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The sessions at a target that leaders before `before` registered.
///
/// # Errors
/// When the server cannot be asked.
pub async fn old_sessions(session: &Session, target: &TargetName, before: Epoch) -> Result<Vec<OldSession>, LeadError> {
    let rows = session
        .query(
            "select session_id, connection_string, role, pid,
               to_char(backend_start at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS.US+00')
             from async.session where target = $1 and epoch < $2 order by session_id",
            &[&target.as_str(), &before.0],
        )
        .await
        .map_err(|error| LeadError::of("reading the registry of sessions", &error))?;
    let old = |row: &tokio_postgres::Row| OldSession {
        number: row.get(0),
        connection_string: row.get::<_, String>(1).into(),
        role: row.get(2),
        pid: row.get(3),
        backend_start: row.get(4),
    };
    Ok(rows.iter().map(old).collect())
}
