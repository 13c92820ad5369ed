//! What a tracked task has of a target session.

use crate::names::SessionId;
use crate::orchestrator::claims_ahead::Lack;
use crate::orchestrator::occupancy::Load;
use crate::task::event::Outcome;
use crate::time::MonotonicTime;

/// What a tracked task has of a target session. The phase of the task says where its row stands;
/// this says where its query stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TaskSession {
    /// No query of the task runs, and none is about to.
    NotNeeded,
    /// The task is claimed before its turn has come, or about to be; the plan still has it.
    Later { since: MonotonicTime, lack: Lack },
    /// The task is claimed, or about to be, and waits for a session.
    Wanted,
    /// The launch on this session is being marked.
    Assigned { session: SessionId },
    /// The query may be running on this session.
    Running { session: SessionId, cancel: CancelState },
    /// The session is lost and may still run the query. The row is not written yet.
    Lost { since: MonotonicTime, host: LostHost },
    /// The session is lost and may still run the query. The row no longer waits for its end: it
    /// was written, or changed by hand, or it is gone.
    Abandoned { host: LostHost },
    /// The query ended, and the requests that came before its end are being read.
    Ended { outcome: Outcome },
}

/// What is known of the host of a lost session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LostHost {
    /// Nothing yet: the query takes the slot and the worker.
    Unknown,
    /// An attempt could not reach it: the query takes the slot. A dead host must not take the
    /// workers of every other target.
    Unreachable,
}

impl LostHost {
    pub(super) const fn load(self) -> Load {
        match self {
            Self::Unknown => Load::STUCK,
            Self::Unreachable => Load::RESTING,
        }
    }
}

/// The last step that was taken to stop a running query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CancelState {
    /// The query runs.
    NotRequested,
    /// The query may end by itself until this time, at which it is cancelled.
    Grace { until: MonotonicTime },
    /// A cancel was sent; the session is terminated at this time.
    Cancelled { until: MonotonicTime },
    /// A termination was sent; the connection is dropped at this time.
    Terminated { until: MonotonicTime },
}

impl CancelState {
    /// Whether a cancel may be on its way to the session.
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

impl TaskSession {
    /// What is known of the host, if a session of the task is lost and may run its query.
    pub(crate) const fn lost_host(&self) -> Option<LostHost> {
        match self {
            Self::Lost { host, .. } | Self::Abandoned { host } => Some(*host),
            Self::NotNeeded
            | Self::Later { .. }
            | Self::Wanted
            | Self::Assigned { .. }
            | Self::Running { .. }
            | Self::Ended { .. } => None,
        }
    }

    /// Whether the task is claimed, or about to be, and has no session yet.
    pub(crate) const fn is_to_come(&self) -> bool {
        matches!(self, Self::Later { .. } | Self::Wanted)
    }

    /// What is left of it when the end of the task is written: only a lost session, which may still
    /// run the query.
    pub(super) fn after_end(&self) -> Self {
        if self.lost_host().is_some() { self.clone() } else { Self::NotNeeded }
    }
}
