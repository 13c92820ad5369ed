//! Actions. Each is a POST behind the gate, and leads to a page. What cannot be undone is first a
//! question, a page below `/ask`.

mod configure;
mod control;
mod leave;
mod push;
mod question;
mod schedules;
mod tasks;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};

use crate::access::Visitor;
use crate::app::App;
use crate::form::Form;
use crate::pages::{View, refused};
use crate::problem::Problem;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/ask/tasks", post(tasks::ask))
        .route("/tasks/change", post(tasks::change))
        .route("/ask/again", get(push::ask))
        .route("/tasks/again", post(push::again))
        .route("/ask/schedule", get(schedules::ask))
        .route("/schedules/run", post(schedules::run))
        .route("/schedules/pause", post(schedules::pause))
        .route("/schedules/resume", post(schedules::resume))
        .route("/ask/pool", get(configure::ask_pool))
        .route("/pools/set", post(configure::set_pool))
        .route("/pools/pause", post(configure::pause_pool))
        .route("/pools/resume", post(configure::resume_pool))
        .route("/targets/pause", post(configure::pause_target))
        .route("/targets/resume", post(configure::resume_target))
        .route("/ask/target", get(configure::ask_target))
        .route("/targets/set", post(configure::set_target))
        .route("/ask/starts", get(control::ask))
        .route("/starts", post(control::set))
        .route("/logout", post(leave::leave))
}

/// A page of this dashboard to return to, or its first one.
fn back(form: &Form) -> &str {
    form.get("back").filter(|back| back.starts_with('/') && !back.starts_with("//")).unwrap_or("/")
}

fn to(app: &App, path: &str) -> Response {
    Redirect::to(&app.url(path, &[])).into_response()
}

/// The page that says why an action was not possible.
async fn refuse(State(app): State<Arc<App>>, visitor: &Visitor, back: &str, problem: &Problem) -> Response {
    let snapshot = app.feed.fresh().await;
    refused(View::new(&app, &snapshot), visitor, back, problem)
}

fn missing_field(name: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, format!("The form has no {name}."))
}
