//! Taking single options out of a connection string, in either of libpq's two forms.
//!
//! The driver does the rest of the parsing. What it does not know (some values of `sslmode`, certificates) is taken
//! out before it looks, since it could not say afterwards whether an option had been there.
//!
//! Source: Postgres manual, "Connection Strings" (libpq).

use std::collections::BTreeMap;

/// What was taken, by name, and the connection string without it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) rest: String,
}

/// Takes the options called `names` out of `conninfo`; of one given twice the last counts, as in libpq.
///
/// A string that does not parse is left for the driver to complain about.
pub(crate) fn take(conninfo: &str, names: &[&str]) -> Taken {
    if conninfo.starts_with("postgres://") || conninfo.starts_with("postgresql://") {
        take_from_uri(conninfo, names)
    } else {
        take_from_pairs(conninfo, names)
    }
}

/// A value as it stands in a list of pairs, in quotes where it needs them.
pub(crate) fn quote(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:%".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn take_from_uri(uri: &str, names: &[&str]) -> Taken {
    let mut options = BTreeMap::new();
    let Some((base, query)) = uri.split_once('?') else {
        return Taken { options, rest: uri.to_owned() };
    };
    let mut kept = Vec::new();
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some((name, value)) if names.contains(&name) => {
                options.insert(name.to_owned(), percent_decode(value));
            }
            _ => kept.push(pair),
        }
    }
    let rest = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
    Taken { options, rest }
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let decoded = (first == b'%')
            .then(|| tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        if let Some(byte) = decoded {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn take_from_pairs(text: &str, names: &[&str]) -> Taken {
    let mut options = BTreeMap::new();
    let mut kept = String::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let Some(pair) = Pair::read(rest) else {
            kept.push_str(rest);
            break;
        };
        let (raw, tail) = rest.split_at(pair.length);
        if names.contains(&pair.name) {
            options.insert(pair.name.to_owned(), pair.value);
        } else {
            kept.push_str(raw.trim_end());
            kept.push(' ');
        }
        rest = tail.trim_start();
    }
    Taken { options, rest: kept.trim_end().to_owned() }
}

/// One `name = value` at the head of a text, `length` bytes long.
struct Pair<'a> {
    name: &'a str,
    value: String,
    length: usize,
}

impl<'a> Pair<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (name, after) = text.split_once('=')?;
        let name = name.trim_end();
        let value_text = after.trim_start();
        let (value, taken) = read_value(value_text)?;
        Some(Self { name, value, length: text.len() - value_text.len() + taken })
    }
}

/// Reads a value, quoted or not, with backslashes; gives it and how many bytes it took.
fn read_value(text: &str) -> Option<(String, usize)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, found)) = chars.next() {
        match found {
            '\\' => value.push(chars.next()?.1),
            '\'' if quoted => return Some((value, at + 1)),
            space if !quoted && space.is_whitespace() => return Some((value, at)),
            other => value.push(other),
        }
    }
    (!quoted).then_some((value, text.len()))
}

#[cfg(test)]
mod tests {
    use super::take;

    #[test]
    fn options_leave_a_list_of_pairs_without_touching_the_others() {
        let taken = take(r"host=a sslmode = 'verify-full' password='it\'s = b' port=1", &["sslmode"]);
        assert_eq!(taken.options["sslmode"], "verify-full");
        assert_eq!(taken.rest, r"host=a password='it\'s = b' port=1");
    }

    #[test]
    fn options_leave_a_uri_without_touching_the_others() {
        let taken = take("postgres://u:p@h/d?sslrootcert=%2Fa%20b&connect_timeout=3", &["sslrootcert", "sslmode"]);
        assert_eq!(taken.options["sslrootcert"], "/a b");
        assert_eq!(taken.options.get("sslmode"), None);
        assert_eq!(taken.rest, "postgres://u:p@h/d?connect_timeout=3");
        assert_eq!(take("postgres://h/d?sslmode=require", &["sslmode"]).rest, "postgres://h/d");
    }

    #[test]
    fn nonsense_is_left_for_the_driver() {
        for text in ["", "nonsense", "host='open", "host=a \\"] {
            assert_eq!(take(text, &["host2"]).rest, text.trim());
        }
    }
}
