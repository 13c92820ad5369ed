//! `pgasync status`: the state of a server, on one screen or as JSON.

mod document;
mod screen;

use std::process::ExitCode;

use anyhow::anyhow;
use pgasync_store::{CallError, Client, LogLine, ReadError, Statistics, TargetState};

use crate::args::StatusArgs;

const WARNINGS_MAX: u32 = 5;

/// The contents of both output formats.
struct Status {
    server: String,
    statistics: Statistics,
    warnings: Vec<LogLine>,
}

/// The exit code is a failure when no orchestrator leads, or a target is lost.
pub(crate) async fn run(arguments: &StatusArgs) -> anyhow::Result<ExitCode> {
    let settings = arguments.server.settings()?;
    let server = settings.describe();
    let client = Client::with_sessions(settings, 1, crate::server::PATIENCE);
    let status = Status {
        server,
        statistics: client.statistics().await.map_err(explain)?,
        warnings: client.warnings(WARNINGS_MAX).await.map_err(explain)?,
    };
    crate::print::write(&if arguments.json {
        format!("{:#}\n", document::json(&status))
    } else {
        format!("{}\n", screen::Screen(&status))
    })?;
    Ok(if status.is_healthy() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Status {
    fn is_healthy(&self) -> bool {
        self.statistics.leader.leads && self.statistics.targets.iter().all(|target| target.state != TargetState::Lost)
    }
}

fn explain(error: ReadError) -> anyhow::Error {
    let advice = match (&error, error.sqlstate()) {
        (ReadError::Failed(CallError::Unreachable { .. }), _) => crate::server::HOW_TO_NAME_SERVER,
        (_, Some("42P01" | "42703" | "3F000" | "42883")) => {
            "the schema async is missing, or older than this program: pgasync init installs or upgrades it"
        }
        (ReadError::NotAllowed(_), _) => "the owner of the schema allows it with: select async.grant_admin('role')",
        _ => return error.into(),
    };
    anyhow!("{error}\n  {advice}")
}
