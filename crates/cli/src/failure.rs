//! Why a command failed: what to print, what to do next, and the exit code.

use std::fmt;
use std::process::ExitCode;

use pgasync_store::{CallError, ConfigureError, PushError, ReadError, RequestError, RestartError, WaitError};

/// How a command ended. The codes are part of the interface: docs/command-line.md lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    /// A negative answer (unhealthy, different, refused), a failed task, or an error.
    Negative = 1,
    Usage = 2,
    AnotherLeads = 3,
    Disabled = 4,
    AtOnce = 5,
    Unreachable = 6,
    Schema = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error of a command. The message says what is wrong and where, the hint what to do next.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
    hint: Option<String>,
    /// The SQLSTATE, for a closer look at the server.
    sqlstate: Option<String>,
}

/// SQLSTATEs for an object that does not exist: a table, a column, a schema, a function, a type.
const MISSING: [&str; 5] = ["42P01", "42703", "3F000", "42883", "42704"];

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None, sqlstate: None }
    }

    /// An error of the caller: an argument, a file, an impossible wish.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with a place before the message.
    #[must_use]
    pub(crate) fn within(self, place: &str) -> Self {
        Self { message: format!("{place}: {}", self.message), ..self }
    }

    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }

    pub(crate) const fn has_hint(&self) -> bool {
        self.hint.is_some()
    }

    /// Whether the server said that an object of the schema does not exist.
    pub(crate) fn misses_object(&self) -> bool {
        self.has_sqlstate(&MISSING)
    }

    /// Whether the server refused for want of a privilege.
    pub(crate) fn lacks_privilege(&self) -> bool {
        self.has_sqlstate(&["42501"])
    }

    fn has_sqlstate(&self, codes: &[&str]) -> bool {
        self.sqlstate.as_deref().is_some_and(|code| codes.contains(&code))
    }

    fn refused(message: String, sqlstate: Option<&str>) -> Self {
        let exit = if sqlstate == Some("PA003") { Exit::Unreachable } else { Exit::Negative };
        Self { exit, message, hint: None, sqlstate: sqlstate.map(str::to_owned) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\n{hint}"))
    }
}

impl std::error::Error for Failure {}

/// The chain of an error, without causes that an error before them has already named.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(failure) => return failure,
            Err(error) => error,
        };
        let unreachable = error.chain().find_map(|cause| cause.downcast_ref::<pgasync_pg::ConnectError>()).cloned();
        let mut message = String::new();
        for cause in error.chain().map(ToString::to_string) {
            if message.is_empty() {
                message = cause;
            } else if !message.contains(&cause) {
                message = format!("{message}: {cause}");
            }
        }
        match unreachable {
            Some(error) => Self { message, ..Self::from(error) },
            None => Self::new(Exit::Negative, message),
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let mut failure = Self::refused(error.to_string(), error.sqlstate());
        if let CallError::Unreachable { reason, .. } = &error {
            failure = Self::from(reason.clone());
        }
        failure
    }
}

impl From<pgasync_pg::ConnectError> for Failure {
    fn from(error: pgasync_pg::ConnectError) -> Self {
        let message = error.to_string();
        let hint = connection_hint(&message);
        Self { hint: hint.map(str::to_owned), ..Self::new(Exit::Unreachable, message) }
    }
}

impl From<pgasync_pg::Error> for Failure {
    fn from(error: pgasync_pg::Error) -> Self {
        let sqlstate = error.sqlstate().map(str::to_owned);
        Self::from_text(crate::server::error_text(error), sqlstate)
    }
}

impl Failure {
    fn from_text(error: anyhow::Error, sqlstate: Option<String>) -> Self {
        Self { sqlstate, ..Self::from(error) }
    }
}

impl From<pgasync_pg::SettingsError> for Failure {
    fn from(error: pgasync_pg::SettingsError) -> Self {
        Self::usage(error.to_string())
    }
}

macro_rules! from_refusals {
    ($($error:ident),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                match error {
                    $error::Failed(failed) => failed.into(),
                    refused => Self::refused(refused.to_string(), refused.sqlstate()),
                }
            }
        }
    )*};
}

from_refusals!(ConfigureError, PushError, ReadError, RequestError, RestartError, WaitError);

/// What to do about the reason why no session was opened.
fn connection_hint(message: &str) -> Option<&'static str> {
    let hints = [
        ("TLS failed", "sslmode and sslrootcert decide what is verified: see TLS in docs/connecting.md"),
        ("does not support TLS", "sslmode=prefer connects without TLS; or configure TLS there"),
        ("(28P01)", "put the right password into ~/.pgpass, PGPASSWORD or --server-file"),
        ("asks for a password", "put it into ~/.pgpass, PGPASSWORD or --server-file"),
        ("(28000)", "pg_hba.conf of the server decides which roles, hosts and kinds of connection it admits"),
        ("(3D000)", "name the database with dbname=... or PGDATABASE"),
        (
            "(53300)",
            "the server has no free connection: see max_connections there, and the limits of role and database",
        ),
        ("(57P03)", "the server is starting up or shutting down: try again"),
    ];
    hints.into_iter().find(|(part, _)| message.contains(part)).map(|(_, hint)| hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_named_once() {
        let error = anyhow::anyhow!("the disk is full").context("cannot write: the disk is full").context("saving");
        assert_eq!(Failure::from(error).to_string(), "saving: cannot write: the disk is full");
    }

    #[test]
    fn a_failure_keeps_its_exit_code_inside_anyhow() {
        let error = anyhow::Error::from(Failure::usage("no such file").hint("name another"));
        let failure = Failure::from(error);
        assert_eq!((failure.exit(), failure.to_string().as_str()), (Exit::Usage, "no such file\nname another"));
    }
}
