//! Everything that needs a Postgres. One binary: linking is what costs.
//!
//! Modules below `chaos` run apart, each on clusters of its own (`.config/nextest.toml`).

mod between_engines;
mod chaos;
mod conformance;
mod connections;
mod harness;
mod install;
mod judged;
mod seed;
