//! Signals that stop the leader, and the reason why it stopped.

use std::fmt;

/// A signal to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// Let running queries end within the drain timeout.
    Drain,
    /// Exit at once.
    Now,
}

/// Why a leader stopped leading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// A signal or the server asked the leader to stop, and the drain is complete. The text is the
    /// reason.
    Resigned(String),
    /// The leader stopped without waiting for running queries.
    AtOnce,
    /// Another orchestrator has taken the lead.
    Deposed,
    /// The schema does not exist any more.
    SchemaGone,
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resigned(why) => write!(f, "stopped leading: {why}"),
            Self::AtOnce => f.write_str("stopped at once: running tasks are left to the next orchestrator"),
            Self::Deposed => f.write_str("another orchestrator has taken the lead"),
            Self::SchemaGone => f.write_str("stopped leading: the schema async does not exist any more"),
        }
    }
}
