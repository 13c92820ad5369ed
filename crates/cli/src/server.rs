//! The server that `--server` and the environment name: connecting to it, and what is installed there.

use std::time::Duration;
use std::{fs, io};

use anyhow::anyhow;
use pgasync_pg::{ConnectionSettings, Session};
use pgasync_store::{Client, Installation};

use crate::args::ServerArgs;
use crate::failure::{Exit, Failure};

/// The limit on waiting for a session with the server.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Advice for an unreachable server that was not named.
const HOW_TO_NAME_SERVER: &str =
    "name the server with --server or --server-file, or with PGHOST, PGPORT, PGUSER and PGDATABASE";

/// Advice for an unreachable server that was named.
const CHECK_SERVER: &str = "is Postgres running there, and does a firewall or listen_addresses admit this host?";

/// The server of a command. Nothing is opened before the first call.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) settings: ConnectionSettings,
    pub(crate) client: Client,
    is_named: bool,
}

impl ServerArgs {
    pub(crate) fn settings(&self) -> Result<ConnectionSettings, Failure> {
        let Some(path) = &self.server_file else {
            return Ok(ConnectionSettings::from_env(self.server.as_deref())?);
        };
        let fail = |what: &dyn std::fmt::Display| Failure::usage(format!("--server-file {}: {what}", path.display()));
        let read = if path.as_os_str() == "-" { io::read_to_string(io::stdin()) } else { fs::read_to_string(path) };
        let text = read.map_err(|error| fail(&error))?;
        if text.trim().is_empty() {
            return Err(fail(&"it has no connection string"));
        }
        ConnectionSettings::from_env(Some(text.trim())).map_err(|error| fail(&error))
    }

    pub(crate) fn open(&self) -> Result<Server, Failure> {
        self.open_with(1)
    }

    pub(crate) fn open_with(&self, sessions_max: u32) -> Result<Server, Failure> {
        let settings = self.settings()?;
        let client = Client::with_sessions(settings.clone(), sessions_max, PATIENCE);
        Ok(Server { settings, client, is_named: self.is_named() })
    }

    fn is_named(&self) -> bool {
        self.server.is_some() || self.server_file.is_some()
    }

    /// The failure of a command that connects by itself, with what to do if the server is not reached.
    pub(crate) fn advised(&self, failure: impl Into<Failure>) -> Failure {
        with_advice(failure.into(), self.is_named())
    }
}

impl Server {
    /// Opens a session for statements that are no calls of the schema.
    pub(crate) async fn connect(&self) -> Result<Session, Failure> {
        let opened = self.settings.with_connect_timeout(PATIENCE).connect().await;
        opened.map_err(|error| self.with_advice(error.into()))
    }

    pub(crate) async fn installation(&self) -> Result<Installation, Failure> {
        self.client.installation().await.map_err(|error| self.with_advice(error.into()))
    }

    /// Refuses a database that holds no tasks: without the schema, or a client database, whose table of
    /// tasks is empty.
    pub(crate) async fn require_tasks(&self) -> Result<Installation, Failure> {
        let installed = self.installation().await?;
        if installed.server { Ok(installed) } else { Err(self.missing(&installed)) }
    }

    /// The result of a command; an error says what to do next, after a look at what is installed.
    pub(crate) async fn explained<T>(&self, done: Result<T, Failure>) -> Result<T, Failure> {
        match done {
            Err(failure) => Err(self.explain(failure).await),
            done => done,
        }
    }

    pub(crate) async fn explain(&self, failure: Failure) -> Failure {
        let failure = self.with_advice(failure);
        if !failure.misses_object() && !failure.lacks_privilege() {
            return failure;
        }
        let Ok(installed) = self.client.installation().await else { return failure };
        if !installed.schema || !installed.usable || !installed.server || failure.misses_object() {
            return self.missing(&installed);
        }
        let role = installed.role.replace('\'', "''");
        failure.hint(format!("the owner of the schema allows it with: select async.grant_admin('{role}')"))
    }

    /// What is wrong with what is installed.
    pub(crate) fn missing(&self, installed: &Installation) -> Failure {
        let here = self.settings.describe();
        if !installed.schema {
            return Failure::new(Exit::Schema, format!("{here} has no schema async"))
                .hint("pgasync init installs it there; or name the database that has it");
        }
        if !installed.usable {
            let role = installed.role.replace('\'', "''");
            let text = format!("the role \"{}\" may not use the schema async at {here}", installed.role);
            return Failure::new(Exit::Negative, text)
                .hint(format!("the owner of the schema allows it with: select async.grant_client('{role}')"));
        }
        if !installed.client {
            return Failure::new(Exit::Schema, format!("the schema async at {here} is not that of pgasync"))
                .hint("name the database that has it");
        }
        if !installed.server {
            return Failure::new(Exit::Schema, format!("{here} is a client database: its tasks are at its server"))
                .hint("name that server; select async.server() in the client database says which one it is");
        }
        let there = installed.fingerprint.as_deref().unwrap_or("none");
        let ours = &*pgasync_sql::FINGERPRINT;
        if installed.is_current() {
            return Failure::new(Exit::Schema, format!("an object of the schema async at {here} is missing"))
                .hint("pgasync init restores it");
        }
        let text =
            format!("the schema async at {here} is of another version than this program ({there} there, {ours} here)");
        Failure::new(Exit::Schema, text).hint("upgrade it with pgasync init, or use the program of that version")
    }

    /// The refusal of what only the owner of the schema may do.
    pub(crate) fn not_owned(&self, installed: &Installation) -> Failure {
        let (role, here) = (&installed.role, self.settings.describe());
        let owner = installed.owner.as_deref().unwrap_or_default();
        Failure::new(Exit::Negative, format!("the role \"{role}\" does not own the schema async at {here}"))
            .hint(format!("connect as \"{owner}\", or as a member of it"))
    }

    fn with_advice(&self, failure: Failure) -> Failure {
        with_advice(failure, self.is_named)
    }
}

fn with_advice(failure: Failure, is_named: bool) -> Failure {
    if failure.exit() != Exit::Unreachable || failure.has_hint() {
        return failure;
    }
    failure.hint(if is_named { CHECK_SERVER } else { HOW_TO_NAME_SERVER })
}

/// An error of the driver with the server's detail, hint and context.
pub(crate) fn error_text(error: pgasync_pg::Error) -> anyhow::Error {
    let Some(server) = error.server() else { return error.into() };
    let more = [server.detail, server.hint, server.context].into_iter().flatten().map(|line| format!("\n  {line}"));
    anyhow!("{error}{}", more.collect::<String>())
}
