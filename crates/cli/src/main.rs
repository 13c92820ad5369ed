//! The pgasync binary.
#![allow(clippy::print_stdout, reason = "this crate is where the project speaks to a person")]

mod args;
mod bench;
mod demo;
mod init;
mod leader;
mod print;
mod run;
mod server;
mod status;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Arguments, Command};

// One thread: what the orchestrator waits for are servers, and handing work from thread to thread would cost more than
// the work.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Sql { part } => print::script(part).map(|()| ExitCode::SUCCESS),
        Command::Init { server, part } => init::run(&server, part).await.map(|()| ExitCode::SUCCESS),
        Command::Run(options) => run::run(&options).await,
        Command::Status(options) => status::run(&options).await,
        Command::Demo(options) => demo::run(&options).await,
        Command::Bench(options) => bench::run(&options).await.map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        eprintln!("pgasync: {error:#}");
        ExitCode::FAILURE
    })
}
