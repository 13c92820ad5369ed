//! A task that the leader has in hand.

use crate::names::SessionId;
use crate::plan::lane::{Lane, Turn};
use crate::task::Task;
use crate::task::event::Outcome;
use crate::time::Timestamp;

use super::books::Load;
use super::bug::Bug;
use super::input::RequestId;
use super::settings::Tuning;

/// A task in hand: only of these there is memory, and each holds a slot, or holds one soon or
/// held one just now.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) turn: Turn,
    pub(super) lane: Lane,
    pub(super) task: Task,
    pub(super) stage: Stage,
    pub(super) text_bytes: u64,
    /// How much of the text is in memory, or on its way there.
    pub(super) text_held: u64,
    /// Whether its launch is marked ahead of its turn.
    pub(super) marked: Marked,
    /// Its claim set its deadline, and takes it along if it is returned.
    pub(super) sets_deadline: bool,
    /// When its query was sent.
    pub(super) launched: Option<Timestamp>,
    /// When it is looked at again.
    pub(super) timers: [Option<Timestamp>; 2],
    /// How often in a row its record could not be written.
    pub(super) unwritable: u32,
    /// Requests that its record will settle.
    pub(super) settles: Vec<RequestId>,
    /// Whether a query of it runs that no connection leads to.
    pub(super) stray: Stray,
}

/// Whether a query runs that no connection leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stray {
    /// There never was one.
    No,
    /// It may: slot and worker are taken, whatever the row says.
    MayRun,
    /// Whatever ran it is known to be gone.
    Gone,
}

/// Whether a launch is marked before there is a session for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marked {
    /// Not yet.
    No,
    /// The mark is being written.
    Asked,
    /// It is durable: the query may be sent on any registered session.
    Durably,
}

/// What is being done with it.
#[derive(Debug)]
pub(super) enum Stage {
    /// The claim is being written; `ahead` of its turn, perhaps.
    Claiming { ahead: bool },
    /// Claimed before its turn came. It still stands in the plan.
    Ahead { since: Timestamp },
    /// Claimed, and it wants a session.
    Queued,
    /// Its launch is being marked.
    Marking { session: SessionId },
    /// Its query may be running.
    Launched { session: SessionId, pressure: Pressure },
    /// Its query may be running, and no connection leads there.
    Lost { since: Timestamp },
    /// Its query is over; requests up to this read come first.
    Ended { outcome: Outcome, read: u64 },
    /// What became of it is being written.
    Recording {
        next: Box<Task>,
        /// Somebody else may have been faster, and then the slot is his.
        keeps_slot: bool,
        retry: Option<Timestamp>,
    },
    /// The claim is being returned.
    Returning,
    /// The offer is being written.
    Offering,
    /// It is held out to clients.
    Offered { since: Timestamp },
    /// The offer is being taken back.
    Withdrawing,
    /// A client has it.
    Pulled,
    /// It has yielded, and keeps its slot.
    Yielded,
    /// It is over, or somebody changed its row, and the session that may still run its query keeps
    /// slot and worker.
    Abandoned,
}

/// How hard a query is pressed to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pressure {
    /// Not at all.
    None,
    /// It is given until then to end by itself.
    Waiting { until: Timestamp },
    /// A cancel was sent; the session is ended then.
    Cancelled { until: Timestamp },
    /// The session's end was asked for; the connection is dropped then.
    Terminated { until: Timestamp },
}

impl Pressure {
    /// A cancel may be on its way.
    pub(super) const fn cancel_sent(self) -> bool {
        match self {
            Self::None | Self::Waiting { .. } => false,
            Self::Cancelled { .. } | Self::Terminated { .. } => true,
        }
    }

    pub(super) const fn until(self) -> Option<Timestamp> {
        match self {
            Self::None => None,
            Self::Waiting { until } | Self::Cancelled { until } | Self::Terminated { until } => Some(until),
        }
    }
}

impl Held {
    pub(super) const fn new(turn: Turn, lane: Lane, task: Task, stage: Stage) -> Self {
        Self {
            turn,
            lane,
            task,
            stage,
            text_bytes: 0,
            text_held: 0,
            marked: Marked::No,
            sets_deadline: false,
            launched: None,
            timers: [None, None],
            unwritable: 0,
            settles: Vec::new(),
            stray: Stray::No,
        }
    }

