//! What became of an action on several tasks.

use axum::http::StatusCode;
use maud::{Markup, html};
use pgasync_store::Change;

use super::parts::{line, meter, number};
use super::{Block, Page, Place, View};
use crate::changes::Report;
use crate::problem::Problem;

pub(super) fn page(view: View<'_>, name: &str) -> Result<Page, Problem> {
    let Some(report) = view.app.changes.report(name) else {
        return Err(Problem::new(StatusCode::NOT_FOUND, "This report is gone.")
            .hint("The last hundred are kept while the dashboard runs. The tasks show what was done."));
    };
    let title = match report.change {
        Change::Cancel(_) => "Cancel tasks",
        Change::Restart => "Restart tasks",
        Change::Defer(_) => "Defer tasks",
    };
    let blocks =
        vec![Block::Still(html! { div.page-head { h1 { (title) } } }), Block::Live("report", card(view, &report))];
    Ok(Page { title: title.to_owned(), place: Place::Tasks, blocks })
}

fn card(view: View<'_>, report: &Report) -> Markup {
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let done = match report.change {
        Change::Cancel(_) => "cancellations requested",
        Change::Restart => "tasks restarted",
        Change::Defer(_) => "deferrals requested",
    };
    let hidden = report.skipped_count.saturating_sub(report.skipped.len());
    html! {
        section.card {
            p.result-line {
                strong { (number(count(report.done))) " " (done) }
                @if report.skipped_count > 0 { ", " (number(count(report.skipped_count))) " skipped" }
                @if !report.is_over { " – of " (number(count(report.total))) " so far" }
            }
            @if !report.is_over { (meter(count(report.done), count(report.total))) }
            @if let Some(error) = &report.error {
                p.bad-text { "The rest was not sent: " (line(error)) }
            }
            @if report.is_over && report.error.is_none() && !matches!(report.change, Change::Restart) {
                p.sub { "The leader applies requests when it sees them. A query that commits first has succeeded." }
            }
            p { a.button href=(view.link(&report.back, &[])) { "Back" } }
        }
        @if !report.skipped.is_empty() {
            section.card.flush {
                header.card-head { h2 { "Skipped" } }
                table.stack {
                    thead { tr { th { "Task" } th { "Reason" } } }
                    tbody {
                        @for (task, reason) in &report.skipped {
                            tr {
                                td data-th="Task" { a href=(view.link(&format!("/tasks/{task}"), &[])) { "#" (task) } }
                                td data-th="Reason" { (line(reason)) }
                            }
                        }
                    }
                }
                @if hidden > 0 { p.more { "and " (number(count(hidden))) " more" } }
            }
        }
    }
}
