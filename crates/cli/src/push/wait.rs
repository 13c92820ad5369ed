//! `pgasync push --wait`: the ends of the pushed tasks.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pgasync_core::{Span, TaskId, Timestamp};
use pgasync_store::TaskStatus;

use super::PushArgs;
use crate::failure::{Exit, Failure};
use crate::output::{Cell, Column, Listing, terminal};
use crate::server::Server;
use crate::show;

/// The wait of one call, after which progress is shown.
const STEP: Duration = Duration::from_secs(2);

/// The tasks of one call; the others have their turn afterwards.
const TASKS_PER_CALL_MAX: usize = 1_000;

/// Waits, and prints the outcomes. The exit code tells of a failed task, and of one that goes on.
pub(super) async fn until_ended(server: &Server, ids: &[TaskId], arguments: &PushArgs) -> Result<Exit, Failure> {
    let begin = Instant::now();
    let patience =
        arguments.wait_timeout.map(|span| Duration::from_micros(u64::try_from(span.as_micros()).unwrap_or(0)));
    let left = || patience.map_or(STEP, |patience| patience.saturating_sub(begin.elapsed()));
    let bar = progress(ids.len());
    let mut open = ids.to_vec();
    open.sort_unstable();
    open.dedup();
    let (all, mut warned, mut outcomes) = (open.len(), false, Vec::new());
    while !open.is_empty() {
        let part: Vec<TaskId> = open.iter().copied().take(TASKS_PER_CALL_MAX).collect();
        let mut ended = server.client.wait(&part, STEP.min(left())).await?;
        let ids: BTreeSet<TaskId> = ended.iter().map(|task| task.task).collect();
        open.retain(|task| !ids.contains(task));
        outcomes.append(&mut ended);
        bar.set_position(u64::try_from(all - open.len()).unwrap_or(0));
        if left().is_zero() {
            break;
        }
        if !warned && ids.is_empty() && nobody_leads(server).await {
            warned = true;
            bar.suspend(|| eprintln!("pgasync: no orchestrator leads, so the tasks wait: start pgasync run"));
        }
    }
    bar.finish_and_clear();
    outcomes.sort_by_key(|task| task.task);
    report(server, &outcomes, open.len(), arguments).await
}

async fn report(server: &Server, outcomes: &[TaskStatus], open: usize, arguments: &PushArgs) -> Result<Exit, Failure> {
    let failed = outcomes.iter().any(|task| task.failed == Some(true));
    match outcomes {
        [task] if arguments.keep_result && !failed && open == 0 => {
            show::write_result(server, task.task, arguments.output.output).await?;
        }
        _ => listing(outcomes).write(arguments.output.output)?,
    }
    if open > 0 {
        let text =
            format!("{open} of {} tasks have not ended within --wait-timeout; they go on", open + outcomes.len());
        return Err(Failure::new(Exit::Negative, text));
    }
    Ok(if failed { Exit::Negative } else { Exit::Done })
}

fn listing(outcomes: &[TaskStatus]) -> Listing {
    let mut listing = Listing::new(
        "tasks",
        &[
            Column::new("task_id", "task"),
            Column::new("finish_status", "status"),
            Column::new("target", "target"),
            Column::new("waited", "waited"),
            Column::new("took", "ran"),
            Column::cut("processing_error", "error"),
        ],
    );
    for task in outcomes {
        let between = |from: Timestamp, to: Timestamp| Span::micros(to.as_micros().saturating_sub(from.as_micros()));
        listing.add(vec![
            task.task.0.into(),
            task.status.map_or(Cell::Null, |status| Cell::state(status.as_str())),
            task.target.as_str().into(),
            task.started.or(task.ended).map(|started| between(task.entered, started)).into(),
            task.started.zip(task.ended).map(|(started, ended)| between(started, ended)).into(),
            task.error.clone().into(),
        ]);
    }
    listing
}

/// Whether no orchestrator leads, as far as the role may know.
async fn nobody_leads(server: &Server) -> bool {
    server.client.leader().await.is_ok_and(|leader| !leader.leads)
}

fn progress(count: usize) -> ProgressBar {
    if !terminal::has_progress() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(u64::try_from(count).ok(), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("waiting {bar:30} {pos} of {len} ended, {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}
