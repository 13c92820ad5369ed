//! The rows of the panels: what they have, which ones pass the filter, and in which order.

use std::cmp::Reverse;

use pgasync_core::Span;
use pgasync_store::{PoolStatistics, RunningTask, Statistics, TargetState, TargetStatistics, WaitingLane};

use super::state::{Filter, Key, Order, Panel};
use crate::output::{Cell, Mood, short_span};
use crate::status::one_line;

/// A row: its cells beside the columns of [`columns`], and what Enter shows.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) key: Key,
    pub(super) cells: Vec<(String, Mood)>,
    pub(super) details: Vec<(&'static str, String)>,
}

/// A column of a panel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) title: &'static str,
    /// Its greatest width; `None` for the one that takes the rest.
    pub(super) width_max: Option<u16>,
    /// The least width of a panel that has it.
    pub(super) from: u16,
    pub(super) is_number: bool,
}

const fn text(title: &'static str, width_max: u16, from: u16) -> Column {
    Column { title, width_max: Some(width_max), from, is_number: false }
}

const fn number(title: &'static str, from: u16) -> Column {
    Column { title, width_max: Some(12), from, is_number: true }
}

const fn rest(title: &'static str) -> Column {
    Column { title, width_max: None, from: 0, is_number: false }
}

const RUNNING: [Column; 5] =
    [number("task", 0), text("target", 20, 0), text("pool", 20, 90), number("running", 0), rest("query")];

const WAITING: [Column; 6] = [
    text("pool", 20, 0),
    text("target", 20, 75),
    number("tasks", 0),
    number("oldest", 0),
    number("first task", 90),
    rest("why it waits"),
];

const POOLS: [Column; 5] =
    [rest("pool"), number("running", 0), number("limit", 0), number("waiting", 0), number("oldest", 50)];

const TARGETS: [Column; 4] = [text("target", 30, 0), text("state", 8, 0), number("running", 0), rest("error")];

pub(super) const fn columns(panel: Panel) -> &'static [Column] {
    match panel {
        Panel::Running => &RUNNING,
        Panel::Waiting => &WAITING,
        Panel::Pools => &POOLS,
        Panel::Targets => &TARGETS,
    }
}

pub(super) fn lines(statistics: &Statistics, panel: Panel, order: Order, filter: &Filter) -> Vec<Line> {
    match panel {
        Panel::Running => running(&statistics.running, order, filter),
        Panel::Waiting => waiting(&statistics.waiting, order, filter),
        Panel::Pools => pools(&statistics.pools, order, filter),
        Panel::Targets => targets(&statistics.targets, order, filter),
    }
}

impl Filter {
    fn admits(&self, target: &str, texts: &[&str]) -> bool {
        let has = |text: &str, part: &str| text.to_lowercase().contains(&part.to_lowercase());
        self.target.as_ref().is_none_or(|part| has(target, part))
            && self.text.as_ref().is_none_or(|part| texts.iter().any(|text| has(text, part)))
    }

    fn admits_target(&self, target: &str) -> bool {
        Self { text: None, target: self.target.clone() }.admits(target, &[])
    }
}

/// The server has filtered them by the whole query, of which the beginning is here.
fn running(tasks: &[RunningTask], order: Order, filter: &Filter) -> Vec<Line> {
    let mut tasks: Vec<&RunningTask> = tasks.iter().filter(|task| filter.admits_target(&task.target)).collect();
    match order {
        Order::Target => tasks.sort_by_key(|task| (&task.target, Reverse(task.running_for), task.task)),
        Order::Pool => tasks.sort_by_key(|task| (&task.pool, Reverse(task.running_for), task.task)),
        Order::Name => tasks.sort_by_key(|task| task.task),
        _ => tasks.sort_by_key(|task| (Reverse(task.running_for), task.task)),
    }
    let line = |task: &RunningTask| {
        let query = task.query.clone().unwrap_or_else(|| "(a client has taken it)".to_owned());
        Line {
            key: Key::Task(task.task),
            cells: vec![
                plain(task.task.to_string()),
                plain(&task.target),
                plain(&task.pool),
                plain(short_span(task.running_for)),
                plain(one_line(&query)),
            ],
            details: vec![
                ("task", task.task.to_string()),
                ("target", task.target.clone()),
                ("pool", task.pool.clone()),
                ("source", task.source.clone().unwrap_or_default()),
                ("running", short_span(task.running_for)),
                ("query", query),
                ("more", format!("pgasync show {}", task.task)),
            ],
        }
    };
    tasks.into_iter().map(line).collect()
}

