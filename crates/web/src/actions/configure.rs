//! Settings of a pool and of a target.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use maud::html;
use pgasync_core::Span;
use pgasync_text::duration;
use serde_json::{Map, Value, json};

use super::question::Question;
use super::{back, missing_field, refuse, to};
use crate::access::Visitor;
use crate::app::App;
use crate::form::Form;
use crate::pages::{Place, View};
use crate::problem::Problem;

pub(crate) async fn ask_pool(
    State(app): State<Arc<App>>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
) -> Response {
    let query = Form::read(uri.query().unwrap_or_default().as_bytes());
    let name = query.get("pool").unwrap_or_default();
    let snapshot = app.feed.fresh().await;
    let known = snapshot.pools.iter().flat_map(|pools| pools.iter()).find(|pool| pool.pool == name);
    let Some(pool) = known else {
        return refuse(State(app), &visitor, "/pools", &unknown("pool", name)).await;
    };
    let page = Question {
        title: &format!("Pool {}", pgasync_text::visible::line(name)),
        place: Place::Pools,
        text: html! {
            p {
                "The leader sees a change at its next poll. What runs goes on."
                @if !pool.configured { " This pool is not configured yet: saving adds it to the configuration." }
            }
        },
        fields: html! {
            input type="hidden" name="pool" value=(name);
            label { "Slots: tasks that run at once" input type="number" name="max_workers" min="0" required value=(pool.max_workers); }
            label { "Starts in an interval, at most (empty: no limit)" input type="number" name="starts_max" min="0" value=[pool.starts.map(|(starts, _)| starts)]; }
            label { "The interval" input name="interval" placeholder="1m" value=[pool.starts.map(|(_, interval)| in_words(interval))]; }
        },
        action: "/pools/set",
        button: "Save",
        is_danger: false,
        back: "/pools",
    };
    Html(page.page(View::new(&app, &snapshot), &visitor).into_string()).into_response()
}

pub(crate) async fn set_pool(
    State(app): State<Arc<App>>,
    Extension(visitor): Extension<Visitor>,
    Extension(form): Extension<Form>,
) -> Response {
    let done: Result<(), Problem> = async {
        let name = form.get("pool").ok_or_else(|| missing_field("pool"))?;
        let mut settings = Map::new();
        settings.insert("max_workers".to_owned(), json!(required(&form, "max_workers")?));
        let starts = number(&form, "starts_max")?.unwrap_or(0);
        settings.insert("starts_max".to_owned(), json!(starts));
        if starts > 0 {
            settings.insert("interval".to_owned(), span(&form, "interval")?);
        }
        Ok(app.actions.set_pool(name, &Value::Object(settings)).await?)
    }
    .await;
    finished(app, &visitor, &form, done).await
}

pub(crate) async fn ask_target(
    State(app): State<Arc<App>>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
) -> Response {
    let query = Form::read(uri.query().unwrap_or_default().as_bytes());
    let name = query.get("target").unwrap_or_default();
    let snapshot = app.feed.fresh().await;
    let known = snapshot.targets.iter().flat_map(|targets| targets.iter()).find(|target| target.target == name);
    let Some(target) = known else {
        return refuse(State(app), &visitor, "/targets", &unknown("target", name)).await;
    };
    let page = Question {
        title: &format!("Target {}", pgasync_text::visible::line(name)),
        place: Place::Targets,
        text: html! {
            p { "The leader sees a change at its next poll. What runs goes on." }
            p.sub { "Connection strings are changed with pgasync config and async.set_target." }
        },
        fields: html! {
            input type="hidden" name="target" value=(name);
            label { "Slots of its pool: tasks that run at once" input type="number" name="max_concurrency" min="0" required value=(target.max_concurrency); }
            label { "Sessions, at most (empty: as it is)" input type="number" name="max_sessions" min="1" value=[target.max_sessions]; }
            label { "Timeout of tasks without one (empty: as it is)" input name="default_timeout" placeholder="2h" value=[target.default_timeout.map(in_words)]; }
        },
        action: "/targets/set",
        button: "Save",
        is_danger: false,
        back: "/targets",
    };
    Html(page.page(View::new(&app, &snapshot), &visitor).into_string()).into_response()
}

