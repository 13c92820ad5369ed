//! Connecting to the server that `--server` and the environment name.

use std::time::Duration;
use std::{fs, io};

use anyhow::{Context, anyhow, bail};
use pgasync_pg::{ConnectionSettings, Session};

use crate::args::ServerArgs;

/// The limit on waiting for a session with the server.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Advice for an unreachable server.
pub(crate) const HOW_TO_NAME_SERVER: &str =
    "name the server with --server or --server-file, or with PGHOST, PGPORT, PGUSER and PGDATABASE";

impl ServerArgs {
    pub(crate) fn settings(&self) -> anyhow::Result<ConnectionSettings> {
        let Some(path) = &self.server_file else {
            return Ok(ConnectionSettings::from_env(self.server.as_deref())?);
        };
        let read = if path.as_os_str() == "-" { io::read_to_string(io::stdin()) } else { fs::read_to_string(path) };
        let text = read.with_context(|| format!("--server-file {}", path.display()))?;
        if text.trim().is_empty() {
            bail!("--server-file {}: it has no connection string", path.display());
        }
        let settings = ConnectionSettings::from_env(Some(text.trim()));
        settings.with_context(|| format!("--server-file {}", path.display()))
    }

    pub(crate) async fn connect(&self) -> anyhow::Result<(ConnectionSettings, Session)> {
        let settings = self.settings()?;
        let session = settings.connect().await.map_err(|error| anyhow!("{error}\n  {HOW_TO_NAME_SERVER}"))?;
        Ok((settings, session))
    }
}

/// An error of the driver with the server's detail, hint and context.
pub(crate) fn error_text(error: pgasync_pg::Error) -> anyhow::Error {
    let Some(server) = error.server() else { return error.into() };
    let more = [server.detail, server.hint, server.context].into_iter().flatten().map(|line| format!("\n  {line}"));
    anyhow!("{error}{}", more.collect::<String>())
}
