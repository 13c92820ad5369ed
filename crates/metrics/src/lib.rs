//! The figures of an orchestrator over HTTP: `/metrics` in Prometheus' text format, `/healthz` and
//! `/readyz`.
//!
//! This crate reads a [`pgasync_runner::Monitor`] and nothing else. It knows no database, and runs in a
//! thread of its own, so that no client delays the orchestrator.
//!
//! | to read about | see |
//! | --- | --- |
//! | the socket, and the limits on clients | `listener` |
//! | the three pages | `pages` |
//! | the names, types and labels of the metrics | `families` |
//! | the limit on series | `series` |
//!
//! ```no_run
//! # fn example() -> Result<(), pgasync_metrics::ListenError> {
//! use pgasync_metrics::Listener;
//! use pgasync_runner::Monitor;
//!
//! let monitor = Monitor::new(true);
//! let listener = Listener::bind("127.0.0.1:9187")?;
//! let _serving = listener.serve(monitor, env!("CARGO_PKG_VERSION"))?; // until it is dropped
//! # Ok(()) }
//! ```

mod families;
mod listener;
mod pages;
mod series;

pub use listener::{ListenError, Listener, Serving};
