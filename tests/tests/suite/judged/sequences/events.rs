//! Events of single tasks. Rare events are preferred.

use std::collections::BTreeMap;
use std::fmt::Write;

use pgasync_core::{
    Event, EventName, FinishStatus, Intention, Outcome, Phase, PhaseName, Request, RowEvent, Run, Span, Task,
    TaskOptions, Timestamp, Transition,
};
use serde_json::{Value, json};

use super::super::every_transition::{needs_the_launch_state, role};
use super::super::mutants::shuffle;
use super::{HITS_MIN, Model, ModelTask};

impl Model {
    /// Applies events to one task or several at once, preferably the rarest so far.
    pub(super) fn happenings(&mut self) {
        let mut ids: Vec<i64> = self.tasks.keys().copied().collect();
        let mut events = Vec::new();
        for _ in 0..=self.seed.below(16) {
            if ids.is_empty() {
                break;
            }
            let at = self.seed.below(ids.len() as u64);
            let id = ids.swap_remove(usize::try_from(at).expect("a place in a list"));
            if let Some(event) = self.happening(id) {
                events.push((id, event));
            }
        }
        self.events(events);
    }

    pub(super) fn happening(&mut self, id: i64) -> Option<Event> {
        let model_task = self.tasks[&id].clone();
        if self.seed.chance(3) {
            let run = Run(model_task.task.run.0 - 1);
            return Some(Event::QueryEnded { run, outcome: Outcome::Ok });
        }
        // A READY task that was pulled before is rare, and its deadline as an offered task is even
        // rarer. So its other events are mostly skipped.
        match model_task.task.phase {
            Phase::Ready { times_up: Some(_), .. } if model_task.task.options.client_pulled && self.seed.chance(80) => {
                return None;
            }
            Phase::Offered { times_up: Some(at) } => self.now = self.now.max(at),
            _ => {}
        }
        let events = self.imaginable(&model_task);
        if self.seed.chance(8) {
            let refused: Vec<Event> =
                events.into_iter().filter(|event| model_task.task.step(event, self.now).is_err()).collect();
            return (!refused.is_empty()).then(|| self.seed.pick(&refused).clone());
        }
        let mut rarest: Option<(usize, Event)> = None;
        for event in events {
            let Some(transition) = transition(&model_task.task, &event, self.now) else { continue };
            let hits = self.hits.get(&transition).copied().unwrap_or(0) / ways_on(&transition);
            if rarest.as_ref().is_none_or(|(least, _)| hits < *least || hits == *least && self.seed.chance(40)) {
                rarest = Some((hits, event));
            }
        }
        // If all events of the task have happened often enough, the task is left to other actions,
        // such as a claim or an offer.
        let (hits, event) = rarest?;
        (hits < HITS_MIN + HITS_MIN / 8 || event == Event::Restart || self.seed.chance(3)).then_some(event)
    }

    pub(super) fn imaginable(&mut self, model_task: &ModelTask) -> Vec<Event> {
        let default_timeout = self.timeout(&model_task.target);
        let text = self.seed.chance(50).then(|| "a client asked".to_owned());
        let run = model_task.task.run;
        let mut events = vec![
            Event::Claim { default_timeout },
            Event::Promote,
            Event::GiveBack { default_timeout: model_task.timeout },
            Event::GiveBack { default_timeout },
            Event::Launch,
            Event::Offer { default_timeout },
            Event::Withdraw,
            Event::Take { default_timeout },
            Event::Deadline,
            Event::Abandon { known: "its session cannot be reached".to_owned() },
            Event::GiveUp { error: "the target cannot be reached".to_owned() },
            Event::Release,
            Event::Restart,
            Event::QueryEnded { run, outcome: Outcome::Ok },
            Event::QueryEnded { run, outcome: Outcome::Error("it broke".to_owned()) },
            Event::QueryEnded { run, outcome: Outcome::Error("40001: could not serialize".to_owned()) },
            Event::QueryEnded { run, outcome: Outcome::Unknown("its session is gone".to_owned()) },
        ];
        for status in FinishStatus::ALL.into_iter().chain([FinishStatus::Paused, FinishStatus::Deferred]) {
            let duration = (status == FinishStatus::Deferred || self.seed.chance(50)).then(|| self.span());
            let duration = duration.filter(|_| self.seed.chance(90)).map(|it| Span::micros(1 + it.as_micros() / 20));
            let requested_by = self.seed.chance(50).then(|| role("ann"));
            events.push(Event::Request(Request { status, error: text.clone(), duration, requested_by }));
        }
        // The call that restarts a task compares its own times with the clock of the server.
        let TaskOptions { run_at, expires_at, .. } = model_task.task.options;
        events.retain(|event| *event != Event::Restart || run_at.is_none() && expires_at.is_none());
        shuffle(&mut events, &mut self.seed);
        events
    }

