//! One task: its timeline, its query, its outcome.

use axum::http::StatusCode;
use maud::{Markup, html};
use pgasync_core::{RowState, TaskId};
use pgasync_store::{TaskDetails, TaskResult};
use serde_json::Value;

use super::parts::{ago, badge, code, empty, line, lines, number, span};
use super::tasks::state;
use super::timeline::timeline;
use super::{Block, Page, Place, View};
use crate::problem::Problem;

/// Rows and columns of a result that are shown.
const ROWS_MAX: usize = 100;
const COLUMNS_MAX: usize = 40;

/// Longer texts are cut on the page.
const CHARS_MAX: usize = 100_000;

pub(super) async fn page(view: View<'_>, id: i64) -> Result<Page, Problem> {
    let client = &view.app.pages;
    let task = TaskId(id);
    let Some(details) = client.details(task).await? else {
        return Err(Problem::new(StatusCode::NOT_FOUND, format!("There is no task {id}."))
            .hint("Finished tasks are deleted after control.task_keep_duration."));
    };
    let result = if details.keep_result { client.result(task).await? } else { None };
    let found = &details.task;
    let blocks = vec![
        Block::Still(html! { p.crumbs { a href=(view.link("/tasks", &[])) { "Tasks" } } }),
        Block::Live("task-head", head(view, &details)),
        Block::Live("task-error", error(&details)),
        Block::Live(
            "task-time",
            html! {
                div.columns {
                    section.card { h2 { "Timeline" } (timeline(&details, view.now)) }
                    section.card { h2 { "Settings" } (facts(view, &details)) }
                }
            },
        ),
        Block::Still(html! {
            section.card {
                h2 { "Query" }
                @match &found.query {
                    Some(query) => (code("query", cut(query))),
                    None => (empty("No query", "A client takes this task with async.get_tasks, and finishes it.", None)),
                }
            }
            @if let Some(data) = &details.data {
                section.card { h2 { "Data" } (code("data", cut(&pretty(data)))) }
            }
        }),
        Block::Live(
            "task-more",
            html! {
                (requests(&details))
                (attempts(&details))
                (rows(&details, result.as_ref()))
            },
        ),
    ];
    Ok(Page { title: format!("Task {id}"), place: Place::Tasks, blocks })
}

fn head(view: View<'_>, details: &TaskDetails) -> Markup {
    let task = &details.task;
    let rights = view.snapshot.rights;
    let is_finished = task.phase == RowState::Finished;
    let id = task.task.to_string();
    let ask = |action| view.link("/ask/tasks", &[("action", action), ("id", &id)]);
    html! {
        div.page-head {
            h1 { "Task " span.tabular { "#" (task.task) } }
            (state(task))
            div.actions {
                @if rights.finish && !is_finished {
                    button form="act" formaction=(ask("cancel")) { "Cancel" }
                    button form="act" formaction=(ask("defer")) { "Defer" }
                }
                @if rights.restart && is_finished { button form="act" formaction=(ask("restart")) { "Restart" } }
                @if rights.push && task.query.is_some() {
                    a.button href=(view.link("/ask/again", &[("task", &id)])) { "Push again" }
                }
            }
        }
    }
}

fn error(details: &TaskDetails) -> Markup {
    let failed = details.task.failed == Some(true);
    html! {
        @if let Some(error) = &details.task.error {
            section.card.alarm[failed] {
                h2 { @if failed { "Error" } @else { "Message" } }
                (code("error", cut(error)))
            }
        }
    }
}

