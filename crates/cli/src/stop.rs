//! `pgasync stop` and `start`: disabling and enabling the orchestrator.

use std::time::{Duration, Instant};

use clap::Args;
use pgasync_core::Span;
use serde_json::json;

use crate::args::ServerArgs;
use crate::duration;
use crate::failure::{Exit, Failure};
use crate::server::Server;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  pgasync stop                   returns when no orchestrator leads
  pgasync stop --timeout 2m      ends with 3 if one still leads then")]
pub(crate) struct StopArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The longest wait for the leader. Running queries have ten seconds (SQL engine) or
    /// --drain-timeout (pgasync run) to end; then they return to the queue
    #[arg(long, value_name = "TIME", value_parser = duration::span, default_value = "2m")]
    timeout: Span,
}

#[derive(Args, Debug)]
pub(crate) struct StartArgs {
    #[command(flatten)]
    server: ServerArgs,
}

const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Disables the orchestrator, and waits until none leads.
pub(crate) async fn stop(arguments: &StopArgs) -> Result<Exit, Failure> {
    let server = arguments.server.open()?;
    let patience = Duration::from_micros(u64::try_from(arguments.timeout.as_micros()).unwrap_or(0));
    let done = disable(&server, patience).await;
    server.explained(done).await
}

async fn disable(server: &Server, patience: Duration) -> Result<Exit, Failure> {
    server.client.configure_json(&json!({"control": {"enabled": false}})).await?;
    let begin = Instant::now();
    loop {
        let leader = server.client.leader().await?;
        if !leader.leads {
            eprintln!("no orchestrator leads, and none will before pgasync start");
            return Ok(Exit::Done);
        }
        if begin.elapsed() >= patience {
            let pid = leader.pid.map(|pid| format!(" (backend {pid})")).unwrap_or_default();
            let text = format!("the leader{pid} has not stopped within {} s; it is asked to", patience.as_secs());
            return Err(
                Failure::new(Exit::AnotherLeads, text).hint("pgasync tasks --phase running shows what it waits for")
            );
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Enables the orchestrator. A process or a call that leads is started elsewhere.
pub(crate) async fn start(arguments: &StartArgs) -> Result<Exit, Failure> {
    let server = arguments.server.open()?;
    let done = async {
        server.client.configure_json(&json!({"control": {"enabled": true}})).await?;
        Ok(server.client.leader().await?)
    };
    let leader = server.explained(done.await).await?;
    eprintln!(
        "{}",
        if leader.leads {
            "the orchestrator is enabled, and one leads"
        } else {
            "the orchestrator is enabled; a standby takes the lead within seconds, otherwise start pgasync run"
        }
    );
    Ok(Exit::Done)
}
