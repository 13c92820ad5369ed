//! The parser and the check of connection strings. Strings that no version of libpq can read are
//! refused.
//!
//! Source of the rules: Postgres manual, "Connection Strings", and the source of libpq. No error
//! repeats a string, because it may contain a password.
//!
//! `async.parse_conninfo` is the same parser in SQL, and `configure` must give the same answer on
//! both engines. So the parser accepts each string that some version of libpq accepts, and the check
//! each key that some version knows. `pgasync-pg`, which connects, accepts only options that it
//! honours. It does IO, so the core cannot use it.

use std::collections::BTreeMap;

/// The text that views show instead of a secret.
pub(super) const MASK: &str = "****";

/// The settings of a connection string. The last value of a repeated key counts.
pub(super) type Settings = BTreeMap<String, String>;

const URI_FORM: &str = "a connection URI: postgresql://user:password@host:port/dbname?key=value";
const PAIRS_FORM: &str = "key=value pairs, values with spaces in single quotes";

/// The keys that some version of libpq from 11 to 18 knows, in order.
const KEYS: [&str; 54] = [
    "application_name",
    "authtype",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "dbname",
    "fallback_application_name",
    "gssdelegation",
    "gssencmode",
    "gsslib",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "max_protocol_version",
    "min_protocol_version",
    "oauth_client_id",
    "oauth_client_secret",
    "oauth_issuer",
    "oauth_scope",
    "options",
    "passfile",
    "password",
    "port",
    "replication",
    "require_auth",
    "requirepeer",
    "requiressl",
    "scram_client_key",
    "scram_server_key",
    "service",
    "servicefile",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcert",
    "sslcertmode",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslkey",
    "sslkeylogfile",
    "sslmode",
    "sslnegotiation",
    "sslpassword",
    "sslrootcert",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout",
    "tty",
    "user",
];

/// Checks a connection string of either form. The error describes the expected form.
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    let settings = settings(text)?;
    if settings.get("password").is_some_and(|password| password == MASK) {
        return Err("a connection string with the password itself, not with the mask that stands for one");
    }
    if settings.keys().any(|key| KEYS.binary_search(&key.as_str()).is_err()) {
        return Err("a connection string of keys that libpq knows, a password with spaces in single quotes");
    }
    let has_reference = |value: &str| value.contains("${ENV:") || value.contains("${FILE:");
    if settings.iter().any(|(key, value)| has_reference(value) && !(key == "password" && is_reference(value))) {
        return Err("a reference only as the password: ${ENV:PGASYNC_SECRET_NAME} or ${FILE:name}, \
                    where the name has letters, digits, _, - and . and does not begin with a dot");
    }
    Ok(())
}

/// Whether the password of the connection string is a reference to a secret.
pub(super) fn references_secret(text: &str) -> bool {
    settings(text).is_ok_and(|settings| settings.get("password").is_some_and(|password| is_reference(password)))
}

/// Whether a password is a reference: `${ENV:PGASYNC_SECRET_NAME}`, a variable in the environment of
/// the Rust engine, or `${FILE:name}`, a file in its folder of secrets.
fn is_reference(password: &str) -> bool {
    let Some(inner) = password.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) else { return false };
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match inner.split_once(':') {
        Some(("ENV", name)) => {
            name.strip_prefix("PGASYNC_SECRET_").is_some_and(|rest| !rest.is_empty() && rest.chars().all(word))
        }
        Some(("FILE", name)) => {
            !name.is_empty() && !name.starts_with('.') && name.chars().all(|c| word(c) || c == '-' || c == '.')
        }
        _ => false,
    }
}

/// Parses a connection string of either form. The error describes the expected form.
pub(super) fn settings(text: &str) -> Result<Settings, &'static str> {
    match without_scheme(text) {
        Some(rest) => uri(rest).ok_or(URI_FORM),
        None => pairs(text).ok_or(PAIRS_FORM),
    }
}

/// The part of a URI after the scheme; `None` for a text without a scheme.
pub(super) fn without_scheme(text: &str) -> Option<&str> {
    text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://"))
}

/// Parses `key = value key = 'quoted value'`; `None` if the text cannot be read.
fn pairs(text: &str) -> Option<Settings> {
    let mut rest = text.trim_start_matches(is_blank);
    let mut settings = Settings::new();
    while let Some(first) = rest.chars().next() {
        let key = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        if key == 0 || first.is_ascii_digit() {
            return None;
        }
        let (key, after) = rest.split_at(key);
        let after = after.trim_start_matches(is_blank).strip_prefix('=')?.trim_start_matches(is_blank);
        let (value, after) = value(after)?;
        settings.insert(key.to_owned(), value);
        rest = after.strip_prefix('\\').unwrap_or(after).trim_start_matches(is_blank);
    }
    Some(settings)
}

