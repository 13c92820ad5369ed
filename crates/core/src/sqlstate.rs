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
    use super::*;

    #[test]
    fn a_connection_exception_or_a_termination_ends_the_session_and_no_other_error_does() {
        for code in ["08000", "08006", "08P01", "57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "25P04"] {
            assert!(ends_session(code), "{code}");
        }
        for code in ["", "00000", "0A000", "25P01", "25P02", "40001", "57000", "57014", "80000", "PA210"] {
            assert!(!ends_session(code), "{code}");
        }
    }
}
