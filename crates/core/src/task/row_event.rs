//! Events that the core sends to the table.

use super::event::{Event, Outcome, ResultText};
use super::intention::Intention;
use super::phase::Phase;
use super::row::{LaunchState, Row};
use super::status::FinishStatus;
use super::step::TIMED_OUT;
use super::{Task, TaskOptions};
use crate::names::{RoleName, Run, TaskId};
use crate::orchestrator::input::RequestId;
use crate::time::{Span, Timestamp};

/// An event of one task that is written to the table.
///
/// The core applies the event to the task to predict the row, and the SQL writer applies it to the
/// row. Both compute the same row.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TaskEvent {
    /// The task.
    pub task: TaskId,
    /// The run that the row must have.
    pub run: Run,
    /// The event.
    pub event: Event,
    /// What the leader knows of a RUNNING task beyond its row; `None` if the task is not claimed or
    /// launched.
    pub launch: Option<LaunchState>,
    /// The time of the event, by the server's clock.
    pub at: Timestamp,
    /// The requests that the event settles. They are deleted with the write.
    pub settles: Vec<RequestId>,
}

impl TaskEvent {
    /// The row after the event, as the SQL writer computes it. `None` if the event changes nothing:
    /// the row has another run, or its phase rejects the event.
    ///
    /// ```
    /// use pgasync_core::{Event, Row, RowState, Run, TaskEvent, TaskId, TaskOptions, Timestamp};
    /// let claim = TaskEvent {
    ///     task: TaskId(1),
    ///     run: Run(0),
    ///     event: Event::Claim { default_timeout: None },
    ///     launch: None,
    ///     at: Timestamp::from_micros(0),
    ///     settles: vec![],
    /// };
    /// let row = claim.apply(&Row::default(), TaskOptions::default()).expect("a waiting task is claimed");
    /// assert_eq!((row.state(), row.run), (RowState::Running, 1));
    /// assert_eq!(claim.apply(&row, TaskOptions::default()), None, "the row is on the next run");
    /// ```
    #[must_use]
    pub fn apply(&self, row: &Row, options: TaskOptions) -> Option<Row> {
        if Run(row.run) != self.run {
            return None;
        }
        let task = row.task(options, self.launch.clone().unwrap_or_default()).ok()?;
        Some(task.step(&self.event, self.at).ok()?.row())
    }
}

/// An event as the SQL writer receives it: the arguments of `async.step_task`.
///
/// ```
/// use pgasync_core::{Event, FinishStatus, Intention, LaunchState, Outcome, RowEvent, Run};
/// let cancel = Intention::Cancel { message: Some("no longer wanted".to_owned()), requested_by: None };
/// let launch = LaunchState::Launched(Some(cancel));
/// let end = Event::QueryEnded { run: Run(1), outcome: Outcome::Ok };
/// let event = RowEvent::of(&end, Some(&launch)).expect("the end of a query changes the row");
/// assert_eq!((event.name, event.status), ("END_OK", Some(FinishStatus::Canceled)));
/// assert_eq!(RowEvent::of(&Event::Launch, Some(&launch)), None, "launches are marked");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct RowEvent {
    /// Its name in SQL.
    pub name: &'static str,
    /// The status of the request, or of the intention when the query ended.
    pub status: Option<FinishStatus>,
    /// The message of that request or intention.
    pub message: Option<String>,
    /// What is known of a query that ended, or whose target cannot be reached.
    pub known: Option<String>,
    /// The time to wait, for deferrals and pauses.
    pub duration: Option<Span>,
    /// The timeout of the target or the configuration, for a task without its own.
    pub timeout: Option<Span>,
    /// What the target answered about the rows of a query that succeeded, if they are kept.
    pub result: Option<ResultText>,
    /// The role that made the request, or the request of the intention.
    pub requested_by: Option<RoleName>,
}

