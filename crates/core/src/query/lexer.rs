//! A lexer for the SQL of Postgres, as far as the separation of statements needs one.
//!
//! Source of the rules: Postgres manual, "Lexical Structure", and `scan.l`. Strings are read as
//! with `standard_conforming_strings` on.

use std::ops::Range;

/// The kind of a token. Comments and whitespace are not tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A keyword or an identifier without quotes.
    Word,
    /// An identifier in double quotes.
    Quoted,
    /// Any kind of string, dollar-quoted ones included.
    Text,
    /// A number or a parameter.
    Number,
    /// `(` or `[`.
    Open,
    /// `)` or `]`.
    Close,
    /// `;`.
    Semicolon,
    /// `,`.
    Comma,
    /// One other character.
    Other,
}

/// A token, and its position in the text in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Range<usize>,
}

/// The tokens of a text. The lexer accepts any text. A string or comment without an end extends to
/// the end of the text.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.rest().get(ahead).copied()
    }

    fn skip_blanks_and_comments(&mut self) {
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c), _) => self.at += 1,
                (Some(b'-'), Some(b'-')) => {
                    self.at += run_of(self.rest(), |b| b != b'\n' && b != b'\r');
                }
                (Some(b'/'), Some(b'*')) => self.skip_block_comment(),
                (Some(_), _) | (None, _) => return,
            }
        }
    }

    /// Skips a block comment. Block comments nest.
    fn skip_block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(b'/'), Some(b'*')) => {
                    depth += 1;
                    self.at += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                (Some(_), _) => self.at += 1,
                (None, _) => return,
            }
        }
    }

    fn word(&mut self) -> TokenKind {
        let length = run_of(self.rest(), continues_word);
        let prefix = &self.rest()[..length];
        let next = self.byte(length);
        let (quote, unicode) = (next == Some(b'\''), next == Some(b'&') && matches!(prefix, b"u" | b"U"));
        if quote && matches!(prefix, b"e" | b"E") {
            self.at += 2;
            self.skip_escaped();
            return TokenKind::Text;
        }
        if quote && matches!(prefix, b"b" | b"B" | b"x" | b"X" | b"n" | b"N") {
            self.at += 2;
            self.skip_quoted(b'\'');
            return TokenKind::Text;
        }
        match self.byte(length + 1) {
            Some(b'\'') if unicode => {
                self.at += 3;
                self.skip_quoted(b'\'');
                TokenKind::Text
            }
            Some(b'"') if unicode => {
                self.at += 3;
                self.skip_quoted(b'"');
                TokenKind::Quoted
            }
            Some(_) | None => {
                self.at += length;
                TokenKind::Word
            }
        }
    }

    /// Skips to the position after the closing quote. A doubled quote does not close the string.
    fn skip_quoted(&mut self, quote: u8) {
        loop {
            self.at += run_of(self.rest(), |b| b != quote);
            match (self.byte(0), self.byte(1)) {
                (Some(_), Some(next)) if next == quote => self.at += 2,
                (Some(_), _) => {
                    self.at += 1;
                    return;
                }
                (None, _) => return,
            }
        }
    }

    /// Skips a string like [`Self::skip_quoted`]. A backslash escapes the next character. The
    /// string may continue on another line in quotes without `E`. A backslash escapes there too.
    fn skip_escaped(&mut self) {
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(b'\\'), Some(_)) | (Some(b'\''), Some(b'\'')) => self.at += 2,
                (Some(b'\''), _) => {
                    self.at += 1;
                    let Some(gap) = gap_of_continued(self.rest()) else { return };
                    self.at += gap + 1;
                }
                (Some(_), _) => self.at += 1,
                (None, _) => return,
            }
        }
    }

    /// Reads a number without its sign. A word directly after the number is another token: Postgres
    /// up to version 14 reads `1into` as `1 into`, and later versions refuse it.
    fn number(&mut self) -> TokenKind {
        let digits = |lexer: &Self| run_of(lexer.rest(), |b| b.is_ascii_digit());
        self.at += digits(self);
        if self.byte(0) == Some(b'.') && self.byte(1) != Some(b'.') {
            self.at += 1;
            self.at += digits(self);
        }
        let sign = usize::from(matches!(self.byte(1), Some(b'+' | b'-')));
        if matches!(self.byte(0), Some(b'e' | b'E')) && self.byte(1 + sign).is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1 + sign;
            self.at += digits(self);
        }
        TokenKind::Number
    }

    /// Reads from a dollar sign on: a dollar-quoted string, a parameter, or the sign alone.
    fn dollar(&mut self) -> TokenKind {
        let tag = self.rest()[1..].iter().position(|b| *b == b'$').map(|end| &self.rest()[..end + 2]);
        if let Some(tag) = tag.filter(|tag| is_tag(&tag[1..tag.len() - 1])) {
            self.at += tag.len();
            let end = find(self.rest(), tag).map_or(self.rest().len(), |found| found + tag.len());
            self.at += end;
            return TokenKind::Text;
        }
        let digits = run_of(&self.rest()[1..], |b| b.is_ascii_digit());
        self.at += 1 + digits;
        if digits > 0 { TokenKind::Number } else { TokenKind::Other }
    }

    fn single(&mut self, kind: TokenKind) -> TokenKind {
        self.at += 1;
        kind
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        self.skip_blanks_and_comments();
        let start = self.at;
        let kind = match self.byte(0)? {
            b'\'' => {
                self.at += 1;
                self.skip_quoted(b'\'');
                TokenKind::Text
            }
            b'"' => {
                self.at += 1;
                self.skip_quoted(b'"');
                TokenKind::Quoted
            }
            b'$' => self.dollar(),
            b'0'..=b'9' => self.number(),
            b'(' | b'[' => self.single(TokenKind::Open),
            b')' | b']' => self.single(TokenKind::Close),
            b';' => self.single(TokenKind::Semicolon),
            b',' => self.single(TokenKind::Comma),
            b if starts_word(b) => self.word(),
            _ => self.single(TokenKind::Other),
        };
        Some(Token { kind, span: start..self.at })
    }
}

