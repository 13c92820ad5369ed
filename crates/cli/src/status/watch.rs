//! `pgasync status --watch`: the screen again and again.

use std::time::Duration;

use pgasync_core::Span;
use pgasync_text::rfc3339;

use super::read;
use super::screen::Screen;
use crate::failure::{Exit, Failure};
use crate::output::terminal;
use crate::server::Server;

/// Moves to the first line and clears the screen, as `clear` does.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J\u{1b}[3J";

/// A shorter interval would read the views without a pause.
const INTERVAL_MIN: Duration = Duration::from_millis(200);

/// Prints the status until Ctrl-C. An error takes the place of a screen, and the next look may succeed:
/// the watcher is needed most while the server fails over.
pub(super) async fn run(server: &Server, interval: Span) -> Result<Exit, Failure> {
    let interval = Duration::from_micros(u64::try_from(interval.as_micros()).unwrap_or(0)).max(INTERVAL_MIN);
    let clear = if terminal::has_colours() { CLEAR } else { "" };
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        let looked = tokio::select! {
            _ = &mut interrupted => return Ok(Exit::Done),
            looked = read(server) => looked,
        };
        let text = match looked {
            Ok(status) => Screen(&status).to_string(),
            Err(failure) => format!("{}", server.explain(failure).await),
        };
        crate::print::write_styled(clear)?;
        crate::print::write(&format!("{} (every {:.1} s)\n{text}\n\n", now(), interval.as_secs_f64()))?;
        tokio::select! {
            _ = &mut interrupted => return Ok(Exit::Done),
            () = tokio::time::sleep(interval) => {}
        }
    }
}

fn now() -> String {
    let now = jiff::Timestamp::now().as_microsecond();
    rfc3339(pgasync_core::Timestamp::from_micros(now)).unwrap_or_default()
}
