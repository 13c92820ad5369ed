//! `pgasync demo`: some thousand tasks from push to outcome, on databases of their own.

mod databases;
mod progress;
mod report;
mod watch;

use std::process::ExitCode;
use std::time::Instant;

use pgasync_pg::Session;

use self::databases::DemoDatabases;
use self::report::DemoReport;
use crate::args::{DemoArgs, EngineName};
use crate::orchestrator::RunningOrchestrator;
use crate::print;
use crate::server::error_text;

/// The exit code is a success only if every task ended as intended.
pub(crate) async fn run(options: &DemoArgs) -> anyhow::Result<ExitCode> {
    let cluster = options.server.settings()?;
    cluster.connect().await?.close().await;
    let (count, here) = (databases::TARGETS.len(), cluster.describe());
    print::write(&format!("Setting up a server and {count} target databases at {here}\n"))?;
    let databases = DemoDatabases::set_up(&cluster).await?;
    let succeeded = run_tasks(&databases, options.engine).await;
    if options.keep {
        let queries = report::further_queries(&databases.server);
        print::write(&format!("The databases stay. Further queries:\n{queries}\n"))?;
    } else {
        databases.drop_all().await?;
        print::write("The databases are dropped; --keep leaves them in place.\n")?;
    }
    Ok(if succeeded? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns whether every task ended as intended.
async fn run_tasks(databases: &DemoDatabases, engine: EngineName) -> anyhow::Result<bool> {
    let session = databases.server.connect().await?;
    let tasks = push(&session).await?;
    let engine_call = match engine {
        EngineName::Sql => "call async.main()",
        EngineName::Rust => "pgasync run",
    };
    print::write(&format!("Pushed {tasks} tasks with async.push_tasks; starting the orchestrator: {engine_call}\n"))?;
    let begin = Instant::now();
    let mut orchestrator = RunningOrchestrator::start(&databases.server, engine).await?;
    watch::until_finished(&session, &mut orchestrator).await?;
    let took = begin.elapsed();
    orchestrator.stop(&databases.server).await?;

    let report = DemoReport::read(&session, took).await?;
    print::write_styled(&format!("{report}\n"))?;
    databases.audit(report.tasks_of_kind("transfer") / 3).await?;
    Ok(report.as_intended())
}

async fn push(session: &Session) -> anyhow::Result<i64> {
    session.batch_execute(include_str!("sql/push.sql")).await.map_err(error_text)?;
    let row = session.query_one("select count(*) from async.task", &[]).await.map_err(error_text)?;
    Ok(row.try_get(0)?)
}
