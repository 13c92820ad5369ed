//! Which errors mean that a session with the server is gone.

use pgasync_pg::Error;

/// Whether an error means that the session is gone. An error without a SQLSTATE comes from the
/// driver, and the state of the session is unknown after it.
pub(crate) fn is_loss(error: &Error) -> bool {
    error.sqlstate().is_none_or(pgasync_core::ends_session)
}
