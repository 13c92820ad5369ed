//! Sessions and transactions of a caller, of this crate or of tokio-postgres.

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{GenericClient, Row};

use crate::error::Error;
use crate::session::Session;

/// What executes a statement: a [`Session`], or a `Client`, a `Transaction` or a pooled connection of
/// tokio-postgres 0.7, so that a statement can be part of the transaction of a caller.
pub trait Querier: Sync {
    /// Executes a statement without a named prepared statement.
    ///
    /// # Errors
    /// As [`Session::query_typed`].
    fn execute_typed(
        &self,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> impl Future<Output = Result<Vec<Row>, Error>> + Send;
}

impl Querier for Session {
    async fn execute_typed(&self, sql: &str, parameters: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>, Error> {
        self.query_typed(sql, parameters).await
    }
}

impl<C: GenericClient + Sync> Querier for C {
    async fn execute_typed(&self, sql: &str, parameters: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>, Error> {
        Ok(self.query_typed(sql, parameters).await?)
    }
}
