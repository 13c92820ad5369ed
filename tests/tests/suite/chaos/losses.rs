//! The times of losses. Only a loss excuses an unknown outcome.

use std::time::{SystemTime, UNIX_EPOCH};

/// The limit on the difference between the clocks of a server and of this process, and between the
/// time of an event and the time of its record.
const CLOCKS_DIFFER_BY: f64 = 0.05;

/// Spans of time, in seconds since 1970, from before a kill until the killed process was gone.
#[derive(Clone, Debug, Default)]
pub(super) struct Losses(Vec<(f64, f64)>);

impl Losses {
    /// Notes a loss between `begin` and now.
    pub(super) fn note_since(&mut self, begin: f64) {
        self.0.push((begin, now()));
    }

    /// Notes a loss between two times.
    pub(super) fn note(&mut self, begin: f64, end: f64) {
        self.0.push((begin, end));
    }

    pub(super) fn extend(&mut self, others: &Self) {
        self.0.extend(&others.0);
    }

    /// The losses between the claim and the record of a task.
    pub(super) fn met(&self, claimed: f64, recorded: f64) -> impl Iterator<Item = usize> {
        let meets = move |&(_, &(begin, end)): &(usize, &(f64, f64))| {
            claimed <= end + CLOCKS_DIFFER_BY && recorded >= begin - CLOCKS_DIFFER_BY
        };
        self.0.iter().enumerate().filter(meets).map(|(place, _)| place)
    }
}

/// The time in seconds since 1970.
pub(super) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is not before 1970").as_secs_f64()
}
