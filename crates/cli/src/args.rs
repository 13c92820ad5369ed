//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use pgasync_runner::Timeouts;

/// Run SQL in the background on Postgres.
#[derive(Debug, Parser)]
#[command(name = "pgasync", version, arg_required_else_help = true)]
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
    /// Exit codes: 0 after a graceful shutdown (a signal, async.control.enabled, a forced
    /// takeover); 1 on an error; 3 when another orchestrator leads or has taken the lead; 4 when
    /// the orchestrator is disabled; 5 when a second signal stopped it at once and left running
    /// tasks to the next leader.
    Run(Box<RunArgs>),
    /// Show the status of a server: its leader, running tasks, why tasks wait, and lost
    /// targets
    ///
    /// Exit codes: 0 when an orchestrator leads and no target is lost; 1 otherwise, or on an error.
    /// The command only reads. It is for the owner of the schema and for roles with
    /// async.grant_admin.
    Status(StatusArgs),
    /// Create databases in an empty Postgres, push some thousand tasks, and show their outcomes
    Demo(DemoArgs),
    /// Measure throughput beside that of pgbench, idle CPU and latency, on a Postgres of its own
    #[command(hide = true)]
    Bench(BenchArgs),
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
    /// Print one JSON document instead of tables
    #[arg(long)]
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

#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// The engine that is measured
    #[arg(long, value_enum, default_value = "rust")]
    pub(crate) engine: EngineName,
    /// Print one JSON document instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Measure only this pool size
    #[arg(long)]
    pub(crate) pool: Option<u32>,
    /// Tasks in each throughput run
    #[arg(long, default_value_t = 20_000)]
    pub(crate) tasks: u32,
    /// Tasks waiting in another pool in the runs with a backlog
    #[arg(long, default_value_t = 100_000)]
    pub(crate) backlog: u32,
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
