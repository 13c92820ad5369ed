//! Concurrency pools: occupancy and waiting tasks.

use std::collections::BTreeMap;

use maud::{Markup, html};
use pgasync_core::Timestamp;
use pgasync_store::PoolOverview;

use super::parts::{badge, bounded, empty, line, meter, missing, number, plural, since};
use super::{Block, Page, Place, View};
use crate::form::Form;

pub(super) const PAGE_ROWS: usize = 100;

/// The tasks that wait for a pool.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backlog {
    tasks: i64,
    oldest: Option<Timestamp>,
}

pub(super) fn page(view: View<'_>, query: &Form) -> Page {
    let blocks = vec![
        Block::Still(html! { div.page-head { h1 { "Pools" } } }),
        Block::Still(search(view, "/pools", "Search pools", query)),
        Block::Live("pools", card(view, query)),
    ];
    Page { title: "Pools".to_owned(), place: Place::Pools, blocks }
}

/// A search by name.
pub(super) fn search(view: View<'_>, path: &str, label: &str, query: &Form) -> Markup {
    html! {
        form.filter method="get" action=(view.link(path, &[])) role="search" {
            input type="search" name="q" value=(query.get("q").unwrap_or_default()) placeholder=(label) aria-label=(label);
            button type="submit" { "Search" }
        }
    }
}

/// The waiting tasks of each pool, of lanes or of targets.
pub(super) fn backlogs<'a>(
    view: View<'a>,
    key: impl Fn(&'a pgasync_store::WaitingLane) -> &'a str,
) -> BTreeMap<&'a str, Backlog> {
    let mut backlogs: BTreeMap<&str, Backlog> = BTreeMap::new();
    for lane in view.snapshot.waiting.iter().flat_map(|lanes| lanes.iter()) {
        let backlog = backlogs.entry(key(lane)).or_default();
        backlog.tasks += lane.waiting + i64::from(lane.more);
        backlog.oldest = [backlog.oldest, lane.oldest].into_iter().flatten().min();
    }
    backlogs
}

impl Backlog {
    pub(super) fn tasks(self) -> Markup {
        html! { @if self.tasks == 0 { span.none { "–" } } @else { (bounded(self.tasks)) } }
    }

    pub(super) fn oldest(self) -> Markup {
        since(self.oldest)
    }
}

/// The rows of a page of a list that is sorted by name, and the name after which the next page begins.
pub(super) fn slice<'a, T>(rows: &[&'a T], after: Option<&str>, name: impl Fn(&T) -> &str) -> (Vec<&'a T>, bool) {
    let begin = after.map_or(0, |after| rows.partition_point(|row| name(row) <= after));
    let end = rows.len().min(begin + PAGE_ROWS);
    (rows[begin..end].to_vec(), end < rows.len())
}

/// Links to the first and the next page of such a list.
pub(super) fn pager(view: View<'_>, path: &str, query: &Form, next: Option<&str>) -> Markup {
    let q: Vec<(&str, &str)> = query.get("q").map(|q| ("q", q)).into_iter().collect();
    let is_later = query.get("after").is_some();
    html! {
        @if is_later || next.is_some() {
            nav.pages aria-label="Pages" {
                @if is_later { a href=(view.link(path, &q)) rel="first" { "← First" } } @else { span {} }
                @if let Some(next) = next {
                    @let pairs: Vec<(&str, &str)> = q.iter().copied().chain([("after", next)]).collect();
                    a href=(view.link(path, &pairs)) rel="next" { "Next →" }
                }
            }
        }
    }
}

pub(super) fn contains(name: &str, query: &Form) -> bool {
    query.get("q").is_none_or(|q| name.to_lowercase().contains(&q.to_lowercase()))
}

fn card(view: View<'_>, query: &Form) -> Markup {
    let pools = match &view.snapshot.pools {
        Ok(pools) => pools,
        Err(why) => return html! { section.card { (missing(why)) } },
    };
    // The order of Postgres depends on its locale.
    let mut matching: Vec<&PoolOverview> = pools.iter().filter(|pool| contains(&pool.pool, query)).collect();
    matching.sort_by(|one, other| one.pool.cmp(&other.pool));
    let (rows, more) = slice(&matching, query.get("after"), |pool| &pool.pool);
    let backlogs = backlogs(view, |lane| &lane.pool);
    let count = i64::try_from(matching.len()).unwrap_or(i64::MAX);
    html! {
        section.card.flush {
            header.card-head { h2 { (plural(count, "pool")) } (super::overview::busy_workers(view)) }
            @if matching.is_empty() {
                (empty("No pool has this name", "A pool exists when it is configured, when a target has its name, or when a task names it.", None))
            } @else {
                table.stack {
                    thead { tr { th { "Pool" } th { "Occupancy" } th.num { "Slots" } th.num { "Waiting" } th.num { "Oldest" } th {} } }
                    tbody { @for pool in &rows { (row(view, pool, backlogs.get(pool.pool.as_str()).copied().unwrap_or_default())) } }
                }
            }
            (pager(view, "/pools", query, rows.last().filter(|_| more).map(|pool| pool.pool.as_str())))
        }
    }
}

fn row(view: View<'_>, pool: &PoolOverview, backlog: Backlog) -> Markup {
    let (used, max) = (i64::from(pool.running), i64::from(pool.max_workers));
    html! {
        tr {
            td data-th="Pool" {
                a href=(view.link("/tasks", &[("pool", &pool.pool), ("phase", "unfinished")])) { (line(&pool.pool)) }
                @if pool.retired { " " (badge("retired")) }
                @if pool.paused { " " (badge("paused")) }
                @if let Some((starts, interval)) = pool.starts {
                    div.sub { "starts at most " (starts) " in " (pgasync_text::short_span(interval)) }
                }
            }
            td.wide data-th="Occupancy" { (meter(used, max)) }
            td.num data-th="Slots" { (number(used)) " / " (number(max)) }
            td.num data-th="Waiting" { (backlog.tasks()) }
            td.num data-th="Oldest" { (backlog.oldest()) }
            td.row-actions {
                @if view.snapshot.rights.configure {
                    @if pool.configured { (pause(view, "/pools", "pool", &pool.pool, pool.paused)) }
                    a.quiet href=(view.link("/ask/pool", &[("pool", &pool.pool)])) { "Edit" }
                }
            }
        }
    }
}

/// The button that holds new starts, or lets them go on.
pub(super) fn pause(view: View<'_>, path: &str, field: &str, name: &str, paused: bool) -> Markup {
    let (action, label) = if paused { ("resume", "Resume") } else { ("pause", "Pause") };
    html! {
        button.quiet form="act" formaction=(view.link(&format!("{path}/{action}"), &[])) name=(field) value=(name) { (label) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_names_follow_each_other() {
        let names: Vec<String> = (0..250).map(|number| format!("{number:03}")).collect();
        let rows: Vec<&String> = names.iter().collect();
        let (first, more) = slice(&rows, None, |name| name.as_str());
        assert!(more && first.len() == PAGE_ROWS);
        let (second, more) = slice(&rows, Some(first[PAGE_ROWS - 1].as_str()), |name| name.as_str());
        assert!(more && second[0] == "100");
        let (last, more) = slice(&rows, Some("199x"), |name| name.as_str());
        assert!(!more && last.len() == 50);
        assert_eq!(slice(&rows, Some("999"), |name| name.as_str()), (Vec::new(), false));
    }
}
