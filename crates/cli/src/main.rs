//! The binary `pgasync`.
#![allow(clippy::print_stdout, reason = "standard output is the interface of this crate")]

mod args;
mod bench;
mod demo;
mod init;
mod orchestrator;
mod print;
mod run;
mod server;
mod status;
mod visible;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Arguments, CliCommand};

// The orchestrator mostly waits for servers. With several threads, the handover between them would
// cost more than the work itself.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        CliCommand::Sql { part } => print::script(part).map(|()| ExitCode::SUCCESS),
        CliCommand::Init { server, part } => init::run(&server, part).await.map(|()| ExitCode::SUCCESS),
        CliCommand::Run(options) => run::run(&options).await,
        CliCommand::Status(options) => status::run(&options).await,
        CliCommand::Demo(options) => demo::run(&options).await,
        CliCommand::Bench(options) => bench::run(&options).await,
    };
    done.unwrap_or_else(|error| {
        print::failure(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}
