//! A stream whose messages are filtered.

use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsStream};

use super::{FilterControl, MessageFilter, RowLimit};

/// The bytes that are read at once.
const READ_BYTES: usize = 16 << 10;

/// Filters what is read. What is written passes unchanged.
#[derive(Debug)]
pub(crate) struct Filter<S> {
    stream: S,
    control: Arc<FilterControl>,
    messages: MessageFilter,
    /// What passed and did not fit into the reader's buffer, and the number of its bytes that were
    /// read. It has at most [`READ_BYTES`] and a header.
    ready: Vec<u8>,
    ready_read: usize,
}

impl<S> Filter<S> {
    /// `is_negotiated` says that the answer to the request for TLS is the first byte.
    pub(crate) fn new(stream: S, control: Arc<FilterControl>, is_negotiated: bool) -> Self {
        Self { stream, control, messages: MessageFilter::new(is_negotiated), ready: Vec::new(), ready_read: 0 }
    }

    pub(crate) fn control(&self) -> &Arc<FilterControl> {
        &self.control
    }

    /// The unfiltered stream, for the TLS handshake. The driver reads the answer to the request for
    /// TLS into a buffer of one byte, so nothing is lost.
    pub(crate) fn into_inner(self) -> S {
        debug_assert!(self.ready.is_empty() && self.messages.is_between_messages(), "bytes would be lost");
        self.stream
    }

    /// Fills the buffer with what is ready.
    fn read_ready(&mut self, into: &mut ReadBuf<'_>) {
        let rest = &self.ready[self.ready_read..];
        let part = &rest[..rest.len().min(into.remaining())];
        into.put_slice(part);
        self.ready_read += part.len();
        if self.ready_read == self.ready.len() {
            // The memory of an idle session is freed.
            self.ready = Vec::new();
            self.ready_read = 0;
        }
    }
}

impl<S: AsyncRead + Unpin> Filter<S> {
    /// Reads once from the stream. Returns whether that was the end of the stream.
    fn poll_read_once(&mut self, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let rows = self.control.rows();
        let mut buffer = [const { MaybeUninit::uninit() }; READ_BYTES];
        // Where rows are dropped, the rest of the reader's buffer may be small and stays so. It must not
        // decide how much is read at once.
        let drops = matches!(rows, RowLimit::First(_));
        let bytes = if drops { READ_BYTES } else { READ_BYTES.min(into.remaining()) };
        let mut buffer = ReadBuf::uninit(&mut buffer[..bytes]);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        let ready = &mut self.ready;
        let filtered = self.messages.filter(buffer.filled(), rows, |piece| {
            let (fits, rest) = piece.split_at(piece.len().min(into.remaining()));
            into.put_slice(fits);
            ready.extend_from_slice(rest);
        });
        match filtered {
            Ok(()) => Poll::Ready(Ok(buffer.filled().is_empty())),
            Err(violation) => {
                let _ = self.control.violation.set(violation);
                Poll::Ready(Err(io::Error::new(ErrorKind::InvalidData, violation)))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Filter<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if into.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if !this.ready.is_empty() {
            this.read_ready(into);
            return Poll::Ready(Ok(()));
        }
        if let Some(violation) = this.control.violation() {
            return Poll::Ready(Err(io::Error::new(ErrorKind::InvalidData, violation)));
        }
        let before = into.filled().len();
        loop {
            match ready!(this.poll_read_once(context, into)) {
                // What precedes the message that violates a rule is read first. The next read returns
                // the violation.
                Err(_) if into.filled().len() > before => return Poll::Ready(Ok(())),
                Err(error) => return Poll::Ready(Err(error)),
                Ok(is_end) if is_end || into.filled().len() > before => return Poll::Ready(Ok(())),
                // All that was read is dropped or held back. The runtime limits how often a stream is
                // read without a pause.
                Ok(_) => {}
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Filter<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: TlsStream + Unpin> TlsStream for Filter<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}
