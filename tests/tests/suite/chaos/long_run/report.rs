//! What a long run has seen, beside the tasks, and the promises that it finds broken.

use std::collections::BTreeMap;

use super::super::judge::Judgement;
use super::faults::Fault;
use super::run::counted;
use super::vitals::Seen;

/// The limit on the private memory of each engine, in KiB.
const MEMORY_MAX: [(&str, u64); 2] = [("rust", 64 * 1024), ("sql", 128 * 1024)];

/// An engine may end or lose its lead for this time after a fault has ended, in seconds.
const AFTERMATH: f64 = 20.0;

/// The number of tables, errors and examples in the report.
const EXAMPLES_MAX: usize = 6;

/// A fault that was injected, from its begin to its end.
pub(super) struct Injected {
    fault: Fault,
    begin: f64,
    end: f64,
    is_complete: bool,
}

impl Injected {
    pub(super) fn of(fault: Fault, begin: f64, end: f64, is_complete: bool) -> Self {
        Self { fault, begin, end, is_complete }
    }
}

#[derive(Default)]
pub(super) struct Report {
    pub(super) injected: Vec<Injected>,
    pub(super) seen: Seen,
    /// Ends of engines with an error.
    pub(super) failures: Vec<(f64, f64, String)>,
    pub(super) memory: BTreeMap<&'static str, u64>,
    /// Errors in the log of the server.
    pub(super) logged: Vec<(String, i64)>,
    /// Sessions that targets still have after the end of all engines.
    pub(super) left: Vec<String>,
}

impl Report {
    /// The spans in which something was lost.
    pub(super) fn losses(&self) -> Vec<(f64, f64)> {
        let faults = self.injected.iter().filter(|entry| entry.fault.loses()).map(|entry| (entry.begin, entry.end));
        let failures = self.failures.iter().map(|(alive, ended, _)| (*alive, *ended));
        faults.chain(failures).chain(self.seen.elections.iter().copied()).collect()
    }

    /// Prints the report. Returns the broken promises, which it has printed too.
    pub(super) fn judge(&self, judgement: Judgement) -> Vec<String> {
        let complete = || self.injected.iter().filter(|entry| entry.is_complete);
        say(&format!("{} faults: {}", complete().count(), counted(complete().map(|entry| entry.fault.name()))));
        say(&format!("{} elections, {} engines ended with an error", self.seen.elections.len(), self.failures.len()));
        say(&format!("longest time without a leader: {:.1} s", self.seen.leaderless));
        say(&format!("latest election or end of an engine: {:.1} s after a fault", self.latest_effect()));
        say(&format!("errors of engines: {}", counted(self.failures.iter().map(|(_, _, error)| shortened(error)))));
        let logged: Vec<_> = self.logged.iter().map(|(text, count)| format!("{count} of {text}")).collect();
        say(&format!("errors in the log: {}", logged.join("; ")));
        say(&format!("most memory (KiB): {:?}", self.memory));
        say(&format!("most dead rows: {}", largest(&self.seen.dead_rows)));
        say(&format!("largest tables (bytes): {}", largest(&self.seen.sizes)));
        say(&format!("sessions left behind: {}", self.left.len()));
        say(&judgement.tally.to_string().replace('\n', "\nchaos: "));
        let mut broken = judgement.broken;
        self.add_broken(&mut broken);
        for line in &broken {
            say(&format!("broken promise: {line}"));
        }
        say(&format!("{} promises broken", broken.len()));
        broken
    }

    fn add_broken(&self, broken: &mut Vec<String>) {
        if !self.left.is_empty() {
            broken.push(format!("a session is left: {} times, {:?}", self.left.len(), self.left));
        }
        for (engine, limit) in MEMORY_MAX {
            let most = self.memory.get(engine).copied().unwrap_or(0);
            if most > limit {
                broken.push(format!("memory: {engine} took {most} KiB, {limit} may"));
            }
        }
        for (_, at, error) in &self.failures {
            if error.contains("panicked") {
                broken.push(format!("an engine panicked: {error}"));
            } else if self.time_since_fault(*at).is_none_or(|after| after > AFTERMATH) {
                broken.push(format!("an engine ended without a fault: {error}"));
            }
        }
        for (_, at) in &self.seen.elections {
            // The first engine takes the lead without a fault.
            if let Some(after) = self.time_since_fault(*at)
                && after > AFTERMATH
            {
                broken.push(format!("the lead changed without a fault, at {at}, {after:.1} s after the last one"));
            }
        }
    }

    /// The longest time from the end of a fault to an election or an end with an error that no later
    /// fault precedes.
    fn latest_effect(&self) -> f64 {
        let ends = self.failures.iter().map(|(_, at, _)| *at);
        let all = ends.chain(self.seen.elections.iter().map(|(_, at)| *at));
        all.filter_map(|at| self.time_since_fault(at)).fold(0.0, f64::max)
    }

    /// The time since the end of the last fault, which is zero during a fault.
    fn time_since_fault(&self, at: f64) -> Option<f64> {
        let begun = self.injected.iter().filter(|entry| entry.begin <= at);
        begun.map(|entry| (at - entry.end).max(0.0)).min_by(f64::total_cmp)
    }
}

fn say(text: &str) {
    eprintln!("chaos: {text}");
}

fn shortened(error: &str) -> String {
    // Numbers, such as pids and times, would make each message another one.
    let words = error.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    words.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).take(160).collect()
}

fn largest(counts: &BTreeMap<String, i64>) -> String {
    let mut counts: Vec<_> = counts.iter().filter(|(_, count)| **count > 0).collect();
    counts.sort_by_key(|(_, count)| -**count);
    let words: Vec<_> = counts.iter().take(EXAMPLES_MAX).map(|(name, count)| format!("{name} {count}")).collect();
    words.join(", ")
}
