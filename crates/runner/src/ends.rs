//! Being asked to end, and how it ended.

use std::fmt;

/// Somebody asks the orchestrator to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Let what runs end within the drain timeout.
    Drain,
    /// At once.
    Now,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was asked to, and left nothing behind.
    Resigned(String),
    /// It was told not to wait for anything.
    AtOnce,
    /// Another orchestrator has taken the lead.
    Deposed,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resigned(why) => write!(f, "stopped leading: {why}"),
            Self::AtOnce => f.write_str("stopped at once: what ran is left to the next orchestrator"),
            Self::Deposed => f.write_str("another orchestrator has taken the lead"),
        }
    }
}
