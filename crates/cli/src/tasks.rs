//! `pgasync tasks`: lists tasks, and follows them.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;
use pgasync_core::{RowState, Span, TaskId, Timestamp};
use pgasync_store::{FoundTask, TaskFilter};

use crate::args::ServerArgs;
use crate::failure::{Exit, Failure};
use crate::output::{Cell, Column, Format, Listing, OutputArgs, Style, first_line, short_span};
use crate::server::Server;
use crate::task_filter::TaskFilterArgs;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  pgasync tasks --failed --ended 1h                what failed in the last hour, and why
  pgasync tasks --phase running --target reports   what runs there now
  pgasync tasks --phase ready --older-than 30m     what has waited for long
  pgasync tasks --text 'refresh' -o json           for a program; the times are in UTC
  pgasync tasks --before 4711                      the page after task 4711
  pgasync tasks --follow --failed                  new failures, as they happen")]
pub(crate) struct TasksArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// These ids; without any, every task
    #[arg(value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    ids: Vec<i64>,
    #[command(flatten)]
    filter: TaskFilterArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// The most tasks that are listed, the newest first
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Only tasks with a lower id: the next page
    #[arg(long, value_name = "ID")]
    before: Option<i64>,
    /// Go on: a line for each task that is pushed or ends, until Ctrl-C. With -o json one object a line
    #[arg(long, short = 'f', conflicts_with = "before")]
    follow: bool,
}

/// The time between two looks of `--follow`.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);

/// A transaction that commits later than this after its push may be missed by `--follow`.
const FOLLOW_OVERLAP: Span = Span::seconds(30);

/// The most changes that one look of `--follow` reads.
const CHANGES_MAX: u32 = 10_000;

const COLUMNS: [Column; 17] = [
    Column::new("task_id", "task"),
    Column::table_only("state", "state"),
    Column::hidden("phase"),
    Column::hidden("finish_status"),
    Column::hidden("failed"),
    Column::new("target", "target"),
    Column::wide("concurrency_pool", "pool"),
    Column::hidden("priority"),
    Column::hidden("source"),
    Column::hidden("attempt"),
    Column::wide("entered", "pushed"),
    Column::hidden("consumed"),
    Column::hidden("processed"),
    Column::wide("waited", "waited"),
    Column::wide("took", "ran"),
    Column::cut("query", "query"),
    Column::cut("processing_error", "error"),
];

pub(crate) async fn run(arguments: &TasksArgs) -> Result<Exit, Failure> {
    let server = arguments.server.open()?;
    let done = list(&server, arguments).await;
    server.explained(done).await
}

async fn list(server: &Server, arguments: &TasksArgs) -> Result<Exit, Failure> {
    server.require_tasks().await?;
    let ids: Vec<TaskId> = arguments.ids.iter().copied().map(TaskId).collect();
    let filter = arguments.filter.filter(&ids);
    let format = arguments.output.output;
    if arguments.follow {
        return follow(server, &filter, arguments.limit, format).await;
    }
    let found = server.client.find(&filter, arguments.before.map(TaskId), arguments.limit).await?;
    listing(&found).write(format)?;
    if format == Format::Table {
        let full = u32::try_from(found.len()).is_ok_and(|count| count == arguments.limit);
        match found.last() {
            None => eprintln!("no task is so"),
            Some(last) if full => eprintln!("{} tasks; the next ones: --before {}", found.len(), last.task),
            Some(_) => {}
        }
    }
    let known: BTreeSet<TaskId> = found.iter().map(|task| task.task).collect();
    let unknown: Vec<String> = ids.iter().filter(|id| !known.contains(id)).map(ToString::to_string).collect();
    if !unknown.is_empty() && arguments.filter.is_empty() && arguments.before.is_none() && ids.len() <= 50 {
        return Err(Failure::new(Exit::Negative, format!("there is no task {}", unknown.join(", "))));
    }
    Ok(Exit::Done)
}

/// The tasks as a listing. A finished task shows its status as its phase.
pub(crate) fn listing(tasks: &[FoundTask]) -> Listing {
    let mut listing = Listing::new("tasks", &COLUMNS);
    for task in tasks {
        listing.add(vec![
            task.task.0.into(),
            Cell::state(if task.phase == RowState::Finished { outcome(task) } else { phase(task.phase) }),
            phase(task.phase).into(),
            task.status.clone().into(),
            task.failed.into(),
            task.target.clone().into(),
            task.pool.clone().into(),
            task.priority.into(),
            task.source.clone().into(),
            task.attempt.into(),
            task.entered.into(),
            task.consumed.into(),
            task.processed.into(),
            task.waited.into(),
            task.took.into(),
            task.query.clone().into(),
            task.error.clone().into(),
        ]);
    }
    listing
}

pub(crate) const fn phase(phase: RowState) -> &'static str {
    match phase {
        RowState::Ready => "READY",
        RowState::Running => "RUNNING",
        RowState::Yielded => "YIELDED",
        RowState::Finished => "FINISHED",
    }
}

fn outcome(task: &FoundTask) -> &str {
    task.status.as_deref().unwrap_or("FINISHED")
}

/// Prints the last tasks, and then each that is pushed or ends.
async fn follow(server: &Server, filter: &TaskFilter, limit: u32, format: Format) -> Result<Exit, Failure> {
    let mut latest = server.client.find(filter, None, limit).await?;
    latest.reverse();
    let begin = server.client.server_time().await?;
    let mut seen = BTreeSet::new();
    let mut after = begin;
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        for task in latest {
            if seen.insert((task.task, task.processed.map(Timestamp::as_micros), task.attempt)) {
                write_line(&task, format)?;
            }
        }
        if crate::print::is_closed() {
            return Ok(Exit::Done);
        }
        tokio::select! {
            _ = &mut interrupted => return Ok(Exit::Done),
            () = tokio::time::sleep(FOLLOW_INTERVAL) => {}
        }
        let back = Timestamp::from_micros(after.as_micros() - FOLLOW_OVERLAP.as_micros());
        let now = server.client.server_time().await?;
        latest = server.client.changes(filter, back.max(begin), CHANGES_MAX).await?;
        after = now;
        // An entry of a task that changed before the overlap is not read again.
        if seen.len() > usize::try_from(CHANGES_MAX).unwrap_or(usize::MAX) * 10 {
            let current: BTreeSet<TaskId> = latest.iter().map(|task| task.task).collect();
            seen.retain(|(task, _, _)| current.contains(task));
        }
    }
}

fn write_line(task: &FoundTask, format: Format) -> Result<(), Failure> {
    let one = listing(std::slice::from_ref(task));
    match format {
        Format::Json => Ok(crate::print::write(&format!("{}\n", one.to_json()[0]))?),
        Format::Csv => Ok(crate::print::write_raw(&one.csv_line(0)?)?),
        Format::Table => Ok(crate::print::write_styled(&line(task, &one, &Style::of_stdout()))?),
    }
}

fn line(task: &FoundTask, listing: &Listing, style: &Style) -> String {
    let when = Cell::from(task.processed.unwrap_or(task.entered)).to_text();
    let state = match &listing.rows[0][1] {
        Cell::State(text, mood) => style.state(&format!("{text:<9}"), *mood),
        other => other.to_text(),
    };
    let took = task.took.map(|took| format!(" in {}", short_span(took))).unwrap_or_default();
    let text = task.error.as_deref().or(task.query.as_deref()).map(first_line).unwrap_or_default();
    let (target, text) = (crate::visible::line(&task.target), crate::visible::line(&text));
    format!("{when} {state} task {} at {target}{took}: {text}\n", task.task)
}