    /// Applies events to the model, each to another task, and emits the same events for SQL in as
    /// few actions as possible.
    pub(super) fn events(&mut self, events: Vec<(i64, Event)>) {
        let mut steps = Vec::new();
        let mut outcomes = BTreeMap::new();
        let mut intended = Vec::new();
        let mut released: BTreeMap<String, u32> = BTreeMap::new();
        let before: Vec<(i64, Task)> = events.iter().map(|(id, _)| (*id, self.tasks[id].task.clone())).collect();
        for ((id, event), (_, task)) in events.into_iter().zip(before) {
            let next = task.step(&event, self.now);
            if next.is_err() && needs_the_launch_state(&task, &event) {
                continue;
            }
            match RowEvent::of(&event, task.launch_state().as_ref()) {
                Some(row_event) => {
                    let mut step = json!(row_event);
                    step["id"] = json!(id);
                    // The writer also takes events that name no run.
                    step["run"] = match &event {
                        Event::QueryEnded { run, .. } => json!(run),
                        _ => json!(self.seed.chance(70).then_some(task.run)),
                    };
                    steps.push(step);
                    outcomes.insert(id, if next.is_ok() { "applied" } else { "rejected" });
                }
                None => intended.extend(self.intention(&task, &event, next.is_ok())),
            }
            self.count(&task, &event);
            let model_task = self.tasks.get_mut(&id).expect("it is there");
            if let (Ok(_), Event::Claim { default_timeout } | Event::Offer { default_timeout }) = (&next, &event) {
                model_task.timeout = *default_timeout;
            }
            if let Ok(next) = next {
                if model_task.task.holds_slot() && !next.holds_slot() {
                    *released.entry(model_task.pool.clone()).or_insert(0) += 1;
                }
                model_task.task = next;
            }
        }
        // An event for a task that does not exist.
        if self.seed.chance(5) {
            let gone = self.next_id + 1_000;
            steps.push(json!({"id": gone, "name": "RESTART"}));
            outcomes.insert(gone, "gone");
        }
        if steps.is_empty() {
            self.emit(json!({"do": "nothing"}), Value::Null);
        } else {
            let mut action = json!({"do": "events", "events": steps});
            let all_or_none = !self.has_triggers && self.seed.chance(40);
            if all_or_none {
                action["all_or_none"] = json!(true);
            }
            let answer = if all_or_none && outcomes.values().all(|outcome| *outcome == "applied") {
                json!("all")
            } else {
                let outcomes: Vec<Value> = outcomes.iter().map(|(id, outcome)| json!([id, outcome])).collect();
                json!({"outcomes": outcomes, "released": released})
            };
            self.emit(action, answer);
        }
        // These actions change no row, so they may come last.
        for (action, answer) in intended {
            self.emit(action, answer);
        }
    }

    /// The action that compares the intention of a request to a running query with SQL. Other tests
    /// compare deadlines and deferrals without a duration.
    pub(super) fn intention(&self, task: &Task, event: &Event, accepted: bool) -> Option<(Value, Value)> {
        let Event::Request(request) = event else { return None };
        if request.status == FinishStatus::Deferred && request.duration.is_none() {
            return None;
        }
        let Phase::Launched { intention, .. } = &task.phase else { return None };
        let old = intention.as_ref().map(Intention::parts);
        let (status, message) = old.map(|(status, message, _)| (status, message)).unzip();
        let action = json!({"do": "intend", "old": status, "old_error": message.flatten(), "new": request.status});
        Some((action, json!(accepted)))
    }

    pub(super) fn count(&mut self, task: &Task, event: &Event) {
        match transition(task, event, self.now) {
            Some(transition) => *self.hits.entry(transition).or_default() += 1,
            None => self.refusals += 1,
        }
    }

    pub(super) fn rare(&self) -> Vec<&Transition> {
        self.hits.iter().filter(|(transition, hits)| **hits < hits_min(transition)).map(|(it, _)| it).collect()
    }

    pub(super) fn coverage(&self) -> String {
        let mut text = format!("{} refusals\n", self.refusals);
        for (Transition { from, event, to }, hits) in &self.hits {
            let _ = writeln!(text, "{hits:>6}  {from:?} --{event:?}--> {to:?}");
        }
        text
    }
}

fn transition(task: &Task, event: &Event, now: Timestamp) -> Option<Transition> {
    let next = task.step(event, now).ok()?;
    Some(Transition { from: task.phase.name(), event: event.name(), to: next.phase.name() })
}

/// How often a transition is to be seen. An offer reaches a deadline and is retried only if a client had
/// pulled the task before, and the task was pushed while a policy was the default of its target.
fn hits_min(transition: &Transition) -> usize {
    match (transition.from, transition.event, transition.to) {
        (PhaseName::Offered, EventName::Deadline, PhaseName::Ready) => HITS_MIN / 4,
        _ => HITS_MIN,
    }
}

/// The weight of a transition. A transition into a phase with many ways out has a larger one.
fn ways_on(transition: &Transition) -> usize {
    match (transition.from, transition.event, transition.to) {
        (_, EventName::Launch, _) => 7,
        (_, EventName::Take, _) => 5,
        (_, EventName::Request, PhaseName::Launched) => 4,
        (PhaseName::Pulled, EventName::Request, PhaseName::Ready) => 3,
        (PhaseName::Yielded, EventName::Request, PhaseName::Ready) => 2,
        _ => 1,
    }
}
