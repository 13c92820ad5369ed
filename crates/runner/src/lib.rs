//! `pgasync run`: drives the core against the store and the targets.
//!
//! It holds no rule of its own about what may run: events go into [`pgasync_core::Orchestrator`], its commands are
//! carried out here, each where nothing else waits for it. Sessions with targets live in tasks of their own, and so do
//! cancels and fences; everything that is written goes through [`pgasync_store::Lead`].
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use pgasync_runner::{Options, run};
//! use pgasync_pg::ConnectionSettings;
//!
//! let server = ConnectionSettings::from_env(Some("host=localhost dbname=jobs"))?;
//! let (_stop, stops) = tokio::sync::mpsc::channel(1);
//! let ending = run(server, Options::default(), stops).await?;
//! println!("{ending}");
//! # Ok(()) }
//! ```

mod campaign;
mod clock;
mod copies;
mod ending;
mod ends;
mod engine;
mod events;
mod fence;
mod identity;
mod leader_writer;
mod line;
mod publish;
mod report;
mod sessions;
mod timeouts;

pub use campaign::{Options, RunError, run};
pub use ends::{Ending, Stop};
pub use timeouts::{Timeouts, TimeoutsError};
