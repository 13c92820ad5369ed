//! The Rust engine: the implementation behind `pgasync run`.
//!
//! This crate drives the core against the server and the targets. Events become inputs of
//! [`pgasync_core::Orchestrator`], and its commands are carried out here. A command that could
//! delay another one runs in a tokio task of its own.
//!
//! This crate holds no rule about what may run, and it never changes a task row itself: every write
//! of the leader goes through [`pgasync_store::LeaderSession`]. The only clock is in `clock`.
//!
//! | to read about | see |
//! | --- | --- |
//! | starting, becoming the leader, proving the lead after a lost connection | `run`, `election` |
//! | the loop of the leader: events in, commands out, and its resignation | `leader` |
//! | the leader session, and what the views show | `leader_writer`, `publish` |
//! | one session with a target, and the set of them | `target_session`, `target_sessions` |
//! | cancel requests and terminations | `cancel` |
//! | what others in the process see of it | `monitor`, `figures`, `backlog`, `ended` |
//! | proving that a session is gone | `fence`, `server_copies`, `session_identity` |
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use pgasync_runner::{RunOptions, run};
//! use pgasync_pg::ConnectionSettings;
//!
//! let server = ConnectionSettings::from_env(Some("host=localhost dbname=jobs"))?;
//! let (_stop, stop_signals) = tokio::sync::mpsc::channel(1);
//! let reason = run(server, RunOptions::default(), stop_signals).await?;
//! println!("{reason}");
//! # Ok(()) }
//! ```

mod backlog;
mod cancel;
mod clock;
mod election;
mod ended;
mod error_text;
mod events;
mod fence;
mod figures;
mod leader;
mod leader_writer;
mod monitor;
mod old_receipts;
mod publish;
mod publish_metrics;
mod review;
mod run;
mod server_copies;
mod session_identity;
mod shutdown;
mod target_session;
mod target_sessions;
mod timeouts;
mod upkeep;

pub use ended::{EndedTasks, EndedTasksReceiver};
pub use figures::Figures;
pub use monitor::{Monitor, RunState};
pub use pgasync_store::LaneBacklog;
pub use run::{RunError, RunOptions, run};
pub use shutdown::{ExitReason, StopSignal};
pub use timeouts::{Timeouts, TimeoutsError};
