//! Opening the dashboard: the checks of the start.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use pgasync_store::{CallError, Client};
use tokio::net::TcpListener;

use crate::access::{Access, keys};
use crate::app::App;
use crate::feed::{self, Feed};
use crate::options::{BasePath, WebOptions};
use crate::{routes, serve};

/// Sessions for pages, and the limit of a statement.
const PAGE_SESSIONS: u32 = 3;
const PAGE_TIMEOUT: &str = "3s";

/// Sessions for actions.
const ACTION_SESSIONS: u32 = 2;
const ACTION_TIMEOUT: &str = "30s";

/// The poller has a session of its own, so that no page waits for it.
const POLL_TIMEOUT: &str = "10s";

/// How long a call waits for a free session.
const PATIENCE: Duration = Duration::from_secs(5);

/// A dashboard that listens.
pub struct Dashboard {
    listener: TcpListener,
    address: SocketAddr,
    base: BasePath,
    router: Router,
    feed: Arc<Feed>,
    poller: Client,
}

/// Why the dashboard does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Every client that reaches the address would be logged in.
    #[error("{0} can be reached from other machines, and the dashboard has no token")]
    NeedsToken(SocketAddr),
    /// The token can be guessed.
    #[error("the token of the dashboard is shorter than {} characters", keys::TOKEN_CHARS_MIN)]
    ShortToken,
    /// A header name that cannot be one.
    #[error("\"{0}\" is no name of a header")]
    InvalidHeader(String),
    /// The address cannot be used.
    #[error("cannot listen at {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The server was not reached, or refused.
    #[error(transparent)]
    Server(#[from] CallError),
    /// The database has no server part.
    #[error("the database has no schema async with tasks, or the role \"{0}\" may not use it")]
    NoTasks(String),
    /// Every visitor would have the rights of the owner.
    #[error(
        "the role \"{role}\" has the rights of \"{owner}\", the owner of the schema async, and every visitor would have them"
    )]
    Owner {
        /// The role of the session.
        role: String,
        /// The owner.
        owner: String,
    },
}

impl Dashboard {
    /// Checks the options and the role, and listens.
    ///
    /// # Errors
    /// When an option would open the dashboard to strangers, the role is that of the owner or may not read
    /// tasks, the server is not reached, or the address is in use.
    pub async fn open(options: WebOptions) -> Result<Self, StartError> {
        check_access(&options)?;
        let poller = client(&options, "pgasync web poller", POLL_TIMEOUT, 1);
        check_role(&poller).await?;
        let fail = |error| StartError::Listen(options.listen, error);
        let listener = TcpListener::bind(options.listen).await.map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        let feed = Arc::new(Feed::new());
        let app = App::new(
            Access::new(&options, address.port()),
            client(&options, "pgasync web", PAGE_TIMEOUT, PAGE_SESSIONS),
            client(&options, "pgasync web actions", ACTION_TIMEOUT, ACTION_SESSIONS),
            Arc::clone(&feed),
            options.base_path.clone(),
            options.server.describe(),
        );
        let router = routes::router(Arc::new(app));
        Ok(Self { listener, address, base: options.base_path, router, feed, poller })
    }

    /// The address that it listens at.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The path of its first page.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/", self.base.as_str())
    }

    /// Answers requests until `stop` is ready. Open streams end then.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let polling = tokio::spawn(feed::poll(self.poller, self.feed));
        serve::accept(self.listener, self.base, self.router, stop).await;
        polling.abort();
    }
}

fn client(options: &WebOptions, name: &str, statement_timeout: &str, sessions_max: u32) -> Client {
    let settings = options
        .server
        .with_application_name(name)
        .with_option(&format!("-c statement_timeout={statement_timeout} -c lock_timeout=2s"))
        .for_long();
    Client::with_sessions(settings, sessions_max, PATIENCE)
}

fn check_access(options: &WebOptions) -> Result<(), StartError> {
    match &options.token {
        None if !is_loopback(options.listen.ip()) => return Err(StartError::NeedsToken(options.listen)),
        Some(token) if token.chars().count() < keys::TOKEN_CHARS_MIN => return Err(StartError::ShortToken),
        _ => {}
    }
    let header = &options.user_header;
    header.parse::<axum::http::HeaderName>().map_err(|_| StartError::InvalidHeader(header.clone()))?;
    Ok(())
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

async fn check_role(client: &Client) -> Result<(), StartError> {
    let installed = client.installation().await?;
    if installed.owned {
        let owner = installed.owner.unwrap_or_default();
        return Err(StartError::Owner { role: installed.role, owner });
    }
    if !installed.server || !installed.usable || !client.rights().await?.tasks {
        return Err(StartError::NoTasks(installed.role));
    }
    Ok(())
}
