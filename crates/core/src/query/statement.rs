//! The separation of a text into statements, and the kind of each statement.

use std::ops::Range;

use super::lexer::{Lexer, Token, TokenKind};

/// The kind of a statement, as far as its execution depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum StatementKind {
    /// It always returns rows: `SELECT`, `VALUES`, `TABLE`, `SHOW`, `EXPLAIN`.
    Rows,
    /// It writes, and returns rows if it has `RETURNING`.
    Write {
        /// Whether it has `RETURNING`.
        returning: bool,
    },
    /// It returns no rows, and may run inside a function.
    Plain,
    /// It may commit, cannot run inside a function, or is not known.
    Alone,
    /// `COPY` from or to the client.
    CopyWithClient,
}

/// One statement of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Statement {
    /// Its position in the text in bytes, without the semicolon and the blanks and comments around
    /// it.
    pub span: Range<usize>,
    /// Its kind.
    pub kind: StatementKind,
}

/// Separates a text into its statements. Empty statements are left out.
///
/// ```
/// use pgasync_core::{StatementKind, statements};
/// let text = "select ';' -- ;\n ; ; vacuum;";
/// let found = statements(text);
/// assert_eq!(&text[found[0].span.clone()], "select ';'");
/// assert_eq!(found[1].kind, StatementKind::Alone);
/// assert_eq!(found.len(), 2);
/// ```
#[must_use]
pub fn statements(text: &str) -> Vec<Statement> {
    let mut found = Vec::new();
    let mut tokens = Vec::new();
    let mut cut = StatementSplitter::default();
    for token in Lexer::new(text) {
        if cut.ends_at(text, &token, &tokens) {
            found.extend(statement(text, &tokens));
            tokens.clear();
            cut = StatementSplitter::default();
        } else {
            tokens.push(token);
        }
    }
    found.extend(statement(text, &tokens));
    found
}

fn statement(text: &str, tokens: &[Token]) -> Option<Statement> {
    let (first, last) = (tokens.first()?, tokens.last()?);
    Some(Statement { span: first.span.start..last.span.end, kind: kind_of(&Words::new(text, tokens)) })
}

/// Finds the semicolons that end a statement. Semicolons in parentheses (`CREATE RULE`) and in the
/// `BEGIN ATOMIC ... END` of a routine do not.
#[derive(Default)]
struct StatementSplitter {
    parens: usize,
    begins: usize,
}

impl StatementSplitter {
    fn ends_at(&mut self, text: &str, token: &Token, before: &[Token]) -> bool {
        match token.kind {
            TokenKind::Open => self.parens += 1,
            TokenKind::Close => self.parens = self.parens.saturating_sub(1),
            TokenKind::Word if self.parens == 0 && creates_routine(text, before) => {
                let word = &text[token.span.clone()];
                let words = Words::new(text, before);
                let begins = word.eq_ignore_ascii_case("atomic") && words.is(before.len() - 1, "begin");
                if begins || (self.begins > 0 && word.eq_ignore_ascii_case("case") && !words.name_follows()) {
                    self.begins += 1;
                } else if word.eq_ignore_ascii_case("end") && !words.name_follows() {
                    self.begins = self.begins.saturating_sub(1);
                }
            }
            TokenKind::Semicolon => return self.parens == 0 && self.begins == 0,
            TokenKind::Word
            | TokenKind::Quoted
            | TokenKind::Text
            | TokenKind::Number
            | TokenKind::Comma
            | TokenKind::Other => {}
        }
        false
    }
}

fn creates_routine(text: &str, before: &[Token]) -> bool {
    let words = Words::new(text, before);
    let object = if words.is(1, "or") && words.is(2, "replace") { 3 } else { 1 };
    words.is(0, "create") && words.any(object, &["function", "procedure"])
}

/// The tokens of a statement with their text.
struct Words<'a> {
    text: &'a str,
    tokens: &'a [Token],
}

impl<'a> Words<'a> {
    const fn new(text: &'a str, tokens: &'a [Token]) -> Self {
        Self { text, tokens }
    }

    /// Whether the token at this position is this word, without quotes and in any case.
    fn is(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| {
            token.kind == TokenKind::Word && self.text[token.span.clone()].eq_ignore_ascii_case(word)
        })
    }

    fn any(&self, at: usize, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(at, word))
    }

    fn kind(&self, at: usize) -> Option<TokenKind> {
        self.tokens.get(at).map(|token| token.kind)
    }

    /// Whether the token at this position is this keyword. After `AS` and after a dot any word is a
    /// name.
    fn is_keyword(&self, at: usize, word: &str) -> bool {
        self.is(at, word) && !Self::new(self.text, &self.tokens[..at]).name_follows()
    }

    /// Whether the token after the last one is a name, even if it is spelled like a keyword.
    fn name_follows(&self) -> bool {
        let dot = |token: &Token| token.kind == TokenKind::Other && &self.text[token.span.clone()] == ".";
        self.tokens.len().checked_sub(1).is_some_and(|last| self.is(last, "as")) || self.tokens.last().is_some_and(dot)
    }

    /// Whether the token at this position is the `INTO` of a `SELECT`.
    fn selects_into(&self, at: usize) -> bool {
        self.is_keyword(at, "into") && !at.checked_sub(1).is_some_and(|before| self.any(before, &["insert", "merge"]))
    }

    /// The positions outside of all parentheses.
    fn top_level(&self) -> impl Iterator<Item = usize> {
        let mut depth = 0_usize;
        self.tokens.iter().enumerate().filter_map(move |(at, token)| {
            match token.kind {
                TokenKind::Open => depth += 1,
                TokenKind::Close => depth = depth.saturating_sub(1),
                TokenKind::Word
                | TokenKind::Quoted
                | TokenKind::Text
                | TokenKind::Number
                | TokenKind::Semicolon
                | TokenKind::Comma
                | TokenKind::Other => {}
            }
            (depth == 0).then_some(at)
        })
    }

    /// Whether one of these words is outside of all parentheses.
    fn top_level_has(&self, words: &[&str]) -> bool {
        self.top_level().any(|at| self.any(at, words))
    }
}

