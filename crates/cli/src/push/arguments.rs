//! The arguments of `pgasync push`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use pgasync_core::{Span, Timestamp};

use crate::args::ServerArgs;
use crate::duration;
use crate::output::OutputArgs;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  pgasync push -t reports 'refresh materialized view totals'
  pgasync push -t reports --wait 'call settle()'        ends with 1 if the task fails
  pgasync push -t reports --wait --keep-result 'select count(*) from orders'
  pgasync push --each tag:prod --timeout 2h 'vacuum analyze'
  pgasync push -t reports --file nightly.sql            the file is one query
  pgasync push --file tasks.csv                         columns: query, target, priority, ...
  generate | pgasync push -t reports --format jsonl     {\"query\": \"select 1\", \"priority\": 3}

All tasks of one call are pushed, or none. A client database is an exception: its server commits each
1,000 tasks on their own.")]
pub(crate) struct PushArgs {
    #[command(flatten)]
    pub(super) server: ServerArgs,
    /// A query; several: a task for each. Without one, and without --file, the query is read from
    /// standard input
    #[arg(value_name = "QUERY")]
    pub(super) queries: Vec<String>,
    /// Read tasks from this file; - is standard input. Several: one after the other
    #[arg(long, value_name = "FILE")]
    pub(super) file: Vec<PathBuf>,
    /// What files and standard input hold. Default: by the ending of the file, else sql
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(super) format: Option<InputFormat>,
    /// The target
    #[arg(long, short = 't', value_name = "TARGET", conflicts_with = "each")]
    pub(super) target: Option<String>,
    /// A task at each of these targets: names, or tag:NAME for all targets with a tag
    #[arg(long, value_delimiter = ',', value_name = "TARGETS")]
    pub(super) each: Vec<String>,
    /// Lower values run first
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    pub(super) priority: Option<i32>,
    /// The concurrency pool; default: that of the target
    #[arg(long, value_name = "POOL")]
    pub(super) pool: Option<String>,
    /// The time from the first start to the deadline: 90s, 15m, 2h
    #[arg(long, value_name = "TIME", value_parser = duration::span)]
    pub(super) timeout: Option<Span>,
    /// Not before this time: 2026-12-24T18:00:00Z, or +2h
    #[arg(long, value_name = "TIME", value_parser = duration::time)]
    pub(super) run_at: Option<Timestamp>,
    /// The deadline of waiting and running together
    #[arg(long, value_name = "TIME", value_parser = duration::time)]
    pub(super) expires_at: Option<Timestamp>,
    /// A name for the origin of the tasks
    #[arg(long, value_name = "NAME", default_value = "pgasync push")]
    pub(super) source: String,
    /// Data of the application, as JSON
    #[arg(long, value_name = "JSON")]
    pub(super) data: Option<String>,
    /// At each target, only one task has this key at a time
    #[arg(long, value_name = "KEY")]
    pub(super) unique_key: Option<String>,
    /// How long a task has its key
    #[arg(long, value_enum, value_name = "WHILE", requires = "unique_key")]
    pub(super) unique_while: Option<UniqueWhile>,
    /// What a push does whose key is taken
    #[arg(long, value_enum, value_name = "ACTION", requires = "unique_key")]
    pub(super) on_conflict: Option<OnConflict>,
    /// The retry policy, or none
    #[arg(long, value_name = "POLICY")]
    pub(super) retry: Option<String>,
    /// Keep the rows of the query: pgasync show prints them
    #[arg(long)]
    pub(super) keep_result: bool,
    /// Take effect exactly once, whatever is lost. The target needs receipts
    #[arg(long)]
    pub(super) receipt: bool,
    /// Wait until the tasks have ended; exit with 1 if one failed
    #[arg(long)]
    pub(super) wait: bool,
    /// Wait no longer than this; exit with 1 then. The tasks go on
    #[arg(long, value_name = "TIME", value_parser = duration::span, requires = "wait")]
    pub(super) wait_timeout: Option<Span>,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputFormat {
    /// The whole input is one query
    Sql,
    /// A header with option names (query, target, priority, ...), a task a line; an empty field is null
    Csv,
    /// An object with option names a line
    Jsonl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum UniqueWhile {
    /// Until it ends
    Unfinished,
    /// Until it first starts
    Waiting,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnConflict {
    /// It pushes nothing, and shows the other task
    Skip,
    /// It is refused
    Error,
    /// It cancels the other task if that waits for its first start
    Replace,
}
