//! The statuses with which a task ends, and those that a client may request.

use std::fmt;

/// A status that ends a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "SCREAMING_SNAKE_CASE"))]
pub enum FinalStatus {
    /// The task succeeded.
    Finished,
    /// The task ended with an error, or its outcome is unknown.
    Failed,
    /// A request canceled the task.
    Canceled,
    /// The deadline passed.
    TimedOut,
    /// Dead on arrival: the task was not meant to run.
    Doa,
}

impl FinalStatus {
    /// Every status that ends a task.
    pub const ALL: [Self; 5] = [Self::Finished, Self::Failed, Self::Canceled, Self::TimedOut, Self::Doa];

    /// The value of the column `failed`.
    #[must_use]
    pub const fn failed(self) -> bool {
        !matches!(self, Self::Finished)
    }
}

/// A status in the column `finish_status` and in the calls of clients.
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
    /// The task returns to the queue, at once or after a duration.
    Paused,
    /// See [`FinalStatus::TimedOut`].
    TimedOut,
    /// The query has ended, and the task has not.
    Yielded,
    /// See [`FinalStatus::Doa`].
    Doa,
    /// The task returns to the queue after a duration.
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

    /// The final status; `None` if this status does not end a task.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_status_is_printed_like_the_status_that_it_is() {
        for (status, text) in [
            (FinalStatus::Finished, "FINISHED"),
            (FinalStatus::Failed, "FAILED"),
            (FinalStatus::Canceled, "CANCELED"),
            (FinalStatus::TimedOut, "TIMED_OUT"),
            (FinalStatus::Doa, "DOA"),
        ] {
            assert_eq!((status.to_string().as_str(), FinishStatus::from(status).as_str()), (text, text));
        }
    }
}
