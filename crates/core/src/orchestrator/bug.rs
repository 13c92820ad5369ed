//! Mistakes that can be planted in tests, to see that the simulation finds them.

/// One mistake in the orchestrator. Planted only in tests; everywhere else none is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A pool takes one more than its size.
    PoolTakesOneMore,
    /// Marking a launch is not counted as work.
    WorkerCountedLate,
    /// Asking for a cancel frees the slot.
    CancelFreesSlot,
    /// Losing the connection frees the slot.
    LostConnectionFreesSlot,
    /// A result is recorded before the requests are read.
    ResultBeforeRequests,
    /// A query is sent before its launch is marked.
    LaunchBeforeMark,
    /// A mark that was asked for ahead of its task's turn is taken for durable.
    MarkAheadTakenForDurable,
    /// A query is sent before its claim is committed.
    LaunchBeforeClaim,
    /// A lost leader's tasks are resolved before its sessions are gone.
    ResolveBeforeFence,
    /// A query whose end nobody knows is run again.
    UnknownRunsAgain,
    /// The end of an earlier query is taken for that of the one that the session runs now.
    StaleEndTaken,
    /// A session is used again although a cancel may be on its way to it.
    CancelledSessionReused,
    /// An offer's slot is free before the offer is withdrawn.
    OfferFreedEarly,
    /// The sweep does not come back for what waits for a later time.
    SweepForgotten,
    /// A claim whose answer is lost is taken for unwritten.
    UnconfirmedClaimDropped,
    /// A query's end whose record is unconfirmed is taken for recorded.
    UnconfirmedRecordLetGo,
    /// No mark is carried over when the marks are begun anew.
    RotationForgetsMarks,
    /// A mark that is on its way is not carried over when the marks are begun anew.
    MarkCountsOnceAnswered,
    /// The server's clock decides whether a deadline has passed.
    ServerTimeForDeadlines,
    /// A host that cannot be reached gives back the pool slots of what may run there.
    UnreachableFreesSlot,
    /// What the store refuses is not tried again.
    RefusedForgotten,
    /// Notifications do not wake the leader.
    NotificationIgnored,
}

/// The mistake that a test planted; outside of tests there is no room for one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Planted {
    #[cfg(test)]
    bug: Option<Bug>,
}

#[cfg(test)]
impl Planted {
    pub(crate) const fn new(bug: Option<Bug>) -> Self {
        Self { bug }
    }

    pub(crate) const fn get(self) -> Option<Bug> {
        self.bug
    }
}

#[cfg(not(test))]
impl Planted {
    pub(crate) const fn get(self) -> Option<Bug> {
        None
    }
}

#[cfg(test)]
impl Bug {
    /// Each with a seed that finds it.
    pub(crate) const ALL: [(Self, u64); 22] = [
        (Self::PoolTakesOneMore, 0),
        (Self::WorkerCountedLate, 1),
        (Self::CancelFreesSlot, 1),
        (Self::LostConnectionFreesSlot, 40),
        (Self::ResultBeforeRequests, 0),
        (Self::LaunchBeforeMark, 0),
        (Self::MarkAheadTakenForDurable, 9),
        (Self::LaunchBeforeClaim, 14),
        (Self::ResolveBeforeFence, 4),
        (Self::UnknownRunsAgain, 0),
        (Self::StaleEndTaken, 0),
        (Self::CancelledSessionReused, 23),
        (Self::OfferFreedEarly, 0),
        (Self::SweepForgotten, 10),
        (Self::UnconfirmedClaimDropped, 1),
        (Self::UnconfirmedRecordLetGo, 0),
        (Self::RotationForgetsMarks, 0),
        (Self::MarkCountsOnceAnswered, 1),
        (Self::ServerTimeForDeadlines, 33),
        (Self::UnreachableFreesSlot, 125),
        (Self::RefusedForgotten, 0),
        (Self::NotificationIgnored, 0),
    ];
}
