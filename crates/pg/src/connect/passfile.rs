//! The password file, `~/.pgpass`.
//!
//! Source: Postgres manual, "The Password File" (libpq).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The fields that a line of the file has to match.
#[derive(Debug)]
pub(super) struct PassfileKey<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) database: &'a str,
    pub(super) user: &'a str,
}

/// The password of the first matching line. Returns an error when the file exists and was not read.
pub(super) fn look_up(path: &Path, wanted: &PassfileKey<'_>) -> Result<Option<String>, String> {
    let Ok(metadata) = fs::metadata(path) else { return Ok(None) };
    let ignored = |why: &str| format!("the password file {} was not read: {why}", path.display());
    if !metadata.is_file() {
        return Err(ignored("it is not a plain file"));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(ignored("others than its owner have access to it; chmod 0600 helps"));
    }
    let text = fs::read(path).map_err(|error| ignored(&error.to_string()))?;
    Ok(String::from_utf8_lossy(&text).lines().find_map(|line| password_of(line, wanted)))
}

/// The password of a line, if the line matches.
fn password_of(line: &str, wanted: &PassfileKey<'_>) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let port = wanted.port.to_string();
    let fields = [wanted.host, &port, wanted.database, wanted.user];
    let rest = fields.into_iter().try_fold(line, |rest, field| match rest.strip_prefix("*:") {
        Some(after) => Some(after),
        None => {
            let (found, after) = read_field(rest);
            after.filter(|_| found == field)
        }
    })?;
    Some(read_field(rest).0)
}

/// A field up to its colon, and the rest. `\` escapes the next character.
fn read_field(text: &str) -> (String, Option<&str>) {
    let mut field = String::new();
    let mut chars = text.chars();
    while let Some(found) = chars.next() {
        match found {
            ':' => return (field, Some(chars.as_str())),
            '\\' => field.push(chars.next().unwrap_or('\\')),
            other => field.push(other),
        }
    }
    (field, None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{PassfileKey, password_of};

    proptest! {
        #[test]
        fn any_line_is_read(line in "([*:\\\\#a]|\\PC)*") {
            password_of(&line, &PassfileKey { host: "a", port: 1, database: "a", user: "a" });
        }
    }

    #[test]
    fn lines_are_read_as_libpq_reads_them() {
        let wanted = PassfileKey { host: "h:1", port: 5432, database: r"d\b", user: "u" };
        for (line, password) in [
            (r"h\:1:5432:d\\b:u:pass", Some("pass")),
            (r"*:*:*:*:pa\:ss\\", Some(r"pa:ss\")),
            ("*:*:*:*:pa:ss", Some("pa")),
            ("*:5432:*:u:", Some("")),
            ("*:*:*:*", None),
            ("#*:*:*:*:pass", None),
            ("h:1:5432:d:u:pass", None),
            ("*:5433:*:*:pass", None),
            ("*x:*:*:*:pass", None),
            ("", None),
        ] {
            assert_eq!(password_of(line, &wanted).as_deref(), password, "{line}");
        }
    }
}
