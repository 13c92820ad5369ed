//! Changing and reading the configuration.

use pgasync_core::Document;
use pgasync_pg::types::Type;
use serde_json::Value;

use super::Client;
use super::error::{CallError, Refusal, error_methods};

/// Reads all settings that `configure` takes, with masked connection strings. Administrators have
/// the privileges for it.
const READ: &str = "select pg_catalog.jsonb_build_object(
    'control', (select pg_catalog.to_jsonb(c) from (
        select enabled, paused, workers, idle_sleep, busy_sleep, heavy_maintenance_sleep::pg_catalog.text,
          light_maintenance_sleep::pg_catalog.text, task_keep_duration::pg_catalog.text, default_timeout::pg_catalog.text, advisory_mutex_id, self_target,
          self_concurrency, default_concurrency_pool_workers, startup_routines, loop_routines, debug_log,
          target_patience::pg_catalog.text, takeover_grace::pg_catalog.text
        from async.control) c),
    'targets', (select coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(t) order by t.target), '[]'::pg_catalog.jsonb) from (
        select target, max_concurrency, connection_string, asynchronous_finish, default_timeout::pg_catalog.text,
          max_sessions, concurrency_track_yielded, session_reset, tags, retired
        from async.v_target) t),
    'concurrency_pools', (select coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(p) order by p.concurrency_pool), '[]'::pg_catalog.jsonb) from (
        select concurrency_pool, max_workers, retired from async.concurrency_pool) p))";

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
    /// masked, and the connection string of the server itself is left out. For administrators.
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
