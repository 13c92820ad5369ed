//! `pgasync status`: the state of a server, on one screen or as JSON.

mod document;
mod screen;
mod watch;

pub(crate) use self::screen::{leader, one_line};
use pgasync_store::{Statistics, TargetState};

use crate::args::StatusArgs;
use crate::failure::{Exit, Failure};
use crate::output::{Format, Style, write_document};
use crate::server::Server;

/// The contents of both output formats.
struct Status {
    server: String,
    statistics: Statistics,
}

/// The answer is negative when no orchestrator leads, or a target is lost.
pub(crate) async fn run(arguments: &StatusArgs) -> Result<Exit, Failure> {
    let format = if arguments.json { Format::Json } else { arguments.output };
    if format == Format::Csv {
        return Err(Failure::usage("the status is several tables, and CSV has one")
            .hint("status -o json has all of it; tasks -o csv lists tasks, report -o csv failures"));
    }
    let server = arguments.server.open()?;
    if let Some(interval) = arguments.watch {
        return watch::run(&server, interval).await;
    }
    let read = read(&server).await;
    let status = server.explained(read).await?;
    match format {
        Format::Json => write_document(&document::json(&status))?,
        Format::Table | Format::Csv => crate::print::write_styled(&screen::text(&status, &Style::of_stdout()))?,
    }
    Ok(if status.is_healthy() { Exit::Done } else { Exit::Negative })
}

async fn read(server: &Server) -> Result<Status, Failure> {
    Ok(Status { server: server.settings.describe(), statistics: server.client.statistics().await? })
}

impl Status {
    fn is_healthy(&self) -> bool {
        self.statistics.leader.leads && self.statistics.targets.iter().all(|target| target.state != TargetState::Lost)
    }
}
