//! Every event in every phase: `Task::step` and `async.step_task` compute the same.
//!
//! The arguments of `async.step_task` are the result of [`RowEvent::of`] for the event, as in the
//! engine.

use std::sync::Arc;

use pgasync_core::{
    Completion, Event, FinalStatus, FinishStatus, Intention, Outcome, Phase, Rejected, Request, ResultText,
    RetryPolicy, RoleName, Row, RowEvent, Run, Span, Task, TaskId, TaskOptions, TaskTimes, Timestamp,
};
use pgasync_tests::Database;
use serde_json::{Value, json};

use super::{ask, prepared_database};

pub(super) const NOW: Timestamp = Timestamp::from_micros(1_000_000_000_000);
const TIMEOUT: Span = Span::seconds(5);
const MANUAL_TIMEOUT: Span = Span::seconds(4);
const CASES_PER_QUESTION: usize = 10_000;
/// The message with which SQL rejects a request or the deadline of a task with a running query.
const A_QUERY_RUNS: &str = "a query of the task runs";

/// One case for both sides.
pub(super) struct Case {
    pub(super) task: Task,
    pub(super) event: Event,
    pub(super) row_event: RowEvent,
    /// The row after the event in the core, or the message of the rejection, if both sides have the
    /// same message.
    pub(super) expected: Result<Row, Option<String>>,
}

/// Whether the two sides differ. The cases are tried in parts, because a part usually shows a
/// difference.
pub(super) async fn is_noticed(database: &Database) -> bool {
    let (cases, _) = cases();
    const PARTS: usize = 20;
    for part in 0..PARTS {
        let some: Vec<&Case> = cases.iter().skip(part).step_by(PARTS).collect();
        if !disagreements(database, &some).await.is_empty() {
            return true;
        }
    }
    false
}

/// The differences between the two sides.
async fn disagreements(database: &Database, cases: &[&Case]) -> Vec<String> {
    let mut differ = Vec::new();
    for some in cases.chunks(CASES_PER_QUESTION) {
        let answers = ask(database, "select judged.step($1)", &question(some)).await;
        let answers = answers.as_array().expect("an answer a case");
        assert_eq!(answers.len(), some.len());
        differ.extend(some.iter().zip(answers).filter_map(|(case, answer)| case.disagreement(answer)));
    }
    differ
}

