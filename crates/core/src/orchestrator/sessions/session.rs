//! One target session.

use crate::names::{TargetName, TaskId};
use crate::time::MonotonicTime;

/// A target session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) target: TargetName,
    pub(crate) state: SessionState,
    /// It is on its way, and the target had no session when it was opened.
    pub(super) is_contact: bool,
    /// The time of the timer that asks whether the session is still used.
    pub(super) watched: Option<MonotonicTime>,
}

/// The state of a target session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionState {
    /// The connection was requested.
    Connecting,
    /// Connected, and not registered durably: no query may run on it.
    Registering,
    /// Registered, clean, without work.
    Idle { since: MonotonicTime },
    /// A launch on it is being marked, or a query runs.
    Busy { task: TaskId },
    /// The connection is lost, and the session may live on at the target.
    Lost,
    /// The session runs nothing and is being closed.
    Closing,
}

impl SessionState {
    /// Whether queries may run on the session, or do.
    pub(crate) const fn is_ready(self) -> bool {
        matches!(self, Self::Idle { .. } | Self::Busy { .. })
    }

    /// Whether the session is connecting or registering.
    pub(crate) const fn is_starting(self) -> bool {
        matches!(self, Self::Connecting | Self::Registering)
    }

    /// Whether the session is a connection, or about to be one.
    pub(crate) const fn is_open(self) -> bool {
        self.is_ready() || self.is_starting()
    }
}
