//! A write about a tracked task.

use crate::orchestrator::occupancy::Load;
use crate::task::Task;
use crate::task::event::Event;
use crate::task::phase::Phase;
use crate::time::{MonotonicTime, Now, Timestamp};

/// A write of an event. While it is pending, the task is the one before the event.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) event: Event,
    /// When the event happened, by the server's clock.
    pub(crate) at: Timestamp,
    /// When it was decided, by both clocks.
    pub(crate) decided: Now,
    /// The task after the event, as predicted.
    pub(crate) next: Box<Task>,
    /// A client may take an offer, or keep what it pulled, until this is written.
    pub(crate) keeps_slot: bool,
    pub(crate) state: WriteState,
}

/// The state of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteState {
    /// The command was emitted.
    Sent,
    /// The answer is lost: the row is read before anything else is decided about the task.
    Unconfirmed,
    /// Nothing came of the write, and it is sent again at this time.
    Due { at: MonotonicTime },
}

/// When an event happens, by the server's clock. A deadline is kept by the clock that never steps,
/// so it may lie ahead by the server's clock: then the event happens at that time.
pub(crate) fn event_time(task: &Task, event: &Event, now: Timestamp) -> Timestamp {
    if matches!(event, Event::Deadline | Event::Abandon { .. }) {
        task.phase.times_up().map_or(now, |at| at.max(now))
    } else {
        now
    }
}

impl Write {
    /// A write of this event, if the event happens to this task.
    pub(crate) fn of(task: &Task, event: Event, now: Now) -> Option<Self> {
        let at = event_time(task, &event, now.server);
        let next = Box::new(task.step(&event, at).ok()?);
        Some(Self { event, at, decided: now, next, keeps_slot: false, state: WriteState::Sent })
    }

    /// A write of an event that the caller knows to happen.
    pub(crate) fn known(task: &Task, event: Event, now: Now) -> Option<Self> {
        let name = event.name();
        let write = Self::of(task, event, now);
        debug_assert!(write.is_some(), "{name:?} does not happen to {task:?}");
        write
    }

    /// Whether this write made the row what was found. A write that was refused found what an earlier
    /// one had made of the row: the task may have ended since it was read.
    pub(crate) fn led_to(&self, found: &Task) -> bool {
        match (&self.next.phase, &found.phase) {
            (Phase::Finished { end: predicted, .. }, Phase::Finished { end, .. }) => {
                predicted.processed == end.processed
            }
            // A trigger ended the task.
            (_, Phase::Finished { end, .. }) => end.processed >= self.at,
            (_, phase) => self.next.phase == *phase,
        }
    }

    /// When it is sent again, if nothing came of it.
    pub(super) const fn due(&self) -> Option<MonotonicTime> {
        if let WriteState::Due { at } = self.state { Some(at) } else { None }
    }

    /// What the task takes while the write is pending. A claim ahead is not asked: it waits for a
    /// slot and has none.
    pub(super) fn load(&self) -> Load {
        match &self.event {
            Event::Claim { .. } => Load::CLAIM,
            Event::Offer { .. } | Event::Withdraw => Load::OFFER,
            Event::QueryEnded { .. } | Event::Request(_) | Event::Deadline | Event::Abandon { .. }
                if self.keeps_slot || self.next.holds_slot() =>
            {
                Load::SLOT
            }
            Event::QueryEnded { .. }
            | Event::Request(_)
            | Event::Deadline
            | Event::Abandon { .. }
            | Event::GiveUp { .. }
            | Event::GiveBack { .. }
            | Event::Release
            | Event::Launch
            | Event::Promote
            | Event::Take { .. }
            | Event::Restart => Load::NOTHING,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::TaskOptions;
    use crate::task::event::{Outcome, Request};
    use crate::task::status::FinishStatus;

    fn at(seconds: i64) -> Now {
        Now::from_micros(seconds * 1_000_000)
    }

    fn ended(at_seconds: i64) -> (Write, Task) {
        let task = Task::pushed(TaskOptions::default());
        let claimed = task.step(&Event::Claim { default_timeout: None }, at(1).server).unwrap();
        let launched = claimed.step(&Event::Launch, at(1).server).unwrap();
        let ended = Event::QueryEnded { run: launched.run, outcome: Outcome::Ok };
        let write = Write::of(&launched, ended, at(at_seconds)).unwrap();
        let found = (*write.next).clone();
        (write, found)
    }

    #[test]
    fn a_write_led_to_what_it_predicted_and_not_to_an_earlier_end() {
        let (write, found) = ended(5);
        assert!(write.led_to(&found));
        assert!(!write.led_to(&ended(4).1), "the task had ended before");
    }

    #[test]
    fn a_task_that_a_trigger_ended_ended_with_the_write() {
        let task = Task::pushed(TaskOptions::default());
        let request =
            Request { duration: Some(crate::time::Span::seconds(9)), ..Request::finish(FinishStatus::Deferred) };
        let write = Write::of(&task, Event::Request(request), at(5)).unwrap();
        assert!(write.led_to(&write.next));
        assert!(write.led_to(&ended(6).1) && !write.led_to(&ended(4).1));
        assert!(!write.led_to(&task), "the task waits for no time");
    }
}
