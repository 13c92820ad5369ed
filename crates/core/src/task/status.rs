//! How a task ends, and what a client may ask it to become.

use std::fmt;

/// A status that ends a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "SCREAMING_SNAKE_CASE"))]
pub enum FinalStatus {
    /// It did what it should.
    Finished,
    /// It ended with an error, or the outcome is unknown.
    Failed,
    /// A request ended it.
    Canceled,
    /// It took too long.
    TimedOut,
    /// It was never to run.
    Doa,
}

impl FinalStatus {
    /// Every status that ends a task.
    pub const ALL: [Self; 5] = [Self::Finished, Self::Failed, Self::Canceled, Self::TimedOut, Self::Doa];

    /// The column `failed` that goes with it.
    #[must_use]
    pub const fn failed(self) -> bool {
        !matches!(self, Self::Finished)
    }
}

/// A status as the column `finish_status` and the calls of clients know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "SCREAMING_SNAKE_CASE"))]
pub enum FinishStatus {
    /// See [`FinalStatus::Finished`].
    Finished,
    /// See [`FinalStatus::Failed`].
    Failed,
    /// See [`FinalStatus::Canceled`].
    Canceled,
    /// Back to waiting, at once or after a while.
    Paused,
    /// See [`FinalStatus::TimedOut`].
    TimedOut,
    /// Its query is over, and the task is not.
    Yielded,
    /// See [`FinalStatus::Doa`].
    Doa,
    /// Back to waiting, for a while.
    Deferred,
}

impl FinishStatus {
    /// Every status, in the order of the SQL type.
    pub const ALL: [Self; 8] = [
        Self::Finished,
        Self::Failed,
        Self::Canceled,
        Self::Paused,
        Self::TimedOut,
        Self::Yielded,
        Self::Doa,
        Self::Deferred,
    ];

    /// The final status this is, if it is one.
    #[must_use]
    pub const fn terminal(self) -> Option<FinalStatus> {
        match self {
            Self::Finished => Some(FinalStatus::Finished),
            Self::Failed => Some(FinalStatus::Failed),
            Self::Canceled => Some(FinalStatus::Canceled),
            Self::TimedOut => Some(FinalStatus::TimedOut),
            Self::Doa => Some(FinalStatus::Doa),
            Self::Paused | Self::Yielded | Self::Deferred => None,
        }
    }

    /// The label in SQL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Canceled => "CANCELED",
            Self::Paused => "PAUSED",
            Self::TimedOut => "TIMED_OUT",
            Self::Yielded => "YIELDED",
            Self::Doa => "DOA",
            Self::Deferred => "DEFERRED",
        }
    }
}

impl From<FinalStatus> for FinishStatus {
    fn from(status: FinalStatus) -> Self {
        match status {
            FinalStatus::Finished => Self::Finished,
            FinalStatus::Failed => Self::Failed,
            FinalStatus::Canceled => Self::Canceled,
            FinalStatus::TimedOut => Self::TimedOut,
            FinalStatus::Doa => Self::Doa,
        }
    }
}

impl fmt::Display for FinishStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for FinalStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        FinishStatus::from(*self).fmt(f)
    }
}
