//! Signing out.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};

use crate::app::App;

pub(crate) async fn leave(State(app): State<Arc<App>>) -> Response {
    let cookie = app.access.clear_cookie();
    ([(header::SET_COOKIE, cookie)], Redirect::to(&app.url("/login", &[]))).into_response()
}
