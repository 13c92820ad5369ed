//! `pgasync pause` and `resume`: holding new starts, of a target, of a pool or of all.

use clap::Args;
use serde_json::json;

use crate::args::ServerArgs;
use crate::failure::{Exit, Failure};
use crate::server::Server;
use crate::visible;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  pgasync pause --target reports      no task starts there; what runs goes on, deadlines and requests too
  pgasync pause --pool 'partner api'
  pgasync pause --all                 no task starts at all
  pgasync resume --target reports")]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    what: PausedPart,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct PausedPart {
    /// The tasks of this target; SELF is the server itself
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// The tasks of this concurrency pool, which is configured
    #[arg(long, value_name = "NAME")]
    pool: Option<String>,
    /// All tasks of the server (async.control.paused)
    #[arg(long)]
    all: bool,
}

/// Pauses or resumes. A leader sees it at its next poll.
pub(crate) async fn run(arguments: &PauseArgs, paused: bool) -> Result<Exit, Failure> {
    let server = arguments.server.open()?;
    let done = set_paused(&server, &arguments.what, paused).await;
    server.explained(done).await
}

async fn set_paused(server: &Server, what: &PausedPart, paused: bool) -> Result<Exit, Failure> {
    let (of, option) = match what {
        PausedPart { target: Some(target), .. } => {
            let name = visible::line(target);
            if !server.client.pause_target(target, paused).await? {
                return Err(unknown(
                    &format!("there is no target \"{name}\""),
                    "pgasync config show lists the targets",
                ));
            }
            (format!(" of target \"{name}\""), format!("--target '{name}'"))
        }
        PausedPart { pool: Some(pool), .. } => {
            let name = visible::line(pool);
            if !server.client.pause_pool(pool, paused).await? {
                let hint = "pgasync config show lists the configured pools; async.set_pool(name, max_workers) adds one";
                return Err(unknown(&format!("no pool \"{name}\" is configured"), hint));
            }
            (format!(" of pool \"{name}\""), format!("--pool '{name}'"))
        }
        PausedPart { target: None, pool: None, .. } => {
            server.client.configure_json(&json!({"control": {"paused": paused}})).await?;
            (String::new(), "--all".to_owned())
        }
    };
    if paused {
        eprintln!("no task{of} starts; pgasync resume {option} ends that");
    } else {
        eprintln!("tasks{of} start again");
    }
    Ok(Exit::Done)
}

fn unknown(text: &str, hint: &'static str) -> Failure {
    Failure::new(Exit::Negative, text).hint(hint)
}
