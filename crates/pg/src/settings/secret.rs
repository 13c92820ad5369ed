//! Passwords by reference: a connection string names where its password is.

use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// The beginning of the names of variables that a reference may name. No other variable of the
/// process can be sent to a host.
const VARIABLE_PREFIX: &str = "PGASYNC_SECRET_";

/// The longest password that is read from a file.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// A password. `Debug` hides the text.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Password {
    Text(String),
    /// Read when a connection is opened, so that a changed secret is used from then on.
    Reference(SecretReference),
}

/// Where a password is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SecretReference {
    /// `${ENV:PGASYNC_SECRET_NAME}`: a variable of the process.
    Variable(String),
    /// `${FILE:name}`: a file directly in the folder of secrets.
    File(String),
}

impl Password {
    /// Reads the password of a target's connection string. The error says what a reference has to
    /// be like.
    pub(super) fn of_target(text: &str) -> Result<Self, String> {
        match SecretReference::parse(text) {
            Some(reference) => Ok(Self::Reference(reference)),
            None if text.contains("${ENV:") || text.contains("${FILE:") => {
                Err(format!("use ${{ENV:{VARIABLE_PREFIX}NAME}} or ${{FILE:name}} for a reference"))
            }
            None => Ok(Self::Text(text.to_owned())),
        }
    }

    /// The password as a connection string has it.
    pub(super) fn written(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Reference(reference) => reference.to_string(),
        }
    }

    /// The password itself. The error says why a secret was not read.
    pub(crate) fn resolve(&self, secrets_dir: Option<&Path>) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::Reference(reference) => {
                reference.read(secrets_dir).map_err(|why| format!("the password {reference} was not read: {why}"))
            }
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("****"),
            Self::Reference(reference) => reference.fmt(f),
        }
    }
}

impl fmt::Display for SecretReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "${{ENV:{name}}}"),
            Self::File(name) => write!(f, "${{FILE:{name}}}"),
        }
    }
}

impl SecretReference {
    fn parse(text: &str) -> Option<Self> {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (kind, name) = text.strip_prefix("${")?.strip_suffix('}')?.split_once(':')?;
        match kind {
            "ENV" => {
                let rest = name.strip_prefix(VARIABLE_PREFIX)?;
                (!rest.is_empty() && rest.chars().all(word)).then(|| Self::Variable(name.to_owned()))
            }
            // No path, and no hidden file: the name stays in the folder.
            "FILE" => {
                (!name.is_empty() && !name.starts_with('.') && name.chars().all(|c| word(c) || c == '-' || c == '.'))
                    .then(|| Self::File(name.to_owned()))
            }
            _ => None,
        }
    }

    fn read(&self, secrets_dir: Option<&Path>) -> Result<String, String> {
        let secret = match self {
            Self::Variable(name) => match std::env::var(name) {
                Ok(secret) => secret,
                Err(std::env::VarError::NotPresent) => return Err("the variable is not set".to_owned()),
                Err(std::env::VarError::NotUnicode(_)) => return Err("the variable is not UTF-8".to_owned()),
            },
            Self::File(name) => {
                let folder = secrets_dir.ok_or("no folder of secrets was given (--secrets-dir)")?;
                read_file(&folder.join(name))?
            }
        };
        if secret.is_empty() { Err("it is empty".to_owned()) } else { Ok(secret) }
    }
}

/// The text of a file without the end of its last line. Symbolic links are followed, because
/// Kubernetes mounts secrets as links.
fn read_file(path: &Path) -> Result<String, String> {
    // A pipe would block the process.
    if !fs::metadata(path).map_err(|error| error.to_string())?.is_file() {
        return Err("it is not a plain file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("it has more than {FILE_BYTES_MAX} bytes"));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8")?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.contains('\0') { Err("it has a zero byte".to_owned()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};

    use super::{Password, SecretReference};
    use crate::ConnectionSettings;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("pgasync-secret-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    #[test]
    fn references_have_one_form() {
        for text in ["${ENV:PGASYNC_SECRET_X}", "${FILE:shop.password}", "${FILE:-a_1}"] {
            let password = Password::of_target(text).expect("a reference");
            assert!(matches!(password, Password::Reference(_)), "{text}");
            assert_eq!((password.written(), format!("{password:?}").contains("****")), (text.to_owned(), false));
        }
        for text in [
            "${ENV:PATH}",
            "${ENV:PGASYNC_SECRET_}",
            "${ENV:PGASYNC_SECRET_X-Y}",
            "${FILE:}",
            "${FILE:..}",
            "${FILE:.hidden}",
            "${FILE:a/b}",
            "${FILE:/etc/passwd}",
            "x${FILE:a}",
            "${FILE:a}x",
            "${FILE:a b}",
        ] {
            assert!(Password::of_target(text).is_err(), "{text}");
        }
        for text in ["secret", "${X}", "$ENV", ""] {
            assert_eq!(Password::of_target(text), Ok(Password::Text(text.to_owned())));
        }
    }

    #[test]
    fn files_are_read_from_the_folder_alone_and_each_time() {
        let folder = folder("files");
        fs::write(folder.join("plain"), "one two\n").expect("a file");
        symlink(folder.join("plain"), folder.join("link")).expect("a link");
        fs::create_dir_all(folder.join("inner")).expect("a folder");
        fs::write(folder.join("empty"), "\n").expect("a file");
        fs::write(folder.join("nul"), "a\0b").expect("a file");
        fs::write(folder.join("latin"), [0xe9]).expect("a file");
        fs::write(folder.join("long"), "x".repeat(64 * 1024 + 1)).expect("a file");
        let read = |name: &str| SecretReference::File(name.to_owned()).read(Some(&folder));
        assert_eq!(read("plain").as_deref(), Ok("one two"));
        assert_eq!(read("link").as_deref(), Ok("one two"));
        fs::write(folder.join("plain"), "changed\r\n").expect("a file");
        assert_eq!(read("plain").as_deref(), Ok("changed"));
        for (name, why) in [
            ("inner", "plain file"),
            ("empty", "empty"),
            ("nul", "zero byte"),
            ("latin", "UTF-8"),
            ("long", "more than"),
            ("missing", "No such file"),
        ] {
            assert!(read(name).is_err_and(|error| error.contains(why)), "{name}");
        }
        let nowhere = SecretReference::File("plain".to_owned()).read(None);
        assert!(nowhere.is_err_and(|error| error.contains("--secrets-dir")));
        fs::remove_dir_all(folder).expect("the folder");
    }

    #[test]
    fn only_the_string_of_a_target_has_references_and_they_stay_in_it() {
        let string = "postgresql://u:${FILE:a}@h:1,i:2/d";
        let settings = ConnectionSettings::resolve_target(string, |_| None).expect("it is fine");
        assert!(settings.conninfo().contains("${FILE:a}"), "the registry of sessions has no secret");
        let error = settings.password.as_ref().expect("a password").resolve(Some(Path::new("/nonexistent")));
        assert!(error.is_err_and(|error| error.starts_with("the password ${FILE:a} was not read: ")));
        let server = ConnectionSettings::resolve("host=h user=u password=${FILE:a}", |_| None).expect("it is fine");
        assert_eq!(server.password, Some(Password::Text("${FILE:a}".to_owned())));
        let error = ConnectionSettings::resolve_target("host=h user=u password=${ENV:HOME}", |_| None);
        let error = error.expect_err("no reference").to_string();
        assert!(error.contains("PGASYNC_SECRET_") && !error.contains("HOME"), "{error}");
    }
}
