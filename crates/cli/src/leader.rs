//! A session that runs the SQL engine, `CALL async.main()`, for the demo and the benchmark.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use pgasync_store::{Notice, Session, Settings};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const STOP_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct Leader {
    pid: i32,
    /// The last thing it said.
    said: Arc<Mutex<String>>,
    call: JoinHandle<Result<(), tokio_postgres::Error>>,
}

impl Leader {
    /// Calls `async.main()`, and returns when it leads.
    pub(crate) async fn start(server: &Settings) -> anyhow::Result<Self> {
        let said = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&said);
        let keep = move |notice| {
            if let Notice::Message { severity, text } = notice {
                *heard.lock().unwrap_or_else(PoisonError::into_inner) = format!(" ({severity}: {text})");
            }
        };
        let session = server.with_application_name("pgasync main").connect_with(keep).await?;
        let pid = session.query_one("select pg_backend_pid()", &[]).await?.try_get(0)?;
        let call = tokio::spawn(async move {
            let ended = session.batch_execute("call async.main()").await;
            session.close().await;
            ended
        });
        let mut leader = Self { pid, said, call };
        let observer = server.connect().await?;
        while !leads(&observer, pid).await? {
            leader.check().await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(leader)
    }

    /// The process id of its backend.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// An error when it has ended, which it should not do by itself.
    pub(crate) async fn check(&mut self) -> anyhow::Result<()> {
        if !self.call.is_finished() {
            return Ok(());
        }
        (&mut self.call).await?.map_err(crate::server::in_words).context("async.main() failed")?;
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        bail!("async.main() has returned by itself{said}: see async.server_log, in a demo with --keep")
    }

    /// Cancels the call and waits for its end.
    pub(crate) async fn stop(self, server: &Settings) -> anyhow::Result<()> {
        server.connect().await?.execute("select pg_cancel_backend($1)", &[&self.pid]).await?;
        // How a cancelled call ends is no matter here.
        let _ended =
            timeout(STOP_TIMEOUT, self.call).await.context("async.main() does not end when it is cancelled")?;
        Ok(())
    }
}

async fn leads(observer: &Session, pid: i32) -> anyhow::Result<bool> {
    let row = observer.query_one("select coalesce((select pid from async.control) = $1, false)", &[&pid]).await?;
    Ok(row.try_get(0)?)
}
