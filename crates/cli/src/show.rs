//! `pgasync show`: everything about one task.

use clap::Args;
use pgasync_core::TaskId;
use pgasync_store::{FoundTask, TaskDetails, TaskResult};
use serde_json::{Value, json};

use crate::args::ServerArgs;
use crate::failure::{Exit, Failure};
use crate::output::{Cell, Column, Format, Listing, OutputArgs, Style, document, write_document};
use crate::server::Server;
use crate::tasks::phase;
use crate::visible;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  pgasync show 4711              the row, open requests, ended attempts, the query, the error, the result
  pgasync show 4711 -o json      the same for a program
  pgasync show 4711 --result     only the rows that were kept")]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The id of the task
    #[arg(value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    id: i64,
    /// Print the rows of its query only, which --keep-result keeps
    #[arg(long)]
    result: bool,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(arguments: &ShowArgs) -> Result<Exit, Failure> {
    let server = arguments.server.open()?;
    let done = show(&server, arguments).await;
    server.explained(done).await
}

async fn show(server: &Server, arguments: &ShowArgs) -> Result<Exit, Failure> {
    let (task, format) = (TaskId(arguments.id), arguments.output.output);
    if arguments.result {
        write_result(server, task, format).await?;
        return Ok(Exit::Done);
    }
    server.require_tasks().await?;
    let Some(details) = server.client.details(task).await? else {
        let text = format!("there is no task {task}");
        return Err(
            Failure::new(Exit::Negative, text).hint("finished tasks are deleted after control.task_keep_duration")
        );
    };
    let result = if details.keep_result { server.client.result(task).await? } else { None };
    match format {
        Format::Table => Ok(crate::print::write_styled(&text(&details, result.as_ref()))?),
        Format::Json => write_document(&in_json(&details, result.as_ref())),
        Format::Csv => row(&details).write(Format::Csv),
    }?;
    Ok(Exit::Done)
}

/// The rows of a task as a listing.
pub(crate) async fn write_result(server: &Server, task: TaskId, format: Format) -> Result<(), Failure> {
    let result = server.client.result(task).await?;
    let Some(result) = result else {
        let text = format!("task {task} has no result that you may read");
        return Err(Failure::new(Exit::Negative, text).hint("push with --keep-result to keep the rows of a query"));
    };
    if let Some(error) = &result.error {
        eprintln!("pgasync: {}", visible::line(error));
    } else if result.truncated {
        let count = result.row_count.map_or_else(|| "more".to_owned(), |count| count.to_string());
        eprintln!("pgasync: the rows are cut at control.result_bytes_max; the query returned {count}");
    }
    if format == Format::Json {
        return write_document(&document([("result", result_json(&result))]));
    }
    let rows = rows_of(&result);
    if rows.columns.is_empty() {
        return Ok(crate::print::write(&format!("{} rows\n", result.row_count.unwrap_or(0)))?);
    }
    rows.write(format)
}

/// The kept rows. The columns are those of the first row that has them.
fn rows_of(result: &TaskResult) -> Listing {
    let empty = Vec::new();
    let rows = result.rows.as_ref().and_then(Value::as_array).unwrap_or(&empty);
    let mut names: Vec<&String> = Vec::new();
    for name in rows.iter().filter_map(Value::as_object).flat_map(serde_json::Map::keys) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    // A listing has static names; those of a result live as long as the process.
    let columns: Vec<Column> = names
        .iter()
        .map(|name| {
            let name: &'static str = Box::leak(name.to_string().into_boxed_str());
            Column::new(name, name)
        })
        .collect();
    let mut listing = Listing::new("rows", &columns);
    for row in rows {
        listing.add(names.iter().map(|name| cell(row.get(name.as_str()))).collect());
    }
    listing
}

fn cell(value: Option<&Value>) -> Cell {
    match value {
        None | Some(Value::Null) => Cell::Null,
        Some(Value::String(text)) => Cell::from(text.clone()),
        Some(Value::Number(number)) => number.as_i64().map_or_else(|| Cell::from(json!(number)), Cell::from),
        Some(other) => Cell::from(other.clone()),
    }
}

fn result_json(result: &TaskResult) -> Value {
    json!({
        "run": result.run.0, "row_count": result.row_count, "rows": result.rows, "truncated": result.truncated,
        "bytes": result.bytes, "error": result.error,
    })
}

