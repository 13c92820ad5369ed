//! Reaching the server that `--server` and the environment name.

use anyhow::anyhow;
use pgasync_store::{Session, Settings};

use crate::args::ServerArgs;

impl ServerArgs {
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        Ok(Settings::from_env(self.server.as_deref())?)
    }

    pub(crate) async fn connect(&self) -> anyhow::Result<(Settings, Session)> {
        let settings = self.settings()?;
        let session = settings.connect().await.map_err(|error| {
            anyhow!("{error}\n  name the server with --server, or with PGHOST, PGPORT, PGUSER and PGDATABASE")
        })?;
        Ok((settings, session))
    }
}
