//! `pgasync logs`: the log of the server.

use std::time::Duration;

use clap::{Args, ValueEnum};
use pgasync_store::LogLine;

use crate::args::ServerArgs;
use crate::failure::{Exit, Failure};
use crate::output::{Cell, Column, Format, Listing, OutputArgs, Style};
use crate::server::Server;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  pgasync logs                        the last 50 lines
  pgasync logs -f --level warning     new warnings and errors, until Ctrl-C
  pgasync logs -n 100 --grep reports  those of the last 100 lines that name reports")]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Go on: print new lines as they are written. With -o json one object a line
    #[arg(long, short = 'f')]
    follow: bool,
    /// The number of lines
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100))]
    lines: u32,
    /// Only lines of this level, or of a higher one
    #[arg(long, value_enum, value_name = "LEVEL")]
    level: Option<Level>,
    /// Only lines with this text, in upper or lower case
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Level {
    Debug,
    Notice,
    Warning,
    Error,
}

const FOLLOW_INTERVAL: Duration = Duration::from_millis(500);

/// The most lines that one look of `--follow` reads.
const LINES_MAX: u32 = 1_000;

pub(crate) async fn run(arguments: &LogsArgs) -> Result<Exit, Failure> {
    let server = arguments.server.open()?;
    let done = logs(&server, arguments).await;
    server.explained(done).await
}

async fn logs(server: &Server, arguments: &LogsArgs) -> Result<Exit, Failure> {
    server.require_tasks().await?;
    let format = arguments.output.output;
    let last = server.client.log(None, arguments.lines).await?;
    let mut after = last.last().map_or(0, |line| line.number);
    let shown = last.iter().filter(|line| arguments.admits(line));
    if !arguments.follow && format != Format::Table {
        listing(shown).write(format)?;
        return Ok(Exit::Done);
    }
    shown.into_iter().try_for_each(|line| write_line(line, format))?;
    if !arguments.follow {
        return Ok(Exit::Done);
    }
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        if crate::print::is_closed() {
            return Ok(Exit::Done);
        }
        tokio::select! {
            _ = &mut interrupted => return Ok(Exit::Done),
            () = tokio::time::sleep(FOLLOW_INTERVAL) => {}
        }
        let lines = server.client.log(Some(after), LINES_MAX).await?;
        after = lines.last().map_or(after, |line| line.number);
        lines.iter().filter(|line| arguments.admits(line)).try_for_each(|line| write_line(line, format))?;
    }
}

impl LogsArgs {
    fn admits(&self, line: &LogLine) -> bool {
        let has_text = |text: &String| line.message.to_lowercase().contains(&text.to_lowercase());
        self.level.is_none_or(|least| level(&line.level) >= least) && self.grep.as_ref().is_none_or(has_text)
    }
}

fn level(name: &str) -> Level {
    match name {
        "ERROR" | "FATAL" | "EXCEPTION" => Level::Error,
        "WARNING" => Level::Warning,
        "DEBUG" => Level::Debug,
        _ => Level::Notice,
    }
}

fn listing<'a>(lines: impl IntoIterator<Item = &'a LogLine>) -> Listing {
    let columns = ["server_log", "happened", "level", "message"].map(|name| Column::new(name, name));
    let mut listing = Listing::new("lines", &columns);
    for line in lines {
        let LogLine { number, happened, level, message } = line;
        listing.add(vec![(*number).into(), (*happened).into(), level.as_str().into(), message.as_str().into()]);
    }
    listing
}

fn write_line(line: &LogLine, format: Format) -> Result<(), Failure> {
    let one = listing([line]);
    match format {
        Format::Json => Ok(crate::print::write(&format!("{}\n", one.to_json()[0]))?),
        Format::Csv => Ok(crate::print::write_raw(&one.csv_line(0)?)?),
        Format::Table => {
            let style = Style::of_stdout();
            let (when, text) = (Cell::from(line.happened).to_text(), crate::visible::line(&line.message));
            let level_text = match Cell::state(match level(&line.level) {
                Level::Error => "error",
                Level::Warning => "warning",
                Level::Notice | Level::Debug => "",
            }) {
                Cell::State(_, mood) => style.state(&format!("{:<7}", line.level), mood),
                _ => line.level.clone(),
            };
            Ok(crate::print::write_styled(&format!("{when} {level_text} {text}\n"))?)
        }
    }
}