const fn starts_word(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_' || b >= 0x80
}

const fn continues_word(b: u8) -> bool {
    starts_word(b) || b.is_ascii_digit() || b == b'$'
}

fn is_tag(tag: &[u8]) -> bool {
    let (first, others) = match tag.split_first() {
        None => return true,
        Some(split) => split,
    };
    starts_word(*first) && others.iter().all(|b| *b != b'$' && continues_word(*b))
}

fn run_of(bytes: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|b| !belongs(*b)).unwrap_or(bytes.len())
}

/// The length of the gap between two quoted parts of one string. It consists of blanks and line
/// comments, with at least one end of a line (`quotecontinue` in `scan.l`).
fn gap_of_continued(bytes: &[u8]) -> Option<usize> {
    let mut gap = 0;
    let mut lines = 0;
    loop {
        let rest = bytes.get(gap..)?;
        match rest {
            [b'\'', ..] => return (lines > 0).then_some(gap),
            [b'\n' | b'\r', ..] => {
                lines += 1;
                gap += 1;
            }
            [b' ' | b'\t' | 0x0b | 0x0c, ..] => gap += 1,
            [b'-', b'-', ..] => gap += run_of(rest, |b| b != b'\n' && b != b'\r'),
            _ => return None,
        }
    }
}

/// The position of the closing tag. The search compares only at dollar signs, so it takes linear
/// time.
fn find(bytes: &[u8], tag: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let dollar = from + bytes.get(from..)?.iter().position(|b| *b == b'$')?;
        if bytes[dollar..].starts_with(tag) {
            return Some(dollar);
        }
        from = dollar + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TokenKind::{Close, Comma, Number, Open, Other, Quoted, Semicolon, Text, Word};

    fn kinds(text: &str) -> Vec<TokenKind> {
        Lexer::new(text).map(|token| token.kind).collect()
    }

    #[test]
    fn comments_nest_and_end_with_the_line() {
        assert_eq!(kinds("/* a /* b */ ; */ x -- ; \n y"), [Word, Word]);
        assert_eq!(kinds("-- x\ry"), [Word]);
        assert_eq!(kinds("/* never closed ; "), []);
        assert_eq!(kinds("a - -- b"), [Word, Other]);
    }

    #[test]
    fn strings_hide_what_is_in_them() {
        assert_eq!(kinds("'a;''b;'"), [Text]);
        assert_eq!(kinds(r"'a\'"), [Text], "a backslash is a backslash");
        assert_eq!(kinds(r"E'a\';' ;"), [Text, Semicolon]);
        assert_eq!(kinds("\"a;\"\"b\" U&\"x;\" u&';' n';' B'01'"), [Quoted, Quoted, Text, Text, Text]);
        assert_eq!(kinds("'open ;"), [Text]);
    }

    #[test]
    fn a_string_goes_on_in_another_line_as_it_began() {
        assert_eq!(kinds("E'a'\n'\\';' ;"), [Text, Semicolon]);
        assert_eq!(kinds("e'a' -- it goes on\n  -- here\r '\\';' ;"), [Text, Semicolon]);
        assert_eq!(kinds("e'a' '\\';'"), [Text, Text, Semicolon, Text], "not in the same line");
        assert_eq!(kinds("e'a'\n/* c */'\\';'"), [Text, Text, Semicolon, Text], "not behind a block comment");
        assert_eq!(kinds("'a'\n'\\';"), [Text, Text, Semicolon], "as it began: without E");
        assert_eq!(kinds("e'a'\n'open ;"), [Text]);
        assert_eq!(kinds("e'a'\n"), [Text]);
    }

    #[test]
    fn numbers_end_where_their_grammar_does() {
        assert_eq!(kinds("1into t"), [Number, Word, Word]);
        assert_eq!(kinds("1.into 1.5into 1e5into"), [Number, Word, Number, Word, Number, Word]);
        assert_eq!(kinds("1e+5 2E-3x 1einto"), [Number, Number, Word, Number, Word]);
        assert_eq!(kinds("1e+into"), [Number, Word, Other, Word]);
        assert_eq!(kinds("1..2 .5"), [Number, Other, Other, Number, Other, Number]);
        assert_eq!(kinds("1$$;$$"), [Number, Text]);
    }

    #[test]
    fn a_comment_begins_inside_of_an_operator() {
        assert_eq!(kinds("2 */* ; */ 3"), [Number, Other, Number]);
        assert_eq!(kinds("2 +-- ;\n 3"), [Number, Other, Number]);
        assert_eq!(kinds("2 */*/ ; */ 3"), [Number, Other, Number]);
    }

    #[test]
    fn dollar_quotes_close_with_their_own_tag() {
        assert_eq!(kinds("$$ ; $$"), [Text]);
        assert_eq!(kinds("$a$ ; $$ $b$ $a$;"), [Text, Semicolon]);
        assert_eq!(kinds("$def$ open ;"), [Text]);
        assert_eq!(kinds("$1 a$b$ c"), [Number, Word, Word], "a word may hold dollars");
        assert_eq!(kinds("$ä$ ; $ä$"), [Text]);
        assert_eq!(kinds("$1$ ; $1$"), [Number, Other, Semicolon, Number, Other], "no tag begins with a digit");
    }

    #[test]
    fn everything_else_is_small() {
        assert_eq!(
            kinds("f(1.5e3, x[2])::t"),
            [Word, Open, Number, Comma, Word, Open, Number, Close, Close, Other, Other, Word]
        );
    }

    #[test]
    fn tokens_begin_and_end_where_those_of_postgres_do() {
        for (text, tokens) in [
            ("a\x0bb\x0cc\td\re\nf", "a|b|c|d|e|f"),
            ("x--c\ny", "x|y"),
            ("x/*c*/y", "x|y"),
            ("x/*/**/*/y", "x|y"),
            ("x/y-z", "x|/|y|-|z"),
            ("x*/y/", "x|*|/|y|/"),
            ("''''x", "''''|x"),
            ("'a''b'c", "'a''b'|c"),
            ("'a' 'b'", "'a'|'b'"),
            ("\"a\"\"b\"c", "\"a\"\"b\"|c"),
            ("e'a''b\\'c'd", "e'a''b\\'c'|d"),
            ("E'\\\\'x", "E'\\\\'|x"),
            ("E'\\", "E'\\"),
            ("e'a'\n 'b'c", "e'a'\n 'b'|c"),
            ("e'a' --\n--x\n'b'c", "e'a' --\n--x\n'b'|c"),
            ("e'a'\n-b", "e'a'|-|b"),
            ("e'a'\n--b", "e'a'"),
            ("b'1'x X'f'y n'z'w", "b'1'|x|X'f'|y|n'z'|w"),
            ("u&'a'x U&\"b\"y u&z", "u&'a'|x|U&\"b\"|y|u|&|z"),
            ("u'a' ee'b' e\"c\"", "u|'a'|ee|'b'|e|\"c\""),
            ("1.5e+3x 1.e5 1e5.2", "1.5e+3|x|1.e5|1e5|.|2"),
            ("1e 1e- 1.", "1|e|1|e|-|1."),
            ("12..34", "12|.|.|34"),
            ("$1x $12$", "$1|x|$12|$"),
            ("$$a$$b", "$$a$$|b"),
            ("$t$ $$ $t$b", "$t$ $$ $t$|b"),
            ("$t$ $t", "$t$ $t"),
            ("$ $", "$|$"),
            ("$a b$", "$|a|b$"),
            ("$a9_$x$a9_$y", "$a9_$x$a9_$|y"),
            ("a$1$b _é9", "a$1$b|_é9"),
            ("f(a)[1];,", "f|(|a|)|[|1|]|;|,"),
        ] {
            let found: Vec<&str> = Lexer::new(text).map(|token| &text[token.span]).collect();
            assert_eq!(found.join("|"), tokens, "{text}");
        }
    }
}
