//! The transitions: the result of every event in every phase.

use super::Task;
use super::event::{Event, Outcome, Request};
use super::intention::Intention;
use super::phase::{Completion, Phase, TaskTimes};
use super::rejected::Rejected;
use super::retry::Failure;
use super::status::{FinalStatus, FinishStatus};
use crate::names::{RoleName, Run};
use crate::time::{Span, Timestamp};

/// `processing_error` of a task whose deadline passed.
pub const TIMED_OUT: &str = "the task did not finish in time";

impl Task {
    /// The task after the event, or why the event changes nothing.
    ///
    /// # Errors
    /// [`Rejected`] is the reason. The task does not change.
    pub fn step(&self, event: &Event, now: Timestamp) -> Result<Self, Rejected> {
        match &self.phase {
            Phase::Ready { eligible_when, times_up } => self.step_ready(*eligible_when, *times_up, event, now),
            Phase::Offered { times_up } => self.step_offered(*times_up, event, now),
            Phase::Claimed { consumed, times_up } => self.step_claimed(*consumed, *times_up, event, now),
            Phase::Launched { consumed, times_up, intention } => {
                self.step_launched(*consumed, *times_up, intention.as_ref(), event, now)
            }
            Phase::Pulled { .. } => self.step_idle(event, now),
            Phase::Yielded { .. } => self.step_idle(event, now),
            Phase::Finished { end, .. } => self.step_finished(end, event, now),
        }
    }

    fn step_ready(
        &self,
        eligible_when: Option<Timestamp>,
        times_up: Option<Timestamp>,
        event: &Event,
        now: Timestamp,
    ) -> Result<Self, Rejected> {
        match event {
            Event::Promote => {
                eligible_when.ok_or(Rejected::NotDeferred)?;
                due(eligible_when, now)?;
                Ok(self.waiting(None, times_up, now))
            }
            Event::Claim { default_timeout } => {
                if self.options.client_pulled {
                    return Err(Rejected::ClientPulled);
                }
                due(eligible_when, now)?;
                in_time(times_up, now)?;
                let deadline = Some(self.deadline_of_start(times_up, *default_timeout, now));
                let phase = Phase::Claimed { consumed: now, times_up: deadline };
                Ok(Self { run: self.run.next(), ..self.at(phase) })
            }
            Event::Offer { .. } => {
                if !self.options.client_pulled {
                    return Err(Rejected::HasQuery);
                }
                due(eligible_when, now)?;
                in_time(times_up, now)?;
                Ok(self.at(Phase::Offered { times_up }))
            }
            Event::Request(request) => self.apply_request(request, now),
            Event::Deadline => self.overdue(now),
            Event::GiveUp { error } => {
                let failed = self.finished(FinalStatus::Failed, Some(error.clone()), now);
                Ok(self.failing(Failure::Unreachable, failed, now))
            }
            Event::GiveBack { .. }
            | Event::Launch
            | Event::QueryEnded { .. }
            | Event::Withdraw
            | Event::Take { .. }
            | Event::Abandon { .. }
            | Event::Release
            | Event::Restart => Err(self.out_of_place(event)),
        }
    }

    fn step_offered(&self, times_up: Option<Timestamp>, event: &Event, now: Timestamp) -> Result<Self, Rejected> {
        match event {
            Event::Withdraw => Ok(self.waiting(None, times_up, now)),
            Event::Take { default_timeout } => {
                in_time(times_up, now)?;
                let deadline = Some(self.deadline_of_start(times_up, *default_timeout, now));
                let phase = Phase::Pulled { consumed: now, times_up: deadline };
                Ok(Self { run: self.run.next(), ..self.at(phase) })
            }
            Event::Request(request) => self.apply_request(request, now),
            Event::Deadline => self.overdue(now),
            Event::Promote
            | Event::Claim { .. }
            | Event::GiveBack { .. }
            | Event::Launch
            | Event::QueryEnded { .. }
            | Event::Offer { .. }
            | Event::Abandon { .. }
            | Event::GiveUp { .. }
            | Event::Release
            | Event::Restart => Err(self.out_of_place(event)),
        }
    }

    fn step_claimed(
        &self,
        consumed: Timestamp,
        times_up: Option<Timestamp>,
        event: &Event,
        now: Timestamp,
    ) -> Result<Self, Rejected> {
        match event {
            Event::GiveBack { default_timeout } => {
                // A deadline that an earlier claim set stays.
                let of_this_claim = times_up == Some(self.deadline(*default_timeout, consumed));
                let times_up = if of_this_claim { self.options.expires_at } else { times_up };
                // The run is not used again: the launch marks may contain one of this run, and it
                // would count as a mark of the next claim.
                Ok(self.waiting(None, times_up, now))
            }
            Event::Launch => Ok(self.at(Phase::Launched { consumed, times_up, intention: None })),
            Event::Request(request) => self.apply_request(request, now),
            Event::Deadline => self.overdue(now),
            Event::Promote
            | Event::Claim { .. }
            | Event::QueryEnded { .. }
            | Event::Offer { .. }
            | Event::Withdraw
            | Event::Take { .. }
            | Event::Abandon { .. }
            | Event::GiveUp { .. }
            | Event::Release
            | Event::Restart => Err(self.out_of_place(event)),
        }
    }

