//! Why a statement did not succeed.

use std::error::Error as StdError;
use std::{fmt, io};

/// Why a statement did not succeed. The driver's error stays inside.
///
/// `{}` shows one sentence: the server's message with its SQLSTATE, or what happened to the connection. `{:#}` adds
/// detail and hint, or the cause.
#[derive(Debug)]
pub struct Error(tokio_postgres::Error);

/// What an [`Error`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The server refused the statement, or says that it ends the session: see [`Error::server`].
    Server,
    /// The connection is lost. Whether the statement was executed is unknown.
    ConnectionLost,
    /// The driver could not send the statement or read its result, for instance because of a parameter's type.
    Driver,
}

/// What the server says of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerError<'a> {
    /// The SQLSTATE.
    pub sqlstate: &'a str,
    /// The primary message.
    pub message: &'a str,
    /// More about the problem.
    pub detail: Option<&'a str>,
    /// What to do about it.
    pub hint: Option<&'a str>,
    /// Where it happened: the call stack of functions.
    pub context: Option<&'a str>,
}

impl Error {
    /// What the error is about.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        if self.0.as_db_error().is_some() {
            ErrorKind::Server
        } else if self.0.is_closed() || self.source().is_some_and(<dyn StdError>::is::<io::Error>) {
            ErrorKind::ConnectionLost
        } else {
            ErrorKind::Driver
        }
    }

    /// What the server says; `None` unless the kind is [`ErrorKind::Server`].
    #[must_use]
    pub fn server(&self) -> Option<ServerError<'_>> {
        let error = self.0.as_db_error()?;
        Some(ServerError {
            sqlstate: error.code().code(),
            message: error.message(),
            detail: error.detail(),
            hint: error.hint(),
            context: error.where_(),
        })
    }

    /// The server's SQLSTATE.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&str> {
        self.0.code().map(tokio_postgres::error::SqlState::code)
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(ServerError { sqlstate, message, detail, hint, .. }) = self.server() else {
            write!(f, "{}", self.0)?;
            return match self.0.source() {
                Some(cause) if f.alternate() => write!(f, ": {cause}"),
                _ => Ok(()),
            };
        };
        write!(f, "{message} ({sqlstate})")?;
        let more = if f.alternate() { [detail, hint] } else { [None; 2] };
        more.into_iter().flatten().try_for_each(|line| write!(f, "; {line}"))
    }
}

impl StdError for Error {
    /// What the operating system or the driver says of a lost connection or a value. The server's words are part of the
    /// error itself.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source().filter(|_| self.0.as_db_error().is_none())
    }
}
