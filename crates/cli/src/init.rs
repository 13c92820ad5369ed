//! `pgasync init`: installs the schema.

use pgasync_store::{SchemaPart, install};

use crate::args::{PartName, ServerArgs};
use crate::failure::{Exit, Failure};
use crate::visible;

pub(crate) async fn run(server: &ServerArgs, part: PartName) -> Result<Exit, Failure> {
    let server = server.open()?;
    let installed = server.installation().await?;
    if installed.schema && !installed.owned {
        return Err(server.not_owned(&installed));
    }
    let session = server.connect().await?;
    install(&session, part.into()).await.map_err(|error| {
        let exit = if error.is_of_newer_schema() { Exit::Schema } else { Exit::Negative };
        Failure::new(exit, error.to_string())
    })?;
    let here = server.settings.describe();
    crate::print::write(&format!("pgasync {} is installed in {}\n", env!("CARGO_PKG_VERSION"), visible::line(&here)))?;
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
