//! Why a connection string cannot be used. No message contains a password, or text that may be a
//! part of one.

/// Why a connection string, or the environment around it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The connection string does not parse.
    #[error(
        "the connection string cannot be read: {0}: write it as \"host=... dbname=...\" or postgres://user@host/db"
    )]
    InvalidConninfo(#[from] InvalidConninfo),
    /// The value of an option is invalid.
    #[error("{option} cannot be used{origin}: {expected}")]
    Invalid {
        /// The option and its value.
        option: String,
        /// The origin of the value, unless that is the connection string.
        origin: String,
        /// What the option expects.
        expected: String,
    },
    /// The option is not supported. It is refused, since ignoring it could weaken the connection.
    #[error("{option} is not supported{origin}: {instead}")]
    Unsupported {
        /// The option and its value.
        option: String,
        /// The origin of the value, unless that is the connection string.
        origin: String,
        /// What to do instead.
        instead: &'static str,
    },
    /// The service file cannot be used.
    #[error("service \"{service}\" cannot be used: {problem}")]
    Service {
        /// The service.
        service: String,
        /// What is wrong.
        problem: String,
    },
}

/// The error in a connection string, and its position.
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

    /// An unknown option, named only where the name cannot be a part of a password.
    pub(super) fn unknown(text: &str, byte: usize, name: &str, nameable: bool) -> Self {
        let what = if nameable {
            format!("there is no option \"{}\"", name.chars().take(63).collect::<String>())
        } else {
            "there is no such option; put a password with spaces in single quotes".to_owned()
        };
        Self::new(text, byte, &what)
    }
}
