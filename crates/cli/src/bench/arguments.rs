//! The arguments of `pgasync bench`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::args::{EngineName, ServerArgs};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  pgasync bench --server 'host=db.internal user=batch'       every scenario, in some minutes
  pgasync bench --server ... throughput latency --svg a.svg  two scenarios, and their plot
  pgasync bench --server ... --engine rust --workers 8,32 throughput
  pgasync bench --server ... --runs 5 --full --json          figures to keep; takes long")]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// What is measured. Everything except peers if none is named
    #[arg(value_enum, value_name = "SCENARIO")]
    pub(crate) scenarios: Vec<Scenario>,
    /// The engines that are measured: rust and sql if none is named
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAME,...")]
    pub(crate) engine: Vec<EngineName>,
    /// The connection string of a target database, several times for several. It must be reachable
    /// from the server too. Without it the target is a new database on the server
    #[arg(long, value_name = "CONNINFO")]
    pub(crate) target: Vec<String>,
    /// The numbers of workers, and of clients of the reference, in throughput
    #[arg(long, value_delimiter = ',', value_name = "N,...", default_value = "1,8,32,64,256",
        value_parser = clap::value_parser!(u32).range(1..=2000))]
    pub(crate) workers: Vec<u32>,
    /// The length of a measurement of a rate
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0)]
    pub(crate) seconds: f64,
    /// Measure everything so many times, and show medians with the least and the largest value
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) runs: u32,
    /// 10,000 pools, a backlog of a million, a history of five million, a horizon that is held for
    /// ten minutes, more samples of latency
    #[arg(long)]
    pub(crate) full: bool,
    /// Print one JSON document instead of tables
    #[arg(long)]
    pub(crate) json: bool,
    /// Print tables in Markdown
    #[arg(long, conflicts_with = "json")]
    pub(crate) markdown: bool,
    /// Write a plot of throughput and latency to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
    /// The folder of the drivers of other queues, from ./dev bench --peers
    #[arg(long, value_name = "FOLDER", hide = true)]
    pub(crate) peers: Option<PathBuf>,
}

/// What `pgasync bench` measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Tasks a second over workers
    Throughput,
    /// CPU time of the whole machine for a task, with 8 and 32 workers
    Cost,
    /// Tasks a second with 8, 100 and 2,000 pools at 8 targets
    Lanes,
    /// Milliseconds from a push to its record: asleep, and at half load
    Latency,
    /// Rows pushed a second, by array size and clients
    Push,
    /// Tasks a second that clients pull and finish
    Pull,
    /// Tasks a second while others wait
    Backlog,
    /// Tasks a second with many finished tasks
    History,
    /// Tasks a second while a transaction holds back the xmin horizon
    Horizon,
    /// CPU time, WAL and transaction ids of an idle leader
    Idle,
    /// WAL, transaction ids, commits and row versions for a task
    Work,
    /// Other queues on the same server
    Peers,
}

impl Scenario {
    /// The scenarios that need nothing but a server.
    pub(crate) const ON_ANY_SERVER: [Self; 11] = [
        Self::Throughput,
        Self::Cost,
        Self::Lanes,
        Self::Latency,
        Self::Push,
        Self::Pull,
        Self::Backlog,
        Self::History,
        Self::Horizon,
        Self::Idle,
        Self::Work,
    ];

    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::Cost => "cost",
            Self::Lanes => "lanes",
            Self::Latency => "latency",
            Self::Push => "push",
            Self::Pull => "pull",
            Self::Backlog => "backlog",
            Self::History => "history",
            Self::Horizon => "horizon",
            Self::Idle => "idle",
            Self::Work => "work",
            Self::Peers => "peers",
        }
    }

    /// The title of its table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Throughput => "Throughput: tasks or transactions a second, over workers",
            Self::Cost => "Cost: CPU time of the whole machine for a task, divided by that of the reference",
            Self::Lanes => "Lanes: tasks a second, 64 workers, 8 targets",
            Self::Latency => "Latency: from a push to its record, one task at a time, 8 workers",
            Self::Push => "Pushes: rows a second",
            Self::Pull => "Pulled tasks: taken and finished by clients",
            Self::Backlog => "Backlog: tasks a second while others wait, 32 workers",
            Self::History => "History: tasks a second, 32 workers",
            Self::Horizon => "Held horizon: tasks a second, 8 workers",
            Self::Idle => "Idle: the leader, its sessions and its process",
            Self::Work => "Work for a task, as Postgres counts it",
            Self::Peers => "Other queues: jobs a second",
        }
    }
}