    fn step_launched(
        &self,
        consumed: Timestamp,
        times_up: Option<Timestamp>,
        intention: Option<&Intention>,
        event: &Event,
        now: Timestamp,
    ) -> Result<Self, Rejected> {
        let intend = |wanted: Intention| {
            let merged = match intention {
                None => Some(wanted),
                Some(first) => first.replaced_by(wanted),
            };
            let intention = Some(merged.ok_or(Rejected::Superseded)?);
            Ok(self.at(Phase::Launched { consumed, times_up, intention }))
        };
        match event {
            Event::Request(request) => intend(Intention::of(request)?),
            Event::Deadline => {
                passed(times_up, now)?;
                // The request of a client remains the intention. The orchestrator cancels the
                // overdue query nevertheless.
                if intention.is_some() {
                    return Err(Rejected::Superseded);
                }
                intend(Intention::DEADLINE)
            }
            Event::QueryEnded { run, outcome } => {
                self.current(*run)?;
                Ok(self.ended(intention, outcome, now))
            }
            Event::Abandon { .. } if self.options.receipt => Err(Rejected::HasReceipt),
            Event::Abandon { known } => {
                passed(times_up, now)?;
                Ok(self.abandoned(intention, known, now))
            }
            Event::Promote
            | Event::Claim { .. }
            | Event::GiveBack { .. }
            | Event::Launch
            | Event::Offer { .. }
            | Event::Withdraw
            | Event::Take { .. }
            | Event::GiveUp { .. }
            | Event::Release
            | Event::Restart => Err(self.out_of_place(event)),
        }
    }

    /// The phases Pulled and Yielded: no query runs, and a request decides what happens to the
    /// task.
    fn step_idle(&self, event: &Event, now: Timestamp) -> Result<Self, Rejected> {
        match event {
            Event::Request(request) => self.apply_request(request, now),
            Event::Deadline => self.overdue(now),
            Event::Promote
            | Event::Claim { .. }
            | Event::GiveBack { .. }
            | Event::Launch
            | Event::QueryEnded { .. }
            | Event::Offer { .. }
            | Event::Withdraw
            | Event::Take { .. }
            | Event::Abandon { .. }
            | Event::GiveUp { .. }
            | Event::Release
            | Event::Restart => Err(self.out_of_place(event)),
        }
    }

    fn step_finished(&self, end: &Completion, event: &Event, now: Timestamp) -> Result<Self, Rejected> {
        match event {
            Event::Restart => match self.options.expires_at {
                Some(expires_at) if expires_at <= now => Err(Rejected::Expired { expires_at }),
                expires_at => Ok(Self { attempt: 0, ..self.waiting(None, expires_at, now) }),
            },
            Event::Release => self.released(end),
            Event::Promote
            | Event::Claim { .. }
            | Event::GiveBack { .. }
            | Event::Launch
            | Event::QueryEnded { .. }
            | Event::Offer { .. }
            | Event::Withdraw
            | Event::Take { .. }
            | Event::Request(_)
            | Event::Deadline
            | Event::Abandon { .. }
            | Event::GiveUp { .. } => Err(Rejected::Finished { status: end.status }),
        }
    }

