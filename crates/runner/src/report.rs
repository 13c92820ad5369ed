//! A query's error as `processing_error` keeps it.

use pgasync_pg::{Error, ServerError};

/// Longer texts are cut, on a character's boundary.
const ERROR_TEXT_BYTES_MAX: usize = 65_536;

/// SQLSTATE and message, then detail, hint and context, each on a line of its own.
pub(crate) fn query_error(said: &ServerError<'_>) -> String {
    let mut text = format!("{}: {}", said.sqlstate, said.message);
    for (name, more) in [("DETAIL", said.detail), ("HINT", said.hint), ("CONTEXT", said.context)] {
        if let Some(more) = more.filter(|more| !more.is_empty()) {
            text.push_str(&format!("\n{name}: {more}"));
        }
    }
    cut(text)
}

/// What the driver says of a connection, with its cause.
pub(crate) fn connection_error(error: &Error) -> String {
    error.server().map_or_else(|| cut(format!("{error:#}")), |said| query_error(&said))
}

/// The target says that the session is over, and not by the query's fault.
pub(crate) fn ends_session(said: &ServerError<'_>) -> bool {
    pgasync_core::ends_session(said.sqlstate)
}

pub(crate) fn cut(mut text: String) -> String {
    if text.len() > ERROR_TEXT_BYTES_MAX {
        let at = (0..=ERROR_TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(at);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_on_a_characters_boundary() {
        let text = cut("aé".repeat(40_000));
        assert!(text.len() <= ERROR_TEXT_BYTES_MAX && text.len() > ERROR_TEXT_BYTES_MAX - 4);
        assert_eq!(cut("short".into()), "short");
    }
}
