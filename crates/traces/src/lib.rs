//! OpenTelemetry spans of the tasks of an orchestrator, over OTLP.
//!
//! The leader leaves the ids of tasks that ended. This crate reads their rows in a session of its own, in
//! a thread of its own, and exports the spans of those whose `task_data` has a sampled `traceparent`.
//!
//! | to read about | see |
//! | --- | --- |
//! | the thread, its session and its batches | `tracer` |
//! | which spans a task has | `span` |
//! | where spans go | `exporter` |
//!
//! ```no_run
//! # fn example(server: pgasync_pg::ConnectionSettings) -> Result<(), pgasync_traces::TracesError> {
//! use pgasync_runner::RunOptions;
//! use pgasync_traces::Tracer;
//!
//! let (tracer, ended) = Tracer::start(server, env!("CARGO_PKG_VERSION"))?;
//! let options = RunOptions { ended: Some(ended), ..RunOptions::default() };
//! // pgasync_runner::run(..., options, ...).await, and then:
//! drop(options);
//! tracer.finish();
//! # Ok(()) }
//! ```

mod exporter;
mod span;
mod tracer;

pub use exporter::TracesError;
pub use tracer::Tracer;
