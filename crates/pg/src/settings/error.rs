//! Why a connection string cannot be used. No message repeats a password, or what may be a part of one.

/// Why a connection string, or the environment around it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The connection string does not parse.
    #[error(
        "the connection string cannot be read: {0}: write it as \"host=... dbname=...\" or postgres://user@host/db"
    )]
    InvalidConninfo(#[from] InvalidConninfo),
    /// An option has a value that means nothing.
    #[error("{option} cannot be used{origin}: {expected}")]
    Invalid {
        /// The option and its value.
        option: String,
        /// Where it comes from, when that is not the connection string.
        origin: String,
        /// What it should hold.
        expected: String,
    },
    /// An option that would be ignored, and so is refused.
    #[error("{option} is not supported{origin}: {instead}")]
    Unsupported {
        /// The option and its value.
        option: String,
        /// Where it comes from, when that is not the connection string.
        origin: String,
        /// What to do.
        instead: &'static str,
    },
    /// The service file does not say what it should.
    #[error("service \"{service}\" cannot be used: {problem}")]
    Service {
        /// The service.
        service: String,
        /// What is wrong.
        problem: String,
    },
}

/// What is wrong with a connection string, and where.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} (at character {at})")]
pub struct InvalidConninfo {
    what: String,
    at: usize,
}

impl InvalidConninfo {
    pub(super) fn new(text: &str, byte: usize, what: &str) -> Self {
        let at = text.char_indices().take_while(|(start, _)| *start < byte).count() + 1;
        Self { what: what.to_owned(), at }
    }

    /// A key that nobody knows; by name only where it cannot be a piece of a password.
    pub(super) fn unknown(text: &str, byte: usize, name: &str, nameable: bool) -> Self {
        let what = if nameable {
            format!("there is no option \"{}\"", name.chars().take(63).collect::<String>())
        } else {
            "there is no such option; put a password with spaces in single quotes".to_owned()
        };
        Self::new(text, byte, &what)
    }
}
