//! Schedules: their times, their last tasks.

use maud::{Markup, html};
use pgasync_store::ScheduleOverview;

use super::parts::{ago, badge, empty, first_line, line, missing, plural};
use super::pools::{contains, pager, search, slice};
use super::{Block, Page, Place, View};
use crate::form::Form;

pub(super) fn page(view: View<'_>, query: &Form) -> Page {
    let blocks = vec![
        Block::Still(html! { div.page-head { h1 { "Schedules" } } }),
        Block::Still(search(view, "/schedules", "Search schedules", query)),
        Block::Live("schedules", card(view, query)),
    ];
    Page { title: "Schedules".to_owned(), place: Place::Schedules, blocks }
}

fn card(view: View<'_>, query: &Form) -> Markup {
    let schedules = match &view.snapshot.schedules {
        Ok(schedules) => schedules,
        Err(why) => return html! { section.card { (missing(why)) } },
    };
    let mut matching: Vec<&ScheduleOverview> =
        schedules.iter().filter(|known| contains(&known.schedule, query)).collect();
    matching.sort_by(|one, other| one.schedule.cmp(&other.schedule));
    let (rows, more) = slice(&matching, query.get("after"), |schedule| &schedule.schedule);
    html! {
        section.card.flush {
            header.card-head { h2 { (plural(i64::try_from(matching.len()).unwrap_or(i64::MAX), "schedule")) } }
            @if schedules.is_empty() {
                (empty("No schedules", "A schedule pushes a task at given times:", None))
                div.empty { pre { code { "select async.schedule('nightly', '30 2 * * *', 'call load()', 'TARGET',\n  time_zone => 'Europe/Berlin')" } } }
            } @else if matching.is_empty() {
                (empty("No schedule has this name", "", None))
            } @else {
                table.stack {
                    thead { tr { th { "Schedule" } th { "Times" } th { "Task" } th.num { "Next" } th { "Last" } th {} } }
                    tbody { @for schedule in &rows { (row(view, schedule)) } }
                }
            }
            (pager(view, "/schedules", query, rows.last().filter(|_| more).map(|schedule| schedule.schedule.as_str())))
        }
    }
}

fn row(view: View<'_>, schedule: &ScheduleOverview) -> Markup {
    let rights = view.snapshot.rights;
    let name = [("schedule", schedule.schedule.as_str())];
    html! {
        tr {
            td data-th="Schedule" {
                strong { (line(&schedule.schedule)) }
                @if schedule.paused { " " (badge("paused")) }
                div.sub { @if let Some(owner) = &schedule.owner { (line(owner)) } @if schedule.configured { " · configured" } }
            }
            td data-th="Times" { code { (line(&schedule.when)) } div.sub { (line(&schedule.time_zone)) " · " (line(&schedule.overlap.replace('_', " "))) } }
            td data-th="Task" {
                @match &schedule.query {
                    Some(query) => code.clip { (first_line(query)) },
                    None => span.muted { "its owner sees the query" },
                }
                div.sub { (line(&schedule.target)) @if let Some(pool) = &schedule.pool { " · " (line(pool)) } }
            }
            td.num data-th="Next" { (ago(schedule.next_time)) }
            td data-th="Last" {
                @if let Some(task) = schedule.last_task {
                    a href=(view.link(&format!("/tasks/{task}"), &[])) { "#" (task) }
                    @if let Some(status) = &schedule.last_status { " " (badge(status)) }
                    div.sub { (ago(schedule.last_fired)) }
                } @else { span.none { "–" } }
                @if schedule.waiting > 0 { div.sub { (plural(schedule.waiting, "time")) " waiting" } }
                @if schedule.last_refusal.is_some() && schedule.last_refused > schedule.last_fired {
                    div.sub.bad-text { "refused " (ago(schedule.last_refused)) ": " (first_line(schedule.last_refusal.as_deref().unwrap_or_default())) }
                }
            }
            td.row-actions {
                @if rights.push && schedule.query.is_some() { a.quiet href=(view.link("/ask/schedule", &name)) { "Run now" } }
                @if rights.schedule {
                    @let (path, label) = if schedule.paused { ("/schedules/resume", "Resume") } else { ("/schedules/pause", "Pause") };
                    button.quiet form="act" formaction=(view.link(path, &[])) name="schedule" value=(schedule.schedule) { (label) }
                }
            }
        }
    }
}
