//! `pgasync migrate`: what an upgrade would do, and the upgrade.

use clap::Args;

use crate::args::{PartName, ServerArgs};
use crate::failure::{Exit, Failure};
use crate::output::{Column, Listing, OutputArgs};
use crate::server::Server;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  pgasync migrate --plan     what would change; ends with 1 if there is something
  pgasync migrate            the same as pgasync init, for a schema that exists")]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Print the migrations that are missing, and change nothing
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    output: OutputArgs,
}

const APPLIED: &str = "select m.migration from async.migration m";

pub(crate) async fn run(arguments: &MigrateArgs) -> Result<Exit, Failure> {
    let server = arguments.server.open()?;
    let installed = server.installation().await?;
    if !installed.schema || !installed.client {
        return Err(server.missing(&installed));
    }
    let part = if installed.server { PartName::All } else { PartName::Client };
    if !arguments.plan {
        return crate::init::run(&arguments.server, part).await;
    }
    let planned = plan(&server, part).await;
    let listing = server.explained(planned).await?;
    listing.write(arguments.output.output)?;
    let is_current = listing.rows.is_empty() && (part == PartName::Client || installed.is_current());
    eprintln!(
        "{}",
        match (is_current, listing.rows.len()) {
            (true, _) => "the schema is that of this program".to_owned(),
            (false, 0) => "no table changes; functions and views are replaced".to_owned(),
            (false, count) => format!("{count} migrations are missing; functions and views are replaced"),
        }
    );
    Ok(if is_current { Exit::Done } else { Exit::Negative })
}

/// The migrations that the database does not have, in their order.
async fn plan(server: &Server, part: PartName) -> Result<Listing, Failure> {
    let session = server.connect().await?;
    let rows = session.query(APPLIED, &[]).await?;
    let applied: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let mut listing = Listing::new(
        "migrations",
        &[
            Column::new("part", "part"),
            Column::new("migration", "migration"),
            Column::cut("statements", "what it does"),
        ],
    );
    for migration in pgasync_sql::migrations() {
        let is_wanted = part == PartName::All || migration.part == "client";
        if is_wanted && !applied.iter().any(|name| name == migration.name) {
            listing.add(vec![migration.part.into(), migration.name.into(), first_comment(migration.ddl).into()]);
        }
    }
    Ok(listing)
}

/// The comment at the beginning of a migration, on one line.
fn first_comment(ddl: &str) -> String {
    let lines = ddl.lines().map_while(|line| line.strip_prefix("--"));
    lines.map(str::trim).collect::<Vec<_>>().join(" ")
}
