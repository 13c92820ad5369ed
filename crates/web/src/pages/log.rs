//! The log of the server, the newest lines first.

use maud::{Markup, html};
use pgasync_store::LogLine;

use super::parts::{at, badge, empty, lines};
use super::{Block, Page, Place, View};
use crate::form::Form;
use crate::problem::Problem;

const PAGE_LINES: u32 = 100;

pub(super) async fn page(view: View<'_>, query: &Form) -> Result<Page, Problem> {
    let before = query.get("before").and_then(|before| before.parse().ok());
    let warnings = query.get("level") == Some("warning");
    let found = view.app.pages.log_before(before, warnings, query.get("text"), PAGE_LINES).await?;
    let blocks = vec![
        Block::Still(html! { div.page-head { h1 { "Log" } } (bar(view, query, warnings)) }),
        Block::Live("log", card(view, query, &found, before.is_some())),
    ];
    Ok(Page { title: "Log".to_owned(), place: Place::Log, blocks })
}

fn bar(view: View<'_>, query: &Form, warnings: bool) -> Markup {
    html! {
        form.filter method="get" action=(view.link("/log", &[])) role="search" {
            input type="search" name="text" value=(query.get("text").unwrap_or_default()) placeholder="Search the log" aria-label="Search the log";
            select name="level" aria-label="Level" {
                option value="" { "All lines" }
                option value="warning" selected[warnings] { "Warnings and errors" }
            }
            button type="submit" { "Filter" }
        }
    }
}

fn card(view: View<'_>, query: &Form, found: &[LogLine], is_later: bool) -> Markup {
    let is_full = u32::try_from(found.len()).is_ok_and(|count| count == PAGE_LINES);
    let next = found.last().filter(|_| is_full).map(|line| line.number.to_string());
    let pairs: Vec<(&str, &str)> =
        ["text", "level"].into_iter().filter_map(|name| Some((name, query.get(name)?))).collect();
    html! {
        section.card.flush {
            @if found.is_empty() {
                (empty("No such line", "The log has what the orchestrators, and calls that change something, wrote.", None))
            } @else {
                table.stack.log {
                    thead { tr { th { "Time" } th { "Level" } th { "Message" } } }
                    tbody {
                        @for line in found {
                            tr {
                                td.when data-th="Time" { (at(Some(line.happened))) }
                                td data-th="Level" { (badge(&line.level)) }
                                td.message data-th="Message" { (lines(&line.message)) }
                            }
                        }
                    }
                }
            }
            @if is_later || next.is_some() {
                nav.pages aria-label="Pages of the log" {
                    @if is_later { a href=(view.link("/log", &pairs)) rel="first" { "← Newest" } } @else { span {} }
                    @if let Some(next) = &next {
                        @let older: Vec<(&str, &str)> = pairs.iter().copied().chain([("before", next.as_str())]).collect();
                        a href=(view.link("/log", &older)) rel="next" { "Older →" }
                    }
                }
            }
        }
    }
}
