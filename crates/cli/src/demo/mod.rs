//! `pgasync demo`: the main job on databases of its own, from push to outcome, in about a minute.

mod progress;
mod report;
mod stage;
mod watch;

use std::process::ExitCode;
use std::time::Instant;

use pgasync_pg::Session;

use self::report::Report;
use self::stage::Stage;
use crate::args::{DemoArgs, EngineName};
use crate::leader::Leader;
use crate::server::in_words;

/// Succeeds only if every task ended as it was meant to.
pub(crate) async fn run(options: &DemoArgs) -> anyhow::Result<ExitCode> {
    let cluster = options.server.settings()?;
    println!("Setting up a server and {} target databases at {}", stage::TARGETS.len(), cluster.describe());
    let stage = Stage::build(&cluster).await?;
    let played = play(&stage, options.engine).await;
    if options.keep {
        println!("Kept. Look further with:\n{}", report::how_to_look(&stage.server));
    } else {
        stage.strike().await?;
        println!("The databases are gone again; with --keep they stay to be looked at.");
    }
    Ok(if played? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether every outcome was the one intended.
async fn play(stage: &Stage, engine: EngineName) -> anyhow::Result<bool> {
    let session = stage.server.connect().await?;
    let tasks = push(&session).await?;
    println!(
        "Pushed {tasks} tasks with async.push_tasks; starting the orchestrator: {}",
        match engine {
            EngineName::Sql => "call async.main()",
            EngineName::Rust => "as pgasync run does",
        }
    );
    let begin = Instant::now();
    let mut leader = Leader::start(&stage.server, engine).await?;
    watch::until_finished(&session, &mut leader).await?;
    let took = begin.elapsed();
    leader.stop(&stage.server).await?;

    let report = Report::read(&session, took).await?;
    println!("{report}");
    stage.audit(report.tasks_of_kind("transfer") / 3).await?;
    Ok(report.as_intended())
}

async fn push(session: &Session) -> anyhow::Result<i64> {
    session.batch_execute(include_str!("sql/push.sql")).await.map_err(in_words)?;
    let row = session.query_one("select count(*) from async.task", &[]).await.map_err(in_words)?;
    Ok(row.try_get(0)?)
}
