//! `pgasync push`: tasks from arguments, files and standard input.

mod arguments;
mod elements;
mod wait;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pgasync_core::TaskId;
use pgasync_pg::Session;
use pgasync_store::{PushError, Pushed, push_json_in};
use serde_json::Value;

pub(crate) use self::arguments::PushArgs;
use self::elements::Element;
use crate::failure::{Exit, Failure};
use crate::output::{Column, Format, Listing, terminal};
use crate::server::Server;

/// The tasks of one call. All calls are one transaction.
const CHUNK_MAX: usize = 1_000;

/// More pushed tasks are counted, not listed.
const LISTED_MAX: usize = 50;

pub(crate) async fn run(arguments: &PushArgs) -> Result<Exit, Failure> {
    let server = arguments.server.open()?;
    let done = push(&server, arguments).await;
    server.explained(done).await
}

async fn push(server: &Server, arguments: &PushArgs) -> Result<Exit, Failure> {
    let elements = elements::read(server, arguments).await?;
    if elements.is_empty() {
        return Err(Failure::usage("there is nothing to push: the input has no task"));
    }
    let pushed = push_all(server, &elements).await?;
    let ids: Vec<TaskId> = pushed.iter().filter_map(|task| task.task).collect();
    if arguments.wait && !ids.is_empty() {
        return wait::until_ended(server, &ids, arguments).await;
    }
    write(&elements, &pushed, arguments.output.output)?;
    Ok(Exit::Done)
}

/// Pushes all of them, or none.
async fn push_all(server: &Server, elements: &[Element]) -> Result<Vec<Pushed>, Failure> {
    let session = server.connect().await?;
    let bar = progress(elements.len());
    let mut pushed = Vec::with_capacity(elements.len());
    session.batch_execute("begin").await?;
    for chunk in elements.chunks(CHUNK_MAX) {
        pushed.extend(push_chunk(&session, chunk).await?);
        bar.set_position(u64::try_from(pushed.len()).unwrap_or(u64::MAX));
    }
    session.batch_execute("commit").await.map_err(|error| {
        let text = format!("it is not known whether the tasks were pushed: {error}");
        Failure::new(Exit::Negative, text).hint("look with pgasync tasks --newer-than 5m before you push them again")
    })?;
    bar.finish_and_clear();
    Ok(pushed)
}

/// An error names the place of the element in its input, besides its number in the chunk.
async fn push_chunk(session: &Session, chunk: &[Element]) -> Result<Vec<Pushed>, Failure> {
    let tasks = Value::Array(chunk.iter().map(|element| element.task.clone()).collect());
    let pushed = push_json_in(session, &tasks).await;
    pushed.map_err(|error| {
        let place = refused_number(&error).and_then(|number| chunk.get(number.checked_sub(1)?));
        let place = place.map(|element| element.place.clone());
        let failure = Failure::from(error);
        match place {
            Some(place) => failure.within(&place).hint("nothing was pushed"),
            None => failure,
        }
    })
}

/// The number in `task 3: ...` or `task 3.run_at: ...`.
fn refused_number(error: &PushError) -> Option<usize> {
    let text = error.to_string();
    let (_, rest) = text.split_once("task ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit())?;
    rest[..digits].parse().ok()
}

fn progress(count: usize) -> ProgressBar {
    if count <= CHUNK_MAX || !terminal::has_progress() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(u64::try_from(count).ok(), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("pushing {bar:30} {pos} of {len}, {per_sec}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn write(elements: &[Element], pushed: &[Pushed], format: Format) -> Result<(), Failure> {
    let mut listing = Listing::new(
        "tasks",
        &[Column::new("task_id", "task"), Column::new("target", "target"), Column::new("duplicate", "duplicate")],
    );
    for (element, task) in elements.iter().zip(pushed) {
        let target = element.task.get("target").and_then(Value::as_str);
        listing.add(vec![task.task.map(|task| task.0).into(), target.into(), task.duplicate.into()]);
    }
    if format == Format::Table && pushed.len() > LISTED_MAX {
        return Ok(crate::print::write(&format!("{}\n", summary(pushed)))?);
    }
    listing.write(format)
}

fn summary(pushed: &[Pushed]) -> String {
    let duplicates = pushed.iter().filter(|task| task.duplicate).count();
    let new = || pushed.iter().filter(|task| !task.duplicate).filter_map(|task| task.task);
    let range = match (new().min(), new().max()) {
        (Some(first), Some(last)) => format!(", {first} to {last}"),
        _ => String::new(),
    };
    let note = if duplicates > 0 { format!("; {duplicates} duplicates of unique keys") } else { String::new() };
    format!("{} tasks are pushed{range}{note}", pushed.len() - duplicates)
}
