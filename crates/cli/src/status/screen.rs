//! The status as lines and tables that fit a width.

use std::cmp::Reverse;

use pgasync_core::Span;
use pgasync_store::{LeaderStatistics, Period, PoolStatistics, Statistics, TargetState};

use super::Status;
use crate::output::width::fold;
use crate::output::{Cell, Column, Listing, Mood, Style, first_line, short_span, tables};
use crate::visible;

/// The number of rows of a table that are shown. Further rows are only counted.
const ROWS_MAX: usize = 12;

const RUNNING_ROWS_MAX: usize = 5;

const FAILURE_ROWS_MAX: usize = 5;

/// The screen, ending in a line break.
pub(super) fn text(status: &Status, style: &Style) -> String {
    let statistics = &status.statistics;
    let (leader, mood) = leader(&statistics.leader);
    let mut lines = folded(&status.server, style, |line| style.heading(line));
    lines += &folded(&leader, style, |line| style.state(line, mood));
    lines += &folded(&load(statistics), style, str::to_owned);
    lines += &folded(&rates(statistics), style, str::to_owned);
    let shown = [
        trouble(statistics),
        failures(statistics),
        waiting(statistics),
        pools(statistics),
        running(statistics),
        warnings(statistics),
    ];
    let shown: Vec<(&str, &Listing)> = shown.iter().map(|(title, listing)| (title.as_str(), listing)).collect();
    lines += "\n";
    lines += &tables(&shown, style);
    if statistics.warnings.is_empty() {
        lines += "\nNo warnings within a day.\n";
    }
    lines
}

/// A line of this program with texts of others, in as many lines as the width needs.
fn folded(text: &str, style: &Style, paint: impl Fn(&str) -> String) -> String {
    let lines = fold(&visible::line(text), usize::from(style.width));
    lines.iter().map(|line| paint(line) + "\n").collect()
}

fn load(statistics: &Statistics) -> String {
    let (busy, workers) = (statistics.workers_busy, statistics.workers);
    let waiting = statistics.waiting_tasks.unwrap_or_default();
    format!("{busy} of {workers} workers busy; {waiting} tasks wait{}", drained_in(statistics))
}

fn rates(statistics: &Statistics) -> String {
    let rate = statistics.last_seconds.ended_per_second;
    let hour = statistics.last_hour.unwrap_or_default();
    format!("last 5 s: {rate:.1} a second; last minute: {}; last hour: {}", ends(&statistics.last_minute), ends(&hour))
}

/// The title, with the number of rows if not all of them are shown.
fn limited(title: &str, mut listing: Listing, rows_max: usize) -> (String, Listing) {
    let all = listing.rows.len();
    listing.rows.truncate(rows_max);
    let title = if all > rows_max { format!("{title} ({rows_max} of {all})") } else { title.to_owned() };
    (title, listing)
}

fn trouble(statistics: &Statistics) -> (String, Listing) {
    let columns = [
        Column::new("target", "target"),
        Column::new("state", "state"),
        Column::wide("since", "since"),
        Column::folded("error", "error"),
    ];
    let mut listing = Listing::new("targets", &columns);
    let is_trouble = |state| matches!(state, TargetState::Lost | TargetState::Fencing);
    for target in statistics.targets.iter().filter(|target| is_trouble(target.state)) {
        listing.add(vec![
            target.target.as_str().into(),
            Cell::state(target.state.as_str()),
            target.since.into(),
            target.error.as_deref().map(first_line).into(),
        ]);
    }
    limited("Targets in trouble", listing, ROWS_MAX)
}

fn failures(statistics: &Statistics) -> (String, Listing) {
    let columns = [
        Column::new("target", "target"),
        Column::new("finish_status", "status"),
        Column::new("tasks", "tasks"),
        Column::wide("last_failed", "last"),
        Column::new("last_task_id", "last task"),
        Column::folded("error", "error"),
    ];
    let mut listing = Listing::new("failures", &columns);
    for failure in &statistics.failures {
        let error = [failure.sqlstate.as_deref().unwrap_or_default(), &failure.message].join(" ");
        listing.add(vec![
            failure.target.as_str().into(),
            Cell::state(&failure.finish_status),
            failure.tasks.into(),
            failure.last_failed.into(),
            failure.last_task.0.into(),
            error.trim().into(),
        ]);
    }
    limited("Failures of the last 24 hours", listing, FAILURE_ROWS_MAX)
}

fn waiting(statistics: &Statistics) -> (String, Listing) {
    let columns = [
        Column::new("concurrency_pool", "pool"),
        Column::new("target", "target"),
        Column::new("waiting", "waiting"),
        Column::new("waiting_for", "oldest"),
        Column::wide("first_task_id", "first task"),
        Column::folded("reason", "why it waits"),
    ];
    let mut listing = Listing::new("waiting", &columns);
    let mut lanes: Vec<_> = statistics.waiting.iter().collect();
    lanes.sort_by_key(|lane| Reverse(lane.waiting_for));
    for lane in lanes {
        listing.add(vec![
            lane.pool.as_str().into(),
            lane.target.as_str().into(),
            count(lane.waiting, lane.more),
            lane.waiting_for.into(),
            lane.first.map(|task| task.0).into(),
            lane.reason.as_str().into(),
        ]);
    }
    limited("Waiting", listing, ROWS_MAX)
}