    /// The task after the end of its query with this intention.
    fn ended(&self, intention: Option<&Intention>, outcome: &Outcome, now: Timestamp) -> Self {
        match (intention, outcome) {
            (Some(Intention::Finish { status, error, requested_by }), _) => {
                self.finished(*status, error.clone(), now).ended_by(requested_by.as_ref())
            }
            (Some(Intention::Yield), _) => self.yielding(now),
            (Some(Intention::Defer { duration }), _) => self.returned_to_queue(Some(*duration), now),
            // The query succeeded before a cancel request reached it.
            (
                None | Some(Intention::Cancel { .. } | Intention::Timeout { .. } | Intention::Pause { .. }),
                Outcome::Ok | Outcome::OkWith(_),
            ) => {
                if self.options.asynchronous_finish {
                    self.yielding(now)
                } else {
                    self.finished(FinalStatus::Finished, None, now)
                }
            }
            // A request to time out beats a retry, and the deadline does not.
            (Some(Intention::Timeout { message: None, .. }), Outcome::Error(_)) => {
                self.failing(Failure::Timeout, self.timed_out(None, None, now), now)
            }
            (Some(Intention::Timeout { message: None, .. }), Outcome::Unknown(known)) => {
                self.failing(Failure::UnknownTimeout, self.timed_out(None, Some(known), now), now)
            }
            (Some(Intention::Timeout { message: message @ Some(_), requested_by }), Outcome::Error(_)) => {
                self.timed_out(message.as_ref(), None, now).ended_by(requested_by.as_ref())
            }
            (Some(Intention::Timeout { message: message @ Some(_), requested_by }), Outcome::Unknown(known)) => {
                self.timed_out(message.as_ref(), Some(known), now).ended_by(requested_by.as_ref())
            }
            (Some(Intention::Cancel { message, requested_by }), Outcome::Error(_)) => {
                self.finished(FinalStatus::Canceled, message.clone(), now).ended_by(requested_by.as_ref())
            }
            (Some(Intention::Pause { duration }), Outcome::Error(_)) => self.returned_to_queue(*duration, now),
            (None, Outcome::Error(error)) => {
                let failed = self.finished(FinalStatus::Failed, Some(error.clone()), now);
                self.failing(Failure::Error(error), failed, now)
            }
            // The query may have committed. The error says so, and the task does not run again, unless
            // its policy permits it.
            (Some(Intention::Cancel { message, requested_by }), Outcome::Unknown(known)) => {
                let error = message.as_ref().map_or_else(|| known.clone(), |message| format!("{message}\n{known}"));
                self.finished(FinalStatus::Canceled, Some(error), now).ended_by(requested_by.as_ref())
            }
            (None | Some(Intention::Pause { .. }), Outcome::Unknown(known)) => {
                self.failing(Failure::Unknown, self.finished(FinalStatus::Failed, Some(known.clone()), now), now)
            }
        }
    }

    /// The task is finished in the table. It keeps its pool slot until the session is known to be
    /// gone.
    fn abandoned(&self, intention: Option<&Intention>, known: &String, now: Timestamp) -> Self {
        let (message, requested_by) = match intention {
            Some(Intention::Timeout { message, requested_by }) => (message.as_ref(), requested_by.as_ref()),
            None
            | Some(
                Intention::Cancel { .. }
                | Intention::Finish { .. }
                | Intention::Pause { .. }
                | Intention::Yield
                | Intention::Defer { .. },
            ) => (None, None),
        };
        let mut task = self.timed_out(message, Some(known), now).ended_by(requested_by);
        if let Phase::Finished { end, .. } = &mut task.phase {
            end.tracked = Some(true);
        }
        self.failing(Failure::Lost, task, now)
    }

    /// The task after an attempt that failed: it is retried if it has a policy that says so, else it
    /// is `last`.
    fn failing(&self, failure: Failure<'_>, last: Self, now: Timestamp) -> Self {
        let Some(policy) = &self.options.retry else { return last };
        let attempt = self.attempt + 1;
        let expires_at = self.options.expires_at;
        // An attempt that would begin after the end of all attempts does not take place.
        let next = policy.delay(attempt, failure).map(|delay| now + delay);
        match next.filter(|next| expires_at.is_none_or(|expires_at| *next < expires_at)) {
            Some(next) => Self { attempt, ..self.waiting(Some(next), expires_at, now) },
            None => Self { attempt, ..last },
        }
    }

    /// A request for a task without a running query takes effect at once.
    fn apply_request(&self, request: &Request, now: Timestamp) -> Result<Self, Rejected> {
        let Request { status, error, duration, requested_by } = request;
        let finished = |status| self.finished(status, error.clone(), now).ended_by(requested_by.as_ref());
        match status {
            FinishStatus::Finished => Ok(finished(FinalStatus::Finished)),
            FinishStatus::Failed => {
                let failed = finished(FinalStatus::Failed);
                let reported = matches!(self.phase, Phase::Pulled { .. } | Phase::Yielded { .. });
                Ok(if reported { self.failing(Failure::Reported, failed, now) } else { failed })
            }
            FinishStatus::Canceled => Ok(finished(FinalStatus::Canceled)),
            FinishStatus::TimedOut => Ok(self.timed_out(error.as_ref(), None, now).ended_by(requested_by.as_ref())),
            FinishStatus::Doa => Ok(finished(FinalStatus::Doa)),
            FinishStatus::Yielded => Ok(self.yielding(now)),
            FinishStatus::Paused => Ok(self.returned_to_queue(*duration, now)),
            FinishStatus::Deferred => Ok(self.returned_to_queue(Some(duration.ok_or(Rejected::DurationMissing)?), now)),
        }
    }

    fn overdue(&self, now: Timestamp) -> Result<Self, Rejected> {
        passed(self.phase.times_up(), now)?;
        // Clients may have done anything with a task that they work on.
        let failure = match self.phase {
            Phase::Pulled { .. } | Phase::Yielded { .. } => Failure::UnknownTimeout,
            Phase::Ready { .. }
            | Phase::Offered { .. }
            | Phase::Claimed { .. }
            | Phase::Launched { .. }
            | Phase::Finished { .. } => Failure::Timeout,
        };
        Ok(self.failing(failure, self.timed_out(None, None, now), now))
    }

