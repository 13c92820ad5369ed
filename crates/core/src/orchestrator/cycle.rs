//! What a leader does again and again: polls, routines, maintenance, audits, and the latch.

use super::command::Command;
use super::context::Context;
use super::input::OpenWriters;
use super::latch::{Latch, LatchStep};
use super::upkeep::Upkeep;
use super::wake::Wake;
use crate::names::TaskId;
use crate::time::MonotonicTime;

/// The recurring steps.
///
/// Invariant: at most one poll and at most one run of the LOOP routines are under way.
#[derive(Debug)]
pub(super) struct Cycle {
    wake: Wake,
    upkeep: Upkeep,
    latch: Latch,
}

impl Cycle {
    pub(super) fn new() -> Self {
        Self { wake: Wake::new(MonotonicTime::from_micros(i64::MIN)), upkeep: Upkeep::new(), latch: Latch::default() }
    }

    /// No step is under way: a leadership begins, or the store is back.
    pub(super) fn begin(&mut self, cx: &Context) {
        self.wake = Wake::new(cx.monotonic());
        // The callers that were served last may not have been.
        self.latch.restart();
        self.upkeep.begin(cx);
    }

    /// Does what is due. `offered` and `resting` are the tasks that clients have or may take.
    pub(super) fn run(
        &mut self,
        offered: impl FnOnce() -> Vec<TaskId>,
        resting: impl FnOnce() -> Vec<TaskId>,
        cx: &mut Context,
    ) {
        if let Some(sleep) = self.wake.poll(cx.monotonic(), cx.tuning()) {
            cx.emit(Command::Poll { sleep, offered: offered() });
        }
        if self.upkeep.routines_due(cx) {
            self.run_routines(cx);
        }
        if self.upkeep.start_audit(cx) {
            let tasks = resting();
            if !tasks.is_empty() {
                cx.emit(Command::Reread { tasks });
            }
        }
        self.serve_latch(cx);
    }

    /// When a step is due, if nothing happens before.
    pub(super) fn due(&self, cx: &Context) -> Option<MonotonicTime> {
        self.wake.next().into_iter().chain([self.upkeep.next(cx)]).min()
    }

    /// A poll is answered. `latch` is the number up to which callers wait; `writers` are the
    /// pushes that may have found the leader awake, if it was to fall asleep or waits for them.
    pub(super) fn polled(&mut self, latch: i64, writers: Option<OpenWriters>, cx: &Context) {
        let now = cx.monotonic();
        let idle = cx.settings().idle_sleep.min(cx.tuning().poll_at_least_every);
        self.wake.polled(now, writers, idle, cx.tuning());
        self.upkeep.changed();
        if self.latch.polled(latch, cx.settings().has_routines) {
            self.wake.poll_by(now);
        }
    }

    /// A push or a request notified.
    pub(super) fn notified(&mut self, cx: &Context) {
        self.wake.notified(cx.monotonic(), cx.tuning());
    }

    /// User triggers ran, which may have pushed tasks.
    pub(super) fn triggered(&mut self, cx: &Context) {
        self.upkeep.changed();
        self.wake.poll_by(cx.monotonic());
    }

    /// A write was answered.
    pub(super) const fn written(&mut self) {
        self.upkeep.changed();
    }

    fn run_routines(&mut self, cx: &mut Context) {
        self.upkeep.start_routines(cx);
        cx.emit(Command::RunRoutines);
    }

    pub(super) fn routines_done(&mut self, cx: &Context) {
        self.upkeep.routines_done();
        if self.latch.routines_done() {
            self.wake.poll_by(cx.monotonic());
        }
    }

    fn serve_latch(&mut self, cx: &mut Context) {
        match self.latch.step(cx.settings().has_routines, self.upkeep.routines_run()) {
            Some(LatchStep::RunRoutines) => self.run_routines(cx),
            Some(LatchStep::Serve { number, others }) => {
                if others {
                    self.wake.poll_by(cx.monotonic());
                }
                cx.emit(Command::ServeLatch { number });
            }
            None => {}
        }
    }

    /// The store refused a poll: the next one comes at this time.
    pub(super) fn poll_refused(&mut self, at: MonotonicTime) {
        self.wake.refused(at);
    }

