//! The pages. A page is a title and blocks; the live ones are replaced while it is open.

mod chart;
mod document;
mod log;
mod login;
mod overview;
mod parts;
mod pools;
mod report;
mod schedules;
mod targets;
mod task;
mod tasks;
mod timeline;
mod waiting;

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use maud::{Markup, html};
use pgasync_core::Timestamp;

use crate::access::Visitor;
use crate::app::App;
use crate::feed::Snapshot;
use crate::form::Form;
use crate::live::{self, FRAGMENT_HEADER, Fragment};
use crate::problem::Problem;

pub(crate) use self::document::{Place, document};
pub(crate) use self::login::{bounce, login, login_page};
pub(crate) use self::parts::{code, line, number, plural};

/// A page without its frame.
pub(crate) struct Page {
    pub(crate) title: String,
    pub(crate) place: Place,
    pub(crate) blocks: Vec<Block>,
}

/// A part of a page.
pub(crate) enum Block {
    /// It stays as it is.
    Still(Markup),
    /// It is replaced by the fragment with this id.
    Live(&'static str, Markup),
}

/// What the functions of pages see.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) app: &'a App,
    pub(crate) snapshot: &'a Snapshot,
    /// The server's time.
    pub(crate) now: Timestamp,
}

impl<'a> View<'a> {
    pub(crate) fn new(app: &'a App, snapshot: &'a Snapshot) -> Self {
        Self { app, snapshot, now: snapshot.present().unwrap_or(Timestamp::from_micros(0)) }
    }

    pub(crate) fn link(self, path: &str, query: &[(&str, &str)]) -> String {
        self.app.url(path, query)
    }
}

/// A page by its path and query string.
async fn page(view: View<'_>, path: &str, query: &Form) -> Result<Page, Problem> {
    let nowhere = || Problem::new(StatusCode::NOT_FOUND, "There is no such page.").hint("The menu has all pages.");
    match path {
        "/" => Ok(overview::page(view)),
        "/tasks" => tasks::page(view, query).await,
        "/pools" => Ok(pools::page(view, query)),
        "/targets" => Ok(targets::page(view, query)),
        "/schedules" => Ok(schedules::page(view, query)),
        "/log" => log::page(view, query).await,
        _ => {
            if let Some(name) = path.strip_prefix("/reports/") {
                return report::page(view, name);
            }
            let id = path.strip_prefix("/tasks/").and_then(|id| id.parse().ok()).filter(|id: &i64| *id > 0);
            task::page(view, id.ok_or_else(nowhere)?).await
        }
    }
}

/// Answers every GET that no other route answers.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    if headers.contains_key(FRAGMENT_HEADER) {
        return polled(&app, path).await;
    }
    let snapshot = match app.snapshot().await {
        Ok(snapshot) => snapshot,
        Err(problem) => return problem.bare(),
    };
    let view = View::new(&app, &snapshot);
    let form = Form::read(uri.query().unwrap_or_default().as_bytes());
    match page(view, uri.path(), &form).await {
        Ok(page) => Html(document(view, &visitor, path, &page).into_string()).into_response(),
        Err(problem) => refused(view, &visitor, path, &problem),
    }
}

/// The fragments for a script that has no stream.
async fn polled(app: &App, path: &str) -> Response {
    let snapshot = match app.snapshot().await {
        Ok(snapshot) => snapshot,
        Err(problem) => return problem.bare(),
    };
    match &*live::fragments(app, &snapshot, path).await {
        Ok(fragments) => ([(header::CONTENT_TYPE, "application/json")], live::as_json(fragments)).into_response(),
        Err(text) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, text.clone()).bare(),
    }
}

/// The live blocks of a page.
pub(crate) async fn fragments(app: &App, snapshot: &Snapshot, path: &str) -> Result<Vec<Fragment>, String> {
    let view = View::new(app, snapshot);
    let uri: Uri = path.parse().map_err(|_| "There is no such page.".to_owned())?;
    let form = Form::read(uri.query().unwrap_or_default().as_bytes());
    let mut all = vec![Fragment { id: document::STATUS, html: document::status(view).into_string() }];
    let page = match page(view, uri.path(), &form).await {
        Ok(page) => page,
        // The page keeps what it shows, and its head says what is wrong.
        Err(_) if snapshot.problem.is_some() => return Ok(all),
        Err(problem) => return Err(problem.text),
    };
    all.extend(page.blocks.into_iter().filter_map(|block| match block {
        Block::Live(id, markup) => Some(Fragment { id, html: markup.into_string() }),
        Block::Still(_) => None,
    }));
    Ok(all)
}

/// A page that says what was not possible.
pub(crate) fn refused(view: View<'_>, visitor: &Visitor, path: &str, problem: &Problem) -> Response {
    let body = html! {
        section.card {
            (parts::empty(&problem.text, problem.hint.as_deref().unwrap_or_default(), None))
        }
    };
    let title = problem.status.canonical_reason().unwrap_or("Error").to_owned();
    let page = Page { title, place: Place::None, blocks: vec![Block::Still(body)] };
    (problem.status, Html(document(view, visitor, path, &page).into_string())).into_response()
}