    fn finished(&self, status: FinalStatus, error: Option<String>, now: Timestamp) -> Self {
        let tracked = self.holds_slot().then_some(false);
        let end = Completion { status, processed: now, error, ended_by: None, tracked };
        self.at(Phase::Finished { end, past: self.phase.past() })
    }

    /// The finished task, with the role whose request ended it.
    fn ended_by(mut self, role: Option<&RoleName>) -> Self {
        if let Phase::Finished { end, .. } = &mut self.phase {
            end.ended_by = role.cloned();
        }
        self
    }

    /// The task after its timeout. `known` says what is known of a query whose end was not
    /// confirmed.
    fn timed_out(&self, message: Option<&String>, known: Option<&String>, now: Timestamp) -> Self {
        let message = message.map_or(TIMED_OUT, String::as_str);
        let error = known.map_or_else(|| message.to_owned(), |known| format!("{message}\n{known}"));
        self.finished(FinalStatus::TimedOut, Some(error), now)
    }

    /// Frees the pool slot of a finished task. Its end does not change.
    fn released(&self, end: &Completion) -> Result<Self, Rejected> {
        if end.tracked != Some(true) {
            return Err(Rejected::NoSlot);
        }
        let end = Completion { tracked: Some(false), ..end.clone() };
        Ok(self.at(Phase::Finished { end, past: self.phase.past() }))
    }

    /// The task after a yield. A second yield changes nothing. A task may keep its pool slot, and
    /// does not take one.
    fn yielding(&self, now: Timestamp) -> Self {
        if matches!(self.phase, Phase::Yielded { .. }) {
            return self.clone();
        }
        let TaskTimes { consumed, times_up, .. } = self.phase.past();
        let tracked = self.options.track_yielded && self.holds_slot();
        self.at(Phase::Yielded { consumed, yielded: now, times_up, tracked })
    }

    fn returned_to_queue(&self, duration: Option<Span>, now: Timestamp) -> Self {
        self.waiting(duration.map(|duration| now + duration), self.phase.times_up(), now)
    }

    /// The task in the queue, not eligible before `until` and before its own time.
    fn waiting(&self, until: Option<Timestamp>, times_up: Option<Timestamp>, now: Timestamp) -> Self {
        let eligible_when = until.max(self.options.run_at.filter(|at| *at > now));
        self.at(Phase::Ready { eligible_when, times_up })
    }

    /// The deadline that a first claim at this time sets.
    fn deadline(&self, default: Option<Span>, now: Timestamp) -> Timestamp {
        let timeout = self.options.manual_timeout.or(default);
        self.not_after_expiry(timeout.map_or(Timestamp::NEVER, |timeout| now + timeout))
    }

    /// The deadline after a claim or a take. One that an earlier claim set stays.
    fn deadline_of_start(&self, times_up: Option<Timestamp>, default: Option<Span>, now: Timestamp) -> Timestamp {
        let earlier = times_up.filter(|at| Some(*at) != self.options.expires_at);
        earlier.map_or_else(|| self.deadline(default, now), |earlier| self.not_after_expiry(earlier))
    }

    fn not_after_expiry(&self, deadline: Timestamp) -> Timestamp {
        self.options.expires_at.map_or(deadline, |expires_at| deadline.min(expires_at))
    }

    fn at(&self, phase: Phase) -> Self {
        Self { options: self.options.clone(), run: self.run, attempt: self.attempt, phase }
    }

    fn current(&self, run: Run) -> Result<(), Rejected> {
        if run == self.run { Ok(()) } else { Err(Rejected::StaleRun { stale: run, current: self.run }) }
    }

    fn out_of_place(&self, event: &Event) -> Rejected {
        Rejected::OutOfPlace { phase: self.phase.name(), event: event.name() }
    }
}

fn due(eligible_when: Option<Timestamp>, now: Timestamp) -> Result<(), Rejected> {
    match eligible_when {
        Some(until) if until > now => Err(Rejected::NotEligible { until }),
        Some(_) | None => Ok(()),
    }
}

fn in_time(times_up: Option<Timestamp>, now: Timestamp) -> Result<(), Rejected> {
    match times_up {
        Some(times_up) if times_up <= now => Err(Rejected::Overdue { times_up }),
        Some(_) | None => Ok(()),
    }
}

fn passed(times_up: Option<Timestamp>, now: Timestamp) -> Result<(), Rejected> {
    match times_up {
        Some(times_up) if times_up <= now => Ok(()),
        Some(_) | None => Err(Rejected::NotOverdue),
    }
}
