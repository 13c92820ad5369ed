//! All tests of the core except its unit tests. They share one binary, which is linked once.

#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, reason = "a test may fail loudly")]

mod classification;
mod configuration;
mod diagram;
mod fake_store;
mod harness;
mod memory;
mod plan;
mod sequences;
mod simulation;
mod stories;
mod transitions;
