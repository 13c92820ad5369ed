//! `pgasync web`, and the dashboard beside an orchestrator (`pgasync run --web`).

use std::io::IsTerminal;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::thread;

use clap::Args;
use pgasync_pg::ConnectionSettings;
use pgasync_web::{BasePath, Dashboard, StartError, WebOptions};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::ServerArgs;
use crate::failure::{Exit, Failure};
use crate::server::Server;
use crate::visible;

/// The variable with the token, so that no argument has it.
const TOKEN_VARIABLE: &str = "PGASYNC_WEB_TOKEN";

const LISTEN_DEFAULT: &str = "127.0.0.1:8432";

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  pgasync web -d \"host=db dbname=jobs user=dashboard\"            at http://127.0.0.1:8432/
  pgasync web --listen 0.0.0.0:8432 --token-file /etc/pgasync/token
  pgasync web --base-path /jobs --host jobs.example               behind a proxy on this machine

The role of the connection decides what the dashboard shows and may do, so it must not be the owner of the
schema. For a role that may do all that an administrator may:
  create role dashboard login; select async.grant_admin('dashboard');
docs/dashboard.md has the rest.")]
pub(crate) struct WebArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The address and port of the dashboard. Other addresses than those of the loopback device need a token
    #[arg(long, value_name = "ADDR", default_value = LISTEN_DEFAULT)]
    listen: SocketAddr,
    #[command(flatten)]
    options: DashboardArgs,
}

/// What `web` and `run --web` have in common.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Dashboard")]
pub(crate) struct DashboardArgs {
    /// The connection string of the dashboard, with a role of its own
    #[arg(long, value_name = "CONNINFO")]
    web_server: Option<String>,
    /// Read the connection string of the dashboard from this file
    #[arg(long, value_name = "FILE", conflicts_with = "web_server")]
    web_server_file: Option<PathBuf>,
    /// The file with the token of the login, at least 16 characters. Or the variable PGASYNC_WEB_TOKEN
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A host name under which browsers reach the dashboard, besides localhost; several are possible
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// The address of a proxy whose user header counts as a login; several are possible
    #[arg(long = "trusted-proxy", value_name = "IP")]
    trusted_proxies: Vec<IpAddr>,
    /// The header in which a trusted proxy names the user
    #[arg(long, value_name = "NAME", default_value = "x-forwarded-user")]
    user_header: String,
    /// The path of the dashboard behind a proxy: /jobs
    #[arg(long, value_name = "PATH", default_value = "")]
    base_path: BasePath,
}

pub(crate) async fn run(arguments: &WebArgs) -> Result<Exit, Failure> {
    start_log();
    let own = arguments.options.connection();
    let server = own.as_ref().unwrap_or(&arguments.server).open()?;
    let dashboard = open(&server, arguments.listen, &arguments.options).await?;
    crate::print::failure(&format!("the dashboard is at http://{}{}", dashboard.address(), dashboard.path()));
    let mut terminate = signal(SignalKind::terminate()).map_err(anyhow::Error::from)?;
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    dashboard.serve(stop).await;
    Ok(Exit::Done)
}

/// Serves the dashboard from a thread of its own while this process runs, so that no page delays the leader.
pub(crate) async fn beside(listen: Option<SocketAddr>, options: &DashboardArgs) -> Result<(), Failure> {
    let Some(listen) = listen else {
        return if options.are_given() {
            Err(Failure::usage("options of the dashboard need --web ADDR"))
        } else {
            Ok(())
        };
    };
    let Some(connection) = options.connection() else {
        return Err(Failure::usage(
            "--web needs --web-server or --web-server-file: a connection with a role of its own",
        )
        .hint("the role of pgasync run owns the schema, and every visitor would have its rights"));
    };
    let server = connection.open()?;
    let web = options.web_options(server.settings.clone(), listen)?;
    let (opened, is_open) = tokio::sync::oneshot::channel();
    let serve = move || {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(opened.send(Err(StartError::Listen(listen, error)))),
        };
        runtime.block_on(async {
            match Dashboard::open(web).await {
                Ok(dashboard) => {
                    let place = (dashboard.address(), dashboard.path());
                    let _ = opened.send(Ok(place));
                    dashboard.serve(std::future::pending()).await;
                }
                Err(error) => drop(opened.send(Err(error))),
            }
        });
    };
    thread::Builder::new().name("dashboard".to_owned()).spawn(serve).map_err(anyhow::Error::from)?;
    let (address, path) = match is_open.await {
        Ok(Ok(place)) => place,
        Ok(Err(error)) => return Err(explain(&server, error).await),
        Err(_) => return Err(Failure::new(Exit::Negative, "the thread of the dashboard has ended")),
    };
    tracing::info!("the dashboard is at http://{address}{path}");
    Ok(())
}

