//! The SQLSTATEs after which a session is gone.

/// Whether an error ends the session that reports it, so that nothing more is heard from there.
///
/// Connection exceptions (class 08), the ends that an administrator, a crash or a timeout brings
/// (57P01 to 57P05, 25P03, 25P04).
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
