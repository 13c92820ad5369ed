//! Live progress: bars on a terminal, lines elsewhere.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

const PLAIN_LINE_INTERVAL: Duration = Duration::from_secs(2);

/// The progress of a target's tasks.
pub(super) struct TargetCount {
    pub(super) target: String,
    pub(super) tasks: i64,
    pub(super) finished: i64,
    pub(super) running: i64,
    pub(super) failed: i64,
}

pub(super) enum Progress {
    Bars { all: MultiProgress, by_target: BTreeMap<String, ProgressBar> },
    Lines { next: Duration },
}

impl Progress {
    pub(super) fn new() -> Self {
        if stderr().is_terminal() {
            Self::Bars { all: MultiProgress::new(), by_target: BTreeMap::new() }
        } else {
            Self::Lines { next: Duration::ZERO }
        }
    }

    pub(super) fn show(&mut self, counts: &[TargetCount], elapsed: Duration) {
        match self {
            Self::Bars { all, by_target } => {
                for count in counts {
                    let bar = by_target.entry(count.target.clone()).or_insert_with(|| new_bar(all, count));
                    bar.set_position(count.finished.unsigned_abs());
                    bar.set_message(format!("{} running, {} failed", count.running, count.failed));
                }
            }
            Self::Lines { next } if elapsed >= *next => {
                *next = elapsed + PLAIN_LINE_INTERVAL;
                // A closed output is seen when the report is written.
                let _ = crate::print::write(&format!("{}\n", line(counts, elapsed)));
            }
            Self::Lines { .. } => {}
        }
    }

    /// Leaves the bars on the screen.
    pub(super) fn end(self) {
        match self {
            Self::Bars { by_target, .. } => by_target.into_values().for_each(|bar| bar.abandon()),
            Self::Lines { .. } => {}
        }
    }
}

fn new_bar(all: &MultiProgress, count: &TargetCount) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:>12} {bar:30} {pos:>5} of {len} {msg}");
    let bar = all.add(ProgressBar::new(count.tasks.unsigned_abs()));
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_prefix(count.target.clone());
    bar
}

fn line(counts: &[TargetCount], elapsed: Duration) -> String {
    let sum = |of: fn(&TargetCount) -> i64| counts.iter().map(of).sum::<i64>();
    format!(
        "{:6.1} s: {} of {} ended, {} running, {} failed",
        elapsed.as_secs_f64(),
        sum(|count| count.finished),
        sum(|count| count.tasks),
        sum(|count| count.running),
        sum(|count| count.failed),
    )
}
