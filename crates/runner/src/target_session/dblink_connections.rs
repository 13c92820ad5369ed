//! Connections that a task opens from its session with dblink. `DISCARD ALL` does not close them.

/// The length of the text that is searched for the name of the extension.
const PREFIX_BYTES_MAX: usize = 32_768;

/// The query that closes these connections.
#[derive(Clone, Debug)]
pub(super) struct DblinkConnections {
    pub(super) close: String,
}

impl DblinkConnections {
    /// The query for the extension in this schema, which is quoted. `async.close_connections_query` has
    /// the same query.
    pub(super) fn in_schema(schema: &str) -> Self {
        let close = format!(
            "select pg_catalog.count({schema}.dblink_disconnect(c))
             from pg_catalog.unnest({schema}.dblink_get_connections()) c"
        );
        Self { close }
    }
}

/// Whether a text names the extension, and so may use it. The target may have created it after the
/// session was opened.
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
