//! TCP and Unix sockets.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use nix::unistd::{Uid, User};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::either::Either;

use crate::settings::Tcp;

/// A socket that counts the bytes that the operating system has taken.
#[derive(Debug)]
pub(super) struct Socket {
    stream: Either<TcpStream, UnixStream>,
    written: Arc<AtomicU64>,
}

impl Socket {
    fn new(stream: Either<TcpStream, UnixStream>) -> Self {
        Self { stream, written: Arc::default() }
    }

    /// The count of bytes written.
    pub(super) fn written(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.written)
    }

    fn count(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &polled {
            self.written.fetch_add(u64::try_from(*bytes).unwrap_or(0), Ordering::Relaxed);
        }
        polled
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.count(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.count(polled)
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

/// The server runs under another account than `requirepeer`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct WrongPeer(String);

pub(super) fn is_wrong_peer(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|cause| cause.is::<WrongPeer>())
}

pub(super) async fn open_tcp(address: SocketAddr, how: &Tcp) -> io::Result<Socket> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    if !how.no_keepalives {
        socket.set_keepalive(true)?;
        let mut keepalive = TcpKeepalive::new();
        for (time, set) in [
            (how.idle, TcpKeepalive::with_time as fn(TcpKeepalive, _) -> TcpKeepalive),
            (how.interval, TcpKeepalive::with_interval),
        ] {
            keepalive = time.map_or(keepalive.clone(), |time| set(keepalive, time));
        }
        keepalive = how.count.map_or(keepalive.clone(), |count| keepalive.with_retries(count));
        socket.set_tcp_keepalive(&keepalive)?;
    }
    #[cfg(target_os = "linux")]
    if how.user_timeout.is_some() {
        socket.set_tcp_user_timeout(how.user_timeout)?;
    }
    Ok(Socket::new(Either::Left(stream)))
}

/// Opens the socket in a directory; `peer` is the account that the server has to run under.
pub(super) async fn open_unix(folder: &Path, port: u16, peer: Option<&str>) -> io::Result<Socket> {
    let path = folder.join(format!(".s.PGSQL.{port}"));
    let stream = match path.to_str().and_then(|text| text.strip_prefix('@')) {
        Some(name) => UnixStream::connect(format!("\0{name}")).await?,
        None => UnixStream::connect(path).await?,
    };
    if let Some(peer) = peer {
        let user = User::from_uid(Uid::from_raw(stream.peer_cred()?.uid())).ok().flatten();
        if user.as_ref().is_none_or(|user| user.name != peer) {
            let name = user.map_or_else(|| "an unknown account".to_owned(), |user| format!("\"{}\"", user.name));
            let text = format!("requirepeer is \"{peer}\", and the server runs as {name}");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, WrongPeer(text)));
        }
    }
    Ok(Socket::new(Either::Right(stream)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use socket2::SockRef;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::{Either, Ordering, Socket, Tcp, open_tcp};

    async fn open(how: Tcp) -> (Socket, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a port");
        let address = listener.local_addr().expect("it has an address");
        (open_tcp(address, &how).await.expect("the listener accepts"), listener)
    }

    #[tokio::test]
    async fn a_socket_is_used_as_the_connection_string_says() {
        let seconds = |count| Some(Duration::from_secs(count));
        let how = Tcp {
            no_keepalives: false,
            idle: seconds(9),
            interval: seconds(8),
            count: Some(7),
            user_timeout: seconds(6),
        };
        let (mut wire, _listener) = open(how).await;
        wire.write_all(b"hello").await.expect("it is taken");
        assert_eq!(wire.written().load(Ordering::Relaxed), 5);
        let Either::Left(stream) = wire.stream else { panic!("it is TCP") };
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().expect("it is known") && socket.tcp_nodelay().expect("it is known"));
        assert_eq!(socket.tcp_keepalive_time().ok(), seconds(9));
        assert_eq!(socket.tcp_keepalive_interval().ok(), seconds(8));
        assert_eq!(socket.tcp_keepalive_retries().ok(), Some(7));
        assert_eq!(socket.tcp_user_timeout().ok().flatten(), seconds(6));

        let Either::Left(stream) = open(Tcp { no_keepalives: true, ..how }).await.0.stream else { panic!("it is TCP") };
        assert!(!SockRef::from(&stream).keepalive().expect("it is known"));
    }
}
