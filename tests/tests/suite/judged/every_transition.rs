//! Every phase against every event: `Task::step` and `async.step_task` say the same of each.

use pgasync_core::{
    End, Event, FinalStatus, FinishStatus, Intention, Outcome, Past, Phase, Request, Row, Run, Span, Task, Terms,
    Timestamp,
};
use pgasync_tests::Database;
use serde_json::{Value, json};

use super::translate::{Heard, Said, row, translate};
use super::{ask, bench};

pub(super) const NOW: Timestamp = Timestamp::from_micros(1_000_000_000_000);
const TIMEOUT: Span = Span::seconds(5);
const CASES_PER_QUESTION: usize = 10_000;

/// One question to both sides.
pub(super) struct Case {
    pub(super) task: Task,
    pub(super) event: Event,
    pub(super) said: Said,
    /// The row that the model makes; nothing when it refuses the event.
    pub(super) expected: Option<Row>,
}

/// Whether anybody would notice that the two sides differ: a part of the cases tells mostly, all of them surely.
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

/// Where the two sides differ.
async fn disagreements(database: &Database, cases: &[&Case]) -> Vec<String> {
    let mut told = Vec::new();
    for some in cases.chunks(CASES_PER_QUESTION) {
        let questions: Vec<Value> = some.iter().map(|case| case.question()).collect();
        let answers = ask(database, "select judged.step($1)", &Value::Array(questions)).await;
        let answers = answers.as_array().expect("an answer a case");
        assert_eq!(answers.len(), some.len());
        told.extend(some.iter().zip(answers).filter_map(|(case, answer)| case.disagreement(answer)));
    }
    told
}

impl Case {
    pub(super) fn question(&self) -> Value {
        let mut question = self.said.json();
        question["task"] = row(&self.task);
        question["now"] = json!(NOW.as_micros());
        question
    }

    fn disagreement(&self, answer: &Value) -> Option<String> {
        let expected = self.expected.as_ref().map(|row| serde_json::to_value(row).expect("a row is plain data"));
        let agree = match &expected {
            None => answer.is_string(),
            Some(expected) => answer == expected,
        };
        let Self { task, event, said, .. } = self;
        let core = expected.map_or_else(|| "rejected".to_owned(), |row| row.to_string());
        (!agree).then(|| format!("{event:?}\n  on {task:?}\n  as {said:?}\n  core {core}\n  sql  {answer}"))
    }
}

/// The cases, and how many of them are accepted.
pub(super) fn cases() -> (Vec<Case>, usize) {
    let mut cases = Vec::new();
    for task in tasks() {
        let launched = matches!(task.phase, Phase::Launched { .. });
        // Every request is the same to a row whose query runs.
        let alike = |event: &Event| launched && matches!(event, Event::Request(request) if *request != requests()[0]);
        for event in events(&task).into_iter().filter(|event| !alike(event)) {
            let next = task.step(&event, NOW).ok().map(|next| next.row());
            match translate(&task, &event, Some(TIMEOUT)) {
                Heard::Unheard => {}
                // While a query runs the row takes no request.
                Heard::Intended(_) => {
                    let event_name = if matches!(event, Event::Deadline) { "DEADLINE" } else { "REQUEST" };
                    let said = Said { event: event_name, status: Some(FinishStatus::Failed), ..Said::default() };
                    assert!(next.as_ref().is_none_or(|next| *next == task.row()), "an intention changes no column");
                    cases.push(Case { task: task.clone(), event, said, expected: None });
                }
                // Of a request that reaches a task that is claimed and not launched SQL hears only what it means.
                Heard::Step(said)
                    if next.is_none() && matches!(event, Event::Request(_)) && said.event == "END_ERROR" => {}
                Heard::Step(said)
                    if next.is_none() && matches!(event, Event::Deadline) && said.event == "END_ERROR" => {}
                Heard::Step(said) => cases.push(Case { task: task.clone(), event, said, expected: next }),
            }
        }
    }
    let accepted = cases.iter().filter(|case| case.expected.is_some()).count();
    (cases, accepted)
}

