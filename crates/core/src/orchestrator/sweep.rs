//! The sweep: the search in the table for tasks that are due for promotion or overdue.

use super::command::Command;
use super::context::Context;
use super::timers::Timer;
use crate::names::TaskId;
use crate::time::{MonotonicTime, Timestamp};

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
    pub(super) fn by(&mut self, when: MonotonicTime, cx: &mut Context) {
        if when != MonotonicTime::NEVER && self.at.is_none_or(|at| when < at) {
            if let Some(later) = self.at.replace(when) {
                cx.timers.remove(later, Timer::Sweep);
            }
            cx.at(when, Timer::Sweep);
        }
    }

    /// Schedules a sweep for a time of the server's clock, if there is one.
    pub(super) fn by_server_time(&mut self, when: Option<Timestamp>, cx: &mut Context) {
        if let Some(when) = when {
            self.by(cx.now().monotonic_at(when), cx);
        }
    }

    /// Schedules a sweep for now.
    pub(super) fn at_once(&mut self, cx: &mut Context) {
        self.by(cx.monotonic(), cx);
    }

    /// Starts the sweep if it is due. It leaves the tasks alone that `skipped` gives.
    pub(super) fn start_if_due(&mut self, skipped: impl FnOnce() -> Vec<TaskId>, cx: &mut Context) {
        if !self.running && self.at.is_some_and(|at| at <= cx.monotonic()) {
            self.running = true;
            self.at = None;
            cx.emit(Command::Sweep { tasks_max: cx.tuning().sweep_tasks_max, skip: skipped() });
        }
    }

    /// The sweep under way was answered, or its answer will not come.
    pub(super) const fn finished(&mut self) {
        self.running = false;
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::Settings;
    use super::*;
    use crate::time::Now;

    /// Whether a sweep starts at this time.
    fn starts(sweep: &mut Sweep, cx: &mut Context, micros: i64) -> bool {
        cx.advance(Now::from_micros(micros));
        sweep.start_if_due(Vec::new, cx);
        cx.poll_command().is_some()
    }

    #[test]
    fn the_earliest_time_counts_and_one_sweep_runs_at_a_time() {
        let at = MonotonicTime::from_micros;
        let (mut sweep, mut cx) = (Sweep::default(), Context::new(Settings::default(), 1));
        cx.advance(Now::from_micros(0));
        sweep.by(MonotonicTime::NEVER, &mut cx);
        sweep.by_server_time(None, &mut cx);
        assert_eq!(cx.timers.first(), None);
        sweep.by(at(5), &mut cx);
        sweep.by(at(9), &mut cx);
        sweep.by_server_time(Some(Timestamp::from_micros(3)), &mut cx);
        assert_eq!((cx.timers.first(), cx.timers.len()), (Some(at(3)), 1));
        assert!(!starts(&mut sweep, &mut cx, 2) && starts(&mut sweep, &mut cx, 3));
        sweep.by(at(4), &mut cx);
        assert!(!starts(&mut sweep, &mut cx, 4), "one is under way");
        sweep.finished();
        assert!(starts(&mut sweep, &mut cx, 4));
    }
}
