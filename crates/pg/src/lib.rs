//! Connections to Postgres that behave as libpq's do, over tokio-postgres and rustls.
//!
//! | to | use |
//! | --- | --- |
//! | read a connection string and the variables, service files and defaults around it | [`ConnectionSettings`] |
//! | open a session: hosts in turn, TLS, password files, `target_session_attrs` | [`ConnectionSettings::connect`] |
//! | execute statements, receive notices, notice the end of the session | [`Session`] |
//! | execute a statement in a transaction of tokio-postgres | [`Querier`] |
//! | cancel what a session runs | [`Canceler`] |
//! | bound the memory that a server's messages take | [`RowLimit`] |
//! | reach the same server of several again | [`Reached`], [`conninfo_at`] |
//! | distinguish errors of the server from a lost connection | [`Error`] |
//!
//! An option that cannot be honoured is an error; no option is ignored. No message and no `Debug`
//! output shows a password. Rows, parameters and prepared statements are types of tokio-postgres,
//! which this crate re-exports.
//!
//! This crate knows nothing of tasks, targets or the schema `async`.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use pgasync_pg::{ConnectionSettings, ErrorKind};
//!
//! let settings = ConnectionSettings::from_env(Some("host=one,two dbname=jobs"))?; // the rest comes from PG*
//! let session = settings.connect_with(|notice| println!("{notice:?}")).await?;
//! let row = session.query_one("select current_user::text, $1::int8", &[&7_i64]).await?;
//! println!("{} {}", row.get::<_, &str>(0), row.get::<_, i64>(1));
//! match session.batch_execute("select 1/0").await {
//!     Err(error) if error.kind() == ErrorKind::Server => assert_eq!(error.sqlstate(), Some("22012")),
//!     other => other?,
//! }
//! session.close().await;
//! # Ok(()) }
//! ```

mod connect;
mod connection_string;
mod error;
mod filter;
mod querier;
mod session;
mod settings;

pub use connect::{Canceler, ConnectError};
pub use connection_string::ConnectionString;
pub use error::{Error, ErrorKind, ServerError};
pub use filter::{MessageFilter, RowLimit, Violation};
pub use querier::Querier;
pub use session::{Notice, Session};
pub use settings::{ConnectionSettings, InvalidConninfo, Reached, SettingsError, conninfo_at};
pub use tokio_postgres::{Row, SimpleQueryRow, Statement, types};