    /// What it takes. A slot is taken before the claim is written and free once the target has
    /// said that the query ended, unless the task may keep it yielded.
    pub(super) fn load(&self, bug: Option<Bug>) -> Load {
        if self.stray == Stray::MayRun && bug != Some(Bug::LostConnectionFreesSlot) {
            return Load::STUCK;
        }
        match &self.stage {
            // Claims ahead wait for a slot, they have none.
            Stage::Claiming { ahead: true } | Stage::Ahead { .. } | Stage::Returning => Load::NOTHING,
            Stage::Marking { .. } if bug == Some(Bug::WorkerCountedLate) => Load::SLOT,
            Stage::Launched { pressure, .. } if pressure.cancel_sent() && bug == Some(Bug::CancelFreesSlot) => {
                Load::NOTHING
            }
            Stage::Lost { .. } if bug == Some(Bug::LostConnectionFreesSlot) => Load::NOTHING,
            Stage::Withdrawing if bug == Some(Bug::OfferFreedEarly) => Load::NOTHING,
            Stage::Claiming { ahead: false } | Stage::Queued | Stage::Marking { .. } | Stage::Launched { .. } => {
                Load::BOTH
            }
            Stage::Lost { .. } => Load::STUCK,
            Stage::Ended { .. } if self.task.terms.track_yielded => Load::SLOT,
            Stage::Ended { .. } => Load::NOTHING,
            Stage::Recording { next, keeps_slot, .. } if *keeps_slot || next.holds_slot() => Load::SLOT,
            Stage::Recording { .. } => Load::NOTHING,
            Stage::Offering
            | Stage::Offered { .. }
            | Stage::Withdrawing
            | Stage::Pulled
            | Stage::Yielded
            | Stage::Abandoned => Load::RESTING,
        }
    }

    /// Its row is being written: requests about it are read again when that is done.
    pub(super) const fn is_being_written(&self) -> bool {
        match &self.stage {
            Stage::Claiming { .. }
            | Stage::Recording { .. }
            | Stage::Returning
            | Stage::Offering
            | Stage::Withdrawing => true,
            Stage::Ahead { .. }
            | Stage::Queued
            | Stage::Marking { .. }
            | Stage::Launched { .. }
            | Stage::Lost { .. }
            | Stage::Ended { .. }
            | Stage::Offered { .. }
            | Stage::Pulled
            | Stage::Yielded
            | Stage::Abandoned => false,
        }
    }

    /// It takes a slot, and waits for a session or will.
    pub(super) const fn wants_session(&self) -> bool {
        match &self.stage {
            Stage::Claiming { ahead: false } | Stage::Queued => true,
            Stage::Claiming { ahead: true }
            | Stage::Ahead { .. }
            | Stage::Marking { .. }
            | Stage::Launched { .. }
            | Stage::Lost { .. }
            | Stage::Ended { .. }
            | Stage::Recording { .. }
            | Stage::Returning
            | Stage::Offering
            | Stage::Offered { .. }
            | Stage::Withdrawing
            | Stage::Pulled
            | Stage::Yielded
            | Stage::Abandoned => false,
        }
    }

    /// When to look at it again.
    pub(super) fn dues(&self, tuning: &Tuning) -> [Option<Timestamp>; 2] {
        let deadline = self.task.phase.times_up().filter(|at| *at != Timestamp::NEVER);
        match &self.stage {
            Stage::Claiming { .. }
            | Stage::Ended { .. }
            | Stage::Returning
            | Stage::Offering
            | Stage::Withdrawing
            | Stage::Abandoned => [None, None],
            Stage::Ahead { since } => [Some(*since + tuning.ahead_age_max), deadline],
            Stage::Offered { since } => [Some(*since + tuning.offer_patience), deadline],
            Stage::Queued | Stage::Marking { .. } | Stage::Pulled | Stage::Yielded => [None, deadline],
            Stage::Launched { pressure, .. } => [pressure.until(), deadline],
            Stage::Lost { since, .. } => [None, deadline.map(|at| at.max(*since + tuning.lost_grace))],
            Stage::Recording { retry, .. } => [*retry, None],
        }
    }
}
