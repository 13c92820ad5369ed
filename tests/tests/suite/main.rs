//! All tests that need Postgres, in one binary, because linking is slow.
//!
//! Tests below `chaos` run separately, each on its own clusters (`.config/nextest.toml`), and so do
//! those below `hosts`, on containers.

mod attacks;
mod bench;
mod between_engines;
mod chaos;
mod command_line;
mod conformance;
mod connections;
mod counted;
mod cuts;
mod documents;
mod examples;
mod fuzz;
mod harness;
mod holds;
#[cfg(feature = "hosts")]
mod hosts;
mod install;
mod judged;
mod links;
mod metrics;
mod process;
mod reference;
mod seed;
mod status;
mod store_client;
mod store_worker;
mod traces;
mod upgrades;
mod web;