fn waiting(lanes: &[WaitingLane], order: Order, filter: &Filter) -> Vec<Line> {
    let is_wanted = |lane: &&WaitingLane| filter.admits(&lane.target, &[&lane.pool, &lane.target, &lane.reason]);
    let mut lanes: Vec<&WaitingLane> = lanes.iter().filter(is_wanted).collect();
    match order {
        Order::Waiting => lanes.sort_by_key(|lane| (Reverse((lane.more, lane.waiting)), &lane.pool, &lane.target)),
        Order::Target => lanes.sort_by_key(|lane| (&lane.target, &lane.pool, &lane.kind)),
        Order::Pool => lanes.sort_by_key(|lane| (&lane.pool, &lane.target, &lane.kind)),
        _ => lanes.sort_by_key(|lane| (Reverse(lane.waiting_for), &lane.pool, &lane.target)),
    }
    let line = |lane: &WaitingLane| {
        let first = lane.first.map(|task| task.to_string()).unwrap_or_default();
        Line {
            key: Key::Lane(lane.pool.clone(), lane.target.clone(), lane.kind.clone()),
            cells: vec![
                plain(&lane.pool),
                plain(&lane.target),
                plain(count(lane.waiting, lane.more)),
                plain(length(lane.waiting_for)),
                plain(first.as_str()),
                plain(&lane.reason),
            ],
            details: vec![
                ("pool", lane.pool.clone()),
                ("target", lane.target.clone()),
                ("kind", lane.kind.clone()),
                ("tasks", count(lane.waiting, lane.more)),
                ("oldest", length(lane.waiting_for)),
                ("first task", first),
                ("why it waits", lane.reason.clone()),
            ],
        }
    };
    lanes.into_iter().map(line).collect()
}

fn pools(pools: &[PoolStatistics], order: Order, filter: &Filter) -> Vec<Line> {
    // A pool that is not used and not asked for would only take a line.
    let is_used = |pool: &PoolStatistics| pool.running > 0 || pool.waiting > 0 || pool.paused || filter.text.is_some();
    let is_wanted = |pool: &&PoolStatistics| is_used(pool) && filter.admits(&pool.pool, &[&pool.pool]);
    let mut pools: Vec<&PoolStatistics> = pools.iter().filter(is_wanted).collect();
    match order {
        Order::Running => pools.sort_by_key(|pool| (Reverse(pool.running), &pool.pool)),
        Order::Time => pools.sort_by_key(|pool| (Reverse(pool.waiting_for), &pool.pool)),
        Order::Name => pools.sort_by_key(|pool| &pool.pool),
        _ => pools.sort_by_key(|pool| (Reverse((pool.more, pool.waiting)), &pool.pool)),
    }
    let line = |pool: &PoolStatistics| {
        let is_full = pool.running >= pool.max_workers;
        let oldest = length(pool.waiting_for);
        let name = if pool.paused { format!("{} (paused)", pool.pool) } else { pool.pool.clone() };
        Line {
            key: Key::Pool(pool.pool.clone()),
            cells: vec![
                (name, if pool.paused { Mood::Busy } else { Mood::Plain }),
                (pool.running.to_string(), if is_full { Mood::Busy } else { Mood::Plain }),
                plain(pool.max_workers.to_string()),
                plain(count(pool.waiting, pool.more)),
                plain(oldest.as_str()),
            ],
            details: vec![
                ("pool", pool.pool.clone()),
                ("running", format!("{} of {}", pool.running, pool.max_workers)),
                ("waiting", count(pool.waiting, pool.more)),
                ("oldest", oldest),
                ("retired", yes_or_no(pool.retired)),
                ("paused", yes_or_no(pool.paused)),
            ],
        }
    };
    pools.into_iter().map(line).collect()
}

fn targets(targets: &[TargetStatistics], order: Order, filter: &Filter) -> Vec<Line> {
    let is_wanted = |target: &&TargetStatistics| {
        filter.admits(&target.target, &[&target.target, target.error.as_deref().unwrap_or_default()])
    };
    let mut targets: Vec<&TargetStatistics> = targets.iter().filter(is_wanted).collect();
    let trouble = |target: &TargetStatistics| match target.state {
        TargetState::Lost => 0,
        TargetState::Fencing => 1,
        TargetState::Paused => 2,
        TargetState::Ok | TargetState::Unknown => 3,
        TargetState::Retired => 4,
    };
    match order {
        Order::Running => targets.sort_by_key(|target| (Reverse(target.running), &target.target)),
        Order::Name => targets.sort_by_key(|target| &target.target),
        _ => targets.sort_by_key(|target| (trouble(target), Reverse(target.running), &target.target)),
    }
    let time = |time: Option<_>| Cell::from(time).to_text();
    let line = |target: &TargetStatistics| {
        let Cell::State(state, mood) = Cell::state(target.state.as_str()) else { unreachable!("a state is a state") };
        let error = target.error.as_deref().unwrap_or_default();
        Line {
            key: Key::Target(target.target.clone()),
            cells: vec![
                plain(&target.target),
                (state.clone(), mood),
                plain(target.running.to_string()),
                plain(one_line(error)),
            ],
            details: vec![
                ("target", target.target.clone()),
                ("state", state),
                ("running", target.running.to_string()),
                ("lost since", time(target.since)),
                ("next try", time(target.retry_at)),
                ("tasks fail at", time(target.patience_ends)),
                ("paused", yes_or_no(target.paused)),
                ("error", error.to_owned()),
            ],
        }
    };
    targets.into_iter().map(line).collect()
}

fn yes_or_no(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

fn plain(text: impl Into<String>) -> (String, Mood) {
    (text.into(), Mood::Plain)
}

fn count(number: i64, more: bool) -> String {
    format!("{number}{}", if more { "+" } else { "" })
}

fn length(span: Option<Span>) -> String {
    span.map_or_else(String::new, short_span)
}
