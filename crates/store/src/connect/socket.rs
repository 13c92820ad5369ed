//! Sockets.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use nix::unistd::{Uid, User};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::either::Either;

use crate::settings::Tcp;

/// Bytes to and from a server.
pub(super) type Wire = Either<TcpStream, UnixStream>;

pub(super) async fn open_tcp(address: SocketAddr, how: &Tcp) -> io::Result<Wire> {
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
    Ok(Either::Left(stream))
}

/// Opens the socket in a folder; `peer` is who must be behind it.
pub(super) async fn open_unix(folder: &Path, port: u16, peer: Option<&str>) -> io::Result<Wire> {
    let path = folder.join(format!(".s.PGSQL.{port}"));
    let stream = match path.to_str().and_then(|text| text.strip_prefix('@')) {
        Some(name) => UnixStream::connect(format!("\0{name}")).await?,
        None => UnixStream::connect(path).await?,
    };
    if let Some(peer) = peer {
        let user = User::from_uid(Uid::from_raw(stream.peer_cred()?.uid())).ok().flatten();
        if user.as_ref().is_none_or(|user| user.name != peer) {
            let name = user.map_or_else(|| "somebody unknown".to_owned(), |user| format!("\"{}\"", user.name));
            let text = format!("requirepeer is \"{peer}\", and the server runs as {name}");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
    }
    Ok(Either::Right(stream))
}
