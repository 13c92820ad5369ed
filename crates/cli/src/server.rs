//! Reaching the server that `--server` and the environment name.

use std::time::Duration;

use anyhow::anyhow;
use pgasync_pg::{ConnectionSettings, Session};

use crate::args::ServerArgs;

/// How long a call waits for a session with it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// For whom it cannot be reached.
pub(crate) const HOW_TO_NAME_IT: &str = "name the server with --server, or with PGHOST, PGPORT, PGUSER and PGDATABASE";

impl ServerArgs {
    pub(crate) fn settings(&self) -> anyhow::Result<ConnectionSettings> {
        Ok(ConnectionSettings::from_env(self.server.as_deref())?)
    }

    pub(crate) async fn connect(&self) -> anyhow::Result<(ConnectionSettings, Session)> {
        let settings = self.settings()?;
        let session = settings.connect().await.map_err(|error| anyhow!("{error}\n  {HOW_TO_NAME_IT}"))?;
        Ok((settings, session))
    }
}

/// An error of the driver with all that the server said.
pub(crate) fn in_words(error: pgasync_pg::Error) -> anyhow::Error {
    let Some(server) = error.server() else { return error.into() };
    let more = [server.detail, server.hint, server.context].into_iter().flatten().map(|line| format!("\n  {line}"));
    anyhow!("{error}{}", more.collect::<String>())
}
