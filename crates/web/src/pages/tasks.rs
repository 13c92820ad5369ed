//! Tasks that a filter admits, in keyset pages.

use axum::http::StatusCode;
use maud::{Markup, html};
use pgasync_core::{RowState, TaskId};
use pgasync_store::{COUNT_MAX, FoundTask, TaskFilter};

use super::parts::{ago, badge, bounded, empty, first_line, line, since, span};
use super::{Block, Page, Place, View};
use crate::changes::phase_name;
use crate::filter;
use crate::form::{Form, with_query};
use crate::problem::Problem;

/// The tasks of a page.
const PAGE_TASKS: u32 = 50;

/// Filters that are one click away.
const SHORTCUTS: [(&str, &[(&str, &str)]); 6] = [
    ("All", &[]),
    ("Waiting", &[("phase", "ready")]),
    ("Running", &[("phase", "running")]),
    ("Yielded", &[("phase", "yielded")]),
    ("Failed today", &[("failed", "1"), ("ended", "1d")]),
    ("Finished", &[("phase", "finished")]),
];

pub(super) async fn page(view: View<'_>, query: &Form) -> Result<Page, Problem> {
    let mut blocks = vec![
        Block::Still(html! { div.page-head { h1 { "Tasks" } } (shortcuts(view, query)) }),
        Block::Still(bar(view, query)),
    ];
    let before = query.get("before").map(|id| id.parse().map(TaskId).map_err(|_| format!("before: \"{id}\" is no id")));
    match (filter::read(query), before.transpose()) {
        (Ok(filter), Ok(before)) => blocks.push(Block::Live("found", found(view, query, &filter, before).await?)),
        (Err(error), _) | (_, Err(error)) => {
            blocks.push(Block::Still(html! { section.card { (empty("This filter cannot be read", &error, None)) } }));
        }
    }
    Ok(Page { title: "Tasks".to_owned(), place: Place::Tasks, blocks })
}

fn shortcuts(view: View<'_>, query: &Form) -> Markup {
    let mut present = filter::pairs(query);
    present.sort_unstable();
    html! {
        nav.chips aria-label="Filters" {
            @for (name, pairs) in SHORTCUTS {
                a href=(view.link("/tasks", pairs)) aria-current=[(present == pairs).then_some("true")] { (name) }
            }
        }
    }
}

fn bar(view: View<'_>, query: &Form) -> Markup {
    let value = |name: &str| query.get(name).unwrap_or_default().to_owned();
    let fields = ["source", "newer-than", "older-than", "ended", "id", "status"];
    let has_more = fields.iter().any(|name| query.get(name).is_some());
    html! {
        form.filter method="get" action=(view.link("/tasks", &[])) role="search" {
            input type="search" name="text" value=(value("text")) placeholder="Search queries and errors" aria-label="Search queries and errors";
            select name="phase" aria-label="Phase" {
                option value="" { "Any phase" }
                @for (name, _) in filter::PHASES {
                    option value=(name) selected[value("phase") == name] { (name) }
                }
            }
            input name="target" value=(value("target")) placeholder="Target" aria-label="Target" list="targets" autocomplete="off";
            input name="pool" value=(value("pool")) placeholder="Pool" aria-label="Pool" autocomplete="off";
            button type="submit" { "Filter" }
            details.more-fields open[has_more] {
                summary { "More" }
                div.fields {
                    label { "Status" input name="status" value=(value("status")) placeholder="failed,timed_out"; }
                    label { "Source" input name="source" value=(value("source")); }
                    label { "Pushed within" input name="newer-than" value=(value("newer-than")) placeholder="2h30m"; }
                    label { "Pushed longer ago than" input name="older-than" value=(value("older-than")) placeholder="15m"; }
                    label { "Ended within" input name="ended" value=(value("ended")) placeholder="1d"; }
                    label { "Ids" input name="id" value=(value("id")) placeholder="4711, 4712"; }
                    label.check { input type="checkbox" name="failed" value="1" checked[query.get("failed") == Some("1")]; "Failed only" }
                }
            }
            datalist #targets {
                @if let Ok(targets) = &view.snapshot.targets {
                    @for target in targets.iter().take(500) { option value=(target.target) {} }
                }
            }
        }
    }
}

async fn found(view: View<'_>, query: &Form, filter: &TaskFilter, before: Option<TaskId>) -> Result<Markup, Problem> {
    let client = &view.app.pages;
    let (tasks, count) = tokio::join!(client.find(filter, before, PAGE_TASKS), client.count(filter, COUNT_MAX + 1));
    let tasks = tasks?;
    // A count that takes too long is left out: the tasks are what the page is for.
    let count = match count.map_err(Problem::from) {
        Ok(count) => Some(count),
        Err(problem) if problem.status == StatusCode::GATEWAY_TIMEOUT => None,
        Err(problem) => return Err(problem),
    };
    let is_full = u32::try_from(tasks.len()).is_ok_and(|count| count == PAGE_TASKS);
    let older = tasks.last().filter(|_| is_full).map(|task| task.task.0.to_string());
    let pairs = filter::pairs(query);
    Ok(html! {
        section.card.flush {
            header.card-head {
                h2 { @match count { Some(count) => (super::parts::plural(count, "task")), None => "Many tasks" } }
                (actions(view, query, count))
            }
            @if tasks.is_empty() {
                (nothing(view, &pairs, before.is_some()))
            } @else {
                (table(view, &tasks))
            }
            @if before.is_some() || older.is_some() {
                nav.pages aria-label="Pages of tasks" {
                    @if before.is_some() { a href=(view.link("/tasks", &pairs)) rel="first" { "← Newest" } } @else { span {} }
                    @if let Some(older) = &older {
                        @let mut next = pairs.clone();
                        @let next = { next.push(("before", older.as_str())); next };
                        a href=(view.link("/tasks", &next)) rel="next" { "Older →" }
                    }
                }
            }
        }
    })
}