/// Parses a value, which is quoted or ends at the next blank. A backslash escapes the next
/// character. Returns the value and the rest of the text.
fn value(text: &str) -> Option<(String, &str)> {
    let quoted = text.strip_prefix('\'');
    let start = quoted.unwrap_or(text);
    let mut value = String::new();
    let mut chars = start.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match (chars.next(), quoted) {
                (Some((_, escaped)), _) => value.push(escaped),
                (None, Some(_)) => return None,
                (None, None) => return Some((value, &start[at..])),
            },
            '\'' if quoted.is_some() => return Some((value, &start[at + 1..])),
            c if quoted.is_none() && is_blank(c) => return Some((value, &start[at..])),
            c => value.push(c),
        }
    }
    if quoted.is_some() { None } else { Some((value, "")) }
}

/// Splits user and password from the part of a URI after the scheme. They end at the first `@`. A
/// slash before it cannot be part of them.
pub(super) fn split_user(rest: &str) -> (Option<&str>, &str) {
    match rest.split_once('@').filter(|(user_part, _)| !user_part.contains('/')) {
        Some((user_part, after)) => (Some(user_part), after),
        None => (None, rest),
    }
}

/// Parses the part of a URI after the scheme; `None` if it cannot be read.
fn uri(rest: &str) -> Option<Settings> {
    let mut settings = Settings::new();
    let (user_part, rest) = split_user(rest);
    if let Some(user_part) = user_part {
        let (user, secret) = user_part.split_once(':').map_or((user_part, None), |(user, secret)| (user, Some(secret)));
        keep(&mut settings, "user", decoded(user)?);
        if let Some(secret) = secret {
            settings.insert("password".to_owned(), decoded(secret)?);
        }
    }
    let (rest, parameters) = match rest.find('/') {
        Some(slash) if !rest[..slash].contains('?') => {
            let (name, parameters) = rest[slash + 1..].split_once('?').unwrap_or((&rest[slash + 1..], ""));
            keep(&mut settings, "dbname", decoded(name)?);
            (&rest[..slash], parameters)
        }
        Some(_) | None => rest.split_once('?').unwrap_or((rest, "")),
    };
    if !rest.is_empty() {
        let (hosts, ports): (Vec<String>, Vec<&str>) = rest.split(',').map(host).collect::<Option<_>>()?;
        keep(&mut settings, "host", hosts.join(","));
        if ports.iter().any(|port| !port.is_empty()) {
            settings.insert("port".to_owned(), ports.join(","));
        }
    }
    for parameter in parameters.split('&').filter(|_| !parameters.is_empty()) {
        let (key, value) = parameter.split_once('=').filter(|(key, value)| !key.is_empty() && !value.contains('='))?;
        // JDBC's spelling, which libpq understands too.
        let (key, value) = if parameter == "ssl=true" { ("sslmode", "require") } else { (key, value) };
        settings.insert(decoded(key)?, decoded(value)?);
    }
    Some(settings)
}

/// Adds a setting, unless the part of the URI is empty.
fn keep(settings: &mut Settings, key: &str, value: String) {
    if !value.is_empty() {
        settings.insert(key.to_owned(), value);
    }
}

/// Parses a host with or without a port. An IPv6 address is in brackets.
fn host(text: &str) -> Option<(String, &str)> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').filter(|(address, _)| !address.is_empty())?;
            (address, if after.is_empty() { "" } else { after.strip_prefix(':')? })
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let plain = text.starts_with('[') || !name.contains(['[', ']']);
    (plain && port.bytes().all(|b| b.is_ascii_digit())).then_some((decoded(name)?, port))
}

/// Decodes percent-encoding; `None` if the result is not UTF-8 or contains a zero byte.
fn decoded(text: &str) -> Option<String> {
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
    String::from_utf8(decoded).ok()
}

/// The characters that libpq counts as blanks. `is_ascii_whitespace` lacks the vertical tab.
const fn is_blank(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\x0b'
}

#[cfg(test)]
mod tests {
    use super::{KEYS, Settings, check, references_secret, settings};

    /// The settings that are written as `key=value`, separated by `|`.
    fn pairs_of(text: &str) -> Settings {
        let pair = |pair: &str| pair.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        text.split('|').filter_map(pair).collect()
    }

