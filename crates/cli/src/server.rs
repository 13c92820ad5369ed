//! Reaching the server that `--server` and the environment name.

use std::time::Duration;

use anyhow::anyhow;
use pgasync_store::{Session, Settings};

use crate::args::ServerArgs;

/// How long a call waits for a session with it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// For whom it cannot be reached.
pub(crate) const HOW_TO_NAME_IT: &str = "name the server with --server, or with PGHOST, PGPORT, PGUSER and PGDATABASE";

impl ServerArgs {
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        Ok(Settings::from_env(self.server.as_deref())?)
    }

    pub(crate) async fn connect(&self) -> anyhow::Result<(Settings, Session)> {
        let settings = self.settings()?;
        let session = settings.connect().await.map_err(|error| anyhow!("{error}\n  {HOW_TO_NAME_IT}"))?;
        Ok((settings, session))
    }
}

/// An error of the driver with all that the server said.
pub(crate) fn in_words(error: tokio_postgres::Error) -> anyhow::Error {
    let Some(said) = error.as_db_error() else { return error.into() };
    let more = [said.detail(), said.hint(), said.where_()].into_iter().flatten().map(|line| format!("\n  {line}"));
    anyhow!("{} ({}){}", said.message(), said.code().code(), more.collect::<String>())
}
