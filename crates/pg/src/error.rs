//! Why a statement did not succeed.

use std::error::Error as StdError;
use std::{fmt, io};

use crate::filter::Violation;

/// Why a statement did not succeed. The driver's error stays inside.
///
/// `{}` shows the server's message with its SQLSTATE, or the driver's message. `{:#}` adds detail
/// and hint, or the cause.
#[derive(Debug)]
pub struct Error(Cause);

#[derive(Debug)]
enum Cause {
    Driver(tokio_postgres::Error),
    /// The filter ended the session.
    Violation(Violation),
}

/// The kind of an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The server reported an error, which may also end the session: see [`Error::server`].
    Server,
    /// The connection is lost, or was ended because of a message that is not allowed. Whether the
    /// statement was executed is unknown.
    ConnectionLost,
    /// The driver could not send the statement or read its result, for instance because of a
    /// parameter's type.
    Driver,
}

/// The fields of an error of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerError<'a> {
    /// The SQLSTATE.
    pub sqlstate: &'a str,
    /// The primary message.
    pub message: &'a str,
    /// The detail message.
    pub detail: Option<&'a str>,
    /// The hint.
    pub hint: Option<&'a str>,
    /// The context: the call stack of functions.
    pub context: Option<&'a str>,
}

impl Error {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        let Some(driver) = self.driver() else { return ErrorKind::ConnectionLost };
        if driver.as_db_error().is_some() {
            ErrorKind::Server
        } else if driver.is_closed() || self.source().is_some_and(<dyn StdError>::is::<io::Error>) {
            ErrorKind::ConnectionLost
        } else {
            ErrorKind::Driver
        }
    }

    /// The fields of the server's error; `None` unless the kind is [`ErrorKind::Server`].
    #[must_use]
    pub fn server(&self) -> Option<ServerError<'_>> {
        let error = self.driver()?.as_db_error()?;
        Some(ServerError {
            sqlstate: error.code().code(),
            message: error.message(),
            detail: error.detail(),
            hint: error.hint(),
            context: error.where_(),
        })
    }

    fn driver(&self) -> Option<&tokio_postgres::Error> {
        match &self.0 {
            Cause::Driver(error) => Some(error),
            Cause::Violation(_) => None,
        }
    }

    /// The server's SQLSTATE.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&str> {
        self.driver()?.code().map(tokio_postgres::error::SqlState::code)
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self(Cause::Driver(error))
    }
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self(Cause::Violation(violation))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(ServerError { sqlstate, message, detail, hint, .. }) = self.server() else {
            let driver = match &self.0 {
                Cause::Driver(error) => error,
                Cause::Violation(violation) => return violation.fmt(f),
            };
            write!(f, "{driver}")?;
            return match driver.source() {
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
    /// The cause in the operating system or the driver. An error of the server has no source,
    /// because its message is part of the error itself.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.driver()?.source().filter(|_| self.server().is_none())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::{ErrorKind, ServerError};
    use crate::ConnectionSettings;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).expect("a short message");
        [&[tag][..], &length.to_be_bytes(), body].concat()
    }

    async fn read_body(stream: &mut TcpStream) {
        let length = stream.read_u32().await.expect("a length");
        stream.read_exact(&mut vec![0; length as usize - 4]).await.expect("a body");
    }

    /// Accepts one session, answers its first query with an error, and closes the connection at the
    /// second.
    async fn serve(listener: TcpListener) {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        read_body(&mut stream).await;
        let ready = message(b'Z', b"I");
        stream.write_all(&[message(b'R', &[0; 4]), ready.clone()].concat()).await.expect("it is sent");
        assert_eq!(stream.read_u8().await.expect("a query"), b'Q');
        read_body(&mut stream).await;
        let fields = b"SERROR\0VERROR\0C22012\0Mdivision by zero\0Da detail\0Ha hint\0Wa context\0\0";
        stream.write_all(&[message(b'E', fields), ready].concat()).await.expect("it is sent");
        assert_eq!(stream.read_u8().await.expect("a query"), b'Q');
        read_body(&mut stream).await;
    }

    #[tokio::test]
    async fn an_error_of_the_server_and_a_lost_connection_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a port");
        let port = listener.local_addr().expect("it has an address").port();
        let server = tokio::spawn(serve(listener));
        let conninfo = format!("host=127.0.0.1 port={port} user=u sslmode=disable");
        let settings = ConnectionSettings::resolve(&conninfo, |_| None).expect("it parses");
        let session = settings.connect().await.expect("it connects");

        let refused = session.batch_execute("select 1/0").await.expect_err("it is refused");
        assert_eq!((refused.kind(), refused.sqlstate()), (ErrorKind::Server, Some("22012")));
        let said = ServerError {
            sqlstate: "22012",
            message: "division by zero",
            detail: Some("a detail"),
            hint: Some("a hint"),
            context: Some("a context"),
        };
        assert_eq!(refused.server(), Some(said));
        assert_eq!(refused.to_string(), "division by zero (22012)");
        assert_eq!(format!("{refused:#}"), "division by zero (22012); a detail; a hint");

        let lost = session.batch_execute("select 1").await.expect_err("the connection is closed");
        assert_eq!((lost.kind(), lost.sqlstate(), lost.server()), (ErrorKind::ConnectionLost, None, None));
        server.await.expect("the server followed the script");
        session.ended().await;
        assert!(session.is_closed());
    }
}