/// Words that may begin a statement which returns no rows and may run inside a function. A
/// statement that begins with any other word, except those in [`kind_of`], is
/// [`StatementKind::Alone`].
const PLAIN: [&str; 16] = [
    "alter", "analyze", "analyse", "comment", "create", "drop", "grant", "import", "listen", "lock", "notify",
    "refresh", "reset", "revoke", "set", "truncate",
];

fn kind_of(words: &Words) -> StatementKind {
    if words.kind(0) == Some(TokenKind::Open) {
        return in_parentheses(words);
    }
    if words.is(0, "with") {
        return with(words);
    }
    if words.is(0, "copy") {
        return copy(words);
    }
    if let Some(kind) = by_verb(words, 0, words.top_level().skip(1)) {
        return kind;
    }
    let plain = words.any(0, &PLAIN) && !cannot_run_inside(words);
    if plain { StatementKind::Plain } else { StatementKind::Alone }
}

const VERBS: [&str; 9] = ["select", "values", "table", "show", "explain", "insert", "update", "delete", "merge"];

/// The kind of a query in parentheses, which is a `SELECT`. The `INTO` of its first `SELECT` may be
/// inside any of the parentheses.
fn in_parentheses(words: &Words) -> StatementKind {
    let into = (0..words.tokens.len()).any(|at| words.selects_into(at));
    if into { StatementKind::Alone } else { StatementKind::Rows }
}

/// The kind of the statement, if the token at this position is the verb of a query. `later` are the
/// positions after it outside of all parentheses.
fn by_verb(words: &Words, at: usize, mut later: impl Iterator<Item = usize>) -> Option<StatementKind> {
    if words.is(at, "select") {
        // `SELECT INTO` creates a table. Inside a function it would assign variables.
        let into = later.any(|at| words.selects_into(at));
        return Some(if into { StatementKind::Alone } else { StatementKind::Rows });
    }
    if words.any(at, &["insert", "update", "delete", "merge"]) {
        let returning = words.top_level().any(|at| words.is_keyword(at, "returning"));
        return Some(StatementKind::Write { returning });
    }
    words.any(at, &VERBS).then_some(StatementKind::Rows)
}

/// The kind of a statement that begins with `WITH`: the kind of the query after its list. The word
/// after `WITH`, `RECURSIVE` or a comma is the name of a list entry, even if it is spelled like a
/// keyword.
fn with(words: &Words) -> StatementKind {
    let mut name_follows = true;
    let mut positions = words.top_level().skip(1);
    while let Some(at) = positions.next() {
        match words.kind(at) {
            Some(TokenKind::Comma) => name_follows = true,
            Some(TokenKind::Word) if name_follows && words.is(at, "recursive") => {}
            Some(TokenKind::Word) if name_follows => name_follows = false,
            Some(TokenKind::Word) => {
                if let Some(kind) = by_verb(words, at, &mut positions) {
                    return kind;
                }
            }
            Some(
                TokenKind::Quoted
                | TokenKind::Text
                | TokenKind::Number
                | TokenKind::Open
                | TokenKind::Close
                | TokenKind::Semicolon
                | TokenKind::Other,
            )
            | None => name_follows = false,
        }
    }
    // The query after the list is in parentheses, or missing.
    in_parentheses(words)
}

/// The kind of a `COPY`. Postgres accepts `STDIN` and `STDOUT` for both directions.
fn copy(words: &Words) -> StatementKind {
    let with_client =
        words.top_level().any(|at| words.any(at, &["from", "to"]) && words.any(at + 1, &["stdin", "stdout"]));
    if with_client { StatementKind::CopyWithClient } else { StatementKind::Plain }
}

/// Whether Postgres refuses this statement inside a function, although it begins with a word in
/// [`PLAIN`].
fn cannot_run_inside(words: &Words) -> bool {
    let object = |at| words.any(at, &["database", "tablespace", "subscription", "system"]);
    if words.any(0, &["create", "drop", "refresh", "alter"]) && words.top_level_has(&["concurrently"]) {
        return true;
    }
    // `SET TRANSACTION` has to precede the first query of the transaction.
    if words.is(0, "set")
        && (words.is(1, "transaction") || words.any(1, &["local", "session"]) && words.is(2, "transaction"))
    {
        return true;
    }
    words.any(0, &["create", "alter", "drop"]) && object(1)
}
