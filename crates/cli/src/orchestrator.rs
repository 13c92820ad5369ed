//! An orchestrator of either engine, for the demo and the benchmark: `CALL async.main()` in a
//! session, or the Rust engine in this process.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use pgasync_pg::{ConnectionSettings, Notice};
use pgasync_runner::{RunOptions, StopSignal, run};
use pgasync_store::Client;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::args::EngineName;

const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// The demo and the benchmark have their results before they stop the orchestrator, so a short
/// drain is enough.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) struct RunningOrchestrator {
    pid: i32,
    stop: StopMethod,
    /// The last message that `async.main()` raised.
    last_message: Arc<Mutex<String>>,
    ended: JoinHandle<anyhow::Result<()>>,
}

enum StopMethod {
    /// `pg_cancel_backend`.
    CancelBackend,
    /// The signal that `pgasync run` sends to the engine on SIGTERM.
    Signal(mpsc::Sender<StopSignal>),
}

impl RunningOrchestrator {
    /// Starts an orchestrator, and returns once it leads.
    pub(crate) async fn start(server: &ConnectionSettings, engine: EngineName) -> anyhow::Result<Self> {
        let mut orchestrator = match engine {
            EngineName::Sql => call_main(server).await?,
            EngineName::Rust => run_here(server),
        };
        let observer = Client::with_sessions(server.clone(), 1, crate::server::PATIENCE);
        loop {
            match (&orchestrator.stop, observer.leader().await?.pid) {
                (StopMethod::CancelBackend, Some(pid)) if pid == orchestrator.pid => return Ok(orchestrator),
                (StopMethod::Signal(_), Some(pid)) => {
                    orchestrator.pid = pid;
                    return Ok(orchestrator);
                }
                _ => orchestrator.check().await?,
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns an error when the orchestrator has ended by itself.
    pub(crate) async fn check(&mut self) -> anyhow::Result<()> {
        if !self.ended.is_finished() {
            return Ok(());
        }
        (&mut self.ended).await?.context("the orchestrator failed")?;
        let message = self.last_message.lock().unwrap_or_else(PoisonError::into_inner).clone();
        bail!("the orchestrator has ended by itself{message}: see async.server_log, in a demo with --keep")
    }

    /// Stops the orchestrator and waits for its end.
    pub(crate) async fn stop(self, server: &ConnectionSettings) -> anyhow::Result<()> {
        match &self.stop {
            StopMethod::CancelBackend => {
                server.connect().await?.execute("select pg_catalog.pg_cancel_backend($1)", &[&self.pid]).await?;
            }
            // If the orchestrator has already ended, the channel is closed and the error is
            // dropped.
            StopMethod::Signal(signals) => drop(signals.send(StopSignal::Drain).await),
        }
        // A cancelled `async.main()` ends with an error.
        let _ended =
            timeout(STOP_TIMEOUT, self.ended).await.context("the orchestrator does not end when it is stopped")?;
        Ok(())
    }
}

async fn call_main(server: &ConnectionSettings) -> anyhow::Result<RunningOrchestrator> {
    let last_message = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&last_message);
    let on_notice = move |notice| {
        if let Notice::Message { severity, text } = notice {
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = format!(" ({severity}: {text})");
        }
    };
    let session = server.with_application_name("pgasync main").connect_with(on_notice).await?;
    let pid = session.query_one("select pg_catalog.pg_backend_pid()", &[]).await?.try_get(0)?;
    let ended = tokio::spawn(async move {
        let ended = session.batch_execute("call async.main()").await;
        session.close().await;
        ended.map_err(crate::server::error_text)
    });
    Ok(RunningOrchestrator { pid, stop: StopMethod::CancelBackend, last_message, ended })
}

fn run_here(server: &ConnectionSettings) -> RunningOrchestrator {
    let (stop, stop_signals) = mpsc::channel(1);
    let options = RunOptions { drain_timeout: DRAIN_TIMEOUT, ..RunOptions::default() };
    let server = server.clone();
    let ended = tokio::spawn(async move {
        run(server, options, stop_signals).await?;
        Ok(())
    });
    RunningOrchestrator { pid: 0, stop: StopMethod::Signal(stop), last_message: Arc::default(), ended }
}
