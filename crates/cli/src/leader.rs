//! An orchestrator of either engine, for the demo and the benchmark: `CALL async.main()` in a session, or what
//! `pgasync run` does, in this process.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use pgasync_pg::{ConnectionSettings, Notice};
use pgasync_runner::{Options, Stop, run};
use pgasync_store::Client;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::args::EngineName;

const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// Nothing that matters runs when it is stopped.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) struct Leader {
    pid: i32,
    stop: How,
    /// The last thing it said.
    said: Arc<Mutex<String>>,
    ended: JoinHandle<anyhow::Result<()>>,
}

/// How to stop it.
enum How {
    /// Cancel its backend.
    Cancel,
    /// Ask it to drain.
    Ask(mpsc::Sender<Stop>),
}

impl Leader {
    /// Starts an orchestrator, and returns when it leads.
    pub(crate) async fn start(server: &ConnectionSettings, engine: EngineName) -> anyhow::Result<Self> {
        let mut leader = match engine {
            EngineName::Sql => call_main(server).await?,
            EngineName::Rust => run_here(server),
        };
        let observer = Client::with_sessions(server.clone(), 1, crate::server::PATIENCE);
        loop {
            match (&leader.stop, observer.leader().await?.pid) {
                (How::Cancel, Some(pid)) if pid == leader.pid => return Ok(leader),
                (How::Ask(_), Some(pid)) => {
                    leader.pid = pid;
                    return Ok(leader);
                }
                _ => leader.check().await?,
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The process id of its backend.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// An error when it has ended, which it should not do by itself.
    pub(crate) async fn check(&mut self) -> anyhow::Result<()> {
        if !self.ended.is_finished() {
            return Ok(());
        }
        (&mut self.ended).await?.context("the orchestrator failed")?;
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        bail!("the orchestrator has ended by itself{said}: see async.server_log, in a demo with --keep")
    }

    /// Stops it and waits for its end.
    pub(crate) async fn stop(self, server: &ConnectionSettings) -> anyhow::Result<()> {
        match &self.stop {
            How::Cancel => {
                server.connect().await?.execute("select pg_cancel_backend($1)", &[&self.pid]).await?;
            }
            // One that is gone needs no asking.
            How::Ask(stops) => drop(stops.send(Stop::Drain).await),
        }
        // How it ends is no matter here.
        let _ended =
            timeout(STOP_TIMEOUT, self.ended).await.context("the orchestrator does not end when it is stopped")?;
        Ok(())
    }
}

async fn call_main(server: &ConnectionSettings) -> anyhow::Result<Leader> {
    let said = Arc::new(Mutex::new(String::new()));
    let heard = Arc::clone(&said);
    let keep = move |notice| {
        if let Notice::Message { severity, text } = notice {
            *heard.lock().unwrap_or_else(PoisonError::into_inner) = format!(" ({severity}: {text})");
        }
    };
    let session = server.with_application_name("pgasync main").connect_with(keep).await?;
    let pid = session.query_one("select pg_backend_pid()", &[]).await?.try_get(0)?;
    let ended = tokio::spawn(async move {
        let ended = session.batch_execute("call async.main()").await;
        session.close().await;
        ended.map_err(crate::server::in_words)
    });
    Ok(Leader { pid, stop: How::Cancel, said, ended })
}

fn run_here(server: &ConnectionSettings) -> Leader {
    let (stop, stops) = mpsc::channel(1);
    let options = Options { drain_timeout: DRAIN_TIMEOUT, ..Options::default() };
    let server = server.clone();
    let ended = tokio::spawn(async move {
        run(server, options, stops).await?;
        Ok(())
    });
    Leader { pid: 0, stop: How::Ask(stop), said: Arc::default(), ended }
}