/// The columns of the task. Those that are null are left out of the table.
fn row(details: &TaskDetails) -> Listing {
    let task: &FoundTask = &details.task;
    let cells: Vec<(&'static str, Cell)> = vec![
        ("task_id", task.task.0.into()),
        ("phase", Cell::state(phase(task.phase))),
        ("finish_status", task.status.as_deref().map_or(Cell::Null, Cell::state)),
        ("failed", task.failed.into()),
        ("target", task.target.clone().into()),
        ("concurrency_pool", task.pool.clone().into()),
        ("priority", task.priority.into()),
        ("source", task.source.clone().into()),
        ("pushed_by", details.pushed_by.clone().into()),
        ("ended_by", details.ended_by.clone().into()),
        ("entered", task.entered.into()),
        ("consumed", task.consumed.into()),
        ("yielded", details.yielded.into()),
        ("processed", task.processed.into()),
        ("waited", task.waited.into()),
        ("took", task.took.into()),
        ("eligible_when", details.eligible_when.into()),
        ("times_up", details.times_up.into()),
        ("run_at", details.run_at.into()),
        ("expires_at", details.expires_at.into()),
        ("manual_timeout", details.timeout.into()),
        ("run", details.run.into()),
        ("attempt", task.attempt.into()),
        ("retry", details.retry.clone().into()),
        ("unique_key", details.unique_key.clone().into()),
        ("schedule", details.schedule.clone().into()),
        ("scheduled_for", details.scheduled_for.into()),
        ("asynchronous_finish", details.asynchronous_finish.into()),
        ("tracked", details.tracked.into()),
        ("keep_result", details.keep_result.into()),
        ("task_data", details.data.clone().into()),
        ("query", task.query.clone().into()),
        ("processing_error", task.error.clone().into()),
    ];
    let columns: Vec<Column> = cells.iter().map(|(name, _)| Column::new(name, name)).collect();
    let mut listing = Listing::new("task", &columns);
    listing.add(cells.into_iter().map(|(_, cell)| cell).collect());
    listing
}

fn requests(details: &TaskDetails) -> Listing {
    let columns =
        ["status", "error_message", "duration", "requested", "requested_by"].map(|name| Column::new(name, name));
    let mut listing = Listing::new("requests", &columns);
    for request in &details.requests {
        listing.add(vec![
            Cell::state(&request.status),
            request.message.clone().into(),
            request.duration.into(),
            request.requested.into(),
            request.requested_by.clone().into(),
        ]);
    }
    listing
}

fn attempts(details: &TaskDetails) -> Listing {
    let columns =
        ["run", "attempt", "began", "ended", "status", "ended_by", "error"].map(|name| Column::new(name, name));
    let mut listing = Listing::new("attempts", &columns);
    for attempt in &details.attempts {
        listing.add(vec![
            attempt.run.into(),
            attempt.attempt.into(),
            attempt.began.into(),
            attempt.ended.into(),
            Cell::state(&attempt.status),
            attempt.ended_by.clone().into(),
            attempt.error.clone().into(),
        ]);
    }
    listing
}

fn in_json(details: &TaskDetails, result: Option<&TaskResult>) -> Value {
    document([
        ("task", row(details).to_json()[0].clone()),
        ("requests", requests(details).to_json()),
        ("attempts", attempts(details).to_json()),
        ("result", result.map_or(Value::Null, result_json)),
    ])
}

fn text(details: &TaskDetails, result: Option<&TaskResult>) -> String {
    let style = Style::of_stdout();
    let row = row(details);
    let mut text = String::new();
    for (column, cell) in row.columns.iter().zip(&row.rows[0]) {
        if *cell == Cell::Null || ["query", "processing_error"].contains(&column.name) {
            continue;
        }
        let shown = match cell {
            Cell::State(state, mood) => style.state(state, *mood),
            other => visible::line(&other.to_text()).into_owned(),
        };
        text += &format!("{:<20} {shown}\n", column.name);
    }
    let parts = [("query", details.task.query.as_deref()), ("processing_error", details.task.error.as_deref())];
    for (title, part) in parts {
        if let Some(part) = part {
            text += &format!("\n{}\n{}\n", style.heading(title), indented(part));
        }
    }
    for (title, listing) in [("open requests", requests(details)), ("ended attempts", attempts(details))] {
        if !listing.rows.is_empty() {
            text += &format!("\n{}\n{}", style.heading(title), listing.to_table(&style));
        }
    }
    if let Some(result) = result {
        text += &format!("\n{}\n{}", style.heading("result"), rows_of(result).to_table(&style));
    }
    text
}

fn indented(text: &str) -> String {
    let lines: Vec<String> = visible::lines(text).trim_end().lines().map(|line| format!("  {line}")).collect();
    lines.join("\n")
}