/// The tasks and the events of some cases, each once, and the pairs of both.
fn question(cases: &[&Case]) -> Value {
    let (mut tasks, mut events, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
    let mut last = None;
    for case in cases {
        if last != Some(&case.task) {
            tasks.push(row(&case.task));
            last = Some(&case.task);
        }
        let known = events.iter().position(|event| *event == &case.row_event);
        let event = known.unwrap_or_else(|| {
            events.push(&case.row_event);
            events.len() - 1
        });
        pairs.push([tasks.len() - 1, event]);
    }
    json!({"tasks": tasks, "events": events, "pairs": pairs, "now": NOW.as_micros()})
}

impl Case {
    /// `None` if only the core can reject the event, and for events that are not written.
    fn new(task: &Task, event: &Event) -> Option<Self> {
        let next = task.step(event, NOW);
        if next.is_err() && needs_the_launch_state(task, event) {
            return None;
        }
        let (row_event, expected) = match RowEvent::of(event, task.launch_state().as_ref()) {
            Some(row_event) => (row_event, next.map(|next| next.row()).map_err(|rejected| words(&rejected))),
            // An intention changes no column. SQL rejects a write of its event without the launch
            // state.
            None => {
                assert!(next.is_err() || next.is_ok_and(|next| next.row() == task.row()), "{event:?} on {task:?}");
                (RowEvent::of(event, None)?, Err(Some(A_QUERY_RUNS.to_owned())))
            }
        };
        Some(Self { task: task.clone(), event: event.clone(), row_event, expected })
    }

    pub(super) fn question(&self) -> Value {
        let mut question = json!(self.row_event);
        question["task"] = row(&self.task);
        question["now"] = json!(NOW.as_micros());
        question
    }

    /// The end of the attempt that the event ends, if `async.attempt` notes it: a
    /// failed one as it would end without the policy, and any other end but a first success.
    fn noted(&self) -> Option<Completion> {
        self.task.options.retry.as_ref()?;
        let next = self.task.step(&self.event, NOW).ok()?;
        let began = self.task.row().consumed.is_some() || self.task.row().yielded.is_some();
        let failed = next.attempt > self.task.attempt;
        let plain = TaskOptions { retry: None, ..self.task.options.clone() };
        let last = Task { options: plain, ..self.task.clone() }.step(&self.event, NOW).ok()?;
        match (&self.task.phase, last.phase) {
            (Phase::Finished { .. }, _) => None,
            (_, Phase::Finished { end, .. }) => {
                let first_success = end.status == FinalStatus::Finished && self.task.attempt == 0;
                (failed || began && !first_success).then_some(end)
            }
            (_, _) => None,
        }
    }

    fn disagreement(&self, answer: &Value) -> Option<String> {
        let agree = match &self.expected {
            Err(None) => answer.is_string(),
            Err(Some(words)) => answer == words,
            Ok(row) => *answer == with_noted(row, self.noted()),
        };
        let Self { task, event, row_event, expected } = self;
        (!agree).then(|| format!("{event:?}\n  on {task:?}\n  as {row_event:?}\n  core {expected:?}\n  sql  {answer}"))
    }
}

/// A row as SQL describes it, with the attempt that is noted.
fn with_noted(row: &Row, noted: Option<Completion>) -> Value {
    let mut row = json!(row);
    row["ended_as"] = json!(noted.as_ref().map(|end| FinishStatus::from(end.status)));
    row["ended_with"] = json!(noted.as_ref().and_then(|end| end.error.as_ref()));
    row["attempt_ended_by"] = json!(noted.and_then(|end| end.ended_by));
    row
}

/// Whether the rejection of the event depends on the launch state, which the row does not have: the
/// row is RUNNING before and after the launch. The engine writes no event that the core rejects.
pub(super) const fn needs_the_launch_state(task: &Task, event: &Event) -> bool {
    match task.phase {
        Phase::Launched { .. } => matches!(event, Event::GiveBack { .. }),
        Phase::Claimed { .. } => {
            matches!(event, Event::QueryEnded { .. } | Event::Abandon { .. } | Event::Request(_) | Event::Deadline)
        }
        Phase::Ready { .. }
        | Phase::Offered { .. }
        | Phase::Pulled { .. }
        | Phase::Yielded { .. }
        | Phase::Finished { .. } => false,
    }
}

/// The message of a rejection. `None` if the two sides have different messages: the core names the
/// phase and the event, SQL names what the row lacks.
fn words(rejected: &Rejected) -> Option<String> {
    match rejected {
        Rejected::OutOfPlace { .. } | Rejected::Superseded => None,
        Rejected::Finished { .. }
        | Rejected::NotEligible { .. }
        | Rejected::NoSlot
        | Rejected::NotDeferred
        | Rejected::Overdue { .. }
        | Rejected::NotOverdue
        | Rejected::HasReceipt
        | Rejected::Expired { .. }
        | Rejected::ClientPulled
        | Rejected::HasQuery
        | Rejected::StaleRun { .. }
        | Rejected::DurationMissing => Some(rejected.to_string()),
    }
}

/// A task as a row of `async.task`, for `judged.task`.
pub(super) fn row(task: &Task) -> Value {
    let mut row = json!(task.row());
    let options = &task.options;
    row["task_id"] = json!(1);
    row["query"] = if options.client_pulled { Value::Null } else { json!("select 1") };
    row["asynchronous_finish"] = json!(options.asynchronous_finish);
    row["track_yielded"] = json!(options.track_yielded);
    row["manual_timeout"] = json!(options.manual_timeout);
    row["run_at"] = json!(options.run_at);
    row["expires_at"] = json!(options.expires_at);
    row["retry"] = json!(options.retry.as_deref().map(copied));
    row["receipt"] = json!(options.receipt.then_some(true));
    if options.retry.is_none() {
        row["attempt"] = Value::Null;
    }
    row
}

/// A policy as `async.copy_retry_policy` puts it into the row.
pub(super) fn copied(policy: &RetryPolicy) -> Value {
    let thousandths = |number: u32| f64::from(number) / 1_000.0;
    json!({
        "name": "judged",
        "max_attempts": policy.max_attempts,
        "delay_us": policy.delay.as_micros(),
        "backoff": thousandths(policy.backoff),
        "delay_max_us": policy.delay_max.as_micros(),
        "jitter": thousandths(policy.jitter),
        "sqlstates": policy.sqlstates,
        "timeouts": policy.timeouts,
        "unreachable": policy.unreachable,
        "unknown": policy.unknown,
        "may_run_twice": policy.may_run_twice,
        "commits": policy.commits,
    })
}

/// The cases, and the number of accepted ones.
pub(super) fn cases() -> (Vec<Case>, usize) {
    let mut cases = Vec::new();
    for task in tasks() {
        let launched = matches!(task.phase, Phase::Launched { .. });
        // All requests for a row with a running query have the same result, so one is enough.
        let alike = |event: &Event| launched && matches!(event, Event::Request(request) if *request != requests()[0]);
        cases.extend(events(&task).iter().filter(|event| !alike(event)).filter_map(|event| Case::new(&task, event)));
    }
    let accepted = cases.iter().filter(|case| case.expected.is_ok()).count();
    (cases, accepted)
}

pub(super) fn role(name: &str) -> RoleName {
    RoleName::new(name).expect("a name without zero bytes")
}

fn before(micros: i64) -> Timestamp {
    Timestamp::from_micros(NOW.as_micros() - micros)
}

/// No time, and times at, just before and just after now.
fn times() -> [Option<Timestamp>; 5] {
    [None, Some(before(1)), Some(NOW), Some(before(-1)), Some(Timestamp::NEVER)]
}

fn phases() -> Vec<Phase> {
    let consumed = before(60_000_000);
    let mut phases = Vec::new();
    for times_up in times() {
        for eligible_when in times() {
            phases.push(Phase::Ready { eligible_when, times_up });
        }
        phases.push(Phase::Offered { times_up });
        phases.push(Phase::Claimed { consumed, times_up });
        phases.push(Phase::Pulled { consumed, times_up });
        for intention in intentions() {
            phases.push(Phase::Launched { consumed, times_up, intention });
        }
        for consumed in [None, Some(consumed)] {
            for tracked in [false, true] {
                phases.push(Phase::Yielded { consumed, yielded: before(7), times_up, tracked });
            }
        }
    }
    // The deadlines that this claim may have set.
    for timeout in [TIMEOUT, MANUAL_TIMEOUT] {
        phases.push(Phase::Claimed { consumed, times_up: Some(consumed + timeout) });
    }
    for status in FinalStatus::ALL {
        for tracked in [None, Some(false), Some(true)] {
            for past in [
                TaskTimes::NONE,
                TaskTimes { consumed: Some(consumed), yielded: Some(before(9)), times_up: Some(before(1)) },
            ] {
                let (error, ended_by) = (Some("it ended".to_owned()), tracked.map(|_| role("bob")));
                let end = Completion { status, processed: before(5), error, ended_by, tracked };
                phases.push(Phase::Finished { end, past });
            }
        }
    }
    phases
}

fn tasks() -> Vec<Task> {
    let mut tasks = Vec::new();
    for phase in phases() {
        let claimable = matches!(phase, Phase::Ready { .. } | Phase::Offered { .. } | Phase::Claimed { .. });
        for options in options().into_iter().filter(|options| claimable || options.manual_timeout.is_none()) {
            let pulls = matches!(phase, Phase::Offered { .. } | Phase::Pulled { .. });
            let runs = matches!(phase, Phase::Claimed { .. } | Phase::Launched { .. });
            if !(pulls && !options.client_pulled || runs && options.client_pulled) {
                if options.retry.is_some() {
                    let task = Task { options: options.clone(), run: Run(3), attempt: 0, phase: phase.clone() };
                    tasks.push(task);
                }
                let attempt = i32::from(options.retry.is_some());
                tasks.push(Task { options, run: Run(3), attempt, phase: phase.clone() });
            }
        }
    }
    tasks
}

/// The `run_at` and `expires_at` of tasks: before, at and after now, the deadlines of the claims, and
/// those of the requests.
fn own_times() -> [(Option<Timestamp>, Option<Timestamp>); 9] {
    let later = |seconds| Some(NOW + Span::seconds(seconds));
    [
        (Some(before(1)), Some(before(-1))),
        (Some(NOW), later(4)),
        (Some(before(-1)), None),
        (later(2), later(3)),
        (later(60), Some(Timestamp::from_micros(NOW.as_micros() + 60_000_000))),
        (None, Some(before(1))),
        (None, Some(NOW)),
        (None, Some(before(-1))),
        (None, Some(before(60_000_000 - 4_500_000))),
    ]
}

fn options() -> Vec<TaskOptions> {
    let mut all = Vec::new();
    for client_pulled in [false, true] {
        for asynchronous_finish in [false, true] {
            for track_yielded in [false, true] {
                for manual_timeout in [None, Some(MANUAL_TIMEOUT)] {
                    let options = TaskOptions {
                        client_pulled,
                        asynchronous_finish,
                        track_yielded,
                        manual_timeout,
                        ..TaskOptions::default()
                    };
                    if !asynchronous_finish && !track_yielded {
                        let timed = |(run_at, expires_at)| TaskOptions { run_at, expires_at, ..options.clone() };
                        all.extend(own_times().map(timed));
                    }
                    all.push(options);
                }
            }
        }
        for policy in policies() {
            let options = TaskOptions { client_pulled, retry: Some(Arc::new(policy)), ..TaskOptions::default() };
            all.push(TaskOptions { track_yielded: true, receipt: true, ..options.clone() });
            all.push(TaskOptions { asynchronous_finish: true, ..options });
        }
    }
    all
}

/// Policies that differ in what they retry. The delay after the first and the second failure is that
/// of the policy: `small_rules` judges longer ones, and the jitter.
fn policies() -> Vec<RetryPolicy> {
    let careful = RetryPolicy {
        task: TaskId(1),
        max_attempts: 3,
        delay: Span::micros(1_500_001),
        backoff: 1_000,
        delay_max: Span::seconds(60),
        jitter: 0,
        sqlstates: vec!["transient".to_owned()],
        timeouts: true,
        unreachable: true,
        unknown: false,
        may_run_twice: false,
        commits: false,
    };
    let bold = RetryPolicy {
        sqlstates: vec!["22".to_owned(), "reported".to_owned()],
        unknown: true,
        may_run_twice: true,
        ..careful.clone()
    };
    let used_up = RetryPolicy { max_attempts: 2, ..bold.clone() };
    let half_done = RetryPolicy { may_run_twice: false, commits: true, ..bold.clone() };
    vec![careful, bold, used_up, half_done]
}

fn requests() -> Vec<Request> {
    let mut all = Vec::new();
    for status in FinishStatus::ALL {
        all.push(Request::finish(status));
        for duration in [None, Some(Span::ZERO), Some(Span::seconds(2))] {
            let requested_by = duration.map(|_| role("ann"));
            all.push(Request { status, error: Some("asked".to_owned()), duration, requested_by });
        }
    }
    all
}

fn intentions() -> Vec<Option<Intention>> {
    let mut all = vec![None, Some(Intention::DEADLINE)];
    all.extend(requests().iter().filter_map(|request| Intention::of(request).ok()).map(Some));
    all
}

fn events(task: &Task) -> Vec<Event> {
    let known = "nothing is known".to_owned();
    let mut events = vec![
        Event::Promote,
        Event::Launch,
        Event::Withdraw,
        Event::Deadline,
        Event::Abandon { known },
        Event::GiveUp { error: "the target cannot be reached".to_owned() },
        Event::Release,
        Event::Restart,
    ];
    for default_timeout in [None, Some(TIMEOUT)] {
        events.push(Event::Claim { default_timeout });
        events.push(Event::GiveBack { default_timeout });
        events.push(Event::Offer { default_timeout });
        events.push(Event::Take { default_timeout });
    }
    let errors =
        ["it broke", "22012: division by zero", "40001: could not serialize", "40003: unknown", "PA216: voided"];
    let errors = errors.into_iter().map(|text| Outcome::Error(text.to_owned()));
    let result = Outcome::OkWith(ResultText::new(r#"{"row_count": 0, "truncated": false, "rows": "W10="}"#));
    for outcome in errors.chain([Outcome::Ok, result, Outcome::Unknown("unknown".to_owned())]) {
        events.push(Event::QueryEnded { run: task.run, outcome });
    }
    events.extend(requests().into_iter().map(Event::Request));
    events
}

#[tokio::test]
async fn every_phase_answers_every_event_as_the_core_does() {
    let database = prepared_database().await;
    let (cases, accepted) = cases();
    let differ = disagreements(&database, &cases.iter().collect::<Vec<_>>()).await;
    println!("{} cases, {accepted} accepted, {} disagreements", cases.len(), differ.len());
    assert!(accepted > 10_000 && cases.len() - accepted > 10_000, "{accepted} of {} accepted", cases.len());
    let first: Vec<String> = differ.iter().take(12).cloned().collect();
    assert!(differ.is_empty(), "{} disagreements, first:\n{}", differ.len(), first.join("\n"));
}
