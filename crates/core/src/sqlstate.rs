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

#[cfg(test)]
mod tests {
    use super::ends_session;

    #[test]
    fn terminations_and_connection_exceptions_end_a_session_and_other_errors_do_not() {
        for code in ["08000", "08006", "57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "25P04"] {
            assert!(ends_session(code), "{code}");
        }
        for code in ["", "57014", "57000", "25P01", "25P02", "40001", "P0001", "00000", "22008"] {
            assert!(!ends_session(code), "{code}");
        }
    }
}
