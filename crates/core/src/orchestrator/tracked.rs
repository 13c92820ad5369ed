//! A task that the leader has in hand.

use crate::names::SessionId;
use crate::plan::lane::{Lane, QueuePosition};
use crate::task::Task;
use crate::task::event::{Event, Outcome};
use crate::time::{MonotonicTime, Now, Timestamp};

use super::backoff::Backoff;
use super::input::RequestId;
use super::occupancy::Load;
use super::settings::Tuning;

/// A task in hand: only of these there is memory, and each holds a slot, or holds one soon or
/// held one just now.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) position: QueuePosition,
    pub(super) lane: Lane,
    /// The task as the table is known to have it, and what the leader knows of its query besides.
    pub(super) task: Task,
    pub(super) stage: Stage,
    /// The task's deadline on the clock that never steps.
    deadline: Option<MonotonicTime>,
    pub(super) text_bytes: u64,
    /// How much of the text is in memory, or on its way there.
    pub(super) text_in_memory: u64,
    /// Whether its launch is marked ahead of its turn.
    pub(super) marked: Marked,
    /// A mark of this run was sent: from then on the task counts as launched for a successor.
    pub(super) mark_sent: bool,
    /// When its query was sent.
    pub(super) launched: Option<MonotonicTime>,
    /// When it is looked at again.
    pub(super) timers: [Option<MonotonicTime>; 2],
    /// Of writes that failed.
    pub(super) backoff: Backoff,
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
    /// It may, at a host that an attempt could not reach: the slot is taken, the worker is not.
    Unreachable,
    /// Whatever ran it is known to be gone.
    Gone,
}

impl Stray {
    /// A query may run out of reach.
    pub(super) const fn may_run(self) -> bool {
        matches!(self, Self::MayRun | Self::Unreachable)
    }
}

/// Whether a launch is marked before there is a session for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marked {
    /// Not yet.
    No,
    /// The mark is being written.
    Requested,
    /// It is durable: the query may be sent on any registered session.
    Durably,
}

/// What is being done with it.
#[derive(Debug)]
pub(super) enum Stage {
    /// What happens to it is being written.
    Writing(Write),
    /// Claimed before its turn came. It still stands in the plan.
    Ahead { since: MonotonicTime },
    /// Claimed, and it wants a session.
    Queued,
    /// Its launch is being marked.
    Marking { session: SessionId },
    /// Its query may be running.
    Launched { session: SessionId, pressure: Pressure },
    /// Its query may be running, and no connection leads there.
    Lost { since: MonotonicTime },
    /// Its query is over; requests up to this read come first.
    Ended { outcome: Outcome, read: u64 },
    /// It is held out to clients.
    Offered { since: MonotonicTime },
    /// A client has it.
    Pulled,
    /// It has yielded, and keeps its slot.
    Yielded,
    /// It is over, or its row was changed by hand, and the session that may still run its query
    /// keeps the slot.
    Abandoned,
}

/// A write about a task.
#[derive(Debug, Clone)]
pub(super) struct Write {
    pub(super) event: Event,
    /// When the event happened, by the server's clock.
    pub(super) at: Timestamp,
    /// When it was decided, by both clocks.
    pub(super) decided: Now,
    /// The task after the event, as predicted.
    pub(super) next: Box<Task>,
    /// Of a claim: before its turn came.
    pub(super) ahead: bool,
    /// A client may take an offer, or keep what it pulled, until this is written.
    pub(super) keeps_slot: bool,
    pub(super) state: WriteState,
}

/// Where a write stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteState {
    /// It is on its way.
    Sent,
    /// Its answer is lost: the row is read before anything else is decided about the task.
    Unconfirmed,
    /// Nothing came of it, and it is sent again at this time.
    Due { at: MonotonicTime },
}

/// How hard a query is pressed to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pressure {
    /// Not at all.
    None,
    /// It is given until then to end by itself.
    Waiting { until: MonotonicTime },
    /// A cancel was sent; the session is ended then.
    Cancelled { until: MonotonicTime },
    /// The session's end was asked for; the connection is dropped then.
    Terminated { until: MonotonicTime },
}

impl Pressure {
    /// A cancel may be on its way.
    pub(super) const fn cancel_sent(self) -> bool {
        match self {
            Self::None | Self::Waiting { .. } => false,
            Self::Cancelled { .. } | Self::Terminated { .. } => true,
        }
    }

