//! Why a filter ends a session.

use std::fmt;

/// The message of the server that ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The length of a message is not one of the protocol.
    #[error("the server sent {} with the invalid length {length}", Named(*tag))]
    InvalidLength {
        /// The type of the message.
        tag: u8,
        /// The length, which includes its own four bytes.
        length: i32,
    },
    /// A message is too long.
    #[error("the server sent {} of {bytes} bytes, and {bytes_max} are allowed", Named(*tag))]
    TooLong {
        /// The type of the message.
        tag: u8,
        /// The size of the message without its type.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// The messages before the first query are too long.
    #[error("the server sent more than {bytes_max} bytes before the first query, the last in {}", Named(*tag))]
    LongStartup {
        /// The type of the last message.
        tag: u8,
        /// The limit.
        bytes_max: u64,
    },
    /// The rows of a query are too large.
    #[error("the server sent {bytes} bytes of rows for one query, and {bytes_max} are allowed")]
    TooManyRows {
        /// The bytes of the rows so far.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
}

/// A type of message, with its name in the protocol.
struct Named(u8);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            b'1' => "ParseComplete",
            b'2' => "BindComplete",
            b'3' => "CloseComplete",
            b'A' => "NotificationResponse",
            b'c' => "CopyDone",
            b'C' => "CommandComplete",
            b'd' => "CopyData",
            b'D' => "DataRow",
            b'E' => "ErrorResponse",
            b'G' => "CopyInResponse",
            b'H' => "CopyOutResponse",
            b'I' => "EmptyQueryResponse",
            b'K' => "BackendKeyData",
            b'n' => "NoData",
            b'N' => "NoticeResponse",
            b'R' => "Authentication",
            b's' => "PortalSuspended",
            b'S' => "ParameterStatus",
            b't' => "ParameterDescription",
            b'T' => "RowDescription",
            b'Z' => "ReadyForQuery",
            tag => return write!(f, "a message of the unknown type 0x{tag:02x}"),
        };
        write!(f, "a message {name}")
    }
}
