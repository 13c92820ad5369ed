//! Frames of the Postgres protocol, version 3, and groups of a client's frames that get one answer.
//!
//! Source: Postgres manual, "Frontend/Backend Protocol", "Message Formats".

use std::collections::HashMap;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;

/// One message with its header. Messages before the end of the startup have no tag.
#[derive(Debug)]
pub(super) struct Frame {
    /// 0 for a message of the startup.
    pub(super) tag: u8,
    pub(super) bytes: Vec<u8>,
}

/// The kind of the first message of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    Encryption,
    Cancel,
    Session,
}

impl Frame {
    pub(super) fn opening(&self) -> Opening {
        match self.bytes.get(4..8).and_then(|code| code.try_into().ok()).map(u32::from_be_bytes) {
            Some(SSL_REQUEST | GSS_REQUEST) => Opening::Encryption,
            Some(CANCEL_REQUEST) => Opening::Cancel,
            _ => Opening::Session,
        }
    }

    /// The zero-terminated texts at its beginning.
    fn texts(&self) -> impl Iterator<Item = String> {
        self.bytes[5..].split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned())
    }
}

/// Splits received bytes into frames.
#[derive(Debug)]
pub(super) struct Frames<R> {
    reader: R,
    read: Vec<u8>,
    /// Whether the next message has no tag.
    pub(super) is_startup: bool,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub(super) fn new(reader: R, is_startup: bool) -> Self {
        Self { reader, read: Vec::new(), is_startup }
    }

    /// The next frame, `None` at the end. A future that is dropped loses no bytes.
    pub(super) async fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.cut() {
                return Ok(Some(frame));
            }
            if self.reader.read_buf(&mut self.read).await? == 0 {
                return Ok(None);
            }
        }
    }

    fn cut(&mut self) -> Option<Frame> {
        let header = usize::from(!self.is_startup);
        let length = self.read.get(header..header + 4)?.try_into().ok()?;
        let end = header + usize::try_from(u32::from_be_bytes(length)).ok()?;
        if self.read.len() < end {
            return None;
        }
        let rest = self.read.split_off(end);
        let bytes = std::mem::replace(&mut self.read, rest);
        Some(Frame { tag: if self.is_startup { 0 } else { bytes[0] }, bytes })
    }
}

/// The messages of a client up to the one that the server answers with ReadyForQuery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The first message of a session.
    Startup,
    /// A cancel request, on a connection of its own.
    CancelRequest,
    /// The client prepared statements and ran none. The text is that of the last one.
    Prepare(String),
    /// The client ran a statement. The text is known even if the statement was prepared earlier.
    Run(String),
    /// Another message, such as the end of a prepared statement.
    Other,
}

/// The bytes of one [`Sent`].
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) sent: Sent,
    pub(super) bytes: Vec<u8>,
    /// Whether the server answers it with ReadyForQuery.
    pub(super) is_answered: bool,
}

/// Combines frames of a client into units.
#[derive(Debug, Default)]
pub(super) struct Units {
    prepared: HashMap<String, String>,
    sent: Option<Sent>,
    bytes: Vec<u8>,
}

impl Units {
    /// Adds a frame. Returns the unit that the frame completes.
    pub(super) fn add_frame(&mut self, frame: &Frame) -> Option<Unit> {
        self.bytes.extend(&frame.bytes);
        let mut texts = frame.texts();
        match frame.tag {
            b'P' => {
                let (name, text) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
                self.prepared.insert(name, text.clone());
                if !matches!(self.sent, Some(Sent::Run(_))) {
                    self.sent = Some(Sent::Prepare(text));
                }
            }
            b'B' => {
                let text = texts.nth(1).and_then(|name| self.prepared.get(&name).cloned());
                self.sent = Some(Sent::Run(text.unwrap_or_default()));
            }
            b'Q' => {
                self.sent = Some(Sent::Run(texts.next().unwrap_or_default()));
                return Some(self.complete(true));
            }
            b'S' => return Some(self.complete(true)),
            b'X' => return Some(self.complete(false)),
            _ => {}
        }
        None
    }

    fn complete(&mut self, is_answered: bool) -> Unit {
        let sent = self.sent.take().unwrap_or(Sent::Other);
        Unit { sent, bytes: std::mem::take(&mut self.bytes), is_answered }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(tag: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len() + 4).expect("a short frame");
        [&[tag][..], &length.to_be_bytes(), payload].concat()
    }

    #[tokio::test]
    async fn a_prepared_statement_keeps_its_text() {
        let stream = [
            frame(b'P', b"s1\0select 1\0\0\0"),
            frame(b'S', b""),
            frame(b'B', b"\0s1\0\0\0\0\0\0\0"),
            frame(b'E', b"\0\0\0\0\0"),
            frame(b'S', b""),
            frame(b'Q', b"commit\0"),
        ]
        .concat();
        let mut frames = Frames::new(&stream[..], false);
        let mut units = Units::default();
        let mut sent = Vec::new();
        while let Some(frame) = frames.next().await.expect("a slice does not fail") {
            sent.extend(units.add_frame(&frame).map(|unit| unit.sent));
        }
        let run = |text: &str| Sent::Run(text.to_owned());
        assert_eq!(sent, [Sent::Prepare("select 1".to_owned()), run("select 1"), run("commit")]);
    }
}