    /// The store refused to serve the latch: the poll at this time sees the number again.
    pub(super) fn latch_refused(&mut self, at: MonotonicTime) {
        self.latch.not_served();
        self.wake.poll_by(at);
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::Settings;
    use super::*;
    use crate::orchestrator::command::Sleep;
    use crate::time::{Now, Span};

    fn commands(cycle: &mut Cycle, cx: &mut Context) -> Vec<Command> {
        cycle.run(|| vec![TaskId(1)], || vec![TaskId(2)], cx);
        cx.take_commands().into()
    }

    fn begun(has_routines: bool) -> (Cycle, Context) {
        let mut cx = Context::new(Settings { has_routines, ..Settings::default() }, 1);
        cx.advance(Now::from_micros(0));
        let mut cycle = Cycle::new();
        cycle.begin(&cx);
        (cycle, cx)
    }

    #[test]
    fn callers_of_the_latch_wait_for_the_routines_and_for_polls_on_both_sides() {
        let (mut cycle, mut cx) = begun(true);
        let poll = |sleep| Command::Poll { sleep, offered: vec![TaskId(1)] };
        assert_eq!(commands(&mut cycle, &mut cx), vec![poll(Sleep::FallAsleep)]);
        cycle.polled(5, None, &cx);
        let mut seen = Vec::new();
        for _ in 0..12 {
            for command in commands(&mut cycle, &mut cx) {
                if command == Command::RunRoutines {
                    cycle.routines_done(&cx);
                } else if let Command::Poll { .. } = command {
                    cycle.polled(5, None, &cx);
                }
                seen.push(command);
            }
        }
        let serve = seen.iter().position(|command| *command == Command::ServeLatch { number: 5 }).expect("served");
        let routines = seen.iter().rposition(|command| *command == Command::RunRoutines).expect("run");
        let polls = |commands: &[Command]| commands.iter().filter(|one| matches!(one, Command::Poll { .. })).count();
        assert_eq!((polls(&seen[..routines]) >= 2, polls(&seen[routines..serve]) >= 2), (true, true), "{seen:?}");
    }

    #[test]
    fn resting_tasks_are_read_again_at_the_time_of_the_audit() {
        let (mut cycle, mut cx) = begun(false);
        commands(&mut cycle, &mut cx);
        cx.advance(Now { monotonic: cx.monotonic() + cx.tuning().audit_every, ..cx.now() });
        let at_the_audit = commands(&mut cycle, &mut cx);
        assert!(at_the_audit.contains(&Command::Reread { tasks: vec![TaskId(2)] }), "{at_the_audit:?}");
    }

    #[test]
    fn a_sleeping_leader_polls_before_the_server_takes_its_session_for_idle() {
        let (mut cycle, mut cx) = begun(false);
        cx.configure(Settings { idle_sleep: Span::seconds(3600), ..Settings::default() });
        let writers = Some(OpenWriters { before: 1, open: false });
        let mut slept = false;
        for _ in 0..20 {
            for command in commands(&mut cycle, &mut cx) {
                let Command::Poll { sleep, .. } = command else { continue };
                slept |= sleep == Sleep::FallAsleep;
                cycle.polled(0, writers.filter(|_| sleep == Sleep::FallAsleep), &cx);
            }
            let due = cycle.due(&cx).expect("a poll");
            assert!(due <= cx.monotonic() + cx.tuning().poll_at_least_every, "{due:?}");
            cx.advance(Now { monotonic: due, ..cx.now() });
        }
        assert!(slept, "the leader has fallen asleep");
    }

    #[test]
    fn a_refused_poll_is_sent_again_at_its_time() {
        let (mut cycle, mut cx) = begun(false);
        commands(&mut cycle, &mut cx);
        let at = cx.monotonic() + cx.tuning().store_backoff_first;
        cycle.poll_refused(at);
        assert_eq!(cycle.due(&cx), Some(at));
        assert_eq!(commands(&mut cycle, &mut cx), vec![]);
        cx.advance(Now { monotonic: at, ..cx.now() });
        assert!(matches!(commands(&mut cycle, &mut cx)[..], [Command::Poll { .. }]));
    }
}
