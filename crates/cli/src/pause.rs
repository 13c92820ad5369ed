//! `pgasync pause` and `resume`: holding new starts.

use clap::Args;
use serde_json::json;

use crate::args::ServerArgs;
use crate::failure::{Exit, Failure};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  pgasync pause --all      nothing new starts; what runs goes on, deadlines and requests too
  pgasync resume --all")]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// All tasks of the server (async.control.paused)
    #[arg(long, required = true)]
    all: bool,
}

/// Sets `control.paused`. A leader sees it at its next poll.
pub(crate) async fn run(arguments: &PauseArgs, paused: bool) -> Result<Exit, Failure> {
    let server = arguments.server.open()?;
    let done = server.client.configure_json(&json!({"control": {"paused": paused}})).await;
    server.explained(done.map_err(Failure::from)).await?;
    eprintln!("{}", if paused { "no new task starts; pgasync resume --all ends that" } else { "tasks start again" });
    Ok(Exit::Done)
}
