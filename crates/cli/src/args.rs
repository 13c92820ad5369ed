//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};

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
    /// Fill an empty Postgres with databases, push some thousand tasks, and show what becomes of them
    Demo(DemoArgs),
    /// Measure throughput beside pgbench's, idle CPU and latency, on a Postgres of its own
    #[command(hide = true)]
    Bench(BenchArgs),
}

/// The server to talk to.
#[derive(Args, Clone, Debug)]
pub(crate) struct ServerArgs {
    /// The database with the schema async: "host=... dbname=..." or postgres://user@host/db. What it leaves out
    /// comes from PGHOST, PGPORT, PGUSER, PGDATABASE, PGPASSWORD and their like
    #[arg(long, value_name = "CONNINFO")]
    pub(crate) server: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Which orchestrator runs the tasks
    #[arg(long, value_enum, default_value = "sql")]
    pub(crate) engine: EngineName,
    /// Leave the demo's databases in place
    #[arg(long)]
    pub(crate) keep: bool,
}

#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Print one JSON document instead of a table
    #[arg(long)]
    pub(crate) json: bool,
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
