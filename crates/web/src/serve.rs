//! Accepting connections, with limits on what a client may hold.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Uri};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::options::BasePath;

/// Connections at a time. Further ones wait in the backlog of the listener.
const CONNECTIONS_MAX: usize = 700;

/// The time that the head of a request may take, and so the time that an idle connection lives.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);

/// The size of the head of a request.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// A pause after an error of `accept`, which usually is a want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(crate) async fn accept(listener: TcpListener, base: BasePath, router: Router, stop: impl Future<Output = ()>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            () = &mut stop => return,
            accepted = accepted => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (router, base) = (router.clone(), base.clone());
                connections.spawn(async move {
                    answer(stream, peer, base, router).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::debug!("accepting a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, peer: SocketAddr, base: BasePath, router: Router) {
    // Fragments are small, and wait for nothing.
    let _ = stream.set_nodelay(true);
    let inner = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        strip(&base, request.uri_mut());
        request.extensions_mut().insert(ConnectInfo(peer));
        hyper::service::Service::call(&inner, request.map(Body::new))
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!("a connection of {peer}: {error}");
    }
}

/// Removes the base path, which a proxy may have removed as well.
fn strip(base: &BasePath, uri: &mut Uri) {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let Some(rest) = path.strip_prefix(base.as_str()) else { return };
    let rest = if rest.is_empty() || rest.starts_with('?') { format!("/{rest}") } else { rest.to_owned() };
    if rest.starts_with('/')
        && let Ok(stripped) = rest.parse()
    {
        *uri = stripped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_path_is_removed_once_and_as_whole_segments() {
        let base: BasePath = "/jobs".parse().expect("a base path");
        for (path, rest) in [
            ("/jobs", "/"),
            ("/jobs/", "/"),
            ("/jobs?a=1", "/?a=1"),
            ("/jobs/tasks?a=/jobs", "/tasks?a=/jobs"),
            ("/jobs/jobs", "/jobs"),
            ("/jobsx", "/jobsx"),
            ("/tasks", "/tasks"),
        ] {
            let mut uri: Uri = path.parse().expect("a path");
            strip(&base, &mut uri);
            assert_eq!(uri.to_string(), rest, "{path}");
        }
    }
}
