//! The SQL side of pgasync: one object a file, migrations, and the files that psql installs.
//!
//! A database becomes a *client* with [`client`], a *server* with [`client`] and then [`server`],
//! and gets the administrator's views with [`ui`]. Each is one self-contained text without psql's
//! meta-commands and without transaction control, may be run again (it upgrades, and loses nothing)
//! and works on Postgres 11 to 18.
//!
//! This crate does no IO: it only hands out texts.
//!
//! ```
//! let script = pgasync_sql::all();
//! assert!(script.contains("create or replace procedure async.main("));
//! ```

mod assemble;
mod fingerprint;
#[cfg(test)]
mod listing;
mod objects;
#[cfg(test)]
mod search_path_lint;
#[cfg(test)]
mod search_paths;

pub use assemble::{all, client, server, ui};
pub use fingerprint::FINGERPRINT;

/// The version that the installed schema reports in `async.control.version`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
