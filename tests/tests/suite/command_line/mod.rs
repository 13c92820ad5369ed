//! The commands of `pgasync` for operators, as processes: results, exit codes, and the errors of calls
//! that make no sense.

mod change;
mod config;
mod errors;
mod fixture;
mod lifecycle;
mod push;
mod tasks;
mod watching;
