//! One tracked task.

use super::write::{Write, WriteState};
use crate::names::SessionId;
use crate::orchestrator::backoff::Backoff;
use crate::orchestrator::input::RequestId;
use crate::orchestrator::occupancy::Load;
use crate::orchestrator::settings::Tuning;
use crate::plan::lane::{Lane, QueuePosition};
use crate::task::Task;
use crate::task::event::Outcome;
use crate::task::phase::Phase;
use crate::time::{MonotonicTime, Now};

/// A tracked task: only of these there is memory, and each holds a slot, or holds one soon or held
/// one just now.
#[derive(Debug)]
pub(crate) struct Tracked {
    pub(crate) position: QueuePosition,
    pub(crate) lane: Lane,
    /// The task as its row is known to be, and what the leader knows of its query besides.
    task: Task,
    pub(super) stage: Stage,
    /// The task's deadline on the monotonic clock.
    deadline: Option<MonotonicTime>,
    pub(crate) text_bytes: u64,
    /// Bytes of the text that are in memory, or on the way there.
    pub(super) text_in_memory: u64,
    /// Whether its launch is marked ahead of its turn.
    pub(crate) marked: Marked,
    /// A mark of this run was sent: from then on the task counts as launched for a successor.
    pub(crate) mark_sent: bool,
    /// When its query was sent.
    pub(crate) launched: Option<MonotonicTime>,
    /// The times that the timers have for it.
    pub(super) timers: [Option<MonotonicTime>; 2],
    /// The backoff of writes that failed.
    pub(crate) backoff: Backoff,
    /// Requests that its record will settle.
    pub(crate) settles: Vec<RequestId>,
    pub(super) detached: Detached,
}

/// Whether a query of the task may run on a session that is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detached {
    /// No session that ran it was lost.
    No,
    /// It may run: slot and worker are taken, whatever the row says.
    MayRun,
    /// It may run at a host that an attempt could not reach: the slot is taken, the worker is not.
    Unreachable,
    /// The session that ran it is known to be gone.
    Gone,
}

/// Whether a launch is marked before there is a session for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marked {
    /// It is not.
    No,
    /// The mark is being written.
    Requested,
    /// The mark is durable: the query may be sent on any registered session.
    Durably,
}

/// What is being done with the task.
///
/// The stage is no copy of the phase: one phase has several stages, and while a write is under way
/// the phase is the one before it.
#[derive(Debug)]
pub(crate) enum Stage {
    /// An event is being written.
    Writing(Write),
    /// Claimed before its turn has come; the plan still has it.
    ClaimedAhead { since: MonotonicTime },
    /// Claimed, and waiting for a session.
    Queued,
    /// Its launch is being marked.
    Marking { session: SessionId },
    /// Its query may be running.
    Launched { session: SessionId, cancel: CancelState },
    /// Its query may be running, and the connection to its session is lost.
    Lost { since: MonotonicTime },
    /// Its query ended; the end is recorded after this read of requests.
    Ended { outcome: Outcome, read: u64 },
    /// Offered to clients.
    Offered { since: MonotonicTime },
    /// A client has taken it.
    Pulled,
    /// It has yielded, and keeps its slot.
    Yielded,
    /// It is finished, or its row was changed by hand, and the session that may still run its query
    /// keeps the slot.
    Abandoned,
}

/// How far a running query has been stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CancelState {
    /// It runs.
    NotRequested,
    /// It may end by itself until this time, at which it is cancelled.
    Grace { until: MonotonicTime },
    /// A cancel was sent; the session is terminated at this time.
    Cancelled { until: MonotonicTime },
    /// A termination was sent; the connection is dropped at this time.
    Terminated { until: MonotonicTime },
}

impl CancelState {
    /// A cancel may be on its way to the session.
    pub(crate) const fn is_sent(self) -> bool {
        matches!(self, Self::Cancelled { .. } | Self::Terminated { .. })
    }

    /// When the next step is due.
    pub(crate) const fn until(self) -> Option<MonotonicTime> {
        match self {
            Self::NotRequested => None,
            Self::Grace { until } | Self::Cancelled { until } | Self::Terminated { until } => Some(until),
        }
    }
}

impl Stage {
    /// The stage of a task of which no query runs, by the phase that its row shows; `None` if it takes
    /// no slot.
    pub(crate) const fn of_row(phase: &Phase, since: MonotonicTime) -> Option<Self> {
        match phase {
            Phase::Offered { .. } => Some(Self::Offered { since }),
            Phase::Pulled { .. } => Some(Self::Pulled),
            Phase::Yielded { tracked: true, .. } => Some(Self::Yielded),
            Phase::Finished { end, .. } if matches!(end.tracked, Some(true)) => Some(Self::Abandoned),
            Phase::Ready { .. }
            | Phase::Claimed { .. }
            | Phase::Launched { .. }
            | Phase::Yielded { .. }
            | Phase::Finished { .. } => None,
        }
    }

