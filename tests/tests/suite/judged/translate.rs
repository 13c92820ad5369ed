//! What happens to a task, said as SQL says it.

use pgasync_core::{Event, FinishStatus, Intention, Outcome, Phase, Span, Task};
use serde_json::{Value, json};

/// The arguments of `async.step_task` besides the task and the time.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) event: &'static str,
    pub(super) status: Option<FinishStatus>,
    pub(super) error: Option<String>,
    /// What is known of a query that ended, besides the intention's message.
    pub(super) known: Option<String>,
    pub(super) duration: Option<Span>,
    pub(super) timeout: Option<Span>,
}

/// How the SQL side hears of an event.
#[derive(Clone, Debug)]
pub(super) enum Heard {
    /// As a transition of the row.
    Step(Said),
    /// As an intention, which leaves the row as it is.
    Intended(Said),
    /// Not at all: only the leader knows.
    Unheard,
}

impl Said {
    fn event(event: &'static str) -> Self {
        Self { event, ..Self::default() }
    }

    /// The same as JSON.
    pub(super) fn json(&self) -> Value {
        json!({
            "event": self.event,
            "status": self.status.map(FinishStatus::as_str),
            "error": self.error,
            "known": self.known,
            "duration": self.duration.map(Span::as_micros),
            "timeout": self.timeout.map(Span::as_micros),
        })
    }
}

/// How SQL would say that this happens to this task. `timeout` is what the configuration allows it.
pub(super) fn translate(task: &Task, event: &Event, timeout: Option<Span>) -> Heard {
    let launched = matches!(task.phase, Phase::Launched { .. });
    let claimed = matches!(task.phase, Phase::Claimed { .. });
    // The row is RUNNING: whether its query was sent is what the leader knows besides.
    if launched && matches!(event, Event::GiveBack)
        || claimed && matches!(event, Event::QueryEnded { .. } | Event::Abandon)
    {
        return Heard::Unheard;
    }
    Heard::Step(match event {
        Event::Promote | Event::Launch => return Heard::Unheard,
        Event::Claim { default_timeout } => Said { timeout: *default_timeout, ..Said::event("CLAIM") },
        Event::Take { default_timeout } => Said { timeout: *default_timeout, ..Said::event("TAKE") },
        Event::GiveBack => Said { timeout, ..Said::event("GIVE_BACK") },
        Event::Offer => Said::event("OFFER"),
        Event::Withdraw => Said::event("WITHDRAW"),
        Event::Restart => Said::event("RESTART"),
        Event::QueryEnded { outcome, .. } => end(task, outcome),
        Event::Abandon => Said { error: message_of_timeout(task), ..Said::event("UNREACHABLE") },
        Event::Deadline if launched => {
            return Heard::Intended(Said { status: Some(FinishStatus::TimedOut), ..Said::default() });
        }
        // Its query was not sent, so that it ends now.
        Event::Deadline if claimed => Said { status: Some(FinishStatus::TimedOut), ..Said::event("END_ERROR") },
        Event::Deadline => Said::event("DEADLINE"),
        Event::Request(request) => {
            let said = Said {
                event: if claimed { "END_ERROR" } else { "REQUEST" },
                status: Some(request.status),
                error: request.error.clone(),
                duration: request.duration,
                ..Said::default()
            };
            if launched {
                return Heard::Intended(said);
            }
            said
        }
    })
}

/// The status, message and duration of an intention.
pub(super) fn wanted(intention: &Intention) -> (FinishStatus, Option<String>, Option<Span>) {
    match intention.clone() {
        Intention::Cancel { message } => (FinishStatus::Canceled, message, None),
        Intention::Timeout { message } => (FinishStatus::TimedOut, message, None),
        Intention::Pause { duration } => (FinishStatus::Paused, None, duration),
        Intention::Finish { status, error } => (status.into(), error, None),
        Intention::Yield => (FinishStatus::Yielded, None, None),
        Intention::Defer { duration } => (FinishStatus::Deferred, None, Some(duration)),
    }
}

fn end(task: &Task, outcome: &Outcome) -> Said {
    let intention = match &task.phase {
        Phase::Launched { intention, .. } => intention.as_ref(),
        Phase::Ready { .. }
        | Phase::Offered { .. }
        | Phase::Claimed { .. }
        | Phase::Pulled { .. }
        | Phase::Yielded { .. }
        | Phase::Finished { .. } => None,
    };
    let (event, known) = match outcome {
        Outcome::Ok => ("END_OK", None),
        Outcome::Error(text) => ("END_ERROR", Some(text.clone())),
        Outcome::Unknown(text) => ("END_UNKNOWN", Some(text.clone())),
    };
    let (status, error, duration) = intention.map(wanted).map_or((None, None, None), |(s, e, d)| (Some(s), e, d));
    Said { status, error, known, duration, ..Said::event(event) }
}

fn message_of_timeout(task: &Task) -> Option<String> {
    let Phase::Launched { intention: Some(Intention::Timeout { message }), .. } = &task.phase else { return None };
    message.clone()
}

/// A task as a row of `async.task`, for `judged.task`.
pub(super) fn row(task: &Task) -> Value {
    let mut row = serde_json::to_value(task.row()).expect("a row is plain data");
    let terms = &task.terms;
    row["task_id"] = json!(1);
    row["query"] = if terms.client_pulled { Value::Null } else { json!("select 1") };
    row["asynchronous_finish"] = json!(terms.asynchronous_finish);
    row["track_yielded"] = json!(terms.track_yielded);
    row["manual_timeout"] = json!(terms.manual_timeout.map(Span::as_micros));
    row
}
