//! Live pages: the fragments of a page, again for each snapshot.
//!
//! `/live?page=PATH` is a stream of them. A script that cannot have the stream fetches the page with
//! the header [`FRAGMENT_HEADER`], and gets the same fragments.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::json;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};

use crate::app::App;
use crate::feed::Snapshot;
use crate::pages;
use crate::problem::Problem;

/// Asks for the fragments of a page, as JSON.
pub(crate) const FRAGMENT_HEADER: &str = "x-fragments";

const HEARTBEAT: Duration = Duration::from_secs(15);

/// A stream ends after this time, and its page opens a new one, which passes the gate again.
const STREAM_TIME_MAX: Duration = Duration::from_secs(900);

/// Pages that are rendered for one snapshot.
const PAGES_MAX: usize = 1_000;

/// A part of a page that a script replaces.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fragment {
    pub(crate) id: &'static str,
    pub(crate) html: String,
}

type Fragments = Arc<Result<Vec<Fragment>, String>>;
type Slots = HashMap<String, Arc<OnceCell<Fragments>>>;

/// The pages of the newest snapshot. Streams of the same page wait for one rendering.
#[derive(Default)]
pub(crate) struct Rendered(Mutex<(u64, Slots)>);

impl Rendered {
    fn slot(&self, version: u64, page: &str) -> Arc<OnceCell<Fragments>> {
        let mut rendered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rendered.0 != version || rendered.1.len() >= PAGES_MAX {
            *rendered = (version, HashMap::new());
        }
        Arc::clone(rendered.1.entry(page.to_owned()).or_default())
    }
}

/// The fragments of a page for a snapshot.
pub(crate) async fn fragments(app: &App, snapshot: &Arc<Snapshot>, page: &str) -> Fragments {
    let slot = app.rendered.slot(snapshot.version, page);
    let render = || async { Arc::new(pages::fragments(app, snapshot, page).await) };
    Arc::clone(slot.get_or_init(render).await)
}

/// Fragments as JSON, for a script without a stream.
pub(crate) fn as_json(fragments: &[Fragment]) -> String {
    let all: Vec<_> = fragments.iter().map(|fragment| json!({"id": fragment.id, "html": fragment.html})).collect();
    json!(all).to_string()
}

pub(crate) async fn stream(State(app): State<Arc<App>>, Query(query): Query<HashMap<String, String>>) -> Response {
    let Some(page) = query.get("page").filter(|page| page.starts_with('/') && page.len() < 4_096) else {
        return Problem::new(StatusCode::BAD_REQUEST, "There is no such page.").bare();
    };
    let Ok(permit) = Arc::clone(&app.streams).try_acquire_owned() else {
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Too many pages are open: this one polls.").bare();
    };
    let mut snapshots = app.feed.subscribe();
    snapshots.mark_changed();
    let begin = Watching {
        app,
        page: page.clone(),
        snapshots,
        sent: HashMap::new(),
        until: Instant::now() + STREAM_TIME_MAX,
        _permit: permit,
    };
    let events = stream::unfold(begin, |mut watching| async move {
        let event = watching.next().await?;
        Some((Ok::<Event, Infallible>(event), watching))
    });
    let body = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT).text("still here"));
    // nginx would keep the events in its buffer.
    ([(header::HeaderName::from_static("x-accel-buffering"), "no")], body).into_response()
}

/// A stream and what its browser has.
struct Watching {
    app: Arc<App>,
    page: String,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    sent: HashMap<&'static str, u64>,
    until: Instant,
    _permit: OwnedSemaphorePermit,
}

impl Watching {
    /// The fragments that differ from those that were sent; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Event> {
        loop {
            tokio::select! {
                changed = self.snapshots.changed() => changed.ok()?,
                () = sleep_until(self.until) => return None,
            }
            let snapshot = Arc::clone(&self.snapshots.borrow_and_update());
            if snapshot.begun.is_none() && snapshot.problem.is_none() {
                continue;
            }
            let fragments = fragments(&self.app, &snapshot, &self.page).await;
            let Ok(fragments) = &*fragments else { continue };
            let changed: Vec<Fragment> = fragments.iter().filter(|fragment| self.is_new(fragment)).cloned().collect();
            if !changed.is_empty() {
                return Some(Event::default().event("fragments").data(as_json(&changed)));
            }
        }
    }

    fn is_new(&mut self, fragment: &Fragment) -> bool {
        let mut hasher = DefaultHasher::new();
        fragment.html.hash(&mut hasher);
        let hash = hasher.finish();
        self.sent.insert(fragment.id, hash) != Some(hash)
    }
}
