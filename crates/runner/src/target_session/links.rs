//! Connections that a task opens from its session with dblink. They outlive `discard all`.

/// A text is searched for the name of the extension up to this length.
const PREFIX_BYTES_MAX: usize = 32_768;

/// How a session closes such connections.
#[derive(Clone, Debug)]
pub(super) struct Links {
    pub(super) close: String,
}

impl Links {
    /// For a target with the extension in this schema, which is quoted. The same query as in
    /// `async.close_links_query`.
    pub(super) fn in_schema(schema: &str) -> Self {
        let close = format!(
            "select pg_catalog.count({schema}.dblink_disconnect(c))
             from pg_catalog.unnest({schema}.dblink_get_connections()) c"
        );
        Self { close }
    }
}

/// Whether a text names the extension: it may use what its target did not have when the session was
/// opened.
pub(super) fn names_dblink(text: &str) -> bool {
    let prefix = &text.as_bytes()[..text.len().min(PREFIX_BYTES_MAX)];
    prefix.windows(6).any(|word| word.eq_ignore_ascii_case(b"dblink"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_found_in_any_case() {
        assert!(names_dblink("select DBlink_connect('x')"));
        assert!(!names_dblink("select 'dblin k'"));
        assert!(!names_dblink(""));
    }
}
