//! The rule for literals, over every text that is installed. The body of a function is parsed in the
//! session of its caller, and so are the literals in it: with `standard_conforming_strings` off, a
//! backslash in a plain literal begins an escape, and a check with a pattern checks something else.
//! An `E''` literal is the same under every setting.

use crate::search_path_lint::after_literal;

/// The literals whose value depends on settings of the session: plain ones with a backslash, `U&''`,
/// and a quote after a backslash (`backslash_quote`).
fn depending(sql: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = sql;
    let mut before = "";
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("--") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
            before = "";
            continue;
        }
        if c != '\'' {
            let word = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"_&".contains(c)).unwrap_or(rest.len());
            let taken = word.max(c.len_utf8());
            (before, rest) = rest.split_at(taken);
            continue;
        }
        let escapes = before.eq_ignore_ascii_case("e");
        let after = after_literal(&rest[1..], escapes);
        let literal = &rest[..rest.len() - after.len()];
        let depends = if escapes { literal.replace("\\\\", "").contains("\\'") } else { literal.contains('\\') };
        if depends || before.eq_ignore_ascii_case("u&") {
            found.push(literal);
        }
        (before, rest) = ("", after);
    }
    found
}

/// Migrations make functions and constraints, too.
#[test]
fn no_literal_depends_on_the_settings_of_a_session() {
    assert!(crate::all().matches("E'").count() > 60);
    for part in [crate::client(), crate::server(), crate::ui()] {
        assert_eq!(depending(&part), Vec::<&str>::new(), "write E'' and double each backslash");
    }
}

#[test]
fn literals_that_depend_on_settings_are_found() {
    for (sql, found) in [
        (r"select 'a\b'", r"'a\b'"),
        (r"select a ~ '^\$' -- it's", r"'^\$'"),
        (r"select 'it''s \', 'b'", r"'it''s \'"),
        (
            r"select E'a'
             '\b'",
            r"'\b'",
        ),
        (r"select U&'a'", "'a'"),
        (r"select E'\\ it\'s'", r"E'\\ it\'s'".trim_start_matches('E')),
        (r"select type'\a'", r"'\a'"),
    ] {
        assert_eq!(depending(sql), [found], "{sql}");
    }
}

#[test]
fn other_literals_are_not() {
    for sql in [r"select E'\n', e'\\d ''x'' \\', 'it''s' -- 'a\b'", r#"select "\", 'a'"#, "select $a$ it $a$"] {
        assert_eq!(depending(sql), [""; 0], "{sql}");
    }
}