pub(crate) async fn set_target(
    State(app): State<Arc<App>>,
    Extension(visitor): Extension<Visitor>,
    Extension(form): Extension<Form>,
) -> Response {
    let done: Result<(), Problem> = async {
        let name = form.get("target").ok_or_else(|| missing_field("target"))?;
        let settings = json!({
            "max_concurrency": required(&form, "max_concurrency")?,
            "max_sessions": number(&form, "max_sessions")?,
            "default_timeout": span(&form, "default_timeout")?,
        });
        Ok(app.actions.set_target(name, &settings).await?)
    }
    .await;
    finished(app, &visitor, &form, done).await
}

/// What is paused or resumed.
#[derive(Clone, Copy)]
enum Part {
    Pool,
    Target,
}

type Sent = (State<Arc<App>>, Extension<Visitor>, Extension<Form>);

pub(crate) async fn pause_pool(app: State<Arc<App>>, visitor: Extension<Visitor>, form: Extension<Form>) -> Response {
    set_paused((app, visitor, form), Part::Pool, true).await
}

pub(crate) async fn resume_pool(app: State<Arc<App>>, visitor: Extension<Visitor>, form: Extension<Form>) -> Response {
    set_paused((app, visitor, form), Part::Pool, false).await
}

pub(crate) async fn pause_target(app: State<Arc<App>>, visitor: Extension<Visitor>, form: Extension<Form>) -> Response {
    set_paused((app, visitor, form), Part::Target, true).await
}

pub(crate) async fn resume_target(
    app: State<Arc<App>>,
    visitor: Extension<Visitor>,
    form: Extension<Form>,
) -> Response {
    set_paused((app, visitor, form), Part::Target, false).await
}

async fn set_paused((State(app), Extension(visitor), Extension(form)): Sent, part: Part, paused: bool) -> Response {
    let done: Result<(), Problem> = async {
        let kind = match part {
            Part::Pool => "pool",
            Part::Target => "target",
        };
        let name = form.get(kind).ok_or_else(|| missing_field(kind))?;
        let is_known = match part {
            Part::Pool => app.actions.pause_pool(name, paused).await?,
            Part::Target => app.actions.pause_target(name, paused).await?,
        };
        if is_known { Ok(()) } else { Err(unknown(kind, name)) }
    }
    .await;
    finished(app, &visitor, &form, done).await
}

async fn finished(app: Arc<App>, visitor: &Visitor, form: &Form, done: Result<(), Problem>) -> Response {
    match done {
        Ok(()) => {
            app.feed.read_again().await;
            to(&app, back(form))
        }
        Err(problem) => refuse(State(app), visitor, back(form), &problem).await,
    }
}

fn number(form: &Form, name: &str) -> Result<Option<i32>, Problem> {
    let wrong = |text: &str| Problem::new(StatusCode::BAD_REQUEST, format!("{name}: \"{text}\" is no such number."));
    form.get(name).map(|text| text.parse().map_err(|_| wrong(text))).transpose()
}

fn required(form: &Form, name: &str) -> Result<i32, Problem> {
    number(form, name)?.ok_or_else(|| missing_field(name))
}

/// A length of time in the form of an interval, or null.
fn span(form: &Form, name: &str) -> Result<Value, Problem> {
    let wrong = |error: String| Problem::new(StatusCode::BAD_REQUEST, format!("{name}: {error}"));
    let span = form.get(name).map(duration::span).transpose().map_err(wrong)?;
    Ok(span.map_or(Value::Null, |span| {
        json!(format!("{}.{:06} seconds", span.as_micros() / 1_000_000, span.as_micros() % 1_000_000))
    }))
}

/// A length of time as [`duration::span`] reads it.
fn in_words(span: Span) -> String {
    const UNITS: [(&str, i64); 5] =
        [("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000)];
    let mut rest = span.as_micros();
    let mut text = String::new();
    for (unit, micros) in UNITS {
        if rest >= micros {
            text += &format!("{}{unit}", rest / micros);
            rest %= micros;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

fn unknown(kind: &str, name: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("There is no {kind} \"{name}\"."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_read_as_it_was_written() {
        for seconds in [1, 59, 60, 90, 3_600, 9_000, 86_400, 90_061] {
            let text = in_words(Span::seconds(seconds));
            assert_eq!(duration::span(&text), Ok(Span::seconds(seconds)), "{text}");
        }
        assert_eq!(in_words(Span::millis(1_500)), "1s500ms");
    }
}
