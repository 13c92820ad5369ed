//! Cancel, restart and defer: the chosen tasks, or all that a filter admits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use maud::{Markup, html};
use pgasync_core::{Span, TaskId};
use pgasync_store::{Change, TaskFilter};
use pgasync_text::duration;

use super::{back, missing_field, question, refuse, to};
use crate::access::Visitor;
use crate::app::App;
use crate::changes::{Question, TASKS_MAX, phase_name};
use crate::filter;
use crate::form::Form;
use crate::pages::{Place, View, number, plural};
use crate::problem::Problem;

const DEFER_DEFAULT: Span = Span::seconds(3_600);

/// A message becomes part of each row.
const MESSAGE_CHARS_MAX: usize = 1_000;

/// Fixes the tasks, counts them, and asks.
pub(crate) async fn ask(
    State(app): State<Arc<App>>,
    Extension(visitor): Extension<Visitor>,
    Extension(form): Extension<Form>,
    uri: Uri,
) -> Response {
    let query = Form::read(uri.query().unwrap_or_default().as_bytes());
    match choose(&app, &query, &form).await {
        Ok(chosen) => {
            let name = app.access.keys.random_name();
            let snapshot = app.feed.fresh().await;
            let page = page(View::new(&app, &snapshot), &visitor, &chosen, &name);
            app.changes.ask(name, &visitor.session, chosen, Instant::now());
            Html(page.into_string()).into_response()
        }
        Err(problem) => refuse(State(app), &visitor, back(&form), &problem).await,
    }
}

/// Carries out the change of a question, and leads to its report.
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    Extension(visitor): Extension<Visitor>,
    Extension(form): Extension<Form>,
) -> Response {
    match answered(&app, &visitor, &form) {
        Ok(question) => {
            let name = app.access.keys.random_name();
            app.changes.begin(name.clone(), question, app.actions.clone());
            to(&app, &format!("/reports/{name}"))
        }
        Err(problem) => refuse(State(app), &visitor, back(&form), &problem).await,
    }
}

async fn choose(app: &App, query: &Form, form: &Form) -> Result<Question, Problem> {
    let change = match query.get("action") {
        Some("cancel") => Change::Cancel(String::new()),
        Some("restart") => Change::Restart,
        Some("defer") => Change::Defer(DEFER_DEFAULT),
        _ => return Err(missing_field("action")),
    };
    let refuse = |text: String| Problem::new(StatusCode::BAD_REQUEST, text);
    let is_all = query.get("all").is_some();
    let filter = if is_all {
        let mut filter =
            filter::read(&Form::read(form.get("filter").unwrap_or_default().as_bytes())).map_err(refuse)?;
        if filter.phases.is_empty() && filter.tasks.is_empty() {
            filter.phases = change.phases().to_vec();
        }
        filter
    } else {
        let ids = query.all("id").chain(form.all("id"));
        let read = |id: &str| id.parse().map(TaskId).map_err(|_| refuse(format!("\"{id}\" is no id of a task.")));
        TaskFilter { tasks: ids.map(read).collect::<Result<_, _>>()?, ..TaskFilter::default() }
    };
    if !is_all && filter.tasks.is_empty() {
        return Err(refuse("No task is selected.".to_owned()).hint("Select tasks by their boxes, or act on all."));
    }
    let found = app.actions.find_ids(&filter, TASKS_MAX + 1).await?;
    if u32::try_from(found.len()).is_ok_and(|count| count > TASKS_MAX) {
        return Err(refuse(format!("More than {} tasks are so.", number(TASKS_MAX.into())))
            .hint("Narrow the filter, or use pgasync cancel, restart or defer."));
    }
    let mut question = Question {
        change,
        tasks: Vec::new(),
        phases: BTreeMap::new(),
        skipped: Vec::new(),
        back: back(form).to_owned(),
    };
    let known: Vec<TaskId> = found.iter().map(|(task, _)| *task).collect();
    for (task, phase) in found {
        if question.change.phases().contains(&phase) {
            question.tasks.push(task);
            *question.phases.entry(phase_name(phase)).or_default() += 1;
        } else {
            question.skipped.push((task, format!("it is {}", phase_name(phase))));
        }
    }
    let unknown = filter.tasks.iter().filter(|task| known.binary_search(task).is_err());
    question.skipped.extend(unknown.map(|task| (*task, "it does not exist".to_owned())));
    Ok(question)
}

