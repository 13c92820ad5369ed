//! Service files, named sets of options: `~/.pg_service.conf`, and one for the whole system.
//!
//! Source: Postgres manual, "The Connection Service File" (libpq).

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::SettingsError;
use super::keyword;

/// The default of `PGSYSCONFDIR` in the libpq of Debian.
const SYSTEM_FOLDER: &str = "/etc/postgresql-common";

/// The options of a service. A missing file counts as empty, unless it was named.
pub(super) fn read(
    service: &str,
    named: Option<&str>,
    home: Option<&Path>,
    system: Option<&str>,
) -> Result<BTreeMap<String, String>, SettingsError> {
    let own = match named {
        Some(path) => Some(PathBuf::from(path)),
        None => home.map(|home| home.join(".pg_service.conf")),
    };
    let system = Path::new(system.unwrap_or(SYSTEM_FOLDER)).join("pg_service.conf");
    for (path, must) in own.map(|path| (path, named.is_some())).into_iter().chain([(system, false)]) {
        let fail = |problem: String| SettingsError::Service { service: service.to_owned(), problem };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && !must => continue,
            Err(error) => return Err(fail(format!("{} cannot be read ({error})", path.display()))),
        };
        let found = section(&text, service)
            .map_err(|(line, problem)| fail(format!("line {line} of {}: {problem}", path.display())))?;
        if let Some(options) = found {
            return Ok(options);
        }
    }
    Err(SettingsError::Service {
        service: service.to_owned(),
        problem: "no service file has a section of that name".to_owned(),
    })
}

/// The options of one section. The first option with a name takes effect.
fn section(text: &str, service: &str) -> Result<Option<BTreeMap<String, String>>, (usize, String)> {
    let mut options: Option<BTreeMap<String, String>> = None;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_matches(|c: char| c.is_ascii_whitespace());
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            if options.is_some() {
                break;
            }
            if header.split(']').next() == Some(service) && header.contains(']') {
                options = Some(BTreeMap::new());
            }
        } else if let Some(options) = &mut options {
            let number = at + 1;
            if line.starts_with("ldap") {
                return Err((number, "LDAP is not supported".to_owned()));
            }
            let (name, value) = line.split_once('=').ok_or((number, "it is not of the form key=value".to_owned()))?;
            if name.starts_with("service") {
                return Err((number, "a service cannot name another".to_owned()));
            }
            if !keyword::is_known(name) {
                return Err((number, format!("there is no option \"{name}\"")));
            }
            options.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::section;

    proptest! {
        #[test]
        fn any_file_is_read_or_refused(text in "(\\[s\\]|[=\\[\\]#\n ]|host|\\PC)*") {
            let _ = section(&text, "s");
        }
    }

    const FILE: &str = "# services\n[other]\nhost=x\n\n[main]\nhost=h\n  dbname=my db \nhost=late\n[last]\nnonsense\n";

    #[test]
    fn a_section_is_read_up_to_the_next() {
        let options = section(FILE, "main").expect("it parses").expect("it is there");
        assert_eq!(options.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>(), ["dbname=my db", "host=h"]);
        assert_eq!(section(FILE, "none").expect("nothing of it is read"), None);
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_line() {
        assert_eq!(section(FILE, "last").expect_err("nonsense").0, 10);
        for line in ["hots=a", "service=other", "ldap://h"] {
            assert_eq!(section(&format!("[s]\n{line}"), "s").expect_err(line).0, 2);
        }
    }
}
