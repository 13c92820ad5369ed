//! A pooler between this host and a server. PgBouncer keeps the names of sessions, so it shows only by
//! its backends: two clients get the same one, or a client one that is older than its connection.

use std::time::{Duration, Instant};

use pgasync_pg::{ConnectionSettings, Session};

use super::row_of;
use crate::failure::Failure;

const BACKEND: &str = "select a.pid, a.backend_start::pg_catalog.text,
    pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - a.backend_start)::pg_catalog.float8
  from pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) a";

/// A backend starts a moment after its client begins to connect.
const AGE_TOLERANCE: Duration = Duration::from_millis(500);

/// How sessions reach a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    Direct,
    /// A backend serves one client after the other.
    Sessions,
    /// Two clients that are connected share a backend.
    Transactions,
}

struct Backend {
    id: (i32, String),
    age: Duration,
}

/// Looks at the backend of an open session, which was opened at `begin`, and at those of further ones.
pub(super) async fn path(settings: &ConnectionSettings, session: &Session, begin: Instant) -> Result<Path, Failure> {
    let first = backend(session).await?;
    let is_old = first.age > begin.elapsed() + AGE_TOLERANCE;
    let shown = if is_old { Path::Sessions } else { Path::Direct };
    // A limit on connections may refuse another one.
    let Ok(second) = settings.connect().await else { return Ok(shown) };
    let same = backend(&second).await?;
    if first.id == same.id {
        return Ok(Path::Transactions);
    }
    second.close().await;
    let Ok(third) = settings.connect().await else { return Ok(shown) };
    let again = backend(&third).await?;
    third.close().await;
    let is_shared = again.id == same.id || again.id == first.id;
    Ok(if is_shared { Path::Sessions } else { shown })
}

async fn backend(session: &Session) -> Result<Backend, Failure> {
    let row = row_of(session, BACKEND).await?;
    let age = Duration::try_from_secs_f64(row.get(2)).unwrap_or_default();
    Ok(Backend { id: (row.get(0), row.get(1)), age })
}
