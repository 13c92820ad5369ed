//! The latch: callers wait until a whole cycle that began after their call is over.

/// Polls that follow the poll that saw a number: the first answers after the heads were read, the
/// second after the claims were written.
const POLLS_OF_LATCH: u32 = 2;

/// The cycle that callers wait for, and the last number that was served.
#[derive(Debug, Default)]
pub(super) struct Latch {
    cycle: Option<Cycle>,
    served: i64,
}

/// A cycle that callers wait for.
#[derive(Debug, Clone, Copy)]
struct Cycle {
    number: i64,
    /// The highest number that a poll has seen since.
    seen: i64,
    /// Commands are carried out in order: what follows from one poll is done before a later poll.
    polls_left: u32,
    routines: Routines,
}

/// The LOOP routines of a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Routines {
    Wanted,
    Running,
    Done,
}

/// The next step of the latch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LatchStep {
    /// The LOOP routines have to run for this cycle.
    RunRoutines,
    /// The callers up to this number may go on; `others` says whether more callers wait.
    Serve { number: i64, others: bool },
}

impl Latch {
    /// A poll saw this number; returns whether another poll is wanted at once.
    pub(super) fn polled(&mut self, number: i64, has_routines: bool) -> bool {
        if let Some(cycle) = &mut self.cycle {
            cycle.polls_left = cycle.polls_left.saturating_sub(1);
            cycle.seen = cycle.seen.max(number);
        } else if number > self.served {
            let routines = if has_routines { Routines::Wanted } else { Routines::Done };
            self.cycle = Some(Cycle { number, seen: number, polls_left: POLLS_OF_LATCH, routines });
        }
        self.cycle.is_some_and(|cycle| cycle.polls_left > 0)
    }

    /// The LOOP routines have run; returns whether another poll is wanted at once.
    pub(super) fn routines_done(&mut self) -> bool {
        let Some(cycle) = self.cycle.as_mut().filter(|cycle| cycle.routines == Routines::Running) else { return false };
        cycle.routines = Routines::Done;
        cycle.polls_left = POLLS_OF_LATCH;
        true
    }

    /// What is due; `routines_run` says whether the LOOP routines run for something else.
    pub(super) fn step(&mut self, has_routines: bool, routines_run: bool) -> Option<LatchStep> {
        let cycle = self.cycle.as_mut().filter(|cycle| cycle.polls_left == 0)?;
        match cycle.routines {
            Routines::Wanted if has_routines => {
                if routines_run {
                    return None;
                }
                cycle.routines = Routines::Running;
                Some(LatchStep::RunRoutines)
            }
            Routines::Running => None,
            Routines::Wanted | Routines::Done => {
                let Cycle { number, seen, .. } = *cycle;
                self.cycle = None;
                self.served = number;
                Some(LatchStep::Serve { number, others: seen > number })
            }
        }
    }

    /// Serving failed, or may have: the next poll sees the number again.
    pub(super) const fn not_served(&mut self) {
        self.served = 0;
    }

    /// The answers to the present cycle will not come.
    pub(super) const fn restart(&mut self) {
        self.cycle = None;
        self.served = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_wait_for_two_polls_and_the_routines_and_two_polls_more() {
        let mut latch = Latch::default();
        assert!(latch.polled(1, true));
        assert!(latch.polled(3, true) && !latch.polled(1, true));
        assert_eq!(latch.step(true, true), None, "the routines run for something else");
        assert_eq!(latch.step(true, false), Some(LatchStep::RunRoutines));
        assert_eq!(latch.step(true, false), None);
        assert!(latch.routines_done() && latch.polled(3, true) && !latch.polled(3, true));
        assert_eq!(latch.step(true, false), Some(LatchStep::Serve { number: 1, others: true }));
        assert!(!latch.polled(1, true), "it is served");
        latch.not_served();
        assert!(latch.polled(1, false));
    }

    #[test]
    fn a_cycle_whose_answers_will_not_come_begins_anew() {
        let mut latch = Latch::default();
        assert!(latch.polled(1, false) && latch.polled(1, false) && !latch.polled(1, false));
        assert_eq!(latch.step(false, false), Some(LatchStep::Serve { number: 1, others: false }));
        latch.restart();
        assert!(latch.polled(1, false), "its answer may be lost");
        latch.restart();
        assert_eq!(latch.step(false, false), None);
    }

    #[test]
    fn a_cycle_does_not_wait_for_routines_that_are_no_more() {
        let mut latch = Latch::default();
        assert!(latch.polled(1, true) && latch.polled(1, true) && !latch.polled(1, true));
        assert_eq!(latch.step(false, true), Some(LatchStep::Serve { number: 1, others: false }));
    }

    #[test]
    fn the_only_caller_hears_that_no_other_waits() {
        let mut latch = Latch::default();
        assert!(!latch.polled(0, false), "nothing is asked for");
        assert!(latch.polled(2, false) && latch.polled(2, false) && !latch.polled(2, false));
        assert_eq!(latch.step(false, false), Some(LatchStep::Serve { number: 2, others: false }));
        assert_eq!(latch.step(false, false), None);
        assert!(!latch.polled(2, false), "it is served");
    }
}