    #[test]
    fn keys_and_values_are_read_as_libpq_reads_them() {
        for (text, read) in [
            ("", ""),
            ("dbname=a", "dbname=a"),
            (" dbname = a\thost='b c'  port=1 ", "dbname=a|host=b c|port=1"),
            ("a=it's b=''", "a=it's|b="),
            ("a='it\\'s' b=x\\ y c=\\'", "a=it's|b=x y|c='"),
            ("a= b=c", "a=b=c"),
            ("a='b'c=d", "a=b|c=d"),
            ("a=1 a=2", "a=2"),
            ("a=b\\", "a=b"),
            ("a=1\x0bb=2", "a=1|b=2"),
        ] {
            assert_eq!(settings(text), Ok(pairs_of(read)), "{text}");
        }
    }

    #[test]
    fn uris_are_read_as_libpq_reads_them() {
        for (text, read) in [
            ("postgres://", ""),
            ("postgresql://u:p@h:1/db", "user=u|password=p|host=h|port=1|dbname=db"),
            ("postgresql://u@h", "user=u|host=h"),
            ("postgresql://u:@h/", "user=u|password=|host=h"),
            ("postgresql://:p@/", "password=p"),
            ("postgresql://h1:1,h2,[::1]:3/", "host=h1,h2,::1|port=1,,3"),
            ("postgresql://h1,h2/", "host=h1,h2"),
            ("postgresql://[::1]/", "host=::1"),
            ("postgresql:///db?host=/tmp&port=5", "dbname=db|host=/tmp|port=5"),
            ("postgresql://h?user=u/v", "host=h|user=u/v"),
            ("postgresql://?dbname=a/b@c", "dbname=a/b@c"),
            ("postgresql://h/d@b", "host=h|dbname=d@b"),
            ("postgresql://u%40v:a%2Fb@h/a%20b?x%79=%C3%A9", "user=u@v|password=a/b|host=h|dbname=a b|xy=é"),
            ("postgresql://h/?ssl=true", "host=h|sslmode=require"),
            ("postgresql://h/?ssl=tru", "host=h|ssl=tru"),
            ("postgresql://h/?a=1&a=2", "host=h|a=2"),
        ] {
            assert_eq!(settings(text), Ok(pairs_of(read)), "{text}");
        }
    }

    #[test]
    fn what_libpq_reads_is_taken() {
        for text in [
            "",
            " ",
            "dbname=a",
            "dbname = a\thost='b c' password='it\\'s'",
            "user=",
            "user= host=c",
            "user='b'host=d",
            "password=*****",
            "password=**** password=other",
            "postgres://",
            "postgresql://u:p@h:1,[::1]:2/db?sslmode=require&application_name=",
            "postgresql://u%40:p%2F@h/",
            "postgresql://a@b@c/d",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn a_secret_is_referenced_by_a_whole_password_and_by_nothing_else() {
        for (password, is_reference) in [
            ("${ENV:PGASYNC_SECRET_A}", true),
            ("${ENV:PGASYNC_SECRET_a_9}", true),
            ("${FILE:a}", true),
            ("${FILE:a-b_C.9}", true),
            ("${FILE:_}", true),
            ("secret", false),
            ("${HOME}", false),
            ("$ENV:PGASYNC_SECRET_A", false),
        ] {
            let text = format!("host=h password={password}");
            assert_eq!((check(&text), references_secret(&text)), (Ok(()), is_reference), "{text}");
            let other = format!("user={password}");
            assert_eq!((check(&other).is_err(), references_secret(&other)), (is_reference, false), "{other}");
        }
        for password in [
            "${ENV:PATH}",
            "${ENV:PGASYNC_SECRET_}",
            "${ENV:PGASYNC_SECRET_A-B}",
            "${ENV:PGASYNC_SECRET_A",
            "x${ENV:PGASYNC_SECRET_A}",
            "${ENV:PGASYNC_SECRET_A}x",
            "${FILE:}",
            "${FILE:.a}",
            "${FILE:..}",
            "${FILE:a/b}",
            "${FILE:a b}",
            "${FILE:é}",
        ] {
            let text = format!("host=h password='{password}'");
            assert!(check(&text).is_err() && !references_secret(&text), "{text}");
        }
    }

    #[test]
    fn the_keys_are_in_order_for_the_search() {
        assert!(KEYS.is_sorted() && KEYS.iter().all(|key| check(&format!("{key}=x")) == Ok(())));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in [
            "x",
            "=x",
            "1a=x",
            "user='open",
            "user=b c",
            "user='b'c",
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
            "host=h conect_timeout=3",
            "Host=h",
            "password=two words=x",
            "postgresql://h/?aplication_name=x",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
