//! Holding all new starts, and letting them go on.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use maud::html;
use serde_json::json;

use super::question::Question;
use super::{back, missing_field, refuse, to};
use crate::access::Visitor;
use crate::app::App;
use crate::form::Form;
use crate::pages::{Place, View};
use crate::problem::Problem;

pub(crate) async fn ask(State(app): State<Arc<App>>, Extension(visitor): Extension<Visitor>) -> Response {
    let snapshot = app.feed.fresh().await;
    let paused = snapshot.lead.as_ref().is_ok_and(|lead| lead.leader.paused);
    let (title, text, button, value) = if paused {
        ("Let tasks start again?", "All waiting tasks may start, as far as the limits allow.", "Resume", "false")
    } else {
        (
            "Hold all new starts?",
            "No task starts until you resume. What runs goes on; deadlines and requests too.",
            "Hold",
            "true",
        )
    };
    let page = Question {
        title,
        place: Place::Overview,
        text: html! { p { (text) } },
        fields: html! { input type="hidden" name="paused" value=(value); },
        action: "/starts",
        button,
        is_danger: !paused,
        back: "/",
    };
    Html(page.page(View::new(&app, &snapshot), &visitor).into_string()).into_response()
}

pub(crate) async fn set(
    State(app): State<Arc<App>>,
    Extension(visitor): Extension<Visitor>,
    Extension(form): Extension<Form>,
) -> Response {
    let done: Result<(), Problem> = async {
        let paused = match form.get("paused") {
            Some("true") => true,
            Some("false") => false,
            _ => return Err(missing_field("paused")),
        };
        Ok(app.actions.configure_json(&json!({"control": {"paused": paused}})).await?)
    }
    .await;
    match done {
        Ok(()) => {
            app.feed.read_again().await;
            to(&app, back(&form))
        }
        Err(problem) => refuse(State(app), &visitor, back(&form), &problem).await,
    }
}
