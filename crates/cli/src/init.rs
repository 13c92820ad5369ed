//! `pgasync init`: installs the schema.

use pgasync_store::{SchemaPart, install};

use crate::args::{PartName, ServerArgs};
use crate::failure::{Exit, Failure};

pub(crate) async fn run(server: &ServerArgs, part: PartName) -> Result<Exit, Failure> {
    let server = server.open()?;
    let session = server.connect().await?;
    install(&session, part.into()).await.map_err(|error| Failure::new(Exit::Negative, error.to_string()))?;
    let here = server.settings.describe();
    println!("pgasync {} is installed in {}", env!("CARGO_PKG_VERSION"), crate::visible::line(&here));
    Ok(Exit::Done)
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
