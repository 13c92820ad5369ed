//! Changing and reading the configuration.

use pgasync_core::Document;
use pgasync_pg::types::{ToSql, Type};
use serde_json::Value;

use super::Client;
use super::error::{CallError, Refusal, error_methods};

const READ: &str = "select async.configuration()";

// A retired part stays retired.
const PAUSE_TARGET: &str = "select async.set_target(t.target,
    pg_catalog.jsonb_build_object('paused', $2::pg_catalog.bool, 'retired', t.retired))
  from async.target t cross join async.control c
  where t.target operator(pg_catalog.=) $1
    or t.target operator(pg_catalog.=) c.self_target and pg_catalog.upper($1) operator(pg_catalog.=) 'SELF'
      and not exists (select from async.target o where o.target operator(pg_catalog.=) $1)";

const PAUSE_POOL: &str = "select async.set_pool(p.concurrency_pool, null,
    pg_catalog.jsonb_build_object('paused', $2::pg_catalog.bool, 'retired', p.retired))
  from async.concurrency_pool p where p.concurrency_pool operator(pg_catalog.=) $1";

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

    /// Pauses a target, so that no task starts there, or resumes it. Returns whether there is such a
    /// target. `SELF` is the server itself, unless a target has this name. For administrators.
    ///
    /// # Errors
    /// When the role may not do it, or the server cannot be reached.
    pub async fn pause_target(&self, target: &str, paused: bool) -> Result<bool, ConfigureError> {
        let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&target, Type::TEXT), (&paused, Type::BOOL)];
        Ok(!self.query("pausing a target", PAUSE_TARGET, &parameters).await?.is_empty())
    }

    /// Pauses a configured pool, or resumes it. Returns whether there is such a pool. For
    /// administrators.
    ///
    /// # Errors
    /// When the role may not do it, or the server cannot be reached.
    pub async fn pause_pool(&self, pool: &str, paused: bool) -> Result<bool, ConfigureError> {
        let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&pool, Type::TEXT), (&paused, Type::BOOL)];
        Ok(!self.query("pausing a pool", PAUSE_POOL, &parameters).await?.is_empty())
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
