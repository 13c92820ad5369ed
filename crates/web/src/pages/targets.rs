//! Targets: their state, their load, their settings.

use maud::{Markup, html};
use pgasync_store::TargetOverview;

use super::parts::{ago, badge, empty, first_line, line, meter, missing, number, plural, span};
use super::pools::{Backlog, backlogs, contains, pager, pause, search, slice};
use super::{Block, Page, Place, View};
use crate::form::Form;

pub(super) fn page(view: View<'_>, query: &Form) -> Page {
    let blocks = vec![
        Block::Still(html! { div.page-head { h1 { "Targets" } } }),
        Block::Still(search(view, "/targets", "Search targets and tags", query)),
        Block::Live("targets", card(view, query)),
    ];
    Page { title: "Targets".to_owned(), place: Place::Targets, blocks }
}

fn card(view: View<'_>, query: &Form) -> Markup {
    let targets = match &view.snapshot.targets {
        Ok(targets) => targets,
        Err(why) => return html! { section.card { (missing(why)) } },
    };
    let is_wanted = |target: &&TargetOverview| {
        contains(&target.target, query) || target.tags.iter().any(|tag| contains(tag, query))
    };
    let mut matching: Vec<&TargetOverview> = targets.iter().filter(is_wanted).collect();
    matching.sort_by(|one, other| one.target.cmp(&other.target));
    let (rows, more) = slice(&matching, query.get("after"), |target| &target.target);
    let backlogs = backlogs(view, |lane| &lane.target);
    let lost = matching.iter().filter(|target| target.state == "lost").count();
    html! {
        section.card.flush {
            header.card-head {
                h2 { (plural(i64::try_from(matching.len()).unwrap_or(i64::MAX), "target")) }
                @if lost > 0 { span.badge.bad { (lost) " lost" } }
            }
            @if matching.is_empty() {
                (empty("No target is so", "pgasync config apply and async.set_target add targets.", None))
            } @else {
                table.stack {
                    thead { tr { th { "Target" } th { "State" } th { "Load" } th.num { "Running" } th.num { "Waiting" } th.num { "Oldest" } th {} } }
                    tbody { @for target in &rows { (row(view, target, backlogs.get(target.target.as_str()).copied().unwrap_or_default())) } }
                }
            }
            (pager(view, "/targets", query, rows.last().filter(|_| more).map(|target| target.target.as_str())))
        }
    }
}

fn row(view: View<'_>, target: &TargetOverview, backlog: Backlog) -> Markup {
    let max = i64::from(target.max_concurrency);
    html! {
        tr {
            td data-th="Target" {
                a href=(view.link("/tasks", &[("target", &target.target), ("phase", "unfinished")])) { (line(&target.target)) }
                @for tag in &target.tags { " " span.tag { (line(tag)) } }
                div.sub.clip { (line(target.connection.as_deref().unwrap_or("no connection string: clients take its tasks"))) }
                div.sub {
                    @if let Some(timeout) = target.default_timeout { "timeout " (span(Some(timeout))) " · " }
                    @if let Some(sessions) = target.max_sessions { (plural(sessions.into(), "session")) " at most · " }
                    @if target.asynchronous_finish { "finish by a call · " }
                    @if target.session_reset { "clean sessions" } @else { "sessions are not reset" }
                }
            }
            td data-th="State" {
                (badge(&target.state))
                @if target.paused && target.state != "paused" { " " (badge("paused")) }
                @if target.state == "lost" {
                    div.sub { "since " (ago(target.since)) }
                    @if let Some(error) = &target.error { div.sub.bad-text { (first_line(error)) } }
                    @if target.retry_at.is_some() { div.sub { "next try " (ago(target.retry_at)) } }
                    @if target.patience_ends.is_some() { div.sub { "waiting tasks fail " (ago(target.patience_ends)) } }
                }
            }
            td.wide data-th="Load" { (meter(target.running, max)) }
            td.num data-th="Running" { (number(target.running)) " / " (number(max)) }
            td.num data-th="Waiting" { (backlog.tasks()) }
            td.num data-th="Oldest" { (backlog.oldest()) }
            td.row-actions {
                @if view.snapshot.rights.configure {
                    (pause(view, "/targets", "target", &target.target, target.paused))
                    a.quiet href=(view.link("/ask/target", &[("target", &target.target)])) { "Edit" }
                }
            }
        }
    }
}
