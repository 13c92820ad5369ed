//! `pgasync status`: the state of a server, on one screen or as JSON.

mod document;
mod screen;
mod watch;

use pgasync_store::{LogLine, Statistics, TargetState};

use crate::args::{StatusArgs, StatusFormat};
use crate::failure::{Exit, Failure};
use crate::server::Server;

const WARNINGS_MAX: u32 = 5;

/// The contents of both output formats.
struct Status {
    server: String,
    statistics: Statistics,
    warnings: Vec<LogLine>,
}

/// The answer is negative when no orchestrator leads, or a target is lost.
pub(crate) async fn run(arguments: &StatusArgs) -> Result<Exit, Failure> {
    let server = arguments.server.open()?;
    if let Some(interval) = arguments.watch {
        return watch::run(&server, interval).await;
    }
    let read = read(&server).await;
    let status = server.explained(read).await?;
    crate::print::write(&if arguments.json || arguments.output == StatusFormat::Json {
        format!("{:#}\n", document::json(&status))
    } else {
        format!("{}\n", screen::Screen(&status))
    })?;
    Ok(if status.is_healthy() { Exit::Done } else { Exit::Negative })
}

async fn read(server: &Server) -> Result<Status, Failure> {
    Ok(Status {
        server: server.settings.describe(),
        statistics: server.client.statistics().await?,
        warnings: server.client.warnings(WARNINGS_MAX).await?,
    })
}

impl Status {
    fn is_healthy(&self) -> bool {
        self.statistics.leader.leads && self.statistics.targets.iter().all(|target| target.state != TargetState::Lost)
    }
}
