//! `pgasync config`: the configuration of a server as a document.

mod apply;
mod difference;
mod file;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use self::difference::differences;
use crate::args::ServerArgs;
use crate::confirm::ConfirmArgs;
use crate::failure::{Exit, Failure};
use crate::output::{Column, Listing, OutputArgs};
use crate::server::Server;

#[derive(Args, Debug)]
#[command(
    arg_required_else_help = true,
    after_help = "\
Examples:
  pgasync config show > pgasync.json        passwords are masked
  pgasync config check pgasync.toml         is it valid? changes nothing
  pgasync config diff pgasync.toml          ends with 1 if something differs
  pgasync config apply pgasync.toml         shows the differences, and asks

A file that leaves out a list (targets, concurrency_pools, ...) does not change it. A list that is there is
complete: what it leaves out is retired. A masked connection string that is as config show printed it
changes nothing."
)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print the present configuration
    Show(ShowArgs),
    /// Check a file against the server, and change nothing
    Check(FileArgs),
    /// Print what a file would change
    Diff(FileArgs),
    /// Change the configuration as a file says
    Apply(ApplyArgs),
}

#[derive(Args, Debug)]
struct ShowArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The form of the document
    #[arg(long, short = 'o', value_enum, default_value = "json", value_name = "FORM")]
    output: DocumentFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DocumentFormat {
    /// As async.configuration() returns it
    Json,
    /// The same as TOML
    Toml,
}

#[derive(Args, Debug)]
struct FileArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// A document of async.configure, as TOML if its name ends in .toml and as JSON otherwise; - is JSON
    /// on standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Args, Debug)]
struct ApplyArgs {
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    confirm: ConfirmArgs,
}

pub(crate) async fn run(arguments: &ConfigArgs) -> Result<Exit, Failure> {
    match &arguments.command {
        ConfigCommand::Show(show_args) => {
            let server = show_args.server.open()?;
            let done = show(&server, show_args.output).await;
            server.explained(done).await
        }
        ConfigCommand::Check(file_args) => {
            let server = file_args.server.open()?;
            let done = check(&server, file_args).await;
            server.explained(done).await
        }
        ConfigCommand::Diff(file_args) => {
            let server = file_args.server.open()?;
            let done = diff(&server, file_args).await;
            server.explained(done).await
        }
        ConfigCommand::Apply(apply_args) => {
            let server = apply_args.file.server.open()?;
            let done = apply_file(&server, apply_args).await;
            server.explained(done).await
        }
    }
}

async fn show(server: &Server, format: DocumentFormat) -> Result<Exit, Failure> {
    let document = present(server).await?;
    let text = match format {
        DocumentFormat::Json => format!("{document:#}\n"),
        DocumentFormat::Toml => toml::to_string_pretty(&document).map_err(|error| {
            Failure::new(Exit::Negative, format!("the configuration cannot be written as TOML: {error}"))
        })?,
    };
    crate::print::write(&text)?;
    Ok(Exit::Done)
}

async fn present(server: &Server) -> Result<Value, Failure> {
    server.require_tasks().await?;
    Ok(server.client.configuration().await?)
}

/// The present document and that of a file. A file that cannot be read needs no server.
async fn both(server: &Server, path: &Path) -> Result<(Value, Value), Failure> {
    let mut wanted = file::read(path)?;
    let present = present(server).await?;
    file::keep_masked(&mut wanted, &present);
    Ok((present, wanted))
}

async fn check(server: &Server, arguments: &FileArgs) -> Result<Exit, Failure> {
    let (_, wanted) = both(server, &arguments.file).await?;
    apply::check(server, &wanted).await?;
    eprintln!("{} is valid", arguments.file.display());
    Ok(Exit::Done)
}

async fn diff(server: &Server, arguments: &FileArgs) -> Result<Exit, Failure> {
    let (present, wanted) = both(server, &arguments.file).await?;
    let found = listing(&present, &wanted);
    found.write(arguments.output.output)?;
    Ok(if found.rows.is_empty() { Exit::Done } else { Exit::Negative })
}

async fn apply_file(server: &Server, arguments: &ApplyArgs) -> Result<Exit, Failure> {
    let (present, wanted) = both(server, &arguments.file.file).await?;
    apply::check(server, &wanted).await?;
    let found = listing(&present, &wanted);
    found.write(arguments.file.output.output)?;
    if found.rows.is_empty() {
        eprintln!("the configuration is as the file says; nothing was changed");
        return Ok(Exit::Done);
    }
    let retired = found.rows.iter().filter(|row| row[1].to_plain() == "retired").count();
    let note = if retired > 0 { format!(", {retired} of which retire a target or a pool") } else { String::new() };
    arguments.confirm.ask(&format!("Make {} changes{note}?", found.rows.len()))?;
    apply::apply(server, &wanted).await?;
    eprintln!("the configuration is changed");
    Ok(Exit::Done)
}

fn listing(present: &Value, wanted: &Value) -> Listing {
    let columns = [
        Column::new("path", "path"),
        Column::new("change", "change"),
        Column::cut("present", "present"),
        Column::cut("wanted", "wanted"),
    ];
    let mut listing = Listing::new("differences", &columns);
    for difference in differences(present, wanted) {
        listing.add(vec![
            difference.path.into(),
            difference.change.into(),
            difference.present.into(),
            difference.wanted.into(),
        ]);
    }
    listing
}