    /// No query of the task runs by this leader's doing, and no write is under way: the row decides.
    pub(crate) const fn follows_row(&self) -> bool {
        matches!(self, Self::Offered { .. } | Self::Pulled | Self::Yielded | Self::Abandoned)
    }

    /// Claimed, with no launch under way.
    pub(crate) const fn is_unlaunched_claim(&self) -> bool {
        matches!(self, Self::ClaimedAhead { .. } | Self::Queued)
    }
}

impl Tracked {
    pub(crate) fn new(
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
            detached: Detached::No,
        }
    }

    pub(crate) const fn task(&self) -> &Task {
        &self.task
    }

    /// Replaces the task. A deadline that stays the same keeps its place on the monotonic clock,
    /// although the server's clock may have stepped meanwhile.
    pub(crate) fn set_task(&mut self, task: Task, now: Now) {
        debug_assert_eq!(
            self.task.options.track_yielded, task.options.track_yielded,
            "the load depends on this option"
        );
        let (before, after) = (self.task.phase.times_up(), task.phase.times_up());
        if before != after {
            self.deadline = after.map(|at| now.monotonic_at(at));
        }
        self.task = task;
    }

    pub(crate) const fn stage(&self) -> &Stage {
        &self.stage
    }

    /// The write that is under way.
    pub(crate) const fn write(&self) -> Option<&Write> {
        if let Stage::Writing(write) = &self.stage { Some(write) } else { None }
    }

    /// Changes the state of the write that is under way, if one is.
    pub(crate) const fn set_write_state(&mut self, state: WriteState) {
        if let Stage::Writing(write) = &mut self.stage {
            write.state = state;
        }
    }

    /// A query of the task may run on a session that is lost.
    pub(crate) const fn may_run_detached(&self) -> bool {
        matches!(self.detached, Detached::MayRun | Detached::Unreachable)
    }

    pub(crate) const fn detached(&self) -> Detached {
        self.detached
    }

    /// Bytes of the text that are not in memory yet.
    pub(crate) const fn text_missing(&self) -> u64 {
        self.text_bytes - self.text_in_memory
    }

    /// The deadline has passed.
    pub(crate) fn is_overdue(&self, now: MonotonicTime) -> bool {
        self.deadline.is_some_and(|at| at <= now)
    }

    /// What the task takes. A slot is taken before the claim is written, and free once the target
    /// has said that the query ended, unless the task may keep it yielded.
    pub(crate) fn load(&self) -> Load {
        match self.detached {
            Detached::MayRun => return Load::STUCK,
            Detached::Unreachable => return Load::RESTING,
            Detached::No | Detached::Gone => {}
        }
        match &self.stage {
            Stage::Writing(write) => write.load(),
            Stage::ClaimedAhead { .. } => Load::NOTHING,
            Stage::Queued | Stage::Marking { .. } | Stage::Launched { .. } => Load::BOTH,
            Stage::Lost { .. } => Load::STUCK,
            Stage::Ended { .. } if self.task.options.track_yielded => Load::SLOT,
            Stage::Ended { .. } => Load::NOTHING,
            Stage::Offered { .. } | Stage::Pulled | Stage::Yielded | Stage::Abandoned => Load::RESTING,
        }
    }

    /// The task takes a slot, and waits for a session or will.
    pub(super) const fn wants_session(&self) -> bool {
        match self.write() {
            Some(write) => write.wants_session(),
            None => matches!(self.stage, Stage::Queued),
        }
    }

    /// When something is due for the task: the step of its stage, and its deadline.
    pub(super) fn dues(&self, tuning: &Tuning) -> [Option<MonotonicTime>; 2] {
        let deadline = self.deadline.filter(|at| *at != MonotonicTime::NEVER);
        match &self.stage {
            Stage::Writing(Write { state: WriteState::Due { at }, .. }) => [Some(*at), None],
            Stage::Writing(_) | Stage::Ended { .. } | Stage::Abandoned => [None, None],
            Stage::ClaimedAhead { since } => [Some(*since + tuning.ahead_age_max), deadline],
            Stage::Offered { since } => [Some(*since + tuning.offer_patience), deadline],
            Stage::Queued | Stage::Marking { .. } | Stage::Pulled | Stage::Yielded => [None, deadline],
            Stage::Launched { cancel, .. } => [cancel.until(), deadline],
            Stage::Lost { since } => [None, deadline.map(|at| at.max(*since + tuning.lost_grace))],
        }
    }
}
