//! An engine that restarts whenever it ends, as under a service manager.

use std::time::{Duration, Instant};

use pgasync_tests::{Database, Engine, Outcome, Proxy, RustEngine, SqlEngine};
use tokio::time::timeout;

/// Short timeouts of the Rust engine, so that a case can wait for them.
const TIMEOUTS: &str = "server_connect=1s,server_answer=2s,server_attempt=4s,server_silence=2s,server_work=10s,\
    server_idle=3s,target_connect=1s,target_answer=1s,target_signal=2s,finish_grace=1s,cancel_grace=1s,\
    terminate_grace=1s,lost_grace=1s";

/// A service manager waits this long before it starts an engine again.
const RESTART_AFTER: Duration = Duration::from_millis(200);

/// An engine whose start takes longer than this time is started again later.
const STARTS_WITHIN: Duration = Duration::from_secs(2);

/// An engine of either kind, and the number of its starts.
pub(crate) struct RestartedEngine {
    engine: AnyEngine,
    pub(crate) starts: u32,
    /// The errors with which the engine has ended, with their times.
    pub(crate) ends: Vec<(Instant, String)>,
    started: Option<Instant>,
    /// Whether the end of the last run was noticed.
    is_reaped: bool,
    timeouts: &'static str,
}

enum AnyEngine {
    Rust(Box<RustEngine>),
    Sql(Box<SqlEngine>),
}

impl RestartedEngine {
    /// The Rust engine behind a proxy.
    pub(crate) fn rust(database: &Database, proxy: &Proxy) -> Self {
        Self::of(AnyEngine::Rust(Box::new(RustEngine::attach_at(database, proxy.conninfo(database.name())))))
    }

    pub(crate) fn sql(database: &Database) -> Self {
        Self::of(AnyEngine::Sql(Box::new(SqlEngine::attach(database))))
    }

    fn of(engine: AnyEngine) -> Self {
        Self { engine, starts: 0, ends: Vec::new(), started: None, is_reaped: true, timeouts: TIMEOUTS }
    }

    /// The same engine with other timeouts.
    pub(crate) fn with_timeouts(mut self, timeouts: &'static str) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Starts the engine if it does not run. Returns whether it has ended with an error since the
    /// last call.
    pub(crate) async fn keep_running(&mut self) -> bool {
        let failed = self.notice_end().await;
        if self.has_ended() && self.started.is_none_or(|started| started.elapsed() > RESTART_AFTER) {
            self.start(false).await;
        }
        failed
    }

    /// Starts the engine so that it takes the lead, if it does not run.
    pub(crate) async fn force(&mut self) -> bool {
        self.notice_end().await;
        self.has_ended() && self.start(true).await
    }

    /// Shuts the engine down, if it runs.
    pub(crate) async fn stop(&mut self) {
        if !self.has_ended() {
            match &mut self.engine {
                AnyEngine::Rust(engine) => engine.stop().await,
                AnyEngine::Sql(engine) => engine.stop().await,
            };
            self.is_reaped = true;
        }
    }

    fn has_ended(&mut self) -> bool {
        match &mut self.engine {
            AnyEngine::Rust(engine) => engine.has_ended(),
            AnyEngine::Sql(engine) => engine.has_ended(),
        }
    }

    async fn notice_end(&mut self) -> bool {
        if self.starts == 0 || !self.has_ended() || self.is_reaped {
            return false;
        }
        self.is_reaped = true;
        let end = match &mut self.engine {
            AnyEngine::Rust(engine) => engine.wait_until_ended().await,
            AnyEngine::Sql(engine) => engine.wait_until_ended().await,
        };
        match end {
            Outcome::Returned => false,
            Outcome::Failed(error) => {
                self.ends.push((Instant::now(), error));
                true
            }
        }
    }

    async fn start(&mut self, force: bool) -> bool {
        self.started = Some(Instant::now());
        match &mut self.engine {
            AnyEngine::Rust(engine) => {
                let how = if force { "--force" } else { "--standby" };
                engine.start_with(&[how, "--timeouts", self.timeouts, "--log", "info"]);
            }
            AnyEngine::Sql(engine) => {
                let call = if force { "call async.main(_force => true)" } else { "call async.main()" };
                // The server may be down.
                if !matches!(timeout(STARTS_WITHIN, engine.try_start_with(call)).await, Ok(Ok(()))) {
                    return false;
                }
            }
        }
        self.starts += 1;
        self.is_reaped = false;
        true
    }

    /// The process of the engine, if it runs.
    pub(crate) fn pid(&mut self) -> Option<i32> {
        if self.has_ended() {
            return None;
        }
        Some(match &self.engine {
            AnyEngine::Rust(engine) => engine.pid(),
            AnyEngine::Sql(engine) => engine.pid(),
        })
    }

    /// The backend of its leader session, as far as the engine has reported one.
    pub(crate) fn backend(&self) -> Option<i32> {
        match &self.engine {
            AnyEngine::Rust(engine) => engine.backend(),
            AnyEngine::Sql(engine) => (!engine.has_ended()).then(|| engine.pid()),
        }
    }

    pub(crate) fn is_rust(&self) -> bool {
        matches!(self.engine, AnyEngine::Rust(_))
    }

    /// Its log, for the message of a failed test.
    pub(crate) fn lines(&self) -> Vec<String> {
        let lines = match &self.engine {
            AnyEngine::Rust(engine) => engine.lines(),
            AnyEngine::Sql(engine) => engine.notices().iter().map(|notice| format!("{notice:?}")).collect(),
        };
        lines.into_iter().chain(self.ends.iter().map(|(_, error)| error.clone())).collect()
    }
}
