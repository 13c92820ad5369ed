//! Connecting to the server that `--server` and the environment name.

use std::time::Duration;

use anyhow::anyhow;
use pgasync_pg::{ConnectionSettings, Session};

use crate::args::ServerArgs;

/// The limit on waiting for a session with the server.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Advice for an unreachable server.
pub(crate) const HOW_TO_NAME_SERVER: &str =
    "name the server with --server, or with PGHOST, PGPORT, PGUSER and PGDATABASE";

impl ServerArgs {
    pub(crate) fn settings(&self) -> anyhow::Result<ConnectionSettings> {
        Ok(ConnectionSettings::from_env(self.server.as_deref())?)
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
