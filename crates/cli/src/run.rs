//! `pgasync run`: the Rust engine, with signals, a log and an exit code.

use std::fmt::{Debug, Result as FmtResult};
use std::io::IsTerminal;
use std::time::Duration;

use pgasync_metrics::{Listener, Serving};
use pgasync_runner::{ExitReason, Monitor, RunError, RunOptions, StopSignal, run as lead};
use pgasync_store::CandidacyError;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::Level;
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

use crate::args::{LogFormat, RunArgs};
use crate::failure::{Exit, Failure};
use crate::server::Server;
use crate::traces::Traces;
use crate::{systemd, visible};

/// The log target of the Postgres driver.
const DRIVER: &str = "tokio_postgres";

pub(crate) async fn run(arguments: &RunArgs) -> Result<Exit, Failure> {
    start_log(arguments)?;
    let server = arguments.server.open()?;
    let settings = server.settings.clone();
    if let Some(folder) = arguments.secrets_dir.as_deref().filter(|folder| !folder.is_dir()) {
        return Err(Failure::usage(format!("--secrets-dir {}: it is not a folder", folder.display())));
    }
    let settings = settings.with_secrets_dir(arguments.secrets_dir.as_deref());
    let monitor = Monitor::new(arguments.listen.is_some());
    let _serving = arguments.listen.as_deref().map(|address| listen(address, &monitor)).transpose()?;
    let mut traces = Traces::start(arguments.traces, &settings)?;
    systemd::report(monitor.clone());
    crate::web::beside(arguments.web, &arguments.dashboard).await?;
    let options = RunOptions {
        monitor,
        force: arguments.force,
        standby: arguments.standby,
        drain_timeout: Duration::from_secs(arguments.drain_timeout),
        timeouts: arguments.timeouts,
        ended: traces.ended(),
    };
    let ended = lead(settings, options, listen_for_signals()?).await;
    systemd::report_stopping();
    traces.finish();
    match ended {
        Ok(reason) => {
            say(arguments, Level::INFO, &reason.to_string());
            Ok(match reason {
                ExitReason::Resigned(_) => Exit::Done,
                ExitReason::AtOnce => Exit::AtOnce,
                ExitReason::Deposed => Exit::AnotherLeads,
                ExitReason::SchemaGone => Exit::Schema,
            })
        }
        Err(RunError::Stopped) => Ok(Exit::Done),
        Err(error) => {
            let failure = explain(&server, error).await;
            say(arguments, Level::ERROR, &failure.to_string());
            Ok(failure.exit())
        }
    }
}

/// Serves the figures of this process until the result is dropped.
fn listen(address: &str, monitor: &Monitor) -> Result<Serving, Failure> {
    let listener = Listener::bind(address).map_err(|error| {
        let in_use = error.is_in_use();
        let failure = Failure::usage(error.to_string());
        if in_use {
            failure.hint("another process has this port: name another one, or end that process")
        } else {
            failure
        }
    })?;
    tracing::info!(address = %listener.address(), "serving /metrics, /healthz and /readyz");
    listener
        .serve(monitor.clone(), env!("CARGO_PKG_VERSION"))
        .map_err(|error| Failure::new(Exit::Negative, error.to_string()))
}

/// The last line: plain, or a document of the log.
fn say(arguments: &RunArgs, level: Level, text: &str) {
    match arguments.log_format {
        LogFormat::Human => crate::print::failure(text),
        LogFormat::Json if level == Level::INFO => tracing::info!("{text}"),
        LogFormat::Json => tracing::error!("{text}"),
    }
}

/// Why the process does not lead, and what to do about it.
async fn explain(server: &Server, error: RunError) -> Failure {
    let text = error.to_string();
    match error {
        RunError::Candidacy(CandidacyError::Taken(_)) => Failure::new(Exit::AnotherLeads, text)
            .hint("--standby waits for the lead, --force takes it; pgasync status shows the leader"),
        RunError::Candidacy(CandidacyError::Disabled) => Failure::new(Exit::Disabled, text),
        RunError::Candidacy(CandidacyError::Unreachable(error)) => server.explain(error.into()).await,
        RunError::Candidacy(CandidacyError::Lost(_)) | RunError::Leader(_) | RunError::Stopped => {
            Failure::new(Exit::Negative, text)
        }
        RunError::Candidacy(CandidacyError::NotInstalled(_) | CandidacyError::Refused(_)) => {
            refused(server, text).await
        }
    }
}

/// A refusal has its reason in what is installed, or in the role.
async fn refused(server: &Server, text: String) -> Failure {
    let Ok(installed) = server.installation().await else { return Failure::new(Exit::Negative, text) };
    if installed.schema && !installed.owned {
        return server.not_owned(&installed).within("PA209");
    }
    if !installed.schema || !installed.server || !installed.is_current() {
        return server.missing(&installed);
    }
    Failure::new(Exit::Negative, text)
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
