//! Signals to processes that a test started.

use std::process::Command;

/// A signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ends the process without a word.
    Kill,
    /// Freezes it.
    Stop,
    /// Lets a frozen one go on.
    Continue,
    /// Asks it to end.
    Terminate,
    /// The same, from a keyboard.
    Interrupt,
}

/// Sends a signal; whether there was such a process.
///
/// # Panics
/// When the program `kill` is missing.
pub fn send(signal: Signal, pid: i32) -> bool {
    let name = match signal {
        Signal::Kill => "-KILL",
        Signal::Stop => "-STOP",
        Signal::Continue => "-CONT",
        Signal::Terminate => "-TERM",
        Signal::Interrupt => "-INT",
    };
    let sent = Command::new("kill").args([name, &pid.to_string()]).output().expect("kill is a program");
    sent.status.success()
}
