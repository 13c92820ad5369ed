//! Changing and reading the configuration.

use pgasync_core::Document;
use pgasync_pg::types::Type;
use serde_json::Value;

use super::Client;
use super::error::{CallError, Refusal, error_methods};

const READ: &str = "select async.configuration()";

/// Why the configuration was not changed, or not read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigureError {
    /// The server refused the document and changed nothing. The message begins with a path in the
    /// document.
    #[error("{0}")]
    Refused(Refusal),
    /// Any other error.
    #[error(transparent)]
    Failed(CallError),
}

error_methods!(ConfigureError { Refused }, again_is_harmless: true);

impl Client {
    /// Changes settings, targets and pools in one transaction. A running leader applies them at its
    /// next poll.
    ///
    /// # Errors
    /// When the document is refused, or the server cannot be reached.
    pub async fn configure(&self, document: &Document) -> Result<(), ConfigureError> {
        self.configure_json(&Value::from(document)).await
    }

    /// Changes the configuration as [`Client::configure`] does, with the document as JSON.
    ///
    /// # Errors
    /// As [`Client::configure`].
    pub async fn configure_json(&self, document: &Value) -> Result<(), ConfigureError> {
        self.query("configuring", "select async.configure($1)", &[(document, Type::JSONB)]).await?;
        Ok(())
    }

    /// The present configuration, in the form that [`Client::configure_json`] takes. Passwords are
    /// masked. For administrators.
    ///
    /// # Errors
    /// When the role may not read it, or the server cannot be reached.
    pub async fn configuration(&self) -> Result<Value, ConfigureError> {
        let rows = self.query("reading the configuration", READ, &[]).await?;
        Ok(rows.first().map_or(Value::Null, |row| row.get(0)))
    }
}

impl From<CallError> for ConfigureError {
    fn from(error: CallError) -> Self {
        error.refused_with(&["PA060", "PA084"]).map_or_else(Self::Failed, Self::Refused)
    }
}
