//! Installing the schema `async`.

use pgasync_pg::{Error, Session};

/// A part of the schema, with the parts that it requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaPart {
    /// The client part: types, and functions that push and request.
    Client,
    /// The client part and the orchestrator.
    Server,
    /// The views for administrators, on top of the server part.
    Ui,
    /// All parts.
    All,
}

/// A statement waited longer for a lock than `lock_timeout`.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// The schema is newer than this crate.
const SCHEMA_NEWER: &str = "PA217";

/// Why the schema could not be installed.
#[derive(Debug, thiserror::Error)]
#[error("installing the {part} part failed: {message}{advice}")]
pub struct InstallError {
    part: &'static str,
    message: String,
    advice: String,
    sqlstate: Option<String>,
}

/// Installs or upgrades `part` in one transaction. An upgrade keeps all data, and a failed one changes
/// nothing.
///
/// # Errors
/// When the server refuses; the error contains its message.
pub async fn install(session: &Session, part: SchemaPart) -> Result<(), InstallError> {
    session.batch_execute("begin").await.map_err(|error| InstallError::new("first", &error))?;
    let done = run_scripts(session, part).await;
    let end = if done.is_ok() { "commit" } else { "rollback" };
    let ended = session.batch_execute(end).await.map_err(|error| InstallError::new("last", &error));
    done.and(ended)
}

async fn run_scripts(session: &Session, part: SchemaPart) -> Result<(), InstallError> {
    for (name, script) in part.scripts() {
        session.batch_execute(&script).await.map_err(|error| InstallError::new(name, &error))?;
    }
    Ok(())
}

impl SchemaPart {
    fn scripts(self) -> Vec<(&'static str, String)> {
        let client = || ("client", pgasync_sql::client());
        let server = || ("server", pgasync_sql::server());
        let ui = || ("ui", pgasync_sql::ui());
        match self {
            Self::Client => vec![client()],
            Self::Server => vec![client(), server()],
            Self::Ui => vec![ui()],
            Self::All => vec![client(), server(), ui()],
        }
    }
}

impl InstallError {
    fn new(part: &'static str, error: &Error) -> Self {
        let more = error.server().map_or([None; 3], |server| [server.detail, server.hint, server.context]);
        let mut advice: String = more.into_iter().flatten().map(|line| format!("\n{line}")).collect();
        if error.sqlstate() == Some(LOCK_NOT_AVAILABLE) {
            advice.push_str("\nNothing was changed. Run it again.");
        }
        Self { part, message: error.to_string(), advice, sqlstate: error.sqlstate().map(str::to_owned) }
    }

    /// Whether the schema was refused because it is newer than this crate.
    #[must_use]
    pub fn is_of_newer_schema(&self) -> bool {
        self.sqlstate.as_deref() == Some(SCHEMA_NEWER)
    }
}
