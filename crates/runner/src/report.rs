//! A query's error as `processing_error` keeps it.

use tokio_postgres::Error;
use tokio_postgres::error::DbError;

/// Longer texts are cut, on a character's boundary.
const ERROR_TEXT_BYTES_MAX: usize = 65_536;

/// SQLSTATE and message, then detail, hint and context, each on a line of its own.
pub(crate) fn query_error(said: &DbError) -> String {
    let mut text = format!("{}: {}", said.code().code(), said.message());
    for (name, more) in [("DETAIL", said.detail()), ("HINT", said.hint()), ("CONTEXT", said.where_())] {
        if let Some(more) = more.filter(|more| !more.is_empty()) {
            text.push_str(&format!("\n{name}: {more}"));
        }
    }
    cut(text)
}

/// What the driver says of a connection, with its cause.
pub(crate) fn connection_error(error: &Error) -> String {
    if let Some(said) = error.as_db_error() {
        return query_error(said);
    }
    match std::error::Error::source(error) {
        Some(source) => cut(format!("{error}: {source}")),
        None => cut(error.to_string()),
    }
}

/// The target says that the session is over, and not by the query's fault.
pub(crate) fn ends_session(said: &DbError) -> bool {
    pgasync_core::ends_session(said.code().code())
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
