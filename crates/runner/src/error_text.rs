//! The texts of errors, as `processing_error` and the log hold them.

use pgasync_pg::{Error, ServerError};

/// The limit on an error text. Longer texts are cut at a character boundary.
const ERROR_TEXT_BYTES_MAX: usize = 65_536;

/// The text of the server's error: SQLSTATE and message, then detail, hint and context on a line
/// each.
pub(crate) fn query_error(error: &ServerError<'_>) -> String {
    let mut text = format!("{}: {}", error.sqlstate, error.message);
    for (name, more) in [("DETAIL", error.detail), ("HINT", error.hint), ("CONTEXT", error.context)] {
        if let Some(more) = more.filter(|more| !more.is_empty()) {
            text.push_str(&format!("\n{name}: {more}"));
        }
    }
    cut(text, ERROR_TEXT_BYTES_MAX)
}

/// The driver's error with its cause, or the server's error if it sent one.
pub(crate) fn connection_error(error: &Error) -> String {
    error.server().map_or_else(|| cut(format!("{error:#}"), ERROR_TEXT_BYTES_MAX), |error| query_error(&error))
}

/// Whether the error ends the session rather than the query.
pub(crate) fn ends_session(error: &ServerError<'_>) -> bool {
    pgasync_core::ends_session(error.sqlstate)
}

/// Cuts a longer text at a character boundary, and frees the rest.
pub(crate) fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let at = (0..=bytes_max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(at);
        text.shrink_to_fit();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_on_a_characters_boundary() {
        let text = cut("aé".repeat(40_000), ERROR_TEXT_BYTES_MAX);
        assert!(text.len() <= ERROR_TEXT_BYTES_MAX && text.len() > ERROR_TEXT_BYTES_MAX - 4);
        assert_eq!(cut("short".into(), ERROR_TEXT_BYTES_MAX), "short");
    }
}
