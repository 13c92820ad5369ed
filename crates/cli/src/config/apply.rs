//! Sending a document.

use pgasync_pg::types::Type;
use serde_json::Value;

use crate::failure::Failure;
use crate::server::Server;

const CONFIGURE: &str = "select async.configure($1)";

/// The document is a parameter, so it is no part of the statement that an error logs. A superuser also
/// keeps the parameters out of the log of statements; other roles cannot.
const QUIET: &str = "select pg_catalog.set_config(s.name, '0', true) from pg_catalog.pg_settings s
  where s.name in ('log_parameter_max_length', 'log_parameter_max_length_on_error')
    and (pg_catalog.current_setting('is_superuser') = 'on' or s.context = 'user')";

/// Asks the server whether it would take the document. Nothing is changed.
pub(super) async fn check(server: &Server, document: &Value) -> Result<(), Failure> {
    send(server, document, "rollback").await
}

pub(super) async fn apply(server: &Server, document: &Value) -> Result<(), Failure> {
    send(server, document, "commit").await
}

async fn send(server: &Server, document: &Value, end: &str) -> Result<(), Failure> {
    let session = server.connect().await?;
    session.batch_execute("begin").await?;
    session.query_typed(QUIET, &[]).await?;
    session.query_typed(CONFIGURE, &[(document, Type::JSONB)]).await?;
    session.batch_execute(end).await?;
    session.close().await;
    Ok(())
}
