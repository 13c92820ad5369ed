//! `pgasync run`: the Rust engine, with signals, a log and an exit code.

use std::fmt::{Debug, Result as FmtResult};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use pgasync_runner::{ExitReason, RunError, RunOptions, StopSignal, run as lead};
use pgasync_store::CandidacyError;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

use crate::args::{LogFormat, RunArgs};
use crate::visible;

const ANOTHER_LEADS: u8 = 3;

const DISABLED: u8 = 4;

const AT_ONCE: u8 = 5;

/// The log target of the Postgres driver.
const DRIVER: &str = "tokio_postgres";

pub(crate) async fn run(arguments: &RunArgs) -> anyhow::Result<ExitCode> {
    start_log(arguments)?;
    let settings = arguments.server.settings()?;
    if let Some(folder) = arguments.secrets_dir.as_deref().filter(|folder| !folder.is_dir()) {
        bail!("--secrets-dir {}: it is not a folder", folder.display());
    }
    let settings = settings.with_secrets_dir(arguments.secrets_dir.as_deref());
    let options = RunOptions {
        force: arguments.force,
        standby: arguments.standby,
        drain_timeout: Duration::from_secs(arguments.drain_timeout),
        timeouts: arguments.timeouts,
    };
    Ok(match lead(settings, options, listen_for_signals()?).await {
        Ok(reason) => {
            match arguments.log_format {
                LogFormat::Human => crate::print::failure(&reason.to_string()),
                LogFormat::Json => tracing::info!("{reason}"),
            }
            match reason {
                ExitReason::Resigned(_) => ExitCode::SUCCESS,
                ExitReason::AtOnce => ExitCode::from(AT_ONCE),
                ExitReason::Deposed => ExitCode::from(ANOTHER_LEADS),
                ExitReason::SchemaGone => ExitCode::FAILURE,
            }
        }
        Err(RunError::Stopped) => ExitCode::SUCCESS,
        Err(error) => {
            match arguments.log_format {
                LogFormat::Human => crate::print::failure(&error.to_string()),
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

fn start_log(arguments: &RunArgs) -> anyhow::Result<()> {
    // At finer levels the driver logs parameters, and connection strings with passwords are among
    // them.
    let asked: Vec<&str> = arguments.log.split(',').filter(|part| !part.trim().starts_with(DRIVER)).collect();
    let filter = EnvFilter::try_new(asked.join(","))?.add_directive(format!("{DRIVER}=warn").parse()?);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Colours are for a terminal only: a log file would contain their escape codes.
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty()))
        .with_target(false);
    match arguments.log_format {
        LogFormat::Human => builder.fmt_fields(debug_fn(write_field).delimited(" ")).init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}

/// A field of a line of the log, in one line.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> FmtResult {
    let text = format!("{value:?}");
    match field.name() {
        "message" => write!(writer, "{}", visible::line(&text)),
        name => write!(writer, "{name}={}", visible::line(&text)),
    }
}

/// The first SIGTERM or SIGINT drains; the second one stops at once.
fn listen_for_signals() -> anyhow::Result<mpsc::Receiver<StopSignal>> {
    let (sender, stop_signals) = mpsc::channel(2);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        for signal in [StopSignal::Drain, StopSignal::Now] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if sender.send(signal).await.is_err() {
                return;
            }
        }
        std::future::pending::<()>().await;
    });
    Ok(stop_signals)
}
