//! All tests that need a Postgres, in one binary, since linking is slow.
//!
//! Modules below `chaos` run apart, each on clusters of its own (`.config/nextest.toml`); so do
//! those below `hosts`, on containers.

mod attacks;
mod between_engines;
mod chaos;
mod conformance;
mod connections;
mod cuts;
mod harness;
mod holds;
#[cfg(feature = "hosts")]
mod hosts;
mod install;
mod judged;
mod process;
mod seed;
mod status;
mod store_client;
