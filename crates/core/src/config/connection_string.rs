//! The check of connection strings. Strings that no version of libpq can read are refused.
//!
//! Source of the rules: Postgres manual, "Connection Strings", and the source of libpq. No error
//! repeats a string, because it may contain a password.
//!
//! `async.parse_conninfo` is the same check in SQL, and `configure` must give the same answer on
//! both engines. So the check accepts each string that some version of libpq accepts, unknown keys
//! included. `pgasync-pg`, which connects, accepts only options that it honours. It does IO, so the
//! core cannot use it.

/// The text that views show instead of a password.
const MASK: &str = "****";

/// Checks a connection string of either form. The error describes the expected form.
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    let rest = text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://"));
    let password = match rest {
        Some(rest) => {
            password_of_uri(rest).ok_or("a connection URI: postgresql://user:password@host:port/dbname?key=value")
        }
        None => password_of_pairs(text).ok_or("key=value pairs, values with spaces in single quotes"),
    }?;
    if password.is_some_and(|password| password == MASK.as_bytes()) {
        return Err("a connection string with the password itself, not with the mask that stands for one");
    }
    Ok(())
}

/// Reads `key = value key = 'quoted value'`. Returns the last password in the text, and `None` if
/// the text cannot be read.
#[expect(clippy::option_option, reason = "unreadable, without a password, with one")]
fn password_of_pairs(text: &str) -> Option<Option<Vec<u8>>> {
    let mut rest = text.as_bytes().trim_blanks();
    let mut password = None;
    while let Some(first) = rest.first() {
        let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        let key = rest.iter().position(|b| !word(b)).unwrap_or(rest.len());
        if key == 0 || first.is_ascii_digit() {
            return None;
        }
        let (key, after) = rest.split_at(key);
        let after = after.trim_blanks().strip_prefix(b"=")?.trim_blanks();
        let (value, after) = value(after)?;
        if key == b"password" {
            password = Some(value);
        }
        rest = after.strip_prefix(b"\\").unwrap_or(after).trim_blanks();
    }
    Some(password)
}

/// Reads a value, which is quoted or ends at the next blank. A backslash escapes the next
/// character. Returns the value and the rest of the text.
fn value(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let quoted = text.strip_prefix(b"'");
    let mut rest = quoted.unwrap_or(text);
    let mut value = Vec::new();
    loop {
        match (quoted, rest) {
            (_, [b'\\', escaped, ..]) => {
                value.push(*escaped);
                rest = &rest[2..];
            }
            (Some(_), [b'\'', ..]) => return Some((value, &rest[1..])),
            (Some(_), [] | [b'\\']) => return None,
            (None, [] | [b'\\']) => return Some((value, rest)),
            (None, [blank, ..]) if is_blank(*blank) => return Some((value, rest)),
            (_, [other, ..]) => {
                value.push(*other);
                rest = &rest[1..];
            }
        }
    }
}

/// Reads the part of a URI after the scheme. Returns the last password in the text, and `None` if
/// the text cannot be read.
#[expect(clippy::option_option, reason = "unreadable, without a password, with one")]
fn password_of_uri(rest: &str) -> Option<Option<Vec<u8>>> {
    let mut password = None;
    let mut rest = rest;
    // The user and the password end at the first `@`. A slash or a second colon before it cannot be
    // part of them.
    let account = rest.split_once('@').filter(|(account, _)| !account.contains('/'));
    if let Some((account, after)) = account.filter(|(account, _)| account.matches(':').count() < 2) {
        let (user, secret) = account.split_once(':').map_or((account, None), |(user, secret)| (user, Some(secret)));
        decoded(user)?;
        password = secret.map(decoded).map_or(Some(None), |decoded| decoded.map(Some))?;
        rest = after;
    }
    let (rest, parameters) = match rest.find('/') {
        Some(slash) if !rest[..slash].contains('?') => {
            let (name, parameters) = rest[slash + 1..].split_once('?').unwrap_or((&rest[slash + 1..], ""));
            decoded(name)?;
            (&rest[..slash], parameters)
        }
        Some(_) | None => rest.split_once('?').unwrap_or((rest, "")),
    };
    if !rest.is_empty() {
        rest.split(',').map(host).collect::<Option<()>>()?;
    }
    for parameter in parameters.split('&').filter(|_| !parameters.is_empty()) {
        let (key, value) = parameter.split_once('=').filter(|(key, value)| !key.is_empty() && !value.contains('='))?;
        let (key, value) = (decoded(key)?, decoded(value)?);
        if key == b"password" {
            password = Some(value);
        }
    }
    Some(password)
}

/// Checks a host with or without a port. An IPv6 address is in brackets.
fn host(text: &str) -> Option<()> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').filter(|(address, _)| !address.is_empty())?;
            (address, if after.is_empty() { "" } else { after.strip_prefix(':')? })
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    decoded(name)?;
    let plain = text.starts_with('[') || !name.contains(['[', ']']);
    (plain && port.bytes().all(|b| b.is_ascii_digit())).then_some(())
}

/// Decodes percent-encoding; `None` if the result is not UTF-8 or contains a zero byte.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
        let byte = u8::try_from(16 * digit()? + digit()?).ok().filter(|byte| *byte != 0)?;
        decoded.push(byte);
    }
    String::from_utf8(decoded).ok().map(String::into_bytes)
}

const fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

/// `trim_ascii_start` with the vertical tab, which libpq counts as a blank too.
trait Trim {
    fn trim_blanks(&self) -> &Self;
}

impl Trim for [u8] {
    fn trim_blanks(&self) -> &Self {
        let blanks = self.iter().take_while(|byte| is_blank(**byte)).count();
        &self[blanks..]
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn what_libpq_reads_is_taken() {
        for text in [
            "",
            " ",
            "dbname=a",
            "dbname = a\thost='b c' password='it\\'s'",
            "a=",
            "a= b=c",
            "a='b'c=d",
            "password=*****",
            "password=**** password=other",
            "postgres://",
            "postgresql://u:p@h:1,[::1]:2/db?sslmode=require&x=",
            "postgresql://u%40:p%2F@h/",
            "postgresql://a@b@c/d",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in [
            "x",
            "=x",
            "1a=x",
            "a='open",
            "a=b c",
            "a='b'c",
            "password=****",
            "password='****'",
            "postgresql://u:****@h/",
            "postgresql://h/?password=****",
            "postgresql://u%:p@h/",
            "postgresql://u%00@h/",
            "postgresql://%ff@h/",
            "postgresql://h:port/",
            "postgresql://h/?a",
            "postgresql://h/?a=b=c",
            "postgresql://[::1/",
            "postgresql://a]b/",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
