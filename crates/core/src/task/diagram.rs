//! The transition table, computed by applying every event to every phase, and its diagram.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use super::event::{Event, EventName, Outcome, Request};
use super::intention::Intention;
use super::phase::{Completion, Phase, PhaseName, TaskTimes};
use super::retry::RetryPolicy;
use super::status::{FinalStatus, FinishStatus};
use super::{Task, TaskOptions};
use crate::names::{RoleName, Run, TaskId};
use crate::time::{Span, Timestamp};

/// The timeout of the example tasks that a target or the configuration sets.
const DEFAULT_TIMEOUT: Span = Span::seconds(5);
/// The timeout that the example tasks have themselves.
const MANUAL_TIMEOUT: Span = Span::seconds(4);

/// One row of the transition table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Transition {
    /// The phase before.
    pub from: PhaseName,
    /// The event.
    pub event: EventName,
    /// The phase after.
    pub to: PhaseName,
}

/// All transitions in order, computed by applying every event to every phase.
///
/// ```
/// use pgasync_core::{EventName, PhaseName, transitions};
/// let of_finished: Vec<_> =
///     transitions().into_iter().filter(|t| t.from == PhaseName::Finished).collect();
/// assert_eq!(of_finished.len(), 2);
/// assert_eq!(of_finished[1].event, EventName::Restart);
/// ```
#[must_use]
pub fn transitions() -> Vec<Transition> {
    let now = Timestamp::from_micros(1_000_000);
    let mut found = BTreeSet::new();
    for task in example_tasks(now) {
        for event in example_events() {
            if let Ok(next) = task.step(&event, now) {
                let (from, to) = (task.phase.name(), next.phase.name());
                found.insert(Transition { from, event: event.name(), to });
            }
        }
    }
    found.into_iter().collect()
}

/// The transition table as a Mermaid state diagram, for the docs.
#[must_use]
pub fn state_diagram() -> String {
    let mut labels: BTreeMap<(PhaseName, PhaseName), Vec<String>> = BTreeMap::new();
    for Transition { from, event, to } in transitions() {
        labels.entry((from, to)).or_default().push(format!("{event:?}"));
    }
    let mut drawing = String::from("stateDiagram-v2\n    [*] --> Ready\n");
    for ((from, to), events) in labels {
        // Writing to a String cannot fail.
        let _ = writeln!(drawing, "    {from:?} --> {to:?}: {}", events.join(", "));
    }
    drawing.push_str("    Finished --> [*]\n");
    drawing
}

/// Tasks in every phase, with all values on which the result of an event may depend. For tests.
#[doc(hidden)]
#[must_use]
pub fn example_tasks(now: Timestamp) -> Vec<Task> {
    let past = now + Span::micros(-10);
    let future = now + Span::seconds(1);
    let deadlines = [None, Some(past), Some(future)];
    let mut phases = Vec::new();
    for times_up in deadlines {
        for eligible_when in deadlines {
            phases.push(Phase::Ready { eligible_when, times_up });
        }
        phases.push(Phase::Offered { times_up });
        phases.push(Phase::Claimed { consumed: past, times_up });
        for intention in intentions() {
            phases.push(Phase::Launched { consumed: past, times_up, intention });
        }
        phases.push(Phase::Pulled { consumed: past, times_up });
        for (consumed, tracked) in [(None, false), (Some(past), false), (Some(past), true)] {
            phases.push(Phase::Yielded { consumed, yielded: past, times_up, tracked });
        }
    }
    // The deadlines that this claim would set: the default, the task's own, none.
    for times_up in [past + DEFAULT_TIMEOUT, past + MANUAL_TIMEOUT, Timestamp::NEVER] {
        phases.push(Phase::Claimed { consumed: past, times_up: Some(times_up) });
    }
    for status in FinalStatus::ALL {
        for tracked in [None, Some(false), Some(true)] {
            let ended_by = tracked.and_then(|_| RoleName::new("bob").ok());
            let end = Completion { status, processed: past, error: None, ended_by, tracked };
            phases.push(Phase::Finished { end, past: TaskTimes::NONE });
        }
    }
    let mut tasks = Vec::new();
    for phase in phases {
        for options in options(now) {
            let pulls = matches!(phase, Phase::Offered { .. } | Phase::Pulled { .. });
            let runs = matches!(phase, Phase::Claimed { .. } | Phase::Launched { .. });
            if (pulls && !options.client_pulled) || (runs && options.client_pulled) {
                continue;
            }
            tasks.push(Task { options, run: Run(3), attempt: 1, phase: phase.clone() });
        }
    }
    tasks
}

