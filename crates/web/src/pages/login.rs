//! The login: the token becomes a cookie.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::document::{brand, head};
use crate::access::gate::Secure;
use crate::app::App;
use crate::form::Form;

/// A wrong token costs time, so that guessing does.
const WRONG_TOKEN_PAUSE: Duration = Duration::from_secs(1);

pub(crate) async fn login_page(State(app): State<Arc<App>>, uri: Uri) -> Response {
    if !app.access.keys.need_login() {
        return Redirect::to(&app.url("/", &[])).into_response();
    }
    let query = Form::read(uri.query().unwrap_or_default().as_bytes());
    Html(page(&app, query.get("next").unwrap_or("/"), None).into_string()).into_response()
}

pub(crate) async fn login(
    State(app): State<Arc<App>>,
    Extension(Secure(is_secure)): Extension<Secure>,
    Extension(form): Extension<Form>,
) -> Response {
    let next = form.get("next").unwrap_or("/");
    if !app.access.keys.is_token(form.get("token").unwrap_or_default()) {
        tokio::time::sleep(WRONG_TOKEN_PAUSE).await;
        let body = page(&app, next, Some("This is not the token.")).into_string();
        return (StatusCode::FORBIDDEN, Html(body)).into_response();
    }
    let cookie = app.access.set_cookie(&app.access.keys.new_session(), is_secure);
    ([(header::SET_COOKIE, cookie)], Redirect::to(&app.url(local(next), &[]))).into_response()
}

/// Loads the page once more, as a link of this dashboard, so that the browser sends its cookie.
pub(crate) fn bounce() -> Response {
    let page = html! {
        (maud::DOCTYPE)
        html lang="en";
        head { meta charset="utf-8"; meta http-equiv="refresh" content="0"; title { "pgasync" } }
        body { p { "One moment." } }
    };
    Html(page.into_string()).into_response()
}

/// A path of this dashboard, or its first page. `//host` and `/\host` would lead elsewhere.
fn local(next: &str) -> &str {
    let is_path = next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_path { next } else { "/" }
}

fn page(app: &App, next: &str, error: Option<&str>) -> Markup {
    html! {
        (head(app.base.as_str(), "Sign in"))
        body.login {
            main #main {
                form.card method="post" action=(app.url("/login", &[])) {
                    p.brand { (brand()) }
                    h1 { "Sign in" }
                    input type="hidden" name="next" value=(local(next));
                    // Password managers look for a name.
                    input type="text" name="username" value="pgasync" autocomplete="username" hidden;
                    label for="token" { "Token" }
                    input #token type="password" name="token" required autofocus autocomplete="current-password"
                        aria-describedby=[error.map(|_| "wrong")];
                    @if let Some(error) = error { p.bad-text #wrong role="alert" { (error) } }
                    button.primary type="submit" { "Sign in" }
                    p.sub { "The token is in the file of --token-file, or in PGASYNC_WEB_TOKEN, where pgasync web was started." }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn the_login_leads_to_pages_of_this_dashboard_only() {
        for path in ["/", "/tasks?phase=ready", "/tasks/4"] {
            assert_eq!(local(path), path);
        }
        for path in ["//evil.example", "/\\evil.example", "https://evil.example", "", "tasks", "/\r\nx", "/\u{e9}"] {
            assert_eq!(local(path), "/", "{path:?}");
        }
    }
}
