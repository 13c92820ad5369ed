//! The separation of a text into statements, and its classification.

use pgasync_core::{QueryClass, StatementKind, classify, opens_transaction, statements};

use super::fuzz;

const DICTIONARY: &[&str] = &[
    "select ",
    "1",
    ";",
    "'",
    "''",
    "\"",
    "e'\\'",
    "E'",
    "u&'",
    "$$",
    "$a$",
    "/*",
    "*/",
    "--",
    "\n",
    "(",
    ")",
    "[",
    "::",
    "begin ",
    "atomic ",
    "end ",
    "case ",
    "commit ",
    "and chain ",
    "create ",
    "or replace ",
    "function f() ",
    "procedure ",
    "vacuum ",
    "copy t ",
    "from stdin ",
    "to stdout ",
    "to program 'x' ",
    "insert into t ",
    "returning ",
    "with a as (",
    "into ",
    "update t set ",
    "do ",
    "call p() ",
    "set x.y = ",
    "explain ",
    "values ",
    "é",
    "\u{2003}",
];

/// A byte that is no UTF-8 cannot reach the engine: Postgres refuses it.
fn check(input: &[u8]) -> impl std::hash::Hash + use<> {
    let text = String::from_utf8_lossy(input);
    let text = text.as_ref();
    let found = statements(text);
    let pieces: Vec<&str> = found.iter().map(|statement| &text[statement.span.clone()]).collect();
    let kinds: Vec<StatementKind> = found.iter().map(|statement| statement.kind).collect();

    assert!(found.windows(2).all(|pair| pair[0].span.end < pair[1].span.start), "the statements overlap");
    for (piece, kind) in pieces.iter().zip(&kinds) {
        // Blanks at the end may belong to a text without an end.
        assert_eq!(piece.trim_start_matches(|c: char| " \t\n\r\x0b\x0c".contains(c)), *piece, "blanks before it");
        let again = statements(piece);
        assert!(again.len() == 1 && again[0].span == (0..piece.len()), "a statement alone is one statement: {piece:?}");
        assert_eq!(again[0].kind, *kind, "a statement alone has the same kind: {piece:?}");
    }
    let printed = pieces.join("\n;\n");
    let again = statements(&printed);
    assert_eq!(again.iter().map(|statement| &printed[statement.span.clone()]).collect::<Vec<_>>(), pieces);
    assert_eq!(again.iter().map(|statement| statement.kind).collect::<Vec<_>>(), kinds);

    let class = classify(text);
    assert_eq!(class == QueryClass::Refused, kinds.contains(&StatementKind::CopyWithClient));
    match class {
        QueryClass::Wrapped => assert_eq!(kinds.len(), 1),
        QueryClass::WrappedEach => assert!(kinds.len() > 1 && !kinds.contains(&StatementKind::Alone)),
        QueryClass::Raw | QueryClass::Refused => {}
    }
    assert_eq!(classify(&printed), class, "comments decide nothing");
    assert_eq!(classify(&format!("/* ; ' */ {text}")), class, "a comment before the text decides nothing");
    assert_eq!(opens_transaction(&printed), opens_transaction(text));
    (class, kinds.into_iter().take(8).collect::<Vec<_>>(), opens_transaction(text))
}

#[test]
fn a_text_is_the_sum_of_its_statements() {
    fuzz("queries", DICTIONARY, check);
}
