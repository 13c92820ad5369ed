//! `pgasync status --watch`: the screen again and again.

use std::pin::pin;
use std::time::Duration;

use crossterm::event::KeyCode;
use pgasync_core::Span;

use super::{Status, read, screen};
use crate::failure::{Exit, Failure};
use crate::output::fullscreen::{Fullscreen, Wish};
use crate::output::width::fold;
use crate::output::{Mood, Style, rfc3339, terminal};
use crate::server::Server;
use crate::visible;

/// A shorter interval would read the views without a pause.
const INTERVAL_MIN: Duration = Duration::from_millis(200);

/// The limit on a look at a server that does not answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Shows the status until Ctrl-C, or q on a terminal. An error takes the place of a look, and the next
/// look may succeed: the watcher is needed most while the server fails over.
pub(super) async fn run(server: &Server, interval: Span) -> Result<Exit, Failure> {
    let interval = Duration::from_micros(u64::try_from(interval.as_micros()).unwrap_or(0)).max(INTERVAL_MIN);
    if terminal::takes_screens() { redraw(server, interval).await } else { append(server, interval).await }
}

/// One screen after the other, for a pipe or a file.
async fn append(server: &Server, interval: Duration) -> Result<Exit, Failure> {
    let mut interrupted = pin!(tokio::signal::ctrl_c());
    while !crate::print::is_closed() {
        let looked = tokio::select! {
            _ = &mut interrupted => return Ok(Exit::Done),
            looked = look(server) => looked,
        };
        let style = Style::of_stdout();
        let text = match looked {
            Ok(status) => screen::text(&status, &style),
            Err(failure) => failure_lines(&failure, &style),
        };
        let every = interval.as_secs_f64();
        crate::print::write_styled(&format!("{} (every {every:.1} s)\n{text}\n", now()))?;
        tokio::select! {
            _ = &mut interrupted => return Ok(Exit::Done),
            () = tokio::time::sleep(interval) => {}
        }
    }
    Ok(Exit::Done)
}

/// Each screen over the last one.
async fn redraw(server: &Server, interval: Duration) -> Result<Exit, Failure> {
    let mut fullscreen = Fullscreen::enter()?;
    let mut shown = Shown::default();
    loop {
        let looked = {
            let mut looking = pin!(look(server));
            loop {
                tokio::select! {
                    looked = &mut looking => break looked,
                    wish = fullscreen.wish() => if ends(wish) { return Ok(Exit::Done) },
                }
                fullscreen.draw(&shown.text(interval))?;
            }
        };
        shown.note(looked);
        fullscreen.draw(&shown.text(interval))?;
        let mut pause = pin!(tokio::time::sleep(interval));
        loop {
            tokio::select! {
                () = &mut pause => break,
                wish = fullscreen.wish() => if ends(wish) { return Ok(Exit::Done) },
            }
            fullscreen.draw(&shown.text(interval))?;
        }
    }
}

fn ends(wish: Wish) -> bool {
    match wish {
        Wish::End => true,
        Wish::Key(key) => matches!(key.code, KeyCode::Char('q' | 'Q') | KeyCode::Esc),
        Wish::Redraw => false,
    }
}

async fn look(server: &Server) -> Result<Status, Failure> {
    let Ok(looked) = tokio::time::timeout(PATIENCE, read(server)).await else {
        let text = format!("the server has not answered for {} s", PATIENCE.as_secs());
        return Err(Failure::new(Exit::Unreachable, text));
    };
    match looked {
        Err(failure) => {
            let message = failure.to_string();
            let explained = tokio::time::timeout(PATIENCE, server.explain(failure)).await;
            Err(explained.unwrap_or_else(|_| Failure::new(Exit::Unreachable, message)))
        }
        looked => looked,
    }
}

/// The last status, and why there is no later one.
#[derive(Default)]
struct Shown {
    last: Option<(String, Status)>,
    failure: Option<Failure>,
}

impl Shown {
    fn note(&mut self, looked: Result<Status, Failure>) {
        match looked {
            Ok(status) => {
                self.last = Some((now(), status));
                self.failure = None;
            }
            Err(failure) => self.failure = Some(failure),
        }
    }

    /// The screen, for the width that the terminal has now.
    fn text(&self, interval: Duration) -> String {
        let style = Style::of_screen();
        let title = format!("{} (every {:.1} s; q ends)", now(), interval.as_secs_f64());
        let mut text = title + "\n";
        if let Some(failure) = &self.failure {
            text += &failure_lines(failure, &style);
            if let Some((when, _)) = &self.last {
                text += &format!("\nThe last state, of {when}:\n");
            }
        }
        if let Some((_, status)) = &self.last {
            text += &screen::text(status, &style);
        }
        text
    }
}

fn failure_lines(failure: &Failure, style: &Style) -> String {
    let message = failure.to_string();
    let lines = message.lines().flat_map(|line| fold(&visible::line(line), usize::from(style.width)));
    lines.map(|line| style.state(&line, Mood::Bad) + "\n").collect()
}

fn now() -> String {
    let now = jiff::Timestamp::now().as_microsecond();
    rfc3339(pgasync_core::Timestamp::from_micros(now)).unwrap_or_default()
}