fn before(micros: i64) -> Timestamp {
    Timestamp::from_micros(NOW.as_micros() - micros)
}

/// To the microsecond on both sides of now, and none.
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
        phases.push(Phase::Claimed { consumed, times_up, sets_deadline: false });
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
    for status in FinalStatus::ALL {
        for tracked in [None, Some(false), Some(true)] {
            for past in
                [Past::NOTHING, Past { consumed: Some(consumed), yielded: Some(before(9)), times_up: Some(before(1)) }]
            {
                let end = End { status, processed: before(5), error: Some("it ended".to_owned()), tracked };
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
        for terms in terms().into_iter().filter(|terms| claimable || terms.manual_timeout.is_none()) {
            let pulls = matches!(phase, Phase::Offered { .. } | Phase::Pulled { .. });
            let runs = matches!(phase, Phase::Claimed { .. } | Phase::Launched { .. });
            if !(pulls && !terms.client_pulled || runs && terms.client_pulled) {
                tasks.push(Task { terms, run: Run(3), phase: phase.clone() });
            }
        }
    }
    // A claim that set the deadline is known by it.
    for terms in terms().into_iter().filter(|terms| !terms.client_pulled) {
        let consumed = before(60_000_000);
        let times_up = Some(consumed + terms.manual_timeout.unwrap_or(TIMEOUT));
        tasks.push(Task { terms, run: Run(3), phase: Phase::Claimed { consumed, times_up, sets_deadline: true } });
    }
    tasks
}

fn terms() -> Vec<Terms> {
    let mut all = Vec::new();
    for client_pulled in [false, true] {
        for asynchronous_finish in [false, true] {
            for track_yielded in [false, true] {
                for manual_timeout in [None, Some(Span::seconds(4))] {
                    all.push(Terms { client_pulled, asynchronous_finish, track_yielded, manual_timeout });
                }
            }
        }
    }
    all
}

fn requests() -> Vec<Request> {
    let mut all = Vec::new();
    for status in FinishStatus::ALL {
        all.push(Request::finish(status));
        for duration in [None, Some(Span::ZERO), Some(Span::seconds(2))] {
            all.push(Request { status, error: Some("asked".to_owned()), duration });
        }
    }
    all
}

fn intentions() -> Vec<Option<Intention>> {
    let mut all = vec![None, Some(Intention::Timeout { message: None })];
    all.extend(requests().iter().filter_map(|request| Intention::of(request).ok()).map(Some));
    all
}

fn events(task: &Task) -> Vec<Event> {
    let mut events =
        vec![Event::GiveBack, Event::Offer, Event::Withdraw, Event::Deadline, Event::Abandon, Event::Restart];
    for default_timeout in [None, Some(TIMEOUT)] {
        events.push(Event::Claim { default_timeout });
        events.push(Event::Take { default_timeout });
    }
    for outcome in [Outcome::Ok, Outcome::Error("it broke".to_owned()), Outcome::Unknown("unknown".to_owned())] {
        events.push(Event::QueryEnded { run: task.run, outcome });
    }
    events.extend(requests().into_iter().map(Event::Request));
    events
}

#[tokio::test]
async fn every_phase_answers_every_event_as_the_model_does() {
    let database = bench().await;
    let (cases, accepted) = cases();
    let told = disagreements(&database, &cases.iter().collect::<Vec<_>>()).await;
    println!("{} cases, {accepted} accepted, {} disagreements", cases.len(), told.len());
    assert!(accepted > 10_000 && cases.len() - accepted > 10_000, "{accepted} of {} accepted", cases.len());
    assert!(
        told.is_empty(),
        "{} disagreements, first:\n{}",
        told.len(),
        told.iter().take(12).cloned().collect::<Vec<_>>().join("\n")
    );
}
