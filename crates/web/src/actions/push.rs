//! Pushing a task once more.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use maud::html;
use pgasync_core::TaskId;
use pgasync_store::TaskFilter;

use super::question::Question;
use super::{back, missing_field, refuse, to};
use crate::access::Visitor;
use crate::app::App;
use crate::form::Form;
use crate::pages::{Place, View, line};
use crate::problem::Problem;

pub(crate) async fn ask(State(app): State<Arc<App>>, Extension(visitor): Extension<Visitor>, uri: Uri) -> Response {
    let query = Form::read(uri.query().unwrap_or_default().as_bytes());
    match question(&app, &visitor, &query).await {
        Ok(page) => Html(page).into_response(),
        Err(problem) => refuse(State(app), &visitor, "/tasks", &problem).await,
    }
}

async fn question(app: &App, visitor: &Visitor, query: &Form) -> Result<String, Problem> {
    let task = id(query)?;
    let filter = TaskFilter { tasks: vec![task], ..TaskFilter::default() };
    let found = app.pages.find(&filter, None, 1).await?.pop().ok_or_else(|| gone(task))?;
    let snapshot = app.feed.fresh().await;
    let page = Question {
        title: &format!("Push task {task} again?"),
        place: Place::Tasks,
        text: html! {
            p {
                "A new task with the same query and options, at " strong { (line(&found.target)) } ". "
                "The role of the dashboard pushes it. Its start time and its expiry are not repeated. Task " (task) " stays as it is."
            }
        },
        fields: html! { input type="hidden" name="task" value=(task); },
        action: "/tasks/again",
        button: "Push",
        is_danger: false,
        back: &format!("/tasks/{task}"),
    };
    Ok(page.page(View::new(app, &snapshot), visitor).into_string())
}

pub(crate) async fn again(
    State(app): State<Arc<App>>,
    Extension(visitor): Extension<Visitor>,
    Extension(form): Extension<Form>,
) -> Response {
    let pushed = async {
        let task = id(&form)?;
        let pushed = app.actions.push_again(task).await?.ok_or_else(|| gone(task))?;
        pushed.task.ok_or_else(|| {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "A trigger of the server kept the task out of the queue.")
        })
    };
    match pushed.await {
        Ok(task) => to(&app, &format!("/tasks/{task}")),
        Err(problem) => refuse(State(app), &visitor, back(&form), &problem).await,
    }
}

fn id(form: &Form) -> Result<TaskId, Problem> {
    let id = form.get("task").and_then(|id| id.parse().ok()).filter(|id: &i64| *id > 0);
    id.map(TaskId).ok_or_else(|| missing_field("task"))
}

fn gone(task: TaskId) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("There is no task {task} with a query."))
}