    pub(super) const fn until(self) -> Option<MonotonicTime> {
        match self {
            Self::None => None,
            Self::Waiting { until } | Self::Cancelled { until } | Self::Terminated { until } => Some(until),
        }
    }
}

impl Write {
    /// What it takes while it is under way.
    fn load(&self) -> Load {
        match &self.event {
            // Claims ahead wait for a slot, they have none.
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
}

impl Tracked {
    pub(super) fn new(
        position: QueuePosition,
        lane: Lane,
        task: Task,
        stage: Stage,
        tuning: &Tuning,
        now: Now,
    ) -> Self {
        let deadline = task.phase.times_up().map(|at| now.monotonic_at(at));
        Self {
            position,
            lane,
            task,
            stage,
            deadline,
            text_bytes: 0,
            text_in_memory: 0,
            marked: Marked::No,
            mark_sent: false,
            launched: None,
            timers: [None, None],
            backoff: Backoff::new(tuning.write_backoff_first, tuning.write_backoff_last),
            settles: Vec::new(),
            stray: Stray::No,
        }
    }

    /// The task is this now. A deadline that stays the same stays where it is on the clock that never
    /// steps.
    pub(super) fn set_task(&mut self, task: Task, now: Now) {
        let (before, after) = (self.task.phase.times_up(), task.phase.times_up());
        if before != after {
            self.deadline = after.map(|at| now.monotonic_at(at));
        }
        self.task = task;
    }

    /// Its time is up.
    pub(super) fn is_overdue(&self, now: Now) -> bool {
        self.deadline.is_some_and(|at| at <= now.monotonic)
    }

    /// The run that a write about it is on its way for.
    pub(super) const fn write(&self) -> Option<&Write> {
        match &self.stage {
            Stage::Writing(write) => Some(write),
            Stage::Ahead { .. }
            | Stage::Queued
            | Stage::Marking { .. }
            | Stage::Launched { .. }
            | Stage::Lost { .. }
            | Stage::Ended { .. }
            | Stage::Offered { .. }
            | Stage::Pulled
            | Stage::Yielded
            | Stage::Abandoned => None,
        }
    }

    /// What it takes. A slot is taken before the claim is written and free once the target has
    /// said that the query ended, unless the task may keep it yielded.
    pub(super) fn load(&self) -> Load {
        match self.stray {
            Stray::MayRun => return Load::STUCK,
            Stray::Unreachable => return Load::RESTING,
            Stray::No | Stray::Gone => {}
        }
        match &self.stage {
            Stage::Writing(write) => write.load(),
            Stage::Ahead { .. } => Load::NOTHING,
            Stage::Queued | Stage::Marking { .. } | Stage::Launched { .. } => Load::BOTH,
            Stage::Lost { .. } => Load::STUCK,
            Stage::Ended { .. } if self.task.options.track_yielded => Load::SLOT,
            Stage::Ended { .. } => Load::NOTHING,
            Stage::Offered { .. } | Stage::Pulled | Stage::Yielded | Stage::Abandoned => Load::RESTING,
        }
    }

    /// It takes a slot, and waits for a session or will.
    pub(super) const fn wants_session(&self) -> bool {
        match &self.stage {
            Stage::Queued => true,
            Stage::Writing(write) => matches!(write.event, Event::Claim { .. }) && !write.ahead,
            Stage::Ahead { .. }
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

    /// When to look at it again.
    pub(super) fn dues(&self, tuning: &Tuning) -> [Option<MonotonicTime>; 2] {
        let deadline = self.deadline.filter(|at| *at != MonotonicTime::NEVER);
        match &self.stage {
            Stage::Writing(Write { state: WriteState::Due { at }, .. }) => [Some(*at), None],
            Stage::Writing(_) | Stage::Ended { .. } | Stage::Abandoned => [None, None],
            Stage::Ahead { since } => [Some(*since + tuning.ahead_age_max), deadline],
            Stage::Offered { since } => [Some(*since + tuning.offer_patience), deadline],
            Stage::Queued | Stage::Marking { .. } | Stage::Pulled | Stage::Yielded => [None, deadline],
            Stage::Launched { pressure, .. } => [pressure.until(), deadline],
            Stage::Lost { since } => [None, deadline.map(|at| at.max(*since + tuning.lost_grace))],
        }
    }
}
