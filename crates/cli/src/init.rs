//! `pgasync init`: installs the schema.

use pgasync_store::{SchemaPart, install};

use crate::args::{PartName, ServerArgs};

pub(crate) async fn run(server: &ServerArgs, part: PartName) -> anyhow::Result<()> {
    let (settings, session) = server.connect().await?;
    install(&session, part.into()).await?;
    println!("pgasync {} is installed in {}", env!("CARGO_PKG_VERSION"), crate::visible::line(&settings.describe()));
    Ok(())
}

impl From<PartName> for SchemaPart {
    fn from(name: PartName) -> Self {
        match name {
            PartName::Client => Self::Client,
            PartName::Server => Self::Server,
            PartName::Ui => Self::Ui,
            PartName::All => Self::All,
        }
    }
}
