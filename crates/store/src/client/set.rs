//! Changing one pool or one target of the configuration.

use pgasync_pg::types::Type;
use serde_json::Value;

use super::Client;
use super::configure::ConfigureError;

impl Client {
    /// Adds a concurrency pool, or changes the given settings of one, the keys of an element of
    /// `concurrency_pools` in `async.configure`. Others stay as they are. For administrators.
    ///
    /// # Errors
    /// When a setting is refused, or the server cannot be reached.
    pub async fn set_pool(&self, pool: &str, settings: &Value) -> Result<(), ConfigureError> {
        let sql = "select async.set_pool($1, null, $2)";
        self.query("changing a pool", sql, &[(&pool, Type::TEXT), (settings, Type::JSONB)]).await?;
        Ok(())
    }

    /// Adds a target, or changes the given settings of one, the keys of an element of `targets` in
    /// `async.configure`. Others stay as they are. For administrators.
    ///
    /// # Errors
    /// As [`Client::set_pool`].
    pub async fn set_target(&self, target: &str, settings: &Value) -> Result<(), ConfigureError> {
        let sql = "select async.set_target($1, $2)";
        self.query("changing a target", sql, &[(&target, Type::TEXT), (settings, Type::JSONB)]).await?;
        Ok(())
    }
}