impl RowEvent {
    /// The event for the SQL writer. `None` for an event that changes no row: a launch, or an
    /// intention, which takes effect when the query ends.
    #[must_use]
    pub fn of(event: &Event, launch: Option<&LaunchState>) -> Option<Self> {
        let running = match launch {
            Some(LaunchState::Launched(intention)) => Some(intention.as_ref()),
            Some(LaunchState::Claimed) | None => None,
        };
        // The row of a claimed task is RUNNING, and the table does not know that its query was not
        // sent. So a request or the deadline is written as an end of the query with this intention.
        let claimed = launch.is_some() && running.is_none();
        Some(match event {
            Event::Launch => return None,
            Event::Claim { default_timeout } => Self { timeout: *default_timeout, ..Self::named("CLAIM") },
            Event::Take { default_timeout } => Self { timeout: *default_timeout, ..Self::named("TAKE") },
            Event::Offer { default_timeout } => Self { timeout: *default_timeout, ..Self::named("OFFER") },
            Event::GiveBack { default_timeout } => Self { timeout: *default_timeout, ..Self::named("GIVE_BACK") },
            Event::Withdraw => Self::named("WITHDRAW"),
            Event::Promote => Self::named("PROMOTE"),
            Event::GiveUp { error } => Self { message: Some(error.clone()), ..Self::named("GIVE_UP") },
            Event::Release => Self::named("RELEASE"),
            Event::Restart => Self::named("RESTART"),
            Event::QueryEnded { outcome, .. } => Self::end(outcome, running.flatten()),
            Event::Abandon { known } => {
                let (message, requested_by) = match running.flatten() {
                    Some(Intention::Timeout { message, requested_by }) => (message.clone(), requested_by.clone()),
                    Some(
                        Intention::Cancel { .. }
                        | Intention::Pause { .. }
                        | Intention::Finish { .. }
                        | Intention::Yield
                        | Intention::Defer { .. },
                    )
                    | None => (None, None),
                };
                Self { message, requested_by, known: Some(known.clone()), ..Self::named("UNREACHABLE") }
            }
            Event::Deadline | Event::Request(_) if running.is_some() => return None,
            Event::Deadline if claimed => Self { status: Some(FinishStatus::TimedOut), ..Self::named("END_ERROR") },
            Event::Deadline => Self::named("DEADLINE"),
            Event::Request(request) => Self {
                status: Some(request.status),
                // Without a message it would be the deadline.
                message: if claimed && request.status == FinishStatus::TimedOut {
                    Some(request.error.clone().unwrap_or_else(|| TIMED_OUT.to_owned()))
                } else {
                    request.error.clone()
                },
                duration: request.duration,
                requested_by: request.requested_by.clone(),
                ..Self::named(if claimed { "END_ERROR" } else { "REQUEST" })
            },
        })
    }

    /// Whether the event is the success of a query without an intention, and without rows to keep.
    #[must_use]
    pub fn is_plain_end(&self) -> bool {
        self.name == "END_OK" && self.status.is_none() && self.result.is_none()
    }

    const fn named(name: &'static str) -> Self {
        Self {
            name,
            status: None,
            message: None,
            known: None,
            duration: None,
            timeout: None,
            result: None,
            requested_by: None,
        }
    }

    fn end(outcome: &Outcome, intention: Option<&Intention>) -> Self {
        let (name, known) = match outcome {
            Outcome::Ok | Outcome::OkWith(_) => ("END_OK", None),
            Outcome::Error(text) => ("END_ERROR", Some(text.clone())),
            Outcome::Unknown(text) => ("END_UNKNOWN", Some(text.clone())),
        };
        let (status, message, duration) = match intention {
            None => (None, None, None),
            Some(intention) => {
                let (status, message, duration) = intention.parts();
                (Some(status), message, duration)
            }
        };
        let result = if let Outcome::OkWith(result) = outcome { Some(result.clone()) } else { None };
        let requested_by = intention.and_then(Intention::requested_by).cloned();
        Self { status, message, known, duration, result, requested_by, ..Self::named(name) }
    }
}

