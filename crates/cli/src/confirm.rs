//! The question before a change.

use std::io::{BufRead, Write, stderr, stdin};

use clap::Args;

use crate::failure::{Exit, Failure};
use crate::output::terminal;
use crate::visible;

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct ConfirmArgs {
    /// Do not ask. Required where no terminal can answer
    #[arg(long, short = 'y')]
    yes: bool,
}

impl ConfirmArgs {
    /// Asks, unless `--yes` was given. An error without a terminal, and when the answer is not yes; then
    /// nothing was changed.
    pub(crate) fn ask(self, question: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if !terminal::is_interactive() {
            let text = format!("{question} There is no terminal to answer");
            return Err(Failure::usage(text).hint("nothing was changed; --yes does it without a question"));
        }
        let mut out = stderr().lock();
        let asked = write!(out, "{} [y/N] ", visible::line(question)).and_then(|()| out.flush());
        let mut answer = String::new();
        if asked.is_ok() && stdin().lock().read_line(&mut answer).is_ok() && is_yes(&answer) {
            return Ok(());
        }
        Err(Failure::new(Exit::Negative, "nothing was changed"))
    }
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_yes_is_yes() {
        assert!(super::is_yes("y\n") && super::is_yes(" YES\r\n"));
        assert!(!super::is_yes("") && !super::is_yes("\n") && !super::is_yes("no") && !super::is_yes("yess"));
    }
}
