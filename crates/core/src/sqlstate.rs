//! What an SQLSTATE says of the session that it came over.

/// Whether an error with this code says that the session is over, rather than something about the statement. The twin
/// of `async.ends_session`.
///
/// ```
/// assert!(pgasync_core::ends_session("57P01") && !pgasync_core::ends_session("57014"));
/// ```
///
/// Source: Postgres manual, "PostgreSQL Error Codes".
#[must_use]
pub fn ends_session(code: &str) -> bool {
    code.starts_with("08") || matches!(code, "57P01" | "57P02" | "57P03" | "57P04" | "57P05" | "25P03" | "25P04")
}
