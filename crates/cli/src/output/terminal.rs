//! What the terminal is: its width, and whether it takes colours and progress.

use std::env;
use std::io::{IsTerminal, stderr, stdin, stdout};

/// The width of a table that no terminal shows and for which COLUMNS is not set.
const WIDTH_DEFAULT: u16 = 110;

/// Narrower tables would be a letter a line.
const WIDTH_MIN: u16 = 40;

/// The width of standard output: COLUMNS, else that of the terminal, else 110.
pub(crate) fn width() -> u16 {
    let asked = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let terminal = || terminal_size::terminal_size().map(|(width, _)| width.0);
    asked.or_else(|| stdout().is_terminal().then(terminal).flatten()).unwrap_or(WIDTH_DEFAULT).max(WIDTH_MIN)
}

/// The width of the terminal now. COLUMNS does not follow its changes.
pub(crate) fn present_width() -> u16 {
    terminal_size::terminal_size().map_or_else(width, |(width, _)| width.0.max(WIDTH_MIN))
}

pub(crate) fn has_colours() -> bool {
    stdout().is_terminal() && !no_color()
}

/// Whether a screen can be drawn over the last one, and keys be read.
pub(crate) fn takes_screens() -> bool {
    stdout().is_terminal() && stdin().is_terminal() && !is_dumb()
}

/// Whether progress may be drawn on standard error.
pub(crate) fn has_progress() -> bool {
    stderr().is_terminal() && !no_color()
}

/// Whether a question can be asked and answered.
pub(crate) fn is_interactive() -> bool {
    stdin().is_terminal() && stderr().is_terminal()
}

/// <https://no-color.org>
fn no_color() -> bool {
    env::var_os("NO_COLOR").is_some_and(|no| !no.is_empty()) || is_dumb()
}

/// A terminal that knows no escape sequences.
fn is_dumb() -> bool {
    env::var_os("TERM").is_some_and(|term| term == "dumb")
}
