//! The drain, and the steps of a resignation after it.

use std::time::{Duration, Instant};

use pgasync_core::{Input, Span};
use pgasync_store::Operation;

use super::Leader;
use crate::clock::instant;
use crate::shutdown::ExitReason;

/// The limit on closing the target sessions before the leader resigns.
const CLOSE_SESSIONS_MAX: Duration = Duration::from_secs(2);

/// The time after the drain timeout in which the core cancels, terminates and drops the remaining
/// queries.
const STOP_QUERIES_MAX: Duration = Duration::from_secs(20);

/// The drain timeout when the server asked for the resignation. A forced successor waits 25
/// seconds.
pub(super) const RESIGN_DRAIN_MAX: Duration = Duration::from_secs(10);

/// The steps of a resignation, once the core has nothing left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resignation {
    /// Sessions with targets are closing.
    Closing {
        until: Instant,
    },
    /// The leader session records that the successor need not wait for a grace period.
    WritingGoodbye,
    /// The leader session releases the locks.
    ReleasingLocks,
    SteppedDown,
}

impl Leader {
    pub(super) fn drain(&mut self, why: String, timeout: Duration) {
        tracing::info!(why, "draining");
        self.draining = Some(why);
        self.show_state();
        self.drain_deadline = Some(instant() + timeout + STOP_QUERIES_MAX);
        let span = Span::micros(i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX));
        let drain_until = self.now().monotonic + span;
        self.handle(Input::Shutdown { drain_until });
    }

    pub(super) fn begin_resignation(&mut self) {
        self.resignation = Some(Resignation::Closing { until: instant() + CLOSE_SESSIONS_MAX });
        self.publish_nothing();
    }

    /// Takes the next step when the present one is done. Returns the reason to exit after the last
    /// one.
    pub(super) fn advance_resignation(&mut self) -> Option<ExitReason> {
        if self.draining.is_some() && self.resignation.is_none() && self.core.epoch().is_none() {
            // A core that does not lead emits no command to resign.
            self.begin_resignation();
        }
        let is_written = self.writer.as_ref().is_none_or(|writer| writer.pending == 0);
        let why = || {
            debug_assert!(self.draining.is_some(), "a resignation follows a drain");
            self.draining.clone().unwrap_or_default()
        };
        match self.resignation {
            // The leader session was lost: the goodbye cannot be written, and the server has
            // released the locks.
            Some(Resignation::Closing { .. } | Resignation::WritingGoodbye) if self.writer.is_none() => {
                return Some(ExitReason::Resigned(why()));
            }
            Some(Resignation::Closing { until }) => {
                if is_written && (self.sessions.closing.is_empty() || until <= instant()) {
                    let why = why();
                    self.resignation = Some(Resignation::WritingGoodbye);
                    self.send(Operation::RecordResignation { why });
                }
            }
            Some(Resignation::WritingGoodbye) => {
                if is_written {
                    // The writer releases the locks when its handle is dropped.
                    self.writer = None;
                    self.resignation = Some(Resignation::ReleasingLocks);
                }
            }
            Some(Resignation::SteppedDown) => return Some(ExitReason::Resigned(why())),
            Some(Resignation::ReleasingLocks) | None => {}
        }
        self.drain_deadline.is_some_and(|deadline| deadline <= instant()).then_some(ExitReason::AtOnce)
    }
}
