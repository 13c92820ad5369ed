//! The parser of queries accepts any text.

use pgasync_core::{QueryClass, classify, statements};
use proptest::prelude::*;

/// Texts of SQL tokens, comments and quotes in random order, many of them malformed.
fn sql() -> impl Strategy<Value = String> {
    let pieces = [
        "select",
        "1",
        " ",
        ";",
        "'",
        "\"",
        "$$",
        "$a$",
        "$1",
        "--",
        "\n",
        "/*",
        "*/",
        "(",
        ")",
        "E'\\'",
        "U&'",
        "copy t from stdin",
        "insert into t",
        "returning",
        "with",
        "as",
        "begin",
        "end",
        "case",
        "create function",
        "into",
        ",",
        "é",
        "\0",
        "vacuum",
        "\\",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..40).prop_map(|all| all.concat())
}

/// The white space of Postgres' lexer. Unicode has more.
const POSTGRES_SPACE: [char; 6] = [' ', '\t', '\n', '\r', '\u{b}', '\u{c}'];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn no_text_makes_it_panic(text in prop_oneof![sql(), ".{0,200}"]) {
        let _ = classify(&text);
        let mut last = 0;
        for statement in statements(&text) {
            prop_assert!(last <= statement.span.start && statement.span.start < statement.span.end);
            prop_assert!(text.get(statement.span.clone()).is_some_and(|piece| !piece.trim_matches(POSTGRES_SPACE).is_empty()));
            last = statement.span.end;
        }
    }

    #[test]
    fn comments_and_blanks_change_nothing(text in sql(), before in "[ \t\n]{0,3}") {
        let same = format!("{before}/* a /* ; ' */ b */ -- $$ ;\n{text}");
        prop_assert_eq!(classify(&same), classify(&text));
    }

    #[test]
    fn what_is_quoted_is_not_read(inner in "[a-z; \\-/*$]{0,40}") {
        prop_assert_eq!(classify(&format!("select '{inner}'")), QueryClass::Wrapped);
        prop_assert_eq!(classify(&format!("select 1 as \"x{inner}\"")), QueryClass::Wrapped);
        prop_assert_eq!(classify(&format!("select $q9${inner}$q9$")), QueryClass::Wrapped);
        prop_assert_eq!(classify(&format!("do $q9${inner}$q9$")), QueryClass::Raw);
    }
}
