//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use pgasync_runner::Timeouts;

/// Run SQL in the background on Postgres.
#[derive(Debug, Parser)]
#[command(name = "pgasync", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the SQL that installs pgasync, for psql or any deployment tool
    Sql {
        /// client: types and calls that push; server: the orchestrator, on top of client; ui: views for people
        #[arg(value_enum)]
        part: PartName,
    },
    /// Install pgasync in a database, or upgrade what is there
    Init {
        #[command(flatten)]
        server: ServerArgs,
        /// What to install; server includes client
        #[arg(value_enum, default_value = "all")]
        part: PartName,
    },
    /// Run the orchestrator: lead the server, and run its tasks at their targets
    ///
    /// Ends with 0 when it was asked to end (a signal, async.control.enabled, a forced takeover) and left nothing
    /// behind; 1 on an error; 3 when another orchestrator leads, or has taken the lead; 4 when the orchestrator is
    /// disabled; 5 when it ended at once (a second signal) and left what ran to the next one.
    Run(Box<RunArgs>),
    /// Show how a server does: who leads, what runs, what waits and why, which targets are lost
    ///
    /// Ends with 0 when an orchestrator leads and no target is lost, and with 1 otherwise, or on an error. For the owner of
    /// the schema and for roles that were given async.grant_admin; it only reads.
    Status(StatusArgs),
    /// Fill an empty Postgres with databases, push some thousand tasks, and show what becomes of them
    Demo(DemoArgs),
    /// Measure throughput beside pgbench's, idle CPU and latency, on a Postgres of its own
    #[command(hide = true)]
    Bench(BenchArgs),
}

/// The server to talk to.
#[derive(Args, Clone, Debug)]
pub(crate) struct ServerArgs {
    /// The database with the schema async: its name, "host=... dbname=..." or postgres://user@host/db, as psql takes
    /// it. What it leaves out comes from PGHOST, PGPORT, PGUSER, PGDATABASE, PGPASSWORD and their like, from the
    /// service that PGSERVICE names, and from ~/.pgpass; docs/connecting.md lists every key
    #[arg(long, short = 'd', visible_alias = "dbname", value_name = "CONNINFO")]
    pub(crate) server: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Take the lead from the orchestrator that has it: ask first, terminate when that does not help. Also enables the orchestrator
    #[arg(long)]
    pub(crate) force: bool,
    /// Wait for the lead while another orchestrator has it, instead of ending with 3
    #[arg(long, conflicts_with = "force")]
    pub(crate) standby: bool,
    /// How many seconds running queries may go on after SIGTERM or SIGINT; then they are cancelled and wait again.
    /// A second signal ends at once
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) drain_timeout: u64,
    /// How long to wait for what does not answer, for tests: server_silence=2s,target_answer=500ms
    #[arg(long, value_name = "NAME=TIME,...", default_value = "", hide = true)]
    pub(crate) timeouts: Timeouts,
    /// What to say: error, warn, info, debug (a line for each task), or directives of tracing
    #[arg(long, value_name = "LEVEL", env = "PGASYNC_LOG", default_value = "info")]
    pub(crate) log: String,
    /// How to say it
    #[arg(long, value_enum, default_value = "human")]
    pub(crate) log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people
    Human,
    /// One JSON document a line
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
    /// Which orchestrator runs the tasks
    #[arg(long, value_enum, default_value = "rust")]
    pub(crate) engine: EngineName,
    /// Leave the demo's databases in place
    #[arg(long)]
    pub(crate) keep: bool,
}

#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Which orchestrator is measured
    #[arg(long, value_enum, default_value = "rust")]
    pub(crate) engine: EngineName,
    /// Print one JSON document instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Only runs with this pool size
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