impl Task {
    /// What the leader knows of the task beyond its row; `None` if the task is not claimed or
    /// launched.
    #[must_use]
    pub fn launch_state(&self) -> Option<LaunchState> {
        match &self.phase {
            Phase::Claimed { .. } => Some(LaunchState::Claimed),
            Phase::Launched { intention, .. } => Some(LaunchState::Launched(intention.clone())),
            Phase::Ready { .. }
            | Phase::Offered { .. }
            | Phase::Pulled { .. }
            | Phase::Yielded { .. }
            | Phase::Finished { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::event::Request;

    fn of(event: &Event, launch: Option<&LaunchState>) -> Option<RowEvent> {
        RowEvent::of(event, launch)
    }

    #[test]
    fn a_request_or_deadline_is_an_end_of_a_claimed_task_and_nothing_while_a_query_runs() {
        let request = Request {
            status: FinishStatus::Deferred,
            error: Some("not now".to_owned()),
            duration: Some(Span::seconds(3)),
            requested_by: RoleName::new("ann").ok(),
        };
        let (asked, launched) = (Event::Request(request), LaunchState::Launched(None));
        for (launch, names) in [
            (None, Some(("DEADLINE", "REQUEST"))),
            (Some(&LaunchState::Claimed), Some(("END_ERROR", "END_ERROR"))),
            (Some(&launched), None),
        ] {
            assert_eq!(of(&Event::Deadline, launch).map(|event| event.name), names.map(|(deadline, _)| deadline));
            let expected = names.map(|(_, name)| RowEvent {
                status: Some(FinishStatus::Deferred),
                message: Some("not now".to_owned()),
                duration: Some(Span::seconds(3)),
                requested_by: RoleName::new("ann").ok(),
                ..RowEvent::named(name)
            });
            assert_eq!(of(&asked, launch), expected, "{launch:?}");
        }
        let status = |launch| of(&Event::Deadline, launch).unwrap().status;
        assert_eq!((status(None), status(Some(&LaunchState::Claimed))), (None, Some(FinishStatus::TimedOut)));
    }

    #[test]
    fn the_end_of_a_query_carries_what_is_known_and_the_intention() {
        let run = crate::Run(1);
        let requested_by = RoleName::new("ann").ok();
        let cancel = Intention::Cancel { message: Some("no longer wanted".to_owned()), requested_by };
        let canceled = LaunchState::Launched(Some(cancel));
        for (outcome, name, known) in [
            (Outcome::Ok, "END_OK", None),
            (Outcome::Error("22012".to_owned()), "END_ERROR", Some("22012")),
            (Outcome::Unknown("lost".to_owned()), "END_UNKNOWN", Some("lost")),
        ] {
            let ended = Event::QueryEnded { run, outcome };
            let plain = RowEvent { known: known.map(str::to_owned), ..RowEvent::named(name) };
            assert_eq!(of(&ended, Some(&LaunchState::Launched(None))), Some(plain.clone()));
            let (status, message) = (Some(FinishStatus::Canceled), Some("no longer wanted".to_owned()));
            let requested_by = RoleName::new("ann").ok();
            assert_eq!(of(&ended, Some(&canceled)), Some(RowEvent { status, message, requested_by, ..plain }));
        }
    }

    #[test]
    fn only_a_success_without_an_intention_is_a_plain_end() {
        let run = crate::Run(1);
        let (plain, canceled) = (None, Some(Intention::Cancel { message: None, requested_by: None }));
        for (outcome, intention, is_plain) in [
            (Outcome::Ok, plain.clone(), true),
            (Outcome::OkWith(ResultText::new("{}")), plain.clone(), false),
            (Outcome::Ok, canceled.clone(), false),
            (Outcome::Error("22012".to_owned()), plain.clone(), false),
            (Outcome::Unknown("lost".to_owned()), plain, false),
            (Outcome::Error("57014".to_owned()), canceled, false),
        ] {
            let ended = Event::QueryEnded { run, outcome };
            let event = of(&ended, Some(&LaunchState::Launched(intention.clone()))).unwrap();
            assert_eq!(event.is_plain_end(), is_plain, "{ended:?} with {intention:?}");
        }
    }

    #[test]
    fn a_task_of_an_unreachable_target_keeps_what_is_known_and_the_message_of_its_timeout() {
        let abandon = Event::Abandon { known: "no answer".to_owned() };
        let plain = RowEvent { known: Some("no answer".to_owned()), ..RowEvent::named("UNREACHABLE") };
        assert_eq!(of(&abandon, Some(&LaunchState::Launched(None))), Some(plain.clone()));
        let requested_by = RoleName::new("ann").ok();
        let timeout = Intention::Timeout { message: Some("too long".to_owned()), requested_by: requested_by.clone() };
        let timeout = LaunchState::Launched(Some(timeout));
        let message = Some("too long".to_owned());
        assert_eq!(of(&abandon, Some(&timeout)), Some(RowEvent { message, requested_by, ..plain }));
    }
}