async fn open(server: &Server, listen: SocketAddr, options: &DashboardArgs) -> Result<Dashboard, Failure> {
    match Dashboard::open(options.web_options(server.settings.clone(), listen)?).await {
        Ok(dashboard) => Ok(dashboard),
        Err(error) => Err(explain(server, error).await),
    }
}

async fn explain(server: &Server, error: StartError) -> Failure {
    let text = error.to_string();
    match error {
        StartError::NeedsToken(_) | StartError::ShortToken => Failure::usage(text).hint(format!(
            "give a token of 16 characters or more with --token-file or {TOKEN_VARIABLE}: openssl rand -hex 24"
        )),
        StartError::InvalidHeader(_) => Failure::usage(text),
        StartError::Listen(..) => Failure::new(Exit::Negative, text).hint("--listen names another address or port"),
        StartError::Server(error) => server.explain(error.into()).await,
        StartError::NoTasks(_) => match server.installation().await {
            Ok(installed) if installed.server && installed.usable => {
                Failure::new(Exit::Negative, format!("the role \"{}\" may not read tasks", installed.role))
                    .hint("the owner of the schema allows it with async.grant_client or async.grant_admin")
            }
            Ok(installed) => server.missing(&installed),
            Err(failure) => failure,
        },
        StartError::Owner { .. } => Failure::new(Exit::Negative, text)
            .hint("connect as a role of its own: create role dashboard login; select async.grant_admin('dashboard')"),
    }
}

impl DashboardArgs {
    fn are_given(&self) -> bool {
        let has_path = self.web_server.is_some() || self.web_server_file.is_some() || self.token_file.is_some();
        has_path || !self.hosts.is_empty() || !self.trusted_proxies.is_empty()
    }

    fn connection(&self) -> Option<ServerArgs> {
        let (server, server_file) = (self.web_server.clone(), self.web_server_file.clone());
        (server.is_some() || server_file.is_some()).then_some(ServerArgs { server, server_file })
    }

    fn web_options(&self, server: ConnectionSettings, listen: SocketAddr) -> Result<WebOptions, Failure> {
        Ok(WebOptions {
            token: token(self.token_file.as_deref())?,
            hosts: self.hosts.clone(),
            trusted_proxies: self.trusted_proxies.iter().map(IpAddr::to_canonical).collect(),
            user_header: self.user_header.clone(),
            base_path: self.base_path.clone(),
            ..WebOptions::new(server, listen)
        })
    }
}

/// The token of the file, or of the variable.
fn token(file: Option<&Path>) -> Result<Option<String>, Failure> {
    let text = match file {
        Some(file) => {
            let fail = |error| Failure::usage(format!("--token-file {}: {error}", file.display()));
            std::fs::read_to_string(file).map_err(fail)?
        }
        None => match std::env::var(TOKEN_VARIABLE) {
            Ok(text) => text,
            Err(_) => return Ok(None),
        },
    };
    Ok(Some(text.trim().to_owned()))
}

fn start_log() {
    let level = if std::env::var_os("PGASYNC_LOG").is_some_and(|level| level == "debug") { "debug" } else { "info" };
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(format!("pgasync_web={level}")))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty()))
        .with_target(false)
        .fmt_fields(tracing_subscriber::fmt::format::debug_fn(|writer, _, value| {
            write!(writer, "{}", visible::line(&format!("{value:?}")))
        }))
        .init();
}