fn facts(view: View<'_>, details: &TaskDetails) -> Markup {
    let task = &details.task;
    let yes = |value: bool| if value { "yes" } else { "no" };
    let tasks = |name: &str, value: &str| view.link("/tasks", &[(name, value)]);
    html! {
        dl.facts {
            dt { "Target" } dd { a href=(tasks("target", &task.target)) { (line(&task.target)) } }
            dt { "Pool" } dd { a href=(tasks("pool", &task.pool)) { (line(&task.pool)) } }
            dt { "Priority" } dd { (task.priority) }
            dt { "Run" } dd { (details.run) }
            @if let Some(source) = &task.source { dt { "Source" } dd { a href=(tasks("source", source)) { (line(source)) } } }
            @if let Some(role) = &details.pushed_by { dt { "Pushed by" } dd { (line(role)) } }
            @if let Some(timeout) = details.timeout { dt { "Timeout" } dd { (span(Some(timeout))) } }
            @if let Some(time) = details.run_at { dt { "Runs from" } dd { (ago(Some(time))) } }
            @if let Some(retry) = &details.retry {
                dt { "Retry policy" }
                dd { (line(retry.get("name").and_then(Value::as_str).unwrap_or("of its own"))) }
                dt { "Attempts" }
                dd { (task.attempt.unwrap_or(0)) @if let Some(max) = retry.get("max_attempts") { " of " (max) } }
            }
            @if let Some(key) = &details.unique_key { dt { "Unique key" } dd { (line(key)) } }
            @if let Some(schedule) = &details.schedule {
                dt { "Schedule" } dd { (line(schedule)) @if details.scheduled_for.is_some() { " for " (ago(details.scheduled_for)) } }
            }
            @if details.asynchronous_finish == Some(true) { dt { "Finishes by a call" } dd { "yes" } }
            @if let Some(tracked) = details.tracked { dt { "Holds a pool slot" } dd { (yes(tracked)) } }
            dt { "Keeps its rows" } dd { (yes(details.keep_result)) }
        }
    }
}

fn requests(details: &TaskDetails) -> Markup {
    html! {
        @if !details.requests.is_empty() {
            section.card {
                h2 { "Open requests" }
                table.stack {
                    thead { tr { th { "Status" } th { "Message" } th.num { "For" } th.num { "Made" } } }
                    tbody {
                        @for request in &details.requests {
                            tr {
                                td data-th="Status" { (badge(&request.status)) }
                                td data-th="Message" { (line(request.message.as_deref().unwrap_or_default())) }
                                td.num data-th="For" { (span(request.duration)) }
                                td.num data-th="Made" { (ago(Some(request.requested))) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn attempts(details: &TaskDetails) -> Markup {
    html! {
        @if !details.attempts.is_empty() {
            section.card {
                h2 { "Ended attempts" }
                table.stack {
                    thead { tr { th.num { "Attempt" } th { "Status" } th { "Error" } th.num { "Began" } th.num { "Ended" } } }
                    tbody {
                        @for attempt in &details.attempts {
                            tr {
                                td.num data-th="Attempt" { (attempt.attempt) }
                                td data-th="Status" { (badge(&attempt.status)) }
                                td data-th="Error" { (lines(cut(attempt.error.as_deref().unwrap_or_default()))) }
                                td.num data-th="Began" { (ago(attempt.began)) }
                                td.num data-th="Ended" { (ago(Some(attempt.ended))) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The kept rows. The columns are those of the rows that are shown.
fn rows(details: &TaskDetails, result: Option<&TaskResult>) -> Markup {
    if !details.keep_result {
        return html! {};
    }
    let Some(result) = result else {
        let text =
            "The rows are kept when the query has ended, for the role that pushed the task and for administrators.";
        return html! { section.card { h2 { "Result" } (empty("No rows that you may read", text, None)) } };
    };
    let none = Vec::new();
    let rows = result.rows.as_ref().and_then(Value::as_array).unwrap_or(&none);
    let mut names: Vec<&str> = Vec::new();
    for name in rows.iter().take(ROWS_MAX).filter_map(Value::as_object).flat_map(serde_json::Map::keys) {
        if !names.contains(&name.as_str()) && names.len() < COLUMNS_MAX {
            names.push(name);
        }
    }
    html! {
        section.card {
            header.card-head {
                h2 { "Result" }
                span.sub {
                    @if let Some(count) = result.row_count { (number(i64::try_from(count).unwrap_or(i64::MAX))) " rows" }
                    @if result.truncated { ", of which " (rows.len()) " are kept" }
                    @if rows.len() > ROWS_MAX { "; the first " (ROWS_MAX) " stand here, pgasync show --result prints all" }
                }
            }
            @if let Some(error) = &result.error { p.bad-text { (line(error)) } }
            @if !names.is_empty() {
                div.scroll tabindex="0" {
                    table {
                        thead { tr { @for name in &names { th { (line(name)) } } } }
                        tbody {
                            @for row in rows.iter().take(ROWS_MAX) {
                                tr { @for name in &names { td { (cell(row.get(*name))) } } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn cell(value: Option<&Value>) -> Markup {
    match value {
        None | Some(Value::Null) => html! { span.none { "null" } },
        Some(Value::String(text)) => lines(cut(text)),
        Some(other) => line(cut(&other.to_string())),
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}

fn cut(text: &str) -> &str {
    text.char_indices().nth(CHARS_MAX).map_or(text, |(end, _)| &text[..end])
}
