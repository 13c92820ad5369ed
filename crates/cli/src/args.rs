//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use pgasync_runner::Timeouts;

use crate::bench::BenchArgs;
use crate::change::{CancelArgs, DeferArgs, RestartArgs};
use crate::config::ConfigArgs;
use crate::doctor::DoctorArgs;
use crate::generated::{CompletionsArgs, ManArgs};
use crate::logs::LogsArgs;
use crate::migrate::MigrateArgs;
use crate::output::Format;
use crate::pause::PauseArgs;
use crate::push::PushArgs;
use crate::report::ReportArgs;
use crate::show::ShowArgs;
use crate::stop::{StartArgs, StopArgs};
use crate::tasks::TasksArgs;
use crate::top::TopArgs;
use crate::uninstall::UninstallArgs;
use crate::web::{DashboardArgs, WebArgs};

/// The same in every command: docs/command-line.md.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  a negative answer, a failed task, or an error
  2  usage
  3  another orchestrator leads
  4  the orchestrator is disabled
  5  ended at once, with running queries left behind
  6  the server was not reached
  7  the schema async is missing, or of another version";

/// Run SQL in the background on Postgres.
#[derive(Debug, Parser)]
#[command(name = "pgasync", version, arg_required_else_help = true, propagate_version = true, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: CliCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CliCommand {
    /// Print the SQL that installs pgasync, for psql or any deployment tool
    Sql {
        /// client: types and functions to push tasks; server: the orchestrator, requires client; ui:
        /// views for administrators
        #[arg(value_enum)]
        part: PartName,
    },
    /// Install pgasync in a database, or upgrade it
    Init {
        #[command(flatten)]
        server: ServerArgs,
        /// What to install; server includes client
        #[arg(value_enum, default_value = "all")]
        part: PartName,
    },
    /// Run the orchestrator: become the leader of a server, and run its tasks on their targets
    ///
    /// Ends with 0 after a graceful shutdown (a signal, async.control.enabled, a forced takeover).
    Run(Box<RunArgs>),
    /// Show the status of a server: its leader, running tasks, why tasks wait, and lost
    /// targets
    ///
    /// Ends with 0 when an orchestrator leads and no target is lost, and with 1 otherwise. The command
    /// only reads. It is for the owner of the schema and for roles with
    /// async.grant_admin.
    Status(StatusArgs),
    /// Watch rates, pools, targets, running tasks and why tasks wait, and change them with keys
    ///
    /// For the owner of the schema and for roles with async.grant_admin.
    Top(TopArgs),
    /// Push tasks: queries, files, standard input
    Push(Box<PushArgs>),
    /// List tasks: which wait, run, failed, and why
    #[command(visible_alias = "ls")]
    Tasks(Box<TasksArgs>),
    /// Show one task: its row, requests, attempts, query, error and result
    Show(ShowArgs),
    /// Cancel tasks: ids, or all that a filter chooses
    Cancel(Box<CancelArgs>),
    /// Return finished tasks to the queue: ids, or all that a filter chooses
    Restart(Box<RestartArgs>),
    /// Put tasks off: ids, or all that a filter chooses
    Defer(Box<DeferArgs>),
    /// Hold new starts; what runs goes on
    Pause(PauseArgs),
    /// Let tasks start again
    Resume(PauseArgs),
    /// Disable the orchestrator, and wait until none leads
    Stop(StopArgs),
    /// Enable the orchestrator; pgasync run or call async.main() starts one
    Start(StartArgs),
    /// Report what ended in a window of time: errors, outcomes, waits and runs
    Report(ReportArgs),
    /// Print the log of the server
    Logs(LogsArgs),
    /// Serve the dashboard: pages about the server, and actions with the rights of a role
    Web(Box<WebArgs>),
    /// Look for what is wrong or will be, with the fix of each finding
    Doctor(DoctorArgs),
    /// Show, check, compare and change the configuration
    Config(ConfigArgs),
    /// Upgrade the schema, or print what an upgrade would change
    Migrate(MigrateArgs),
    /// Drop the schema, with all tasks
    Uninstall(UninstallArgs),
    /// Print the completions of a shell
    Completions(CompletionsArgs),
    /// Write a man page for each command
    #[command(hide = true)]
    Man(ManArgs),
    /// Create databases in an empty Postgres, push some thousand tasks, and show their outcomes
    Demo(DemoArgs),
    /// Measure both engines on a server, beside pgbench
    ///
    /// Creates the databases pgasync_bench and pgasync_bench_target, and drops them at the end, also
    /// when it is interrupted. It reads and changes no other database. The role needs CREATEDB and
    /// must be able to install the schema with dblink there: a superuser, or any role if template1
    /// has the extension dblink. The numbers are those of the whole server, so other work disturbs
    /// them, and is disturbed.
    ///
    /// The reference is pgbench with `select 0`, if PGBENCH names it or it is on the path, and
    /// otherwise a loop of this program. docs/benchmarks.md explains the numbers.
    Bench(Box<BenchArgs>),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ServerArgs {
    /// The database with the schema async: a name, "host=... dbname=..." or
    /// postgres://user@host/db, as in psql. Missing values come from PGHOST, PGPORT, PGUSER,
    /// PGDATABASE, PGPASSWORD and the other PG* variables, from the service that PGSERVICE names,
    /// and from ~/.pgpass. docs/connecting.md lists every key. Every user of this machine can see
    /// the arguments of a process: keep a password in ~/.pgpass, PGPASSWORD or --server-file
    #[arg(long, short = 'd', visible_alias = "dbname", value_name = "CONNINFO")]
    pub(crate) server: Option<String>,
    /// Read the connection string from this file; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "server")]
    pub(crate) server_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// The folder of the files that passwords of the form ${FILE:name} in connection strings of
    /// targets refer to. ${ENV:PGASYNC_SECRET_NAME} refers to a variable of this process
    #[arg(long, value_name = "FOLDER")]
    pub(crate) secrets_dir: Option<PathBuf>,
    /// Take the lead from another orchestrator: ask it to resign, then terminate it. Also enables
    /// the orchestrator
    #[arg(long)]
    pub(crate) force: bool,
    /// Wait while another orchestrator leads, instead of exiting with 3
    #[arg(long, conflicts_with = "force")]
    pub(crate) standby: bool,
    /// Seconds that running queries may go on after SIGTERM or SIGINT; then they are cancelled and
    /// return to the queue. A second signal stops at once
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) drain_timeout: u64,
    /// Serve /metrics (Prometheus), /healthz and /readyz over HTTP at this address: 127.0.0.1:9187, or
    /// 0.0.0.0:9187 for other hosts. Every client that reaches it reads the names of targets and pools
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,
    /// Export an OpenTelemetry span of each task whose task_data has a sampled "traceparent", over OTLP to
    /// OTEL_EXPORTER_OTLP_ENDPOINT (http://localhost:4318). Needs a program built with the feature traces
    #[arg(long)]
    pub(crate) traces: bool,
    /// Limits on waiting for a server or target that does not answer, for tests:
    /// server_silence=2s,target_answer=500ms
    #[arg(long, value_name = "NAME=TIME,...", default_value = "", hide = true)]
    pub(crate) timeouts: Timeouts,
    /// Log level: error, warn, info, debug (a line for each task), or directives of
    /// tracing-subscriber
    #[arg(long, value_name = "LEVEL", env = "PGASYNC_LOG", default_value = "info")]
    pub(crate) log: String,
    /// Format of the log
    #[arg(long, value_enum, default_value = "human")]
    pub(crate) log_format: LogFormat,
    /// Serve the dashboard at this address as well; needs --web-server
    #[arg(long, value_name = "ADDR", help_heading = "Dashboard")]
    pub(crate) web: Option<std::net::SocketAddr>,
    #[command(flatten)]
    pub(crate) dashboard: DashboardArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Plain lines
    Human,
    /// One JSON document per line
    Json,
}

#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// The form of the result: table, or json for one document {"format": 1, ...}
    #[arg(long, short = 'o', value_enum, default_value = "table", value_name = "FORM")]
    pub(crate) output: Format,
    /// Show it again each 2 seconds, or after the given time, until Ctrl-C, or q on a terminal
    #[arg(long, short = 'w', value_name = "TIME", num_args = 0..=1, default_missing_value = "2s", require_equals = true,
        value_parser = crate::duration::span, conflicts_with_all = ["output", "json"])]
    pub(crate) watch: Option<pgasync_core::Span>,
    /// The same as -o json
    #[arg(long, hide = true, conflicts_with = "output")]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// The engine that runs the tasks
    #[arg(long, value_enum, default_value = "rust")]
    pub(crate) engine: EngineName,
    /// Keep the databases of the demo
    #[arg(long)]
    pub(crate) keep: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PartName {
    Client,
    Server,
    Ui,
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineName {
    /// plpgsql over dblink, CALL async.main()
    Sql,
    /// pgasync run
    Rust,
}

impl EngineName {
    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sql => "sql",
            Self::Rust => "rust",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
