//! The binary `pgasync`.
#![allow(clippy::print_stdout, reason = "standard output is the interface of this crate")]

mod args;
mod bench;
mod change;
mod config;
mod confirm;
mod demo;
mod doctor;
mod failure;
mod generated;
mod init;
mod logs;
mod migrate;
mod orchestrator;
mod output;
mod pause;
mod print;
mod push;
mod report;
mod run;
mod server;
mod show;
mod status;
mod stop;
mod systemd;
mod task_filter;
mod tasks;
mod top;
mod traces;
mod uninstall;
mod web;

use std::process::ExitCode;

use clap::Parser;
use pgasync_text::{duration, visible};

use crate::args::{Arguments, CliCommand};
use crate::failure::{Exit, Failure};

// The orchestrator mostly waits for servers. With several threads, the handover between them would
// cost more than the work itself.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    execute(Arguments::parse().command).await.unwrap_or_else(|failure| {
        print::failure(&failure.to_string());
        failure.exit().into()
    })
}

async fn execute(command: CliCommand) -> Result<ExitCode, Failure> {
    let done = match command {
        CliCommand::Sql { part } => {
            print::script(part)?;
            Exit::Done
        }
        CliCommand::Init { server, part } => init::run(&server, part).await?,
        CliCommand::Run(options) => run::run(&options).await?,
        CliCommand::Status(options) => status::run(&options).await?,
        CliCommand::Top(options) => top::run(&options).await?,
        CliCommand::Push(options) => push::run(&options).await?,
        CliCommand::Tasks(options) => tasks::run(&options).await?,
        CliCommand::Show(options) => show::run(&options).await?,
        CliCommand::Cancel(options) => change::cancel(&options).await?,
        CliCommand::Restart(options) => change::restart(&options).await?,
        CliCommand::Defer(options) => change::defer(&options).await?,
        CliCommand::Pause(options) => pause::run(&options, true).await?,
        CliCommand::Resume(options) => pause::run(&options, false).await?,
        CliCommand::Stop(options) => stop::stop(&options).await?,
        CliCommand::Start(options) => stop::start(&options).await?,
        CliCommand::Report(options) => report::run(&options).await?,
        CliCommand::Logs(options) => logs::run(&options).await?,
        CliCommand::Web(options) => web::run(&options).await?,
        CliCommand::Doctor(options) => doctor::run(&options).await?,
        CliCommand::Config(options) => config::run(&options).await?,
        CliCommand::Migrate(options) => migrate::run(&options).await?,
        CliCommand::Uninstall(options) => uninstall::run(&options).await?,
        CliCommand::Completions(options) => generated::completions(&options)?,
        CliCommand::Man(options) => generated::man(&options)?,
        CliCommand::Demo(options) => return demo::run(&options).await.map_err(|error| options.server.advised(error)),
        CliCommand::Bench(options) => return bench::run(&options).await.map_err(|error| options.server.advised(error)),
    };
    Ok(done.into())
}
