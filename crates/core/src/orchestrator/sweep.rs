//! The sweep: the search in the table for tasks that are due for promotion or overdue.

use super::timers::{Timer, Timers};
use crate::time::MonotonicTime;

/// When the next sweep is due, and whether one is under way.
///
/// Invariant: while a sweep is scheduled, the timers have its time and no other time of a sweep.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    at: Option<MonotonicTime>,
    running: bool,
}

impl Sweep {
    /// Schedules a sweep for this time, unless an earlier one is scheduled.
    pub(super) fn by(&mut self, when: MonotonicTime, timers: &mut Timers) {
        if when != MonotonicTime::NEVER && self.at.is_none_or(|at| when < at) {
            if let Some(later) = self.at.replace(when) {
                timers.remove(later, Timer::Sweep);
            }
            timers.insert(when, Timer::Sweep);
        }
    }

    /// Starts the sweep if it is due; returns whether it did.
    pub(super) fn start_if_due(&mut self, now: MonotonicTime) -> bool {
        let starts = !self.running && self.at.is_some_and(|at| at <= now);
        if starts {
            self.running = true;
            self.at = None;
        }
        starts
    }

    /// The sweep under way was answered, or its answer will not come.
    pub(super) const fn finished(&mut self) {
        self.running = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_time_counts_and_one_sweep_runs_at_a_time() {
        let at = MonotonicTime::from_micros;
        let (mut sweep, mut timers) = (Sweep::default(), Timers::default());
        sweep.by(MonotonicTime::NEVER, &mut timers);
        assert_eq!(timers.first(), None);
        sweep.by(at(5), &mut timers);
        sweep.by(at(9), &mut timers);
        sweep.by(at(3), &mut timers);
        assert_eq!((timers.first(), timers.len()), (Some(at(3)), 1));
        assert!(!sweep.start_if_due(at(2)) && sweep.start_if_due(at(3)));
        sweep.by(at(4), &mut timers);
        assert!(!sweep.start_if_due(at(4)), "one is under way");
        sweep.finished();
        assert!(sweep.start_if_due(at(4)));
    }
}
