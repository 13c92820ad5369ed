//! What is due for a task when its timer fires.

use super::session::TaskSession;
use super::task::Tracked;
use crate::orchestrator::settings::Tuning;
use crate::time::MonotonicTime;

/// What is due for a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// The deadline ends it: no query runs.
    Deadline,
    /// The claim ahead is too old.
    GiveBack,
    /// The offer has waited long enough to give way.
    ReviewOffer,
    /// The query has run for too long, and nothing was sent to stop it, or its session is lost and its receipt
    /// decides.
    TimeOut,
    /// The next step to stop the query.
    Escalate,
    /// The session has been lost for too long, and the deadline has passed.
    Abandon,
    /// The pending write is sent again.
    Write,
}

impl Tracked {
    /// What is due now, if anything: a query that is being stopped has nothing to do at its
    /// deadline.
    pub(crate) fn due(&self, now: MonotonicTime, tuning: &Tuning) -> Option<Due> {
        if let Some(write) = self.pending_write() {
            return write.due().filter(|at| *at <= now).map(|_| Due::Write);
        }
        let overdue = self.is_overdue(now);
        match self.session() {
            TaskSession::NotNeeded | TaskSession::Later { .. } | TaskSession::Wanted | TaskSession::Assigned { .. }
                if overdue =>
            {
                Some(Due::Deadline)
            }
            TaskSession::Later { since, .. } => (*since + tuning.ahead_age_max <= now).then_some(Due::GiveBack),
            TaskSession::NotNeeded => self.is_offered().then_some(Due::ReviewOffer),
            TaskSession::Running { cancel, .. } if overdue && !cancel.is_sent() => Some(Due::TimeOut),
            TaskSession::Running { cancel, .. } => cancel.until().filter(|at| *at <= now).map(|_| Due::Escalate),
            TaskSession::Lost { .. } if self.task().options.receipt => {
                (overdue && !self.has_intention()).then_some(Due::TimeOut)
            }
            TaskSession::Lost { since, .. } => (overdue && *since + tuning.lost_grace <= now).then_some(Due::Abandon),
            TaskSession::Wanted
            | TaskSession::Assigned { .. }
            | TaskSession::Abandoned { .. }
            | TaskSession::Ended { .. } => None,
        }
    }
}
