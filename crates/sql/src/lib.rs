//! The SQL side of pgasync: objects (one per file), migrations, and the texts that psql installs.
//!
//! [`client`] makes a database a *client*. [`client`] and then [`server`] make it a *server*, and
//! [`ui`] adds the views for administrators. Each text is self-contained, and has no meta-commands
//! of psql and no transaction control. It may be run again, which upgrades the schema and keeps all
//! data. It works on Postgres 11 to 18.
//!
//! This crate does no IO. It returns texts.
//!
//! ```
//! let script = pgasync_sql::all();
//! assert!(script.contains("create or replace procedure async.main("));
//! ```

mod assemble;
mod conversion;
mod fingerprint;
#[cfg(test)]
mod hints;
#[cfg(test)]
mod listing;
#[cfg(test)]
mod literals;
mod objects;
#[cfg(test)]
mod search_path_lint;
#[cfg(test)]
mod search_paths;

pub use assemble::{Migration, all, client, migrations, server, ui};
pub use fingerprint::FINGERPRINT;

/// The version that the installed schema reports in `async.control.version`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