/// All events, with all values on which their result may depend. For tests.
#[doc(hidden)]
#[must_use]
pub fn example_events() -> Vec<Event> {
    let default_timeout = Some(DEFAULT_TIMEOUT);
    let mut events = vec![
        Event::Promote,
        Event::Claim { default_timeout },
        Event::Claim { default_timeout: None },
        Event::GiveBack { default_timeout },
        Event::GiveBack { default_timeout: None },
        Event::Launch,
        Event::Offer { default_timeout },
        Event::Withdraw,
        Event::Take { default_timeout },
        Event::Deadline,
        Event::Abandon { known: "u".to_owned() },
        Event::GiveUp { error: "lost".to_owned() },
        Event::Release,
        Event::Restart,
    ];
    for run in [2, 3, 4] {
        for outcome in [Outcome::Ok, Outcome::Error("40001: e".to_owned()), Outcome::Unknown("u".to_owned())] {
            events.push(Event::QueryEnded { run: Run(run), outcome });
        }
    }
    for status in FinishStatus::ALL {
        for duration in [None, Some(Span::seconds(2))] {
            for error in [None, Some("said".to_owned())] {
                let requested_by = error.as_ref().and_then(|_| RoleName::new("ann").ok());
                events.push(Event::Request(Request { status, error, duration, requested_by }));
            }
        }
    }
    events
}

fn intentions() -> Vec<Option<Intention>> {
    let mut all = vec![None, Some(Intention::DEADLINE)];
    for status in FinishStatus::ALL {
        let request = Request {
            error: Some("asked".to_owned()),
            duration: Some(Span::seconds(3)),
            requested_by: RoleName::new("ann").ok(),
            ..Request::finish(status)
        };
        all.push(Intention::of(&request).ok());
    }
    all
}

/// A policy that retries the failures of which something is known, and one that retries all.
fn policies() -> [RetryPolicy; 2] {
    let careful = RetryPolicy {
        task: TaskId(1),
        max_attempts: 3,
        delay: Span::seconds(2),
        backoff: 2_000,
        delay_max: Span::seconds(60),
        jitter: 100,
        sqlstates: vec!["transient".to_owned()],
        timeouts: true,
        unreachable: true,
        unknown: false,
        may_run_twice: false,
        commits: false,
    };
    let bold = RetryPolicy {
        sqlstates: vec!["any".to_owned(), "reported".to_owned()],
        unknown: true,
        may_run_twice: true,
        ..careful.clone()
    };
    [careful, bold]
}

fn options(now: Timestamp) -> Vec<TaskOptions> {
    let at = |micros| Some(now + Span::micros(micros));
    let times = [
        (at(1), None),
        (at(-1), at(3_000_000)),
        (None, at(-10)),
        (None, Some(now)),
        (Some(now), None),
        (at(1_000_000), at(1_000_000)),
    ];
    let mut all = Vec::new();
    for client_pulled in [false, true] {
        for asynchronous_finish in [false, true] {
            for track_yielded in [false, true] {
                for manual_timeout in [None, Some(MANUAL_TIMEOUT)] {
                    let options =
                        TaskOptions { client_pulled, asynchronous_finish, track_yielded, manual_timeout, ..plain() };
                    if !asynchronous_finish && !track_yielded {
                        let timed = |(run_at, expires_at)| TaskOptions { run_at, expires_at, ..options.clone() };
                        all.extend(times.map(timed));
                    }
                    all.push(options);
                }
            }
        }
        for policy in policies().map(Arc::new) {
            for expires_at in [None, at(3_000_000), at(500_000)] {
                all.push(TaskOptions { client_pulled, expires_at, retry: Some(Arc::clone(&policy)), ..plain() });
            }
        }
    }
    all
}

fn plain() -> TaskOptions {
    TaskOptions::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_is_reached_and_left() {
        let all = transitions();
        for phase in [
            PhaseName::Ready,
            PhaseName::Offered,
            PhaseName::Claimed,
            PhaseName::Launched,
            PhaseName::Pulled,
            PhaseName::Yielded,
            PhaseName::Finished,
        ] {
            assert!(all.iter().any(|t| t.from == phase), "{phase:?} is never left");
            assert!(all.iter().any(|t| t.to == phase), "{phase:?} is never reached");
        }
    }

    #[test]
    fn a_row_says_everything_but_what_the_leader_keeps() {
        use crate::task::row::LaunchState;
        for task in example_tasks(Timestamp::from_micros(50)) {
            let held = match &task.phase {
                Phase::Launched { intention, .. } => LaunchState::Launched(intention.clone()),
                Phase::Ready { .. }
                | Phase::Offered { .. }
                | Phase::Claimed { .. }
                | Phase::Pulled { .. }
                | Phase::Yielded { .. }
                | Phase::Finished { .. } => LaunchState::Claimed,
            };
            assert_eq!(task.row().task(task.options.clone(), held), Ok(task));
        }
    }
}
