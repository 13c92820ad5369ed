//! Reading and writing connection strings of the form `key = value key = 'quoted value'`; URIs are
//! in [`uri`].
//!
//! Source: Postgres manual, "Connection Strings" (libpq).

use super::error::InvalidConninfo;
use super::uri;

/// The options of a connection string in order; the last one of a name counts.
pub(super) type Pairs = Vec<(String, String)>;

/// Reads both forms of a connection string. No error repeats the string, which may contain a
/// password.
pub(super) fn parse(text: &str) -> Result<Pairs, InvalidConninfo> {
    if let Some(at) = text.find('\0') {
        return Err(InvalidConninfo::new(text, at, "a NUL cannot be part of it"));
    }
    match uri::strip_scheme(text) {
        Some(rest) => uri::parse(text, rest),
        None => parse_pairs(text),
    }
}

/// Whether psql treats the text as a connection string rather than as the name of a database.
pub(super) fn is_conninfo(text: &str) -> bool {
    uri::strip_scheme(text).is_some() || text.contains('=')
}

/// A value for a list of pairs, quoted where necessary.
pub(super) fn quote(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:%@".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn parse_pairs(text: &str) -> Result<Pairs, InvalidConninfo> {
    let mut pairs = Pairs::new();
    let mut rest = text.trim_start_matches(is_space);
    while !rest.is_empty() {
        let at = text.len() - rest.len();
        let end = rest.find(|c| c == '=' || is_space(c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let Some(value_text) = after.trim_start_matches(is_space).strip_prefix('=') else {
            let what = match pairs.last() {
                // The word may be a part of the password.
                Some((key, _)) if super::keyword::is_secret(key) => {
                    "what follows the password is no option; put a password with spaces in single quotes"
                }
                _ => "a word without \"=\" after it",
            };
            return Err(InvalidConninfo::new(text, at, what));
        };
        let (value, tail) = read_value(value_text.trim_start_matches(is_space))
            .ok_or_else(|| InvalidConninfo::new(text, text.len(), "a quoted value has no end"))?;
        let after_secret = pairs.last().is_some_and(|(key, _)| super::keyword::is_secret(key));
        if !super::keyword::is_known(name) {
            return Err(InvalidConninfo::unknown(text, at, name, !after_secret));
        }
        pairs.push((name.to_owned(), value));
        rest = tail.trim_start_matches(is_space);
    }
    Ok(pairs)
}

/// Reads a value, quoted or not, with backslashes; returns it and the rest.
fn read_value(text: &str) -> Option<(String, &str)> {
    let (quoted, text) = text.strip_prefix('\'').map_or((false, text), |inside| (true, inside));
    let mut value = String::new();
    let mut chars = text.chars();
    while let Some(found) = chars.next() {
        match found {
            '\\' => value.extend(chars.next()),
            '\'' if quoted => return Some((value, chars.as_str())),
            space if !quoted && is_space(space) => return Some((value, chars.as_str())),
            other => value.push(other),
        }
    }
    (!quoted).then_some((value, ""))
}

/// The rule of `isspace` in C.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{parse, quote};

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn pairs_are_read_as_libpq_reads_them() {
        for (text, expected) in [
            ("", &[][..]),
            (" \t\n ", &[]),
            ("host=a port = 1", &[("host", "a"), ("port", "1")]),
            (r"password='it\'s = \\ b'dbname=d", &[("password", r"it's = \ b"), ("dbname", "d")]),
            (r"password=a\ b\'c user=u", &[("password", "a b'c"), ("user", "u")]),
            // An empty value needs quotes. Without them the next word is the value.
            ("host= port=1", &[("host", "port=1")]),
            ("host='' port=1", &[("host", ""), ("port", "1")]),
            (r"user=a\", &[("user", "a")]),
            ("user=é\u{a0}ü", &[("user", "é\u{a0}ü")]),
        ] {
            let expected: Vec<_> = expected.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            assert_eq!(pairs(text), expected, "{text}");
        }
    }

    #[test]
    fn an_unreadable_string_is_refused_without_repeating_it() {
        for text in
            ["secret", "host=a secret", "password='secret", "password=a secret", "password=a secret=b", "user=a\0"]
        {
            let message = parse(text).expect_err(text).to_string();
            assert!(!message.contains("secret"), "{message}");
        }
        assert!(parse("hots=a").expect_err("no such option").to_string().contains("\"hots\""));
    }

    proptest! {
        #[test]
        fn any_string_is_read_or_refused(text in "(postgres://)?(\\PC|[ =%'\\\\@:/?&,\\[\\]]|host|user|password)*") {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_written_is_read_back(value in "\\PC*") {
            let text = format!("user={} dbname=d", quote(&value));
            prop_assert_eq!(pairs(&text), [("user".to_owned(), value), ("dbname".to_owned(), "d".to_owned())]);
        }
    }
}
