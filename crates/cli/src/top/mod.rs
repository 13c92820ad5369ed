//! `pgasync top`: rates, pools, targets, running tasks and why tasks wait, on a screen with keys.

mod draw;
mod keys;
mod pace;
mod rows;
mod state;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::io::{Stdout, stdout};
use std::pin::Pin;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use pgasync_store::{Statistics, StatisticsScope};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use serde_json::json;
use tokio::time::{Instant, sleep_until, timeout};

use self::pace::Pace;
use self::state::{Effect, Filter, Paused, Top};
use crate::args::ServerArgs;
use crate::failure::{Exit, Failure};
use crate::output::fullscreen::{Fullscreen, Wish};
use crate::output::terminal;
use crate::server::Server;

#[derive(Args, Debug)]
#[command(after_help = "\
Keys:
  Tab, 1 to 4        the next panel, or one of them: running, waiting, pools, targets
  up, down           choose a row; Enter shows it in full
  /, t               only rows with a text; only a target; Esc ends both
  s                  another order
  c                  cancel the chosen task, after a question
  p                  hold new starts, or let them go on, after a question
  P                  the same for the chosen pool or target
  ?, q               help, quit")]
pub(crate) struct TopArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Only running tasks, waiting tasks and targets with this text in the name of the target
    #[arg(long, short = 't', value_name = "TARGET")]
    target: Option<String>,
    /// Only rows with this text
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
}

/// The most running tasks that a reading returns.
const RUNNING_MAX: u32 = 200;

/// The limit on an answer of the server.
const PATIENCE: Duration = Duration::from_secs(10);

/// One session reads. Another carries out what a key asks for, while the first one waits for an answer.
const SESSIONS: u32 = 2;

type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

pub(crate) async fn run(arguments: &TopArgs) -> Result<Exit, Failure> {
    if !terminal::takes_screens() {
        return Err(Failure::usage("top needs a terminal")
            .hint("pgasync status --watch prints one status after the other, and status -o json a document"));
    }
    let server = arguments.server.open_with(SESSIONS)?;
    let filter = Filter { text: arguments.text.clone(), target: arguments.target.clone() };
    let mut top = Top::new(server.settings.describe(), filter);
    // What does not work at all is an error of the command. Later the screen shows it and goes on.
    let first = read(&server, top.filter.clone()).await?;
    // Its time was that of connecting.
    let pace = Pace::default();
    top.note(Ok(first), &pace);
    let fullscreen = Fullscreen::enter()?;
    let screen = Terminal::new(CrosstermBackend::new(stdout())).context("cannot draw on the terminal")?;
    watch(&server, top, pace, fullscreen, screen).await
}

async fn watch(
    server: &Server,
    mut top: Top,
    mut pace: Pace,
    mut fullscreen: Fullscreen,
    mut screen: Terminal<CrosstermBackend<Stdout>>,
) -> Result<Exit, Failure> {
    let mut reading: Option<(Instant, Answer<'_, Result<Statistics, Failure>>)> = None;
    let mut acting: Option<Answer<'_, Result<String, Failure>>> = None;
    let mut next_reading = Instant::now() + pace.pause();
    loop {
        screen.draw(|frame| draw::draw(frame, &top, terminal::has_colours())).context("cannot draw on the terminal")?;
        tokio::select! {
            (begin, read) = answer_of(&mut reading) => {
                reading = None;
                pace.note(begin.elapsed());
                next_reading = Instant::now() + pace.pause();
                top.note(read, &pace);
            }
            () = sleep_until(next_reading), if reading.is_none() => {
                reading = Some((Instant::now(), Box::pin(read(server, top.filter.clone()))));
            }
            done = pending(&mut acting) => {
                acting = None;
                next_reading = next_reading.min(Instant::now() + pace::PAUSE_MIN);
                top.tell(done.unwrap_or_else(|failure| failure.to_string()));
            }
            wish = fullscreen.wish() => match wish {
                Wish::End => return Ok(Exit::Done),
                Wish::Redraw => {}
                Wish::Key(key) => match top.press(key) {
                    Effect::Nothing => {}
                    Effect::Quit => return Ok(Exit::Done),
                    effect if acting.is_none() => acting = Some(Box::pin(act(server, effect))),
                    _ => top.tell("the last change is not answered yet".to_owned()),
                },
            },
        }
    }
}

/// The answer of a call, if there is one; waits forever otherwise.
async fn pending<T>(call: &mut Option<Answer<'_, T>>) -> T {
    match call {
        Some(call) => call.await,
        None => std::future::pending().await,
    }
}

async fn answer_of<T>(call: &mut Option<(Instant, Answer<'_, T>)>) -> (Instant, T) {
    match call {
        Some((begin, call)) => (*begin, call.await),
        None => std::future::pending().await,
    }
}

/// Neither counts every waiting task nor reads the last hour or day: their cost grows.
async fn read(server: &Server, filter: Filter) -> Result<Statistics, Failure> {
    let scope = StatisticsScope {
        waiting_tasks: false,
        last_hour: false,
        failures: false,
        running_max: RUNNING_MAX,
        running_target: filter.target,
        running_text: filter.text,
    };
    in_time(server, async { Ok(server.client.statistics_of(&scope).await?) }).await
}

/// Carries out what a key asked for. Returns what to tell.
async fn act(server: &Server, effect: Effect) -> Result<String, Failure> {
    let acted = async {
        match effect {
            Effect::Cancel(task) => {
                let receipt = server.client.cancel(&[task], None).await?;
                Ok(receipt.warning.unwrap_or_else(|| format!("the cancel of task {task} is requested")))
            }
            Effect::Pause(what, paused) => {
                let is_known = match &what {
                    Paused::All => {
                        server.client.configure_json(&json!({"control": {"paused": paused}})).await?;
                        true
                    }
                    Paused::Pool(name) => server.client.pause_pool(name, paused).await?,
                    Paused::Target(name) => server.client.pause_target(name, paused).await?,
                };
                Ok(match (is_known, paused) {
                    (true, true) => "no such task starts until you end that with the same key",
                    (true, false) => "they start again",
                    (false, _) => {
                        "only a pool or a target that is configured can be paused: async.set_pool(name, max_workers)"
                    }
                }
                .to_owned())
            }
            Effect::Nothing | Effect::Quit => Ok(String::new()),
        }
    };
    in_time(server, acted).await
}

/// A result within [`PATIENCE`], with what to do next if it is an error.
async fn in_time<T>(server: &Server, call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let explained = async {
        let done = call.await;
        server.explained(done).await
    };
    timeout(PATIENCE, explained).await.unwrap_or_else(|_| {
        let text = format!("the server has not answered for {} s", PATIENCE.as_secs());
        Err(Failure::new(Exit::Unreachable, text))
    })
}
