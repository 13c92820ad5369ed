//! Bounds the memory that a server can make this process use.
//!
//! The driver keeps each message of the server in memory until the message is complete. [`Filter`]
//! is the stream below the driver. It reads plaintext messages: from the socket without TLS, and
//! from the TLS stream otherwise. It refuses messages that are too long, and drops rows that the
//! session does not want, before they are complete.
//!
//! [`MessageFilter`] has the rules, and is free of IO.

mod message;
mod stream;
#[cfg(test)]
mod tests;
mod violation;

use std::sync::{Mutex, OnceLock, PoisonError};

pub use message::MessageFilter;
pub(crate) use stream::Filter;
pub use violation::Violation;

/// The rows that a session passes on. The data of `COPY ... TO STDOUT` counts as rows. The number is
/// the bytes of the rows of one query, as they are sent: until the server is ready for the next
/// query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowLimit {
    /// All rows.
    All,
    /// The first rows of a query, up to this number of bytes. The first row that exceeds it and all
    /// rows after that row are dropped, and the query succeeds.
    First(u64),
    /// All rows, up to this number of bytes. A row that exceeds it ends the session with an error.
    AtMost(u64),
}

/// What a session and its filter share.
#[derive(Debug)]
pub(crate) struct FilterControl {
    rows: Mutex<RowLimit>,
    violation: OnceLock<Violation>,
}

impl FilterControl {
    pub(crate) const fn new(rows: RowLimit) -> Self {
        Self { rows: Mutex::new(rows), violation: OnceLock::new() }
    }

    pub(crate) fn rows(&self) -> RowLimit {
        *self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_rows(&self, rows: RowLimit) {
        *self.rows.lock().unwrap_or_else(PoisonError::into_inner) = rows;
    }

    /// Why the filter ended the session.
    pub(crate) fn violation(&self) -> Option<Violation> {
        self.violation.get().copied()
    }
}
