//! Signals to processes that a test started.

use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

/// A signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ends the process at once.
    Kill,
    /// Freezes the process.
    Stop,
    /// Continues a frozen process.
    Continue,
    /// Requests its end.
    Terminate,
    /// Requests its end, as from a keyboard.
    Interrupt,
}

/// Sends a signal. Returns whether the process exists.
///
/// # Panics
/// When the program `kill` is missing.
pub fn send(signal: Signal, pid: i32) -> bool {
    send_to_all(signal, &[pid])
}

/// Sends a signal to processes. Returns whether all of them exist.
///
/// # Panics
/// When the program `kill` is missing.
pub fn send_to_all(signal: Signal, pids: &[i32]) -> bool {
    let name = match signal {
        Signal::Kill => "-KILL",
        Signal::Stop => "-STOP",
        Signal::Continue => "-CONT",
        Signal::Terminate => "-TERM",
        Signal::Interrupt => "-INT",
    };
    let pids = pids.iter().map(ToString::to_string);
    let sent = Command::new("kill").arg(name).args(pids).output().expect("kill is a program");
    sent.status.success()
}

/// Freezes a process. Returns whether it is frozen: a process that is about to exit accepts the
/// signal and exits nevertheless.
///
/// # Panics
/// When the programs `kill` and `ps` are missing.
#[must_use]
pub fn freeze(pid: i32) -> bool {
    if !send(Signal::Stop, pid) {
        return false;
    }
    loop {
        let state =
            Command::new("ps").args(["-o", "state=", "-p", &pid.to_string()]).output().expect("ps is a program");
        match state.stdout.first() {
            None | Some(b'Z' | b'X') => return false,
            Some(b'T' | b't') => return true,
            Some(_) => sleep(Duration::from_millis(1)),
        }
    }
}