fn nothing(view: View<'_>, pairs: &[(&str, &str)], is_later_page: bool) -> Markup {
    if is_later_page {
        return empty("No older tasks", "", Some(html! { a href=(view.link("/tasks", pairs)) { "To the newest" } }));
    }
    if pairs.is_empty() {
        return html! {
            (empty("No task was pushed yet", "Push one with the command line or in SQL:", None))
            div.empty { pre { code { "pgasync push -t TARGET 'select 1'" "\n" "select async.push('select 1', 'TARGET')" } } }
        };
    }
    empty(
        "No task is so",
        "No task has all of that.",
        Some(html! { a href=(view.link("/tasks", &[])) { "Remove the filter" } }),
    )
}

/// The buttons for the selected tasks and for all that the filter admits.
fn actions(view: View<'_>, query: &Form, count: Option<i64>) -> Markup {
    let rights = view.snapshot.rights;
    let offered = [
        ("cancel", "Cancel", rights.finish),
        ("defer", "Defer", rights.finish),
        ("restart", "Restart", rights.restart),
    ];
    let all = count.map_or_else(|| "all".to_owned(), |count| format!("all {}", bounded(count)));
    if !offered.iter().any(|(_, _, may)| *may) || count == Some(0) {
        return html! {};
    }
    html! {
        input type="hidden" form="act" name="filter" value=(with_query("", &filter::pairs(query)).trim_start_matches('?'));
        div.actions {
            @for (action, name, _) in offered.iter().filter(|(_, _, may)| *may) {
                button form="act" formaction=(view.link("/ask/tasks", &[("action", action)])) title={ (name) " the selected tasks" } { (name) }
            }
            @if count.is_some_and(|count| count > 1) || count.is_none() {
                details.menu id="all-menu" {
                    summary { "For " (all) }
                    div.menu-list {
                        @for (action, name, _) in offered.iter().filter(|(_, _, may)| *may) {
                            button form="act" formaction=(view.link("/ask/tasks", &[("action", action), ("all", "1")])) { (name) " " (all) }
                        }
                    }
                }
            }
        }
    }
}

fn table(view: View<'_>, tasks: &[FoundTask]) -> Markup {
    let rights = view.snapshot.rights;
    let selects = rights.finish || rights.restart;
    html! {
        table.stack.tasks {
            thead {
                tr {
                    @if selects { th.pick { input.js-only type="checkbox" data-pick-all aria-label="Select all tasks of this page"; } }
                    th { "Task" } th { "State" } th { "Query" } th { "Target" }
                    th.num { "Pushed" } th.num { "Waited" } th.num { "Ran" }
                }
            }
            tbody {
                @for task in tasks {
                    tr {
                        @if selects {
                            td.pick { input type="checkbox" form="act" name="id" value=(task.task) aria-label={ "Select task " (task.task) }; }
                        }
                        td data-th="Task" {
                            a href=(view.link(&format!("/tasks/{}", task.task), &[])) { "#" (task.task) }
                            @if let Some(source) = &task.source { div.sub { (line(source)) } }
                        }
                        td data-th="State" {
                            (state(task))
                            @if let Some(attempt) = task.attempt.filter(|attempt| *attempt > 0) { div.sub { "attempt " (attempt) } }
                        }
                        td data-th="Query" {
                            @match &task.query {
                                Some(query) => code.clip { (first_line(query)) },
                                None => span.muted { "taken by a client" },
                            }
                            @if let Some(error) = &task.error { div.sub.bad-text.clip { (first_line(error)) } }
                        }
                        td data-th="Target" {
                            (line(&task.target))
                            @if task.pool != task.target { div.sub { (line(&task.pool)) } }
                        }
                        td.num data-th="Pushed" { (ago(Some(task.entered))) }
                        td.num data-th="Waited" {
                            @if task.consumed.is_none() && task.processed.is_none() { (since(Some(task.entered))) } @else { (span(task.waited)) }
                        }
                        td.num data-th="Ran" {
                            @if task.consumed.is_some() && task.processed.is_none() { (since(task.consumed)) } @else { (span(task.took)) }
                        }
                    }
                }
            }
        }
    }
}

/// The status of a finished task, and the phase of another one.
pub(super) fn state(task: &FoundTask) -> Markup {
    match (task.phase, &task.status) {
        (RowState::Finished, Some(status)) => badge(status),
        (phase, _) => badge(phase_name(phase)),
    }
}
