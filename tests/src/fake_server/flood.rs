//! Messages of any size and any number.

use std::io;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// The bytes of a body that are sent at once.
const PIECE_BYTES: usize = 64 << 10;

/// Messages that are sent before the valid answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flood {
    /// A row with one value of this size.
    Row(usize),
    /// An error with a message of this size.
    Error(usize),
    /// Notices with messages of this size, until the client closes the connection.
    EndlessNotices(usize),
    /// Settings with different names and values of this size, until the client closes the
    /// connection.
    EndlessSettings(usize),
    /// A message of this type with this length and no body. The client has to close the connection.
    Header(u8, i32),
    /// Ends of statements without rows, until the client closes the connection.
    EndlessResults,
    /// The begin of COPY to the client, and nothing more.
    CopyOut,
    /// The begin of COPY from the client, and nothing more.
    CopyIn,
}

impl Flood {
    /// Sends the messages.
    pub(super) async fn send(self, client: &mut TcpStream) -> io::Result<()> {
        match self {
            Self::Row(bytes) => {
                client.write_all(&super::description(&[super::TEXT])).await?;
                let length = i32::try_from(bytes).expect("a row has less than 2 GB");
                send(client, b'D', &[&super::count(1)[..], &length.to_be_bytes()].concat(), bytes, b"").await
            }
            Self::Error(bytes) => send(client, b'E', b"SERROR\0VERROR\0CXX000\0M", bytes, b"\0\0").await,
            Self::EndlessNotices(bytes) => loop {
                send(client, b'N', b"SNOTICE\0VNOTICE\0C00000\0M", bytes, b"\0\0").await?;
            },
            Self::EndlessSettings(bytes) => {
                for number in 0_u64.. {
                    send(client, b'S', format!("setting.n{number}\0").as_bytes(), bytes, b"\0").await?;
                }
                Ok(())
            }
            Self::Header(tag, length) => {
                client.write_all(&[&[tag][..], &length.to_be_bytes()].concat()).await?;
                read_until_closed(client).await
            }
            Self::EndlessResults => {
                let results = super::frame(b'C', b"SELECT 0\0").repeat(1_000);
                loop {
                    client.write_all(&results).await?;
                }
            }
            Self::CopyOut => begin_copy(client, b'H').await,
            Self::CopyIn => begin_copy(client, b'G').await,
        }
    }
}

/// Begins COPY of text without columns.
async fn begin_copy(client: &mut TcpStream, tag: u8) -> io::Result<()> {
    client.write_all(&super::frame(tag, &[0, 0, 0])).await?;
    read_until_closed(client).await
}

async fn read_until_closed(client: &mut TcpStream) -> io::Result<()> {
    tokio::io::copy(client, &mut tokio::io::sink()).await.map(drop)
}

/// Sends a message whose body is a text of this size between two texts.
async fn send(client: &mut TcpStream, tag: u8, begin: &[u8], bytes: usize, end: &[u8]) -> io::Result<()> {
    let length = i32::try_from(4 + begin.len() + bytes + end.len()).expect("a message has less than 2 GB");
    let mut left = bytes;
    let mut piece = [&[tag][..], &length.to_be_bytes(), begin].concat();
    while left > 0 {
        let part = left.min(PIECE_BYTES);
        piece.resize(piece.len() + part, b'x');
        client.write_all(&piece).await?;
        piece.clear();
        left -= part;
    }
    piece.extend_from_slice(end);
    client.write_all(&piece).await
}
