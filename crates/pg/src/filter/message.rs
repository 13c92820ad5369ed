//! The rules of the filter, free of IO.

use super::{RowLimit, Violation};

/// The limit on a message before the first query.
const STARTUP_MESSAGE_BYTES_MAX: u64 = 64 << 10;

/// The limit on all messages before the first query. The driver keeps settings and notices.
const STARTUP_BYTES_MAX: u64 = 1 << 20;

/// The limit on a message that is no row.
const MESSAGE_BYTES_MAX: u64 = 1 << 20;

/// The type and the length of a message.
const HEADER_BYTES: usize = 5;

/// Decides which messages of a server are passed on. The input may be cut anywhere: the output and
/// the violation are the same.
///
/// Invariant: a message is passed on whole or not at all.
#[derive(Clone, Debug)]
pub struct MessageFilter {
    stage: Stage,
    /// The header of the next message, as far as it was received. It is passed on when it is
    /// complete.
    header: [u8; HEADER_BYTES],
    header_received: usize,
    /// The bytes of the current message that were not received.
    body_left: usize,
    passes: bool,
    /// The bytes of the rows of the current query.
    row_bytes: u64,
    violation: Option<Violation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The answer to the request for TLS, a single byte, comes first.
    Negotiation,
    /// Before the first query.
    Startup {
        bytes: u64,
    },
    Queries,
}

impl MessageFilter {
    /// A filter for a connection. `is_negotiated` says that the answer to the request for TLS comes
    /// first.
    #[must_use]
    pub const fn new(is_negotiated: bool) -> Self {
        Self {
            stage: if is_negotiated { Stage::Negotiation } else { Stage::Startup { bytes: 0 } },
            header: [0; HEADER_BYTES],
            header_received: 0,
            body_left: 0,
            passes: false,
            row_bytes: 0,
            violation: None,
        }
    }

    /// Hands the part of `input` that passes to `pass`, in order and in pieces. `rows` holds for the
    /// messages whose headers end in this input.
    ///
    /// # Errors
    /// When a message ends the session. What precedes the message was passed on, and each later call
    /// returns the same error.
    pub fn filter(&mut self, input: &[u8], rows: RowLimit, mut pass: impl FnMut(&[u8])) -> Result<(), Violation> {
        if let Some(violation) = self.violation {
            return Err(violation);
        }
        let mut rest = input;
        if self.stage == Stage::Negotiation
            && let Some((answer, after)) = rest.split_first()
        {
            self.stage = Stage::Startup { bytes: 0 };
            pass(std::slice::from_ref(answer));
            rest = after;
        }
        while !rest.is_empty() {
            if self.body_left > 0 {
                let (body, after) = rest.split_at(rest.len().min(self.body_left));
                if self.passes {
                    pass(body);
                }
                self.body_left -= body.len();
                rest = after;
                continue;
            }
            let (part, after) = rest.split_at(rest.len().min(HEADER_BYTES - self.header_received));
            self.header[self.header_received..][..part.len()].copy_from_slice(part);
            self.header_received += part.len();
            rest = after;
            if self.header_received == HEADER_BYTES {
                self.begin_message(rows).inspect_err(|violation| self.violation = Some(*violation))?;
                if self.passes {
                    pass(&self.header);
                }
            }
        }
        Ok(())
    }

    /// Whether the last message is complete, so that nothing is held back.
    #[must_use]
    pub const fn is_between_messages(&self) -> bool {
        self.header_received == 0 && self.body_left == 0
    }

    fn begin_message(&mut self, rows: RowLimit) -> Result<(), Violation> {
        let [tag, length @ ..] = self.header;
        let length = i32::from_be_bytes(length);
        let body = usize::try_from(length).ok().and_then(|length| length.checked_sub(4));
        let body = body.ok_or(Violation::InvalidLength { tag, length })?;
        self.passes = self.decide(tag, u64::from(length.unsigned_abs()), rows)?;
        self.body_left = body;
        self.header_received = 0;
        Ok(())
    }

    /// Whether a message of this type and length passes.
    fn decide(&mut self, tag: u8, bytes: u64, rows: RowLimit) -> Result<bool, Violation> {
        let within = |bytes_max| match bytes > bytes_max {
            true => Err(Violation::TooLong { tag, bytes, bytes_max }),
            false => Ok(true),
        };
        if let Stage::Startup { bytes: before } = self.stage {
            let all = before + bytes;
            within(STARTUP_MESSAGE_BYTES_MAX)?;
            if all > STARTUP_BYTES_MAX {
                return Err(Violation::LongStartup { tag, bytes_max: STARTUP_BYTES_MAX });
            }
            self.stage = if tag == b'Z' { Stage::Queries } else { Stage::Startup { bytes: all } };
            return Ok(true);
        }
        match tag {
            b'D' | b'd' => self.decide_row(bytes, rows),
            // The driver would keep each setting, and nothing reads a setting after the startup.
            b'S' => Ok(false),
            // A task may raise a notice of any length. No call waits for a notice.
            b'N' | b'A' => Ok(bytes <= MESSAGE_BYTES_MAX),
            b'Z' => {
                self.row_bytes = 0;
                within(MESSAGE_BYTES_MAX)
            }
            _ => within(MESSAGE_BYTES_MAX),
        }
    }

    /// Counts the row. Rows that were dropped count too, so no row passes after them.
    fn decide_row(&mut self, bytes: u64, rows: RowLimit) -> Result<bool, Violation> {
        self.row_bytes = self.row_bytes.saturating_add(bytes);
        match rows {
            RowLimit::All => Ok(true),
            RowLimit::First(bytes_max) => Ok(self.row_bytes <= bytes_max),
            RowLimit::AtMost(bytes_max) if self.row_bytes > bytes_max => {
                Err(Violation::TooManyRows { bytes: self.row_bytes, bytes_max })
            }
            RowLimit::AtMost(_) => Ok(true),
        }
    }
}
