//! What all requests share.

use std::sync::Arc;

use axum::http::StatusCode;
use pgasync_store::Client;
use tokio::sync::Semaphore;

use crate::access::Access;
use crate::changes::Changes;
use crate::feed::{Feed, Snapshot};
use crate::form::with_query;
use crate::live::Rendered;
use crate::options::BasePath;
use crate::problem::Problem;

/// More open streams are refused; their pages poll.
const STREAMS_MAX: usize = 400;

pub(crate) struct App {
    pub(crate) access: Access,
    /// For pages, with a short timeout.
    pub(crate) pages: Client,
    /// For actions.
    pub(crate) actions: Client,
    pub(crate) feed: Arc<Feed>,
    pub(crate) changes: Changes,
    pub(crate) rendered: Rendered,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) base: BasePath,
    /// The server, for the foot of the menu.
    pub(crate) server: String,
}

impl App {
    pub(crate) fn new(
        access: Access,
        pages: Client,
        actions: Client,
        feed: Arc<Feed>,
        base: BasePath,
        server: String,
    ) -> Self {
        Self {
            access,
            pages,
            actions,
            feed,
            changes: Changes::default(),
            rendered: Rendered::default(),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            base,
            server,
        }
    }

    /// A path of the dashboard as browsers see it.
    pub(crate) fn url(&self, path: &str, query: &[(&str, &str)]) -> String {
        with_query(&format!("{}{path}", self.base.as_str()), query)
    }

    /// The snapshot for a page, or why no page is shown.
    pub(crate) async fn snapshot(&self) -> Result<Arc<Snapshot>, Problem> {
        let snapshot = self.feed.fresh().await;
        match &snapshot.locked {
            Some(reason) => Err(Problem::new(StatusCode::FORBIDDEN, reason.clone())
                .hint("Restart the dashboard with a role of its own.")),
            None => Ok(snapshot),
        }
    }
}
