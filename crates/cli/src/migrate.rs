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

const APPLIED: &str = "select m.migration from async.migration m order by m.migration";

/// Whether the schema is that of the library with the same names.
const IS_OF_LIBRARY: &str = "select pg_catalog.to_regclass('async.migration') is null";

/// The migrations whose tables the conversion makes of those of the library.
const TAKEN_OVER: [&str; 2] = ["0001_client", "0001_server"];

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
    let is_of_library: bool = session.query_one(IS_OF_LIBRARY, &[]).await?.get(0);
    let applied: Vec<String> = if is_of_library {
        TAKEN_OVER.map(str::to_owned).to_vec()
    } else {
        session.query(APPLIED, &[]).await?.iter().map(|row| row.get(0)).collect()
    };
    let unknown = |name: &&String| !pgasync_sql::migrations().any(|migration| migration.name == name.as_str());
    let newer: Vec<_> = applied.iter().filter(unknown).map(String::as_str).collect();
    if !newer.is_empty() {
        let text = format!("the schema async is newer than this program: it has the migrations {}", newer.join(", "));
        return Err(
            Failure::new(Exit::Schema, text).hint("use the program of the version of the schema, or a later one")
        );
    }
    let mut listing = Listing::new(
        "migrations",
        &[
            Column::new("part", "part"),
            Column::new("migration", "migration"),
            Column::cut("statements", "what it does"),
        ],
    );
    if is_of_library {
        let what = "converts the schema of the library with the same names: tasks, targets, pools and settings stay";
        listing.add(vec!["client".into(), "conversion".into(), what.into()]);
    }
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
