//! Schedules: run now, pause, resume.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use maud::html;

use super::question::Question;
use super::{back, missing_field, refuse, to};
use crate::access::Visitor;
use crate::app::App;
use crate::form::Form;
use crate::pages::{Place, View, code, line};
use crate::problem::Problem;

pub(crate) async fn ask(State(app): State<Arc<App>>, Extension(visitor): Extension<Visitor>, uri: Uri) -> Response {
    let query = Form::read(uri.query().unwrap_or_default().as_bytes());
    let snapshot = app.feed.fresh().await;
    let name = query.get("schedule").unwrap_or_default();
    let known = snapshot.schedules.iter().flat_map(|all| all.iter()).find(|known| known.schedule == name);
    let Some((schedule, text)) = known.and_then(|known| Some((known, known.query.as_deref()?))) else {
        return refuse(State(app), &visitor, "/schedules", &gone(name)).await;
    };
    let page = Question {
        title: &format!("Run {} now?", pgasync_text::visible::line(name)),
        place: Place::Schedules,
        text: html! {
            p {
                "A task with the query and the options of the schedule, at " strong { (line(&schedule.target)) } ". "
                "The role of the dashboard pushes it, also while another task of the schedule runs. "
                "The times of the schedule stay as they are."
            }
            (code("query", text))
        },
        fields: html! { input type="hidden" name="schedule" value=(name); },
        action: "/schedules/run",
        button: "Run now",
        is_danger: false,
        back: "/schedules",
    };
    Html(page.page(View::new(&app, &snapshot), &visitor).into_string()).into_response()
}

pub(crate) async fn run(
    State(app): State<Arc<App>>,
    Extension(visitor): Extension<Visitor>,
    Extension(form): Extension<Form>,
) -> Response {
    let pushed = async {
        let name = form.get("schedule").ok_or_else(|| missing_field("schedule"))?;
        let pushed = app.actions.run_schedule(name).await?;
        if pushed.is_empty() { Err(gone(name)) } else { Ok(pushed) }
    };
    match pushed.await {
        Ok(pushed) => {
            let ids: Vec<String> =
                pushed.iter().filter_map(|pushed| pushed.task).map(|task| task.to_string()).collect();
            match &ids[..] {
                [one] => to(&app, &format!("/tasks/{one}")),
                _ => to(&app, &format!("/tasks?id={}", ids.join(","))),
            }
        }
        Err(problem) => refuse(State(app), &visitor, back(&form), &problem).await,
    }
}

pub(crate) async fn pause(
    app: State<Arc<App>>,
    visitor: Extension<Visitor>,
    Extension(form): Extension<Form>,
) -> Response {
    set(app, visitor, &form, true).await
}

pub(crate) async fn resume(
    app: State<Arc<App>>,
    visitor: Extension<Visitor>,
    Extension(form): Extension<Form>,
) -> Response {
    set(app, visitor, &form, false).await
}

async fn set(app: State<Arc<App>>, Extension(visitor): Extension<Visitor>, form: &Form, paused: bool) -> Response {
    let done: Result<(), Problem> = async {
        let name = form.get("schedule").ok_or_else(|| missing_field("schedule"))?;
        if paused {
            app.actions.pause_schedule(name).await?;
        } else {
            app.actions.resume_schedule(name).await?;
        }
        Ok(())
    }
    .await;
    match done {
        Ok(()) => {
            app.feed.read_again().await;
            to(&app, back(form))
        }
        Err(problem) => refuse(app, &visitor, back(form), &problem).await,
    }
}

fn gone(name: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("There is no schedule \"{name}\" with a query that the role may read."))
        .hint("If it has a tag, a target with that tag has to exist.")
}