fn pools(statistics: &Statistics) -> (String, Listing) {
    let columns = [
        Column::new("concurrency_pool", "pool"),
        Column::new("running", "running"),
        Column::new("waiting", "waiting"),
        Column::new("waiting_for", "oldest"),
    ];
    let mut listing = Listing::new("pools", &columns);
    let is_used = |pool: &&PoolStatistics| pool.running > 0 || pool.waiting > 0;
    let mut pools: Vec<_> = statistics.pools.iter().filter(is_used).collect();
    pools.sort_by_key(|pool| Reverse((pool.waiting, pool.running)));
    for pool in pools {
        let is_full = pool.running >= pool.max_workers;
        let running = format!("{} of {}", pool.running, pool.max_workers);
        listing.add(vec![
            pool.pool.as_str().into(),
            Cell::State(running, if is_full { Mood::Busy } else { Mood::Plain }),
            count(pool.waiting, pool.more),
            pool.waiting_for.into(),
        ]);
    }
    limited("Pools in use", listing, ROWS_MAX)
}

fn running(statistics: &Statistics) -> (String, Listing) {
    let columns = [
        Column::new("task_id", "task"),
        Column::new("target", "target"),
        Column::wide("concurrency_pool", "pool"),
        Column::new("running_for", "running for"),
        Column::cut("query", "query"),
    ];
    let mut listing = Listing::new("running", &columns);
    for task in statistics.running.iter().take(RUNNING_ROWS_MAX) {
        listing.add(vec![
            task.task.0.into(),
            task.target.as_str().into(),
            task.pool.as_str().into(),
            task.running_for.into(),
            task.query.as_deref().map_or_else(|| "(a client has taken it)".to_owned(), one_line).into(),
        ]);
    }
    ("Running longest".to_owned(), listing)
}

fn warnings(statistics: &Statistics) -> (String, Listing) {
    let columns =
        [Column::new("happened", "when"), Column::new("level", "level"), Column::folded("message", "message")];
    let mut listing = Listing::new("warnings", &columns);
    for line in &statistics.warnings {
        let mood = if line.level == "ERROR" { Mood::Bad } else { Mood::Busy };
        let level = Cell::State(line.level.clone(), mood);
        listing.add(vec![line.happened.into(), level, first_line(&line.message).into()]);
    }
    ("Last warnings".to_owned(), listing)
}

/// A query with its white space as single spaces.
pub(crate) fn one_line(query: &str) -> String {
    query.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The leader in words, and whether that is well.
pub(crate) fn leader(leader: &LeaderStatistics) -> (String, Mood) {
    if !leader.leads {
        let text = match (leader.enabled, leader.standbys, leader.takeover_grace) {
            (false, ..) => "NO LEADER; async.control.enabled is false".to_owned(),
            (true, 0, _) => "NO LEADER; start one with pgasync run or call async.main()".to_owned(),
            (true, _, None) => "no leader; a standby takes over".to_owned(),
            (true, _, Some(grace)) => format!("no leader; a standby takes over within {}", short_span(grace)),
        };
        let text = if leader.paused { text + "; PAUSED" } else { text };
        let is_passing = leader.enabled && leader.standbys > 0;
        return (text, if is_passing { Mood::Busy } else { Mood::Bad });
    }
    let engine = match leader.engine.as_deref() {
        Some("rust") => "pgasync run",
        Some("sql") => "call async.main()",
        Some(other) => other,
        None => "an unknown engine",
    };
    let mut words = vec![format!("{engine} leads")];
    words.extend(leader.epoch.map(|epoch| format!("epoch {epoch}")));
    words.extend(leader.pid.map(|pid| format!("backend {pid}")));
    words.extend(leader.host.as_ref().map(|host| format!("from {host}")));
    words.extend(leader.since.map(|since| format!("since {}", Cell::from(since).to_text())));
    if leader.standbys > 0 {
        words.push(format!("{} on standby", leader.standbys));
    }
    if !leader.enabled {
        words.push("STOPPING".to_owned());
    } else if leader.paused {
        words.push("PAUSED".to_owned());
    }
    let mood = if leader.enabled && !leader.paused { Mood::Good } else { Mood::Busy };
    (words.join(", "), mood)
}

/// The ends of a period. Every task that did not finish counts once.
fn ends(period: &Period) -> String {
    let failed = period.failed - period.canceled - period.timed_out;
    let counts = [(failed, "failed"), (period.timed_out, "timed out"), (period.canceled, "canceled")];
    let mut text = format!("{} ended", period.ended);
    for (count, word) in counts {
        if count > 0 {
            text += &format!(", {count} {word}");
        }
    }
    text
}

/// When no task waits any more, at the rate of the last five seconds and without further pushes.
fn drained_in(statistics: &Statistics) -> String {
    let rate = statistics.last_seconds.ended_per_second;
    let waiting = statistics.waiting_tasks.unwrap_or_default();
    if waiting == 0 || rate <= 0.0 {
        return String::new();
    }
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "an estimate")]
    let seconds = (waiting as f64 / rate) as i64;
    format!(", done in {}", short_span(Span::seconds(seconds)))
}

/// A number that may be cut.
fn count(number: i64, more: bool) -> Cell {
    if more { Cell::Text(format!("{number}+")) } else { number.into() }
}
