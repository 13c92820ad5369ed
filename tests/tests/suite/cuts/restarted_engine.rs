//! An engine that restarts whenever it ends, as under a service manager.

use pgasync_tests::{Database, Engine, Outcome, Proxy, RustEngine, SqlEngine};

/// Short timeouts of the Rust engine, so that a case can wait for them.
const TIMEOUTS: &str = "server_connect=1s,server_answer=2s,server_attempt=4s,server_silence=2s,server_work=10s,\
    server_idle=3s,target_connect=1s,target_answer=1s,target_signal=2s,finish_grace=1s,cancel_grace=1s,\
    terminate_grace=1s,lost_grace=1s";

/// An engine of either kind, and the number of its starts.
pub(super) struct RestartedEngine {
    engine: AnyEngine,
    pub(super) starts: u32,
    ends: Vec<String>,
}

enum AnyEngine {
    Rust(Box<RustEngine>),
    Sql(Box<SqlEngine>),
}

impl RestartedEngine {
    /// The Rust engine behind a proxy.
    pub(super) fn rust(database: &Database, proxy: &Proxy) -> Self {
        Self::of(AnyEngine::Rust(Box::new(RustEngine::attach_at(database, proxy.conninfo(database.name())))))
    }

    pub(super) fn sql(database: &Database) -> Self {
        Self::of(AnyEngine::Sql(Box::new(SqlEngine::attach(database))))
    }

    fn of(engine: AnyEngine) -> Self {
        Self { engine, starts: 0, ends: Vec::new() }
    }

    pub(super) async fn keep_running(&mut self) {
        let has_ended = match &mut self.engine {
            AnyEngine::Rust(engine) => engine.has_ended(),
            AnyEngine::Sql(engine) => engine.has_ended(),
        };
        if !has_ended {
            return;
        }
        if self.starts > 0 {
            let end = match &mut self.engine {
                AnyEngine::Rust(engine) => engine.wait_until_ended().await,
                AnyEngine::Sql(engine) => engine.wait_until_ended().await,
            };
            if let Outcome::Failed(error) = end {
                self.ends.push(error);
            }
        }
        match &mut self.engine {
            AnyEngine::Rust(engine) => engine.start_with(&["--standby", "--timeouts", TIMEOUTS, "--log", "info"]),
            AnyEngine::Sql(engine) => engine.start().await,
        }
        self.starts += 1;
    }

    /// Its log, for the message of a failed test.
    pub(super) fn lines(&self) -> Vec<String> {
        let lines = match &self.engine {
            AnyEngine::Rust(engine) => engine.lines(),
            AnyEngine::Sql(engine) => engine.notices().iter().map(|notice| format!("{notice:?}")).collect(),
        };
        lines.into_iter().chain(self.ends.iter().cloned()).collect()
    }
}
