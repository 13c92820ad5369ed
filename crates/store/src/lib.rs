//! What pgasync keeps in Postgres, in typed calls: so far how to reach a server, and how to install the schema on it.
//!
//! This crate talks to the database that holds the schema `async`. It never talks to a target, and decides nothing.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use pgasync_store::{Part, Settings, install};
//!
//! let settings = Settings::from_env(Some("host=localhost dbname=jobs"))?; // the rest comes from PG*
//! let session = settings.connect().await?;
//! install(&session, Part::All).await?;
//! # Ok(()) }
//! ```

mod connect;
mod connection_string;
mod install;
mod lead;
mod session;
mod settings;
mod wire;

pub use connect::ConnectError;
pub use connection_string::ConnectionString;
pub use install::{InstallError, Part, install};
pub use lead::{
    Answers, CandidacyError, Candidate, Configuration, Election, Lead, LeadError, Look, OldSession, Op, Published,
    Registration, TargetAddress, VacuumError, end_backend, is_at_work, old_sessions, unregistered, vacuum,
};
pub use session::{Notice, Session};
pub use settings::{Malformed, Reached, Settings, SettingsError, conninfo_at};
