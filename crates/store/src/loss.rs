//! Which errors mean that a session with the server is gone.

use pgasync_pg::Error;

/// Whether an error is about the session rather than about the statement. An error without a
/// SQLSTATE comes from the driver, which cannot be relied on after it.
pub(crate) fn is_loss(error: &Error) -> bool {
    error.sqlstate().is_none_or(pgasync_core::ends_session)
}
