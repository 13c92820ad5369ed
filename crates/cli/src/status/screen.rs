//! The status as tables.

use std::cmp::Reverse;
use std::fmt::{Display, Formatter, Result as FmtResult};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use pgasync_core::Span;
use pgasync_store::{LeaderStatistics, Period, PoolStatistics, Statistics, TargetState};

use super::Status;
use super::document::time;
use crate::output::terminal;
use crate::visible;
use pgasync_text::short_span;

/// The number of rows of a table that are shown. Further rows are only counted.
const ROWS_MAX: usize = 12;

const RUNNING_ROWS_MAX: usize = 5;

const FAILURE_ROWS_MAX: usize = 5;

pub(super) struct Screen<'a>(pub(super) &'a Status);

impl Display for Screen<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        let statistics = &self.0.statistics;
        writeln!(f, "{}: {}", self.0.server, leader(&statistics.leader))?;
        writeln!(
            f,
            "{} of {} workers busy; {} tasks wait{}",
            statistics.workers_busy,
            statistics.workers,
            statistics.waiting_tasks,
            drained_in(statistics),
        )?;
        let seconds = &statistics.last_seconds;
        writeln!(
            f,
            "last 5 s: {:.1} a second; last minute: {}; last hour: {}",
            seconds.ended_per_second,
            ends(&statistics.last_minute),
            ends(&statistics.last_hour),
        )?;
        self.write_trouble(f)?;
        self.write_failures(f)?;
        self.write_waiting(f)?;
        self.write_pools(f)?;
        self.write_running(f)?;
        self.write_warnings(f)
    }
}

impl Screen<'_> {
    fn write_trouble(&self, f: &mut Formatter<'_>) -> FmtResult {
        let is_trouble = |state| matches!(state, TargetState::Lost | TargetState::Fencing);
        let rows = self.0.statistics.targets.iter().filter(|target| is_trouble(target.state)).map(|target| {
            let since = time(target.since).unwrap_or_default();
            let error = target.error.as_deref().and_then(|error| error.lines().next()).unwrap_or_default();
            [target.target.clone(), target.state.as_str().to_owned(), since, error.to_owned()]
        });
        write_table(f, "Targets in trouble", ["target", "state", "since", "error"], &[], rows.collect(), ROWS_MAX)
    }

    fn write_failures(&self, f: &mut Formatter<'_>) -> FmtResult {
        let rows = self.0.statistics.failures.iter().map(|failure| {
            let last = time(failure.last_failed).unwrap_or_default();
            let error = [failure.sqlstate.clone().unwrap_or_default(), failure.message.clone()].join(" ");
            let task = failure.last_task.to_string();
            [failure.target.clone(), failure.finish_status.clone(), failure.tasks.to_string(), last, task, error]
        });
        let header = ["target", "status", "tasks", "last", "last task", "error"];
        write_table(f, "Failures of the last 24 hours", header, &[2, 4], rows.collect(), FAILURE_ROWS_MAX)
    }

    fn write_waiting(&self, f: &mut Formatter<'_>) -> FmtResult {
        let mut lanes: Vec<_> = self.0.statistics.waiting.iter().collect();
        lanes.sort_by_key(|lane| Reverse(lane.waiting_for));
        let rows = lanes.into_iter().map(|lane| {
            let first = lane.first.map(|task| task.to_string()).unwrap_or_default();
            let waiting = count(lane.waiting, lane.more);
            [lane.pool.clone(), lane.target.clone(), waiting, length(lane.waiting_for), first, lane.reason.clone()]
        });
        let header = ["pool", "target", "waiting", "oldest", "first task", "why it waits"];
        write_table(f, "Waiting", header, &[2, 3, 4], rows.collect(), ROWS_MAX)
    }

    fn write_pools(&self, f: &mut Formatter<'_>) -> FmtResult {
        let is_used = |pool: &&PoolStatistics| pool.running > 0 || pool.waiting > 0;
        let mut pools: Vec<_> = self.0.statistics.pools.iter().filter(is_used).collect();
        pools.sort_by_key(|pool| Reverse((pool.waiting, pool.running)));
        let rows = pools.into_iter().map(|pool| {
            let running = format!("{} of {}", pool.running, pool.max_workers);
            [pool.pool.clone(), running, count(pool.waiting, pool.more), length(pool.waiting_for)]
        });
        write_table(f, "Pools in use", ["pool", "running", "waiting", "oldest"], &[1, 2, 3], rows.collect(), ROWS_MAX)
    }

    fn write_running(&self, f: &mut Formatter<'_>) -> FmtResult {
        let running = self.0.statistics.running.iter().take(RUNNING_ROWS_MAX).map(|task| {
            [task.task.to_string(), task.target.clone(), task.pool.clone(), length(Some(task.running_for))]
        });
        let header = ["task", "target", "pool", "running for"];
        write_table(f, "Running longest", header, &[0, 3], running.collect(), ROWS_MAX)
    }

    fn write_warnings(&self, f: &mut Formatter<'_>) -> FmtResult {
        if self.0.warnings.is_empty() {
            return write!(f, "\nNo warnings within a day.");
        }
        write!(f, "\nLast warnings:")?;
        for line in &self.0.warnings {
            let message = line.message.lines().next().unwrap_or_default();
            write!(f, "\n  {} {} {message}", time(Some(line.happened)).unwrap_or_default(), line.level)?;
        }
        Ok(())
    }
}

fn leader(leader: &LeaderStatistics) -> String {
    if !leader.leads {
        if !leader.enabled {
            return "NO LEADER; async.control.enabled is false".to_owned();
        }
        return match (leader.standbys, leader.takeover_grace) {
            (0, _) => "NO LEADER; start one with pgasync run or call async.main()".to_owned(),
            (_, None) => "no leader; a standby takes over".to_owned(),
            (_, grace) => format!("no leader; a standby takes over within {}", length(grace)),
        };
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
    words.extend(time(leader.since).map(|since| format!("since {since}")));
    if leader.standbys > 0 {
        words.push(format!("{} on standby", leader.standbys));
    }
    if !leader.enabled {
        words.push("STOPPING".to_owned());
    } else if leader.paused {
        words.push("PAUSED".to_owned());
    }
    words.join(", ")
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
    if statistics.waiting_tasks == 0 || rate <= 0.0 {
        return String::new();
    }
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "an estimate")]
    let seconds = (statistics.waiting_tasks as f64 / rate) as i64;
    format!(", done in {}", length(Some(Span::seconds(seconds))))
}

fn write_table<const N: usize>(
    f: &mut Formatter<'_>,
    title: &str,
    header: [&str; N],
    numbers: &[usize],
    rows: Vec<[String; N]>,
    rows_max: usize,
) -> FmtResult {
    if rows.is_empty() {
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(terminal::width()).set_header(header);
    for number in numbers {
        table.column_mut(*number).into_iter().for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    }
    let left_out = rows.len().saturating_sub(rows_max);
    for row in rows.into_iter().take(rows_max) {
        table.add_row(row.iter().map(|cell| visible::line(cell)));
    }
    writeln!(f, "\n{title}:\n{table}")?;
    if left_out > 0 {
        writeln!(f, "and {left_out} more")?;
    }
    Ok(())
}

fn count(number: i64, more: bool) -> String {
    format!("{number}{}", if more { "+" } else { "" })
}

fn length(span: Option<Span>) -> String {
    span.map_or_else(String::new, short_span)
}
