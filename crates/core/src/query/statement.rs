//! A text cut into statements, and what each of them is.

use std::ops::Range;

use super::lexer::{Lexer, Token, TokenKind};

/// What kind of statement it is, as far as running it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum StatementKind {
    /// It always returns rows: `SELECT`, `VALUES`, `TABLE`, `SHOW`, `EXPLAIN`.
    Rows,
    /// It writes, and returns rows if it has `RETURNING`.
    Write {
        /// It has.
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
    /// Where it stands in the text, in bytes, without the semicolon and what surrounds it.
    pub span: Range<usize>,
    /// What it is.
    pub kind: StatementKind,
}

/// Cuts a text into its statements; empty ones are none.
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
    let mut cut = Cut::default();
    for token in Lexer::new(text) {
        if cut.ends_at(text, &token, &tokens) {
            found.extend(statement(text, &tokens));
            tokens.clear();
            cut = Cut::default();
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

/// Knows which semicolons are inside a statement: those in parentheses (`CREATE RULE`) and those
/// in a routine's `BEGIN ATOMIC ... END`.
#[derive(Default)]
struct Cut {
    parens: usize,
    begins: usize,
}

impl Cut {
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

/// A statement's tokens with their text.
struct Words<'a> {
    text: &'a str,
    tokens: &'a [Token],
}

impl<'a> Words<'a> {
    const fn new(text: &'a str, tokens: &'a [Token]) -> Self {
        Self { text, tokens }
    }

    /// The token there is this word, without quotes and in any case.
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

    /// This keyword stands there as one, and is not a name: behind AS and behind a dot any word is.
    fn is_keyword(&self, at: usize, word: &str) -> bool {
        self.is(at, word) && !Self::new(self.text, &self.tokens[..at]).name_follows()
    }

    /// What comes after the last token is a name, whatever it looks like.
    fn name_follows(&self) -> bool {
        let dot = |token: &Token| token.kind == TokenKind::Other && &self.text[token.span.clone()] == ".";
        self.tokens.len().checked_sub(1).is_some_and(|last| self.is(last, "as")) || self.tokens.last().is_some_and(dot)
    }

    /// The INTO of a SELECT stands there.
    fn selects_into(&self, at: usize) -> bool {
        self.is_keyword(at, "into") && !at.checked_sub(1).is_some_and(|before| self.any(before, &["insert", "merge"]))
    }

    /// The positions outside of all parentheses.
    fn top_level(&self) -> impl Iterator<Item = usize> {
        let mut depth = 0_usize;
        self.tokens.iter().enumerate().filter_map(move |(at, token)| {
            match token.kind {
                TokenKind::Open => depth += 1,
                TokenKind::Close => {
                    depth = depth.saturating_sub(1);
                    return (depth == 0).then_some(at);
                }
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

    /// One of these words stands outside of all parentheses.
    fn top_level_has(&self, words: &[&str]) -> bool {
        self.top_level().any(|at| self.any(at, words))
    }
}

/// Words that may begin a statement which returns no rows and may run inside a function. What is
/// not listed here or in [`kind_of`] is taken to be [`StatementKind::Alone`].
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
    if let Some(kind) = by_verb(words, 0) {
        return kind;
    }
    let plain = words.any(0, &PLAIN) && !cannot_run_inside(words);
    if plain { StatementKind::Plain } else { StatementKind::Alone }
}

const VERBS: [&str; 9] = ["select", "values", "table", "show", "explain", "insert", "update", "delete", "merge"];

/// A query in parentheses is one that selects: the INTO of its first SELECT may stand in any of
/// them.
fn in_parentheses(words: &Words) -> StatementKind {
    let into = (0..words.tokens.len()).any(|at| words.selects_into(at));
    if into { StatementKind::Alone } else { StatementKind::Rows }
}

/// What the statement is when a verb of a query stands there.
fn by_verb(words: &Words, at: usize) -> Option<StatementKind> {
    if words.is(at, "select") {
        // SELECT INTO makes a table; inside a function it would mean something else.
        let into = words.top_level().any(|later| later > at && words.selects_into(later));
        return Some(if into { StatementKind::Alone } else { StatementKind::Rows });
    }
    if words.any(at, &["insert", "update", "delete", "merge"]) {
        let returning = words.top_level().any(|at| words.is_keyword(at, "returning"));
        return Some(StatementKind::Write { returning });
    }
    words.any(at, &VERBS).then_some(StatementKind::Rows)
}

/// `WITH` is what the query after its list is. The word after `WITH`, `RECURSIVE` or a comma is
/// the name of a list entry, whatever it looks like.
fn with(words: &Words) -> StatementKind {
    let mut name_follows = true;
    for at in words.top_level().skip(1) {
        match words.kind(at) {
            Some(TokenKind::Comma) => name_follows = true,
            Some(TokenKind::Word) if name_follows && words.is(at, "recursive") => {}
            Some(TokenKind::Word) if name_follows => name_follows = false,
            Some(TokenKind::Word) => {
                if let Some(kind) = by_verb(words, at) {
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

/// Postgres takes both words for both directions.
fn copy(words: &Words) -> StatementKind {
    let with_client =
        words.top_level().any(|at| words.any(at, &["from", "to"]) && words.any(at + 1, &["stdin", "stdout"]));
    if with_client { StatementKind::CopyWithClient } else { StatementKind::Plain }
}

/// Statements that begin with a plain word, and that Postgres refuses inside a function.
fn cannot_run_inside(words: &Words) -> bool {
    let object = |at| words.any(at, &["database", "tablespace", "subscription", "system"]);
    if words.any(0, &["create", "drop", "refresh", "alter"]) && words.top_level_has(&["concurrently"]) {
        return true;
    }
    // SET TRANSACTION has to come before the transaction's first query.
    if words.is(0, "set")
        && (words.is(1, "transaction") || words.any(1, &["local", "session"]) && words.is(2, "transaction"))
    {
        return true;
    }
    words.any(0, &["create", "alter", "drop"]) && object(1)
}
