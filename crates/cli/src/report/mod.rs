//! `pgasync report`: what ended in a window of time, how, and how fast.

mod read;

use clap::Args;
use pgasync_core::Span;

pub(crate) use self::read::{Kind, Reports, Window};
use crate::args::ServerArgs;
use crate::duration;
use crate::failure::{Exit, Failure};
use crate::output::{Format, OutputArgs, write_all};
use crate::server::Server;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  pgasync report                             the last 24 hours
  pgasync report --since 8h --target reports
  pgasync report --since 26h --until 2h      the night before
  pgasync report --by data.kind              groups by task_data ->> 'kind' instead of the source
  pgasync report -o csv                      the errors as CSV")]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Tasks that ended within this time
    #[arg(long, value_name = "TIME", value_parser = duration::span, default_value = "24h")]
    since: Span,
    /// Without those that ended within this time
    #[arg(long, value_name = "TIME", value_parser = duration::span, default_value = "0s")]
    until: Span,
    /// Only at this target; several: at these
    #[arg(long, short = 't', value_name = "TARGET")]
    target: Vec<String>,
    /// What kinds of tasks are: source, unique_key, schedule, or data.KEY for a key of task_data
    #[arg(long, value_name = "WHAT", default_value = "source", value_parser = Kind::parse)]
    by: Kind,
    #[command(flatten)]
    output: OutputArgs,
}

/// The answer is negative if a task failed in the window.
pub(crate) async fn run(arguments: &ReportArgs) -> Result<Exit, Failure> {
    if arguments.until >= arguments.since {
        return Err(Failure::usage("--until must be less than --since: both say how long ago"));
    }
    let server = arguments.server.open()?;
    let done = report(&server, arguments).await;
    server.explained(done).await
}

async fn report(server: &Server, arguments: &ReportArgs) -> Result<Exit, Failure> {
    server.require_tasks().await?;
    let session = server.connect().await?;
    let window = Window::Ended {
        since: arguments.since,
        until: arguments.until,
        targets: Some(arguments.target.clone()).filter(|targets| !targets.is_empty()),
    };
    let reports = Reports::read(&session, &window, &arguments.by).await?;
    if reports.outcomes.rows.is_empty() && arguments.output.output == Format::Table {
        eprintln!("no task ended in this time");
    }
    write_all(
        &[
            ("Errors", &reports.errors),
            ("Outcomes by target and pool", &reports.outcomes),
            ("Waits and runs", &reports.kinds),
        ],
        arguments.output.output,
    )?;
    Ok(if reports.errors.rows.is_empty() { Exit::Done } else { Exit::Negative })
}
