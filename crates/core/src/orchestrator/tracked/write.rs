//! A write about a tracked task.

use crate::orchestrator::occupancy::Load;
use crate::task::Task;
use crate::task::event::Event;
use crate::time::{MonotonicTime, Now, Timestamp};

/// A write of an event.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) event: Event,
    /// When the event happened, by the server's clock.
    pub(crate) at: Timestamp,
    /// When it was decided, by both clocks.
    pub(crate) decided: Now,
    /// The task after the event, as predicted.
    pub(crate) next: Box<Task>,
    /// A claim that is made before its turn has come.
    pub(crate) ahead: bool,
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

impl Write {
    /// What the task takes while the write is under way.
    pub(super) fn load(&self) -> Load {
        match &self.event {
            // A claim ahead waits for a slot and has none.
            Event::Claim { .. } if self.ahead => Load::NOTHING,
            Event::Claim { .. } => Load::BOTH,
            Event::Offer { .. } | Event::Withdraw => Load::RESTING,
            Event::QueryEnded { .. } | Event::Request(_) | Event::Deadline | Event::Abandon { .. }
                if self.keeps_slot || self.next.holds_slot() =>
            {
                Load::SLOT
            }
            Event::QueryEnded { .. }
            | Event::Request(_)
            | Event::Deadline
            | Event::Abandon { .. }
            | Event::GiveBack { .. }
            | Event::Release
            | Event::Launch
            | Event::Promote
            | Event::Take { .. }
            | Event::Restart => Load::NOTHING,
        }
    }

    /// A claim that takes a slot and has no session yet.
    pub(super) const fn wants_session(&self) -> bool {
        matches!(self.event, Event::Claim { .. }) && !self.ahead
    }
}
