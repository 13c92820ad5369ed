//! The SQLSTATEs after which a session is gone.

/// Whether an error ends the session that reports it.
///
/// These are the connection exceptions (class 08) and the terminations by an administrator, a crash
/// or a timeout (57P01 to 57P05, 25P03, 25P04).
///
/// Source: the Postgres manual, appendix "PostgreSQL Error Codes".
///
/// ```
/// use pgasync_core::ends_session;
/// assert!(ends_session("57P04") && !ends_session("57014"));
/// ```
#[must_use]
pub fn ends_session(code: &str) -> bool {
    code.starts_with("08") || matches!(code, "57P01" | "57P02" | "57P03" | "57P04" | "57P05" | "25P03" | "25P04")
}
