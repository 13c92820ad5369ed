//! The verdicts about the cases of a test.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::time::Duration;

use super::kinds;
use super::seed::Seed;

/// The number of lines of an engine's log that a failed case shows.
const LOG_LINES_MAX: usize = 12;

/// The beginning of complaints that an overloaded machine may explain.
pub(super) const LATE: &str = "late: ";

/// A late case is repeated if this process was stalled for this percentage of the case's time.
const STALLED_PERCENT: u32 = 5;

const TRIES_MAX: u32 = 3;

/// The verdict about a case.
#[derive(Debug)]
pub(super) struct Verdict {
    /// The number of messages of each kind, with the server and with the targets.
    pub(super) seen: [BTreeMap<String, u32>; 2],
    /// Whether every cut has happened.
    pub(super) reached: bool,
    pub(super) broken: Vec<String>,
    pub(super) took: Duration,
    /// The part of that time in which this process was stalled.
    pub(super) stalled: Duration,
    /// The log of the engine, for readers.
    pub(super) log: Vec<String>,
}

impl Verdict {
    /// Whether the only complaint is lateness, and stalls of the machine explain it.
    fn proves_nothing(&self) -> bool {
        let is_late = !self.broken.is_empty() && self.broken.iter().all(|text| text.starts_with(LATE));
        is_late && self.stalled * 100 > self.took * STALLED_PERCENT
    }
}

/// Runs a case, and repeats it while it proves nothing. Only a late case is repeated, and the last
/// attempt counts in any case.
pub(super) async fn try_case(name: &str, run: impl AsyncFn() -> Verdict) -> Verdict {
    let mut tries = 1;
    loop {
        let verdict = run().await;
        if tries == TRIES_MAX || !verdict.proves_nothing() {
            return verdict;
        }
        eprintln!("tried again, since the machine stood still for {:?} of {:?}: {name}", verdict.stalled, verdict.took);
        tries += 1;
    }
}

/// The verdicts about all cases.
#[derive(Default)]
pub(super) struct Summary {
    wrong: Vec<String>,
    unnamed: BTreeSet<String>,
    failed: usize,
    passed: usize,
    unreached: usize,
}

impl Summary {
    pub(super) fn add(&mut self, name: &str, verdict: &Verdict) {
        let kinds = verdict.seen.iter().flat_map(BTreeMap::keys);
        self.unnamed.extend(kinds.filter(|kind| !kinds::is_known(kind)).cloned());
        let seconds = verdict.took.as_secs_f64();
        if !verdict.broken.is_empty() {
            let log = &verdict.log[verdict.log.len().saturating_sub(LOG_LINES_MAX)..];
            let broken = verdict.broken.join("\n  ");
            let text = format!("{name} ({seconds:.1} s):\n  {broken}\n  the log of the engine: {log:#?}");
            eprintln!("FAILED {text}");
            self.failed += 1;
            self.wrong.push(text);
        } else if !verdict.reached {
            eprintln!("not reached: {name}");
            self.unreached += 1;
        } else {
            eprintln!("passed: {name} ({seconds:.1} s)");
            self.passed += 1;
        }
    }

    /// # Panics
    /// When a case failed, or a message has no name.
    pub(super) fn assert_passed(mut self) {
        eprintln!("{} passed, {} failed, {} were not reached", self.passed, self.failed, self.unreached);
        let nameless = |kind: &String| format!("a kind of message that cuts/kinds.rs has no name for: {kind}");
        self.wrong.extend(self.unnamed.iter().map(nameless));
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
    }
}

/// A sample of the cases. `PGASYNC_CUTS` selects others: `all`, or a part of a name.
pub(super) fn choose<T>(mut cases: Vec<T>, sample: usize, name: impl Fn(&T) -> String) -> Vec<T> {
    match env::var("PGASYNC_CUTS") {
        Ok(all) if all == "all" => cases,
        Ok(part) if !part.is_empty() => {
            cases.retain(|case| name(case).contains(&part));
            cases
        }
        _ => {
            let mut seed = Seed::of_this_run();
            let mut take = || {
                let place = usize::try_from(seed.below(cases.len().max(1) as u64)).expect("a place in a list");
                (!cases.is_empty()).then(|| cases.swap_remove(place))
            };
            (0..sample).filter_map(|_| take()).collect()
        }
    }
}
