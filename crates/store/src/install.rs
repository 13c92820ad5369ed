//! Putting the schema `async` on a server.

use pgasync_pg::{Error, Session};

/// A part of the schema, with what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What a client needs: types, and the calls that push and ask.
    Client,
    /// A server: the client's part and the orchestrator.
    Server,
    /// The administrator's views, on a server.
    Ui,
    /// All of it.
    All,
}

/// Why the schema could not be installed.
#[derive(Debug, thiserror::Error)]
#[error("installing the {part} part failed: {message}{advice}")]
pub struct InstallError {
    part: &'static str,
    message: String,
    advice: String,
}

/// Installs `part`, or upgrades it when it is there: nothing is lost, and nothing is changed when it fails midway.
///
/// # Errors
/// With the server's own sentence.
pub async fn install(session: &Session, part: Part) -> Result<(), InstallError> {
    for (name, script) in part.scripts() {
        session.batch_execute(&script).await.map_err(|error| InstallError::new(name, &error))?;
    }
    Ok(())
}

impl Part {
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
        let advice = more.into_iter().flatten().map(|line| format!("\n{line}")).collect();
        Self { part, message: error.to_string(), advice }
    }
}
