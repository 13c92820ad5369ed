//! What a leader does beside tasks: polls, routines, the latch, maintenance, the audit of resting
//! rows, and the rotation of launch marks.

use super::tracked::Stage;
use super::{Command, Lead, Orchestrator};
use crate::names::TaskId;
use crate::plan::lane::Lane;
use crate::time::MonotonicTime;

/// Callers wait for a cycle that began after this number was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Latch {
    number: i64,
    /// The highest number that a poll has seen since.
    seen: i64,
    /// What followed from the poll that saw the number is carried out before the polls after it.
    polls_left: u32,
    routines: RoutinesOfLatch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RoutinesOfLatch {
    Wanted,
    Running,
    Done,
}

/// Polls that follow the one that saw a number: one answers after the heads were read, one after
/// the claims were written.
const POLLS_OF_LATCH: u32 = 2;

impl Orchestrator {
    /// Does what it is time for.
    pub(super) fn keep_up(&mut self) {
        let now = self.now.monotonic;
        if let Some(sleep) = self.wake.poll(now, &self.settings.tuning) {
            let offered = self.offers.values().flatten().copied().collect();
            self.emit(Command::Poll { sleep, offered });
        }
        if self.settings.has_routines && self.stirred && self.routines_at <= now && !self.routines_run {
            self.run_routines();
        }
        if self.maintain_at <= now {
            self.maintain_at = MonotonicTime::NEVER;
            self.emit(Command::Maintain);
        }
        if self.audit_at <= now {
            self.audit_at = now + self.settings.tuning.audit_every;
            let tasks: Vec<TaskId> = self.resting().collect();
            if !tasks.is_empty() {
                self.emit(Command::Reread { tasks });
            }
        }
        if (self.marks_sent > self.settings.tuning.marks_max || self.marks_lost) && !self.rotating {
            self.marks_lost = false;
            self.rotate_marks();
        }
        self.serve_latch();
    }

    /// When something of this has to be done, if nothing happens before.
    pub(super) fn upkeep_at(&self) -> Option<MonotonicTime> {
        if !matches!(self.lead, Lead::Leads { .. }) {
            return None;
        }
        let routines = self.settings.has_routines && self.stirred && !self.routines_run;
        [self.wake.next(), Some(self.maintain_at), Some(self.audit_at), routines.then_some(self.routines_at)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Nothing of this is under way: it leads from now on, or the store is back.
    pub(super) fn begin_upkeep(&mut self) {
        let now = self.now.monotonic;
        self.wake = super::wake::Wake::new(now);
        self.latch = None;
        // The callers that were served last may not have been.
        self.latch_served = 0;
        self.routines_run = false;
        self.rotating = false;
        self.maintain_at = now + self.settings.tuning.maintain_every;
        self.audit_at = now + self.settings.tuning.audit_every;
    }

    pub(super) fn polled(&mut self, lanes: &[Lane], requests: bool, latch: i64, asleep: Option<bool>) {
        let now = self.now.monotonic;
        self.wake.polled(now, asleep, self.settings.idle_sleep, &self.settings.tuning);
        self.stirred = true;
        self.waiting(lanes);
        self.reading.wanted |= requests;
        if let Some(mut waiting) = self.latch {
            waiting.polls_left = waiting.polls_left.saturating_sub(1);
            waiting.seen = waiting.seen.max(latch);
            self.latch = Some(waiting);
        } else if latch > self.latch_served {
            let routines = if self.settings.has_routines { RoutinesOfLatch::Wanted } else { RoutinesOfLatch::Done };
            self.latch = Some(Latch { number: latch, seen: latch, polls_left: POLLS_OF_LATCH, routines });
        }
        if self.latch.is_some_and(|latch| latch.polls_left > 0) {
            self.wake.poll_by(now);
        }
    }

    fn run_routines(&mut self) {
        self.stirred = false;
        self.routines_run = true;
        self.routines_at = self.now.monotonic + self.settings.busy_sleep;
        self.emit(Command::RunRoutines);
    }

    pub(super) fn routines_done(&mut self) {
        self.routines_run = false;
        if let Some(latch) = &mut self.latch
            && latch.routines == RoutinesOfLatch::Running
        {
            latch.routines = RoutinesOfLatch::Done;
            latch.polls_left = POLLS_OF_LATCH;
            self.wake.poll_by(self.now.monotonic);
        }
    }

    fn serve_latch(&mut self) {
        let Some(mut latch) = self.latch.filter(|latch| latch.polls_left == 0) else { return };
        match latch.routines {
            RoutinesOfLatch::Wanted if self.settings.has_routines => {
                if !self.routines_run {
                    latch.routines = RoutinesOfLatch::Running;
                    self.latch = Some(latch);
                    self.run_routines();
                }
            }
            RoutinesOfLatch::Running => {}
            RoutinesOfLatch::Wanted | RoutinesOfLatch::Done => {
                self.latch = None;
                self.latch_served = latch.number;
                if latch.seen > latch.number {
                    // Other callers have come, which wait for the next cycle.
                    self.wake.poll_by(self.now.monotonic);
                }
                self.emit(Command::ServeLatch { number: latch.number });
            }
        }
    }

    pub(super) fn maintained(&mut self, more: bool) {
        let now = self.now.monotonic;
        self.maintain_at = if more { now } else { now + self.settings.tuning.maintain_every };
    }

    /// Begins the launch marks anew: only those of tasks that are launched, for all that a successor
    /// may know, and not recorded are carried over.
    fn rotate_marks(&mut self) {
        let counts = |stage: &Stage| match stage {
            // Whatever is being written, the task may have been launched.
            Stage::Writing(_)
            | Stage::Ahead { .. }
            | Stage::Queued
            | Stage::Marking { .. }
            | Stage::Launched { .. }
            | Stage::Lost { .. }
            | Stage::Ended { .. }
            | Stage::Abandoned => true,
            Stage::Offered { .. } | Stage::Pulled | Stage::Yielded => false,
        };
        let launched = self
            .tracked
            .iter()
            .filter(|(_, tracked)| tracked.mark_sent && counts(&tracked.stage))
            .map(|(task, tracked)| (*task, tracked.task.run))
            .collect();
        self.rotating = true;
        self.emit(Command::RotateMarks { launched });
    }

    pub(super) fn marks_rotated(&mut self) {
        self.rotating = false;
        self.marks_sent = 0;
    }
}
