//! The commands of `pgasync` for operators, as processes: results, exit codes, and the errors of calls
//! that make no sense.

mod change;
mod config;
mod doctor;
mod errors;
mod fixture;
mod lifecycle;
mod nonsense;
mod push;
mod tasks;
mod terminal;
mod top;
mod watch;
mod watching;
