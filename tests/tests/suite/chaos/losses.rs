//! The times of losses: only then may the outcome of a task be unknown.

use std::time::{SystemTime, UNIX_EPOCH};

/// Clocks of this machine, as a server and this process read them, differ by less; so do the time
/// of an event and the moment at which it is written.
const CLOCKS_DIFFER_BY: f64 = 0.05;

/// Spans of time, in seconds since 1970, from before a kill until the killed process was gone.
#[derive(Clone, Debug, Default)]
pub(super) struct Losses(Vec<(f64, f64)>);

impl Losses {
    /// Something was lost between then and now.
    pub(super) fn note_since(&mut self, begin: f64) {
        self.0.push((begin, now()));
    }

    pub(super) fn extend(&mut self, others: &Self) {
        self.0.extend(&others.0);
    }

    /// The losses that met a task which was claimed and recorded at these times.
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
