//! Reading connection strings of the form
//! `postgresql://user:password@host:port,host2/dbname?key=value`.
//!
//! Source: Postgres manual, "Connection URIs" (libpq).

use super::conninfo::Pairs;
use super::error::InvalidConninfo;
use super::keyword;

const ENCODE: &str = "a password with @, / or : in it must have them percent-encoded (%40, %2F, %3A)";

/// The text after the scheme; `None` when the scheme is not one of Postgres.
pub(super) fn strip_scheme(text: &str) -> Option<&str> {
    text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://"))
}

/// Reads a URI, whose text after the scheme is `rest`. Several hosts become comma-separated lists
/// under `host` and `port`.
pub(super) fn parse(text: &str, rest: &str) -> Result<Pairs, InvalidConninfo> {
    let reader = Reader { text };
    let mut pairs = Pairs::new();
    let credentials = rest.find(['@', '/']).filter(|&at| rest[at..].starts_with('@'));
    let rest = match credentials {
        Some(at) => {
            let (user, password) = rest[..at].split_once(':').unwrap_or((&rest[..at], ""));
            reader.store(&mut pairs, "user", user)?;
            reader.store(&mut pairs, "password", password)?;
            &rest[at + 1..]
        }
        None => rest,
    };
    // A slash in a password ends the authority early. The beginning of such a password must not be
    // read as a host and a port.
    let (hosts, after) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (path, query) = after.split_once('?').unwrap_or((after, ""));
    if hosts.contains('@') || (credentials.is_none() && path.contains('@')) {
        return Err(reader.error(hosts, ENCODE));
    }
    reader.read_hosts(&mut pairs, hosts)?;
    reader.store(&mut pairs, "dbname", path.strip_prefix('/').unwrap_or(path))?;
    let nameable = credentials.is_some() || !query.contains('@');
    reader.read_parameters(&mut pairs, query, nameable)?;
    Ok(pairs)
}

struct Reader<'a> {
    text: &'a str,
}

impl<'a> Reader<'a> {
    fn read_hosts(&self, pairs: &mut Pairs, hosts: &'a str) -> Result<(), InvalidConninfo> {
        let (mut names, mut ports) = (Vec::new(), Vec::new());
        for entry in hosts.split(',') {
            let (name, port) = if let Some(inside) = entry.strip_prefix('[') {
                let (address, after) = inside
                    .split_once(']')
                    .filter(|(address, _)| !address.is_empty())
                    .ok_or_else(|| self.error(entry, "an address in brackets is empty, or has no closing bracket"))?;
                let port = match after {
                    "" => "",
                    _ => after
                        .strip_prefix(':')
                        .ok_or_else(|| self.error(after, "a port after an address in brackets begins with a colon"))?,
                };
                (address, port)
            } else {
                entry.split_once(':').unwrap_or((entry, ""))
            };
            names.push(name);
            ports.push(port);
        }
        self.store(pairs, "host", &names.join(","))?;
        self.store(pairs, "port", &ports.join(","))
    }

    fn read_parameters(&self, pairs: &mut Pairs, query: &'a str, nameable: bool) -> Result<(), InvalidConninfo> {
        for parameter in query.split_terminator('&') {
            let (name, value) = parameter
                .split_once('=')
                .filter(|(_, value)| !value.contains('='))
                .ok_or_else(|| self.error(parameter, "a parameter is not of the form key=value"))?;
            let (name, value) = (self.decode(name)?, self.decode(value)?);
            // libpq accepts this spelling of JDBC.
            if (name.as_str(), value.as_str()) == ("ssl", "true") {
                pairs.push(("sslmode".into(), "require".into()));
            } else if keyword::is_known(&name) {
                pairs.push((name, value));
            } else {
                return Err(InvalidConninfo::unknown(self.text, self.offset(parameter), &name, nameable));
            }
        }
        Ok(())
    }

    /// Stores a value, unless it is empty. The defaults replace an empty value.
    fn store(&self, pairs: &mut Pairs, name: &str, value: &str) -> Result<(), InvalidConninfo> {
        if !value.is_empty() {
            pairs.push((name.to_owned(), self.decode(value)?));
        }
        Ok(())
    }

    fn decode(&self, text: &str) -> Result<String, InvalidConninfo> {
        let mut parts = text.split('%');
        let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
        for part in parts {
            let byte = part.get(..2).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
            let byte = byte.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|&byte| byte != 0);
            bytes.push(byte.ok_or_else(|| self.error(part, "after % come two hexadecimal digits, not both zero"))?);
            bytes.extend_from_slice(&part.as_bytes()[2..]);
        }
        String::from_utf8(bytes).map_err(|_| self.error(text, "a percent-encoded value is not UTF-8"))
    }

    fn error(&self, part: &str, what: &'static str) -> InvalidConninfo {
        InvalidConninfo::new(self.text, self.offset(part), what)
    }

    /// The offset of a part of the text; zero when it is not a part.
    fn offset(&self, part: &str) -> usize {
        let at = (part.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        if at <= self.text.len() && self.text.is_char_boundary(at) { at } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::conninfo::parse;

    #[test]
    fn uris_are_read_as_libpq_reads_them() {
        for (text, expected) in [
            ("postgres://", &[][..]),
            ("postgresql:///d", &[("dbname", "d")]),
            ("postgres://u@h", &[("user", "u"), ("host", "h")]),
            (
                "postgres://u:p%40%2f@h:1/d",
                &[("user", "u"), ("password", "p@/"), ("host", "h"), ("port", "1"), ("dbname", "d")],
            ),
            ("postgres://a,b:2/", &[("host", "a,b"), ("port", ",2")]),
            ("postgres://[::1]:5,c/d", &[("host", "::1,c"), ("port", "5,"), ("dbname", "d")]),
            ("postgres://%2Fvar%2Frun/d?port=7", &[("host", "/var/run"), ("dbname", "d"), ("port", "7")]),
            ("postgres://?host=/a&user=x%20y", &[("host", "/a"), ("user", "x y")]),
            ("postgres://h/d?ssl=true", &[("host", "h"), ("dbname", "d"), ("sslmode", "require")]),
            ("postgres://h/d?application_name=", &[("host", "h"), ("dbname", "d"), ("application_name", "")]),
        ] {
            let expected: Vec<_> = expected.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            // A list of empty ports equals no list.
            let read: Vec<_> = parse(text).expect(text).into_iter().filter(|(_, v)| v != ",").collect();
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn a_password_that_was_not_encoded_is_refused_and_not_repeated() {
        for text in [
            "postgres://u:pass@secret@h/d",
            "postgres://u:secret/x@h/d",
            "postgres://u:12/secret@h/d",
            "postgres://u:a/b?secret=x@h/d",
            "postgres://u:a%zzsecret@h/d",
            "postgres://u:p@[secret/d",
            "postgres://h/d?secret",
        ] {
            let message = parse(text).expect_err(text).to_string();
            assert!(!message.contains("secret"), "{message}");
        }
        assert!(parse("postgres://h/d?hots=x").expect_err("no such option").to_string().contains("\"hots\""));
    }
}
