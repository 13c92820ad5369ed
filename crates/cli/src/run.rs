//! `pgasync run`: the orchestrator in a process of its own.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use pgasync_runner::{Ending, Options, RunError, Stop, run as lead};
use pgasync_store::CandidacyError;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing_subscriber::EnvFilter;

use crate::args::{LogFormat, RunArgs};

const ANOTHER_LEADS: u8 = 3;

const DISABLED: u8 = 4;

const AT_ONCE: u8 = 5;

/// The target of its lines in the log.
const DRIVER: &str = "tokio_postgres";

pub(crate) async fn run(arguments: &RunArgs) -> anyhow::Result<ExitCode> {
    speak(arguments)?;
    let settings = arguments.server.settings()?;
    let options = Options {
        force: arguments.force,
        standby: arguments.standby,
        drain_timeout: Duration::from_secs(arguments.drain_timeout),
        timeouts: arguments.timeouts,
    };
    Ok(match lead(settings, options, listen_for_signals()?).await {
        Ok(ending) => {
            match arguments.log_format {
                LogFormat::Human => eprintln!("pgasync: {ending}"),
                LogFormat::Json => tracing::info!("{ending}"),
            }
            match ending {
                Ending::Resigned(_) => ExitCode::SUCCESS,
                Ending::AtOnce => ExitCode::from(AT_ONCE),
                Ending::Deposed => ExitCode::from(ANOTHER_LEADS),
            }
        }
        Err(RunError::Stopped) => ExitCode::SUCCESS,
        Err(error) => {
            match arguments.log_format {
                LogFormat::Human => eprintln!("pgasync: {error}"),
                LogFormat::Json => tracing::error!("{error}"),
            }
            match error {
                RunError::Candidacy(CandidacyError::Taken(_)) => ExitCode::from(ANOTHER_LEADS),
                RunError::Candidacy(CandidacyError::Disabled) => ExitCode::from(DISABLED),
                _ => ExitCode::FAILURE,
            }
        }
    })
}

fn speak(arguments: &RunArgs) -> anyhow::Result<()> {
    // The driver would show parameters, connection strings among them, whoever asks for it.
    let asked: Vec<&str> = arguments.log.split(',').filter(|part| !part.trim().starts_with(DRIVER)).collect();
    let filter = EnvFilter::try_new(asked.join(","))?.add_directive(format!("{DRIVER}=warn").parse()?);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Colours are for people: a journal would keep their codes.
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty()))
        .with_target(false);
    match arguments.log_format {
        LogFormat::Human => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}

/// The first SIGTERM or SIGINT drains, a second one ends at once.
fn listen_for_signals() -> anyhow::Result<mpsc::Receiver<Stop>> {
    let (tell, stops) = mpsc::channel(2);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        for stop in [Stop::Drain, Stop::Now] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if tell.send(stop).await.is_err() {
                return;
            }
        }
        std::future::pending::<()>().await;
    });
    Ok(stops)
}
