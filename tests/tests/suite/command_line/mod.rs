//! The commands of `pgasync` for operators, as processes: results, exit codes, and the errors of calls
//! that make no sense.

mod errors;
mod fixture;
mod push;
mod tasks;