fn page(view: View<'_>, visitor: &Visitor, chosen: &Question, name: &str) -> Markup {
    let count = i64::try_from(chosen.tasks.len()).unwrap_or(i64::MAX);
    let tasks = if count == 1 { format!("task {}", chosen.tasks[0]) } else { plural(count, "task") };
    let (verb, text) = match chosen.change {
        Change::Cancel(_) => (
            "Cancel",
            "The leader cancels what runs, and takes out what waits. A query that commits first has succeeded.",
        ),
        Change::Restart => {
            ("Restart", "They return to the queue with a clean slate: their outcome and their attempts are gone.")
        }
        Change::Defer(_) => (
            "Defer",
            "They return to the queue, and start later. What runs is cancelled first, and runs again from its beginning.",
        ),
    };
    let title = if count == 0 { format!("{verb} nothing") } else { format!("{verb} {tasks}?") };
    let skipped = i64::try_from(chosen.skipped.len()).unwrap_or(i64::MAX);
    let phases = html! {
        @if chosen.phases.len() + chosen.skipped.len().min(1) > 1 || count > 1 {
            ul.counts {
                @for (phase, count) in &chosen.phases {
                    li.badge { (number(i64::try_from(*count).unwrap_or(i64::MAX))) " " (phase.to_lowercase()) }
                }
            }
        }
        @if skipped > 0 {
            p.sub {
                (plural(skipped, "task")) " will be skipped"
                @if let Some((task, reason)) = chosen.skipped.first() { ": task " (task) ", since " (reason) @if skipped > 1 { ", and others" } "." }
            }
        }
    };
    let fields = match chosen.change {
        Change::Cancel(_) => html! {
            label { "Message in their rows" input name="message" value=(message(visitor)) maxlength=(MESSAGE_CHARS_MAX); }
        },
        Change::Defer(_) => {
            html! { label { "By" input name="by" value="1h" required placeholder="90s, 15m, 2h30m, 3d"; } }
        }
        Change::Restart => html! {},
    };
    question::Question {
        title: &title,
        place: Place::Tasks,
        text: html! { p { (text) } (phases) },
        fields: html! { input type="hidden" name="question" value=(name); (fields) },
        action: "/tasks/change",
        button: if count == 0 { "Show why" } else { verb },
        is_danger: matches!(chosen.change, Change::Cancel(_)),
        back: &chosen.back,
    }
    .page(view, visitor)
}

fn answered(app: &App, visitor: &Visitor, form: &Form) -> Result<Question, Problem> {
    let by = match form.get("by").map(duration::span) {
        Some(Ok(by)) => Some(by),
        Some(Err(error)) => return Err(Problem::new(StatusCode::BAD_REQUEST, error).hint("Nothing was changed.")),
        None => None,
    };
    let name = form.get("question").ok_or_else(|| missing_field("question"))?;
    let Some(mut question) = app.changes.take(name, &visitor.session, Instant::now()) else {
        return Err(Problem::new(StatusCode::CONFLICT, "This question was answered, or is too old.")
            .hint("Nothing was changed by this click. Choose the tasks again."));
    };
    match &mut question.change {
        Change::Cancel(text) => {
            let given = form.get("message").map_or_else(|| message(visitor), str::to_owned);
            *text = given.chars().take(MESSAGE_CHARS_MAX).collect();
        }
        Change::Defer(span) => *span = by.unwrap_or(DEFER_DEFAULT),
        Change::Restart => {}
    }
    Ok(question)
}

fn message(visitor: &Visitor) -> String {
    let user = visitor.user.as_deref().map(|user| format!(" by {user}")).unwrap_or_default();
    format!("canceled in the dashboard{user}")
}
