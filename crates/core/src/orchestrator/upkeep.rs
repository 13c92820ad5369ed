//! The upkeep: LOOP routines and the audit of resting rows, each at its time.

use super::context::Context;
use crate::time::MonotonicTime;

/// When the routines and the audit are due.
///
/// Invariant: at most one run of the LOOP routines is under way.
#[derive(Debug)]
pub(super) struct Upkeep {
    /// Something was written or polled since the LOOP routines ran last.
    changed: bool,
    routines_run: bool,
    routines_at: MonotonicTime,
    audit_at: MonotonicTime,
}

impl Upkeep {
    pub(super) const fn new() -> Self {
        Self {
            changed: false,
            routines_run: false,
            routines_at: MonotonicTime::from_micros(i64::MIN),
            audit_at: MonotonicTime::NEVER,
        }
    }

    /// No step is under way: a leadership begins, or the store is back.
    pub(super) fn begin(&mut self, cx: &Context) {
        self.routines_run = false;
        self.audit_at = cx.monotonic() + cx.tuning().audit_every;
    }

    /// Something was written or polled.
    pub(super) const fn changed(&mut self) {
        self.changed = true;
    }

    pub(super) const fn routines_run(&self) -> bool {
        self.routines_run
    }

    fn want_routines(&self, cx: &Context) -> bool {
        cx.settings().has_routines && self.changed && !self.routines_run
    }

    /// The LOOP routines are due.
    pub(super) fn routines_due(&self, cx: &Context) -> bool {
        self.want_routines(cx) && self.routines_at <= cx.monotonic()
    }

    pub(super) fn start_routines(&mut self, cx: &Context) {
        debug_assert!(!self.routines_run, "the LOOP routines run already");
        self.changed = false;
        self.routines_run = true;
        self.routines_at = cx.monotonic() + cx.settings().busy_sleep;
    }

    pub(super) const fn routines_done(&mut self) {
        self.routines_run = false;
    }

    /// Starts an audit if one is due; returns whether it did.
    pub(super) fn start_audit(&mut self, cx: &Context) -> bool {
        let due = self.audit_at <= cx.monotonic();
        if due {
            self.audit_at = cx.monotonic() + cx.tuning().audit_every;
        }
        due
    }

    /// When the first of these is due.
    pub(super) fn next(&self, cx: &Context) -> MonotonicTime {
        if self.want_routines(cx) { self.audit_at.min(self.routines_at) } else { self.audit_at }
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::Settings;
    use super::*;
    use crate::time::Now;

    #[test]
    fn each_step_is_due_at_its_time_and_routines_only_after_a_change() {
        let mut cx = Context::new(Settings { has_routines: true, ..Settings::default() }, 1);
        cx.advance(Now::from_micros(0));
        let mut upkeep = Upkeep::new();
        upkeep.begin(&cx);
        assert!(!upkeep.routines_due(&cx) && !upkeep.start_audit(&cx));
        upkeep.changed();
        assert!(upkeep.routines_due(&cx));
        upkeep.start_routines(&cx);
        upkeep.changed();
        assert!(upkeep.routines_run() && !upkeep.routines_due(&cx), "they run");
        let next = upkeep.next(&cx);
        assert_eq!(next, cx.monotonic() + cx.tuning().audit_every);
        cx.advance(Now { monotonic: next, ..cx.now() });
        assert!(upkeep.start_audit(&cx) && !upkeep.start_audit(&cx), "one at a time");
        upkeep.routines_done();
        assert!(!upkeep.routines_run() && upkeep.routines_due(&cx));
    }
}
