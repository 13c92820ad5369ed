//! The gate that every request passes before its route: host, session, origin, form key.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::{Visitor, headers};
use crate::app::App;
use crate::assets;
use crate::form::Form;
use crate::pages;
use crate::problem::Problem;

/// The size of a form. The largest one names the tasks of a page.
const FORM_BYTES_MAX: usize = 64 * 1024;

/// The time that the body of a form may take.
const FORM_TIME_MAX: Duration = Duration::from_secs(10);

pub(crate) async fn check(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match admit(&app, peer.ip(), request).await {
        Ok((request, cookie)) => {
            let mut response = next.run(request).await;
            if let Some(cookie) = cookie.and_then(|cookie| cookie.parse().ok()) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            response
        }
        Err(refusal) => refusal,
    };
    headers::secure(response.headers_mut());
    response
}

/// The request with its visitor and its form, and the cookie of a session that begins with it.
async fn admit(app: &App, peer: IpAddr, request: Request) -> Result<(Request, Option<String>), Response> {
    let access = &app.access;
    if !access.hosts.admits(request.headers()) {
        let problem = Problem::new(StatusCode::MISDIRECTED_REQUEST, "This dashboard is not at that host name.")
            .hint("Name the host with --host, or open the address that pgasync web printed.");
        return Err(problem.bare());
    }
    if assets::is_path(request.uri().path()) {
        return Ok((request, None));
    }
    let user = access.user(peer, request.headers());
    let known = access.session(request.headers());
    let may_enter = !access.keys.need_login() || user.is_some();
    let is_login = request.uri().path() == "/login";
    if known.is_none() && is_foreign_link(&request) {
        return Err(pages::bounce());
    }
    let mut cookie = None;
    let session = match known {
        Some(session) => session,
        None if may_enter => {
            let session = access.keys.new_session();
            cookie = Some(access.set_cookie(&session, access.is_secure(peer, request.headers())));
            session
        }
        None if is_login => String::new(),
        None => return Err(to_login(app, &request)),
    };
    let visitor = Visitor {
        form_key: access.keys.form_key(&session, user.as_deref()),
        can_leave: access.keys.need_login() && user.is_none(),
        session,
        user,
    };
    let mut request = match *request.method() {
        Method::GET | Method::HEAD => request,
        Method::POST => with_form(app, &visitor, request, is_login).await?,
        _ => return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "Pages are read, and forms are sent.").bare()),
    };
    let secure = Secure(access.is_secure(peer, request.headers()));
    request.extensions_mut().insert(secure);
    request.extensions_mut().insert(visitor);
    Ok((request, cookie))
}

/// Whether the browser speaks TLS with a trusted proxy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Secure(pub(crate) bool);

/// Whether a page of another site leads here. The browser keeps the cookie back then (SameSite=Strict), so
/// that nothing is known about its session.
fn is_foreign_link(request: &Request) -> bool {
    let is = |name: &str, values: &[&str]| {
        request.headers().get(name).and_then(|value| value.to_str().ok()).is_some_and(|value| values.contains(&value))
    };
    request.method() == Method::GET
        && is("sec-fetch-mode", &["navigate"])
        && is("sec-fetch-site", &["cross-site", "same-site"])
}

/// A page leads to the login; a script and a form are told.
fn to_login(app: &App, request: &Request) -> Response {
    let is_page = request.method() == Method::GET
        && !request.headers().contains_key(crate::live::FRAGMENT_HEADER)
        && request.uri().path() != "/live";
    if !is_page {
        return Problem::new(StatusCode::UNAUTHORIZED, "Sign in first.").bare();
    }
    let here = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let login = app.url("/login", &[("next", here)]);
    Redirect::to(&login).into_response()
}

/// Reads the form, and refuses one that was not sent by a page of this session.
async fn with_form(app: &App, visitor: &Visitor, request: Request, is_login: bool) -> Result<Request, Response> {
    let refuse = |status, text: &str| Problem::new(status, text).bare();
    if !app.access.hosts.is_same_origin(request.headers()) {
        return Err(refuse(StatusCode::FORBIDDEN, "The form was sent by a page of another site."));
    }
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/x-www-form-urlencoded") {
        return Err(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "That is not a form."));
    }
    let (parts, body) = request.into_parts();
    let read = tokio::time::timeout(FORM_TIME_MAX, to_bytes(body, FORM_BYTES_MAX)).await;
    let bytes = match read {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, "The form is too large, or was cut.")),
        Err(_) => return Err(refuse(StatusCode::REQUEST_TIMEOUT, "The form took too long.")),
    };
    let form = Form::read(&bytes);
    let key = form.get("form_key").unwrap_or_default();
    // Before the login there is no session. A foreign page is refused by its origin, and does not know the token.
    if !is_login && !app.access.keys.is_form_key(&visitor.session, visitor.user.as_deref(), key) {
        let problem = Problem::new(StatusCode::FORBIDDEN, "The page is older than your session. Nothing was changed.")
            .hint("Go back, load the page again, and repeat the action.");
        return Err(problem.bare());
    }
    let mut request = Request::from_parts(parts, Body::empty());
    request.extensions_mut().insert(form);
    Ok(request)
}
