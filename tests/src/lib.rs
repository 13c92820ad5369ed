//! The harness of pgasync's suites.
//!
//! A test gets its own database on the cluster that `./dev test` or `./dev pg MAJOR` started, an
//! [`Engine`] for it, and helpers that wait for conditions, and print the task table after a
//! timeout:
//!
//! ```no_run
//! # async fn a_pushed_task_runs() {
//! use pgasync_tests::{Database, Engine, SqlEngine};
//!
//! let database = Database::create().await;
//! let mut engine = SqlEngine::attach(&database);
//! engine.lead().await;
//! database.run("select async.push_tasks(array[async.task('select 0', 'SELF')])").await;
//! database.wait_for("select bool_and(processed is not null) from async.task").await;
//! # }
//! ```
//!
//! A test that kills servers uses a [`PrivateCluster`], and belongs in a module below `chaos`. The
//! feature `hosts` adds `Host`, a container that a test pauses, disconnects and kills, for the
//! tests below `hosts`.

mod cluster;
mod database;
mod engine;
mod fake_server;
#[cfg(feature = "hosts")]
mod hosts;
mod private;
mod proxy;
mod rust_engine;
mod scratch;
mod signal;
mod sql_engine;
mod target;
mod wait;

pub use cluster::Cluster;
pub use database::Database;
pub use engine::{Engine, Outcome};
pub use fake_server::{Answer, FakeServer, Flood, Received, Unanswered};
#[cfg(feature = "hosts")]
pub use hosts::{Host, Network};
pub use private::PrivateCluster;
pub use proxy::{Condition, Cut, Fault, Name, Proxy, Sent};
pub use rust_engine::RustEngine;
pub use scratch::Scratch;
pub use signal::{Signal, freeze, send, send_to_all};
pub use sql_engine::SqlEngine;
pub use target::Target;
pub use wait::PATIENCE;
