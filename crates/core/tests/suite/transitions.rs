//! A second implementation of the transitions, column by column as SQL decides them. It is
//! compared with [`Task::step`] over every phase and every event.

use pgasync_core::{
    Event, Failure, FinishStatus, Intention, Outcome, Phase, PhaseName, Rejected, Request, RoleName, Row, RowState,
    Span, TIMED_OUT, Task, TaskOptions, Timestamp, example_events, example_tasks,
};

/// The request that applies when the query ends: a status, a message, a duration, and its role.
type Wanted = (FinishStatus, Option<String>, Option<Span>, Option<RoleName>);

fn wanted(intention: &Intention) -> Wanted {
    match intention.clone() {
        Intention::Cancel { message, requested_by } => (FinishStatus::Canceled, message, None, requested_by),
        Intention::Timeout { message, requested_by } => {
            (FinishStatus::TimedOut, Some(message.unwrap_or_else(|| TIMED_OUT.to_owned())), None, requested_by)
        }
        Intention::Pause { duration } => (FinishStatus::Paused, None, duration, None),
        Intention::Finish { status, error, requested_by } => (status.into(), error, None, requested_by),
        Intention::Yield => (FinishStatus::Yielded, None, None, None),
        Intention::Defer { duration } => (FinishStatus::Deferred, None, Some(duration), None),
    }
}

fn ends(status: FinishStatus) -> bool {
    !matches!(status, FinishStatus::Paused | FinishStatus::Yielded | FinishStatus::Deferred)
}

/// The row with this status.
fn becomes(
    row: &Row,
    options: &TaskOptions,
    status: FinishStatus,
    error: Option<String>,
    wait: Option<Span>,
    now: Timestamp,
) -> Row {
    let yields = status == FinishStatus::Yielded;
    if yields && row.yielded.is_some() {
        return row.clone();
    }
    let waits = matches!(status, FinishStatus::Paused | FinishStatus::Deferred);
    let error = match status {
        FinishStatus::TimedOut => Some(error.unwrap_or_else(|| TIMED_OUT.to_owned())),
        _ => error,
    };
    Row {
        consumed: if waits { None } else { row.consumed },
        processed: ends(status).then_some(now),
        yielded: if yields {
            Some(now)
        } else if waits {
            None
        } else {
            row.yielded
        },
        finish_status: (!waits).then_some(status),
        failed: ends(status).then_some(status != FinishStatus::Finished),
        processing_error: if ends(status) { error } else { None },
        times_up: row.times_up,
        tracked: match row.tracked {
            Some(true) if ends(status) => Some(false),
            Some(true) if yields && options.track_yielded => Some(true),
            _ => None,
        },
        eligible_when: if waits { later(wait.map(|wait| now + wait), options, now) } else { None },
        run: row.run,
        attempt: row.attempt,
        ended_by: None,
    }
}

/// A time before which a task does not run, and its `run_at` if that is still to come and later.
fn later(time: Option<Timestamp>, options: &TaskOptions, now: Timestamp) -> Option<Timestamp> {
    match (time, options.run_at) {
        (Some(time), Some(run_at)) if run_at > now && run_at > time => Some(run_at),
        (None, Some(run_at)) if run_at > now => Some(run_at),
        _ => time,
    }
}

#[expect(clippy::too_many_lines, reason = "one arm an event")]
fn step_columns(task: &Task, event: &Event, now: Timestamp) -> Option<Row> {
    let (row, options) = (task.row(), &task.options);
    let state = row.state();
    if state == RowState::Finished {
        return match event {
            Event::Restart if options.expires_at.is_some_and(|at| at <= now) => None,
            Event::Restart => Some(Row {
                run: row.run,
                times_up: options.expires_at,
                eligible_when: later(None, options, now),
                ..Row::default()
            }),
            Event::Release if row.tracked == Some(true) => Some(Row { tracked: Some(false), ..row }),
            _ => None,
        };
    }
    let overdue = row.times_up.is_some_and(|at| at <= now);
    let due = row.eligible_when.is_none_or(|at| at <= now);
    let waits = state == RowState::Ready && row.tracked.is_none();
    let offered = state == RowState::Ready && row.tracked == Some(true);
    let (claimed, launched) = (task.phase.name() == PhaseName::Claimed, task.phase.name() == PhaseName::Launched);
    let expires = options.expires_at.unwrap_or(Timestamp::NEVER);
    let limit = |default: &Option<Span>, from: Timestamp| match (options.manual_timeout, *default) {
        (Some(timeout), _) | (None, Some(timeout)) => (from + timeout).min(expires),
        (None, None) => expires,
    };
    let started = |default: &Option<Span>| Row {
        consumed: Some(now),
        tracked: Some(true),
        eligible_when: None,
        run: row.run + 1,
        times_up: match row.times_up {
            Some(earlier) if row.times_up != options.expires_at => Some(earlier.min(expires)),
            _ => Some(limit(default, now)),
        },
        ..row.clone()
    };
    let intention = match &task.phase {
        Phase::Launched { intention, .. } => intention.clone(),
        _ => None,
    };
    let happens = match event {
        Event::Promote => waits && due && row.eligible_when.is_some(),
        Event::Claim { .. } => waits && due && !overdue && !options.client_pulled,
        Event::Offer { .. } => waits && due && !overdue && options.client_pulled,
        Event::Withdraw => offered,
        Event::Take { .. } => offered && !overdue,
        Event::GiveBack { .. } | Event::Launch => claimed,
        Event::QueryEnded { run, .. } => launched && run.0 == row.run,
        Event::Deadline if launched => overdue && intention.is_none(),
        Event::Deadline => overdue,
        Event::Abandon { .. } => launched && overdue,
        Event::Request(r) if r.status == FinishStatus::Deferred && r.duration.is_none() => false,
        Event::Request(r) if launched => {
            let of_the_deadline = intention == Some(Intention::DEADLINE);
            of_the_deadline || intention.as_ref().is_none_or(|first| ends(r.status) && !ends(wanted(first).0))
        }
        Event::Request(_) => true,
        Event::GiveUp { .. } => waits,
        Event::Release | Event::Restart => false,
    };
    let failure = failure(&row, task, event, intention.as_ref()).filter(|_| happens && options.retry.is_some());
    let next = happens.then(|| match event {
        Event::Promote => Row { eligible_when: later(None, options, now), ..row.clone() },
        Event::Claim { default_timeout } | Event::Take { default_timeout } => started(default_timeout),
        Event::Offer { .. } => Row { tracked: Some(true), eligible_when: None, ..row.clone() },
        Event::Withdraw => Row { tracked: None, eligible_when: later(None, options, now), ..row.clone() },
        // The deadline is removed if this claim set it.
        Event::GiveBack { default_timeout } => Row {
            consumed: None,
            tracked: None,
            eligible_when: later(None, options, now),
            times_up: if row.times_up == row.consumed.map(|consumed| limit(default_timeout, consumed)) {
                options.expires_at
            } else {
                row.times_up
            },
            ..row.clone()
        },
        Event::QueryEnded { outcome, .. } => ended(&row, options, intention.as_ref().map(wanted), outcome, now),
        Event::Abandon { known } => {
            let (message, ended_by) = match &intention {
                Some(Intention::Timeout { message: Some(message), requested_by }) => {
                    (message.as_str(), requested_by.clone())
                }
                _ => (TIMED_OUT, None),
            };
            let error = Some([message, known].join("\n"));
            Row { tracked: Some(true), ended_by, ..becomes(&row, options, FinishStatus::TimedOut, error, None, now) }
        }
        Event::Deadline if !launched => becomes(&row, options, FinishStatus::TimedOut, None, None, now),
        Event::Request(r) if !launched => Row {
            ended_by: r.requested_by.clone().filter(|_| ends(r.status)),
            ..becomes(&row, options, r.status, r.error.clone(), r.duration, now)
        },
        Event::GiveUp { error } => becomes(&row, options, FinishStatus::Failed, Some(error.clone()), None, now),
        Event::Launch | Event::Deadline | Event::Request(_) | Event::Release | Event::Restart => row.clone(),
    });
    next.map(|next| failure.map_or(next.clone(), |failure| failing(&row, next, options, failure, now)))
}

/// The row after a failed attempt, where `last` is the row without a further attempt.
fn failing(row: &Row, last: Row, options: &TaskOptions, failure: Failure<'_>, now: Timestamp) -> Row {
    let attempt = row.attempt + 1;
    let delay = options.retry.as_ref().and_then(|policy| policy.delay(attempt, failure));
    match delay.map(|delay| now + delay).filter(|next| options.expires_at.is_none_or(|at| *next < at)) {
        Some(next) => Row {
            run: row.run,
            attempt,
            times_up: options.expires_at,
            eligible_when: later(Some(next), options, now),
            ..Row::default()
        },
        None => Row { attempt, ..last },
    }
}

/// How the event fails the attempt, if it does.
fn failure<'a>(row: &Row, task: &Task, event: &'a Event, intention: Option<&Intention>) -> Option<Failure<'a>> {
    let with_client = row.yielded.is_some() || task.phase.name() == PhaseName::Pulled;
    let by_deadline = intention == Some(&Intention::DEADLINE);
    let pauses = matches!(intention, Some(Intention::Pause { .. }));
    match event {
        Event::QueryEnded { outcome: Outcome::Error(text), .. } if intention.is_none() => Some(Failure::Error(text)),
        Event::QueryEnded { outcome: Outcome::Error(_), .. } if by_deadline => Some(Failure::Timeout),
        Event::QueryEnded { outcome: Outcome::Unknown(_), .. } if intention.is_none() || pauses => {
            Some(Failure::Unknown)
        }
        Event::QueryEnded { outcome: Outcome::Unknown(_), .. } if by_deadline => Some(Failure::UnknownTimeout),
        Event::Deadline if task.phase.name() == PhaseName::Launched => None,
        Event::Deadline => Some(if with_client { Failure::UnknownTimeout } else { Failure::Timeout }),
        Event::Abandon { .. } => Some(Failure::Lost),
        Event::GiveUp { .. } => Some(Failure::Unreachable),
        Event::Request(request) if request.status == FinishStatus::Failed && with_client => Some(Failure::Reported),
        _ => None,
    }
}

fn ended(row: &Row, options: &TaskOptions, wanted: Option<Wanted>, outcome: &Outcome, now: Timestamp) -> Row {
    let stands = |(status, ..): &Wanted| match outcome {
        Outcome::Error(_) => true,
        Outcome::Ok | Outcome::OkWith(_) => {
            !matches!(status, FinishStatus::Canceled | FinishStatus::TimedOut | FinishStatus::Paused)
        }
        Outcome::Unknown(_) => *status != FinishStatus::Paused,
    };
    let success = if options.asynchronous_finish { FinishStatus::Yielded } else { FinishStatus::Finished };
    let (status, error, wait, role) = wanted.filter(stands).unwrap_or_else(|| match outcome {
        Outcome::Ok | Outcome::OkWith(_) => (success, None, None, None),
        Outcome::Error(text) | Outcome::Unknown(text) => (FinishStatus::Failed, Some(text.clone()), None, None),
    });
    // The error of an unconfirmed cancel or timeout contains the facts that are known.
    let error = match outcome {
        Outcome::Unknown(text) if matches!(status, FinishStatus::Canceled | FinishStatus::TimedOut) => {
            Some(error.map_or_else(|| text.clone(), |said| format!("{said}\n{text}")))
        }
        Outcome::Ok | Outcome::OkWith(_) | Outcome::Error(_) | Outcome::Unknown(_) => error,
    };
    let ended_by = role.filter(|_| ends(status));
    Row { ended_by, ..becomes(row, options, status, error, wait, now) }
}

#[test]
fn every_phase_answers_every_event_as_the_columns_do() {
    let now = Timestamp::from_micros(1_000_000);
    let (mut taken, mut refused) = (0, 0);
    for task in example_tasks(now) {
        for event in example_events() {
            let ours = task.step(&event, now);
            let theirs = step_columns(&task, &event, now);
            assert_eq!(ours.as_ref().ok().map(Task::row), theirs, "{event:?} on {task:?} gave {ours:?}");
            if ours.is_ok() { taken += 1 } else { refused += 1 }
        }
    }
    assert!(taken > 5_000 && refused > 5_000, "{taken} taken and {refused} refused");
}

#[test]
fn times_are_compared_to_the_microsecond() {
    let at = Timestamp::from_micros(100);
    let just = |micros: i64| Timestamp::from_micros(100 + micros);
    let claim = Event::Claim { default_timeout: Some(Span::micros(10)) };
    let deferred = Task {
        phase: Phase::Ready { eligible_when: Some(at), times_up: None },
        ..Task::pushed(TaskOptions::default())
    };
    assert!(deferred.step(&claim, just(-1)).is_err());
    assert!(deferred.step(&claim, just(0)).is_ok());
    let claimed = deferred.step(&claim, at).unwrap();
    assert_eq!(claimed.phase.times_up(), Some(just(10)));
    assert!(claimed.step(&Event::Deadline, just(9)).is_err());
    assert!(claimed.step(&Event::Deadline, just(10)).is_ok());
    let late = Task { phase: Phase::Ready { eligible_when: None, times_up: Some(at) }, ..deferred };
    assert!(late.step(&claim, just(-1)).is_ok());
    assert!(late.step(&claim, just(0)).is_err(), "an overdue task is not launched any more");
}

#[test]
fn a_deadline_survives_a_deferral() {
    let now = Timestamp::from_micros(0);
    let claim = Event::Claim { default_timeout: Some(Span::seconds(10)) };
    let task = Task::pushed(TaskOptions::default()).step(&claim, now).unwrap().step(&Event::Launch, now).unwrap();
    let task = task.step(&Event::Request(Request::defer(Span::seconds(3))), now).unwrap();
    let task = task.step(&Event::QueryEnded { run: task.run, outcome: Outcome::Ok }, now).unwrap();
    let again = task.step(&claim, now + Span::seconds(3)).unwrap();
    assert_eq!(again.phase.times_up(), Some(now + Span::seconds(10)));
    let back =
        again.step(&Event::GiveBack { default_timeout: Some(Span::seconds(10)) }, now + Span::seconds(3)).unwrap();
    assert_eq!(back.phase.times_up(), Some(now + Span::seconds(10)), "the returned claim did not set it");
    assert!(back.step(&Event::Deadline, now + Span::seconds(10)).is_ok());
}

#[test]
fn a_late_result_of_an_earlier_run_changes_nothing() {
    let now = Timestamp::from_micros(0);
    let claim = Event::Claim { default_timeout: None };
    let first = Task::pushed(TaskOptions::default()).step(&claim, now).unwrap().step(&Event::Launch, now).unwrap();
    let ended = Event::QueryEnded { run: first.run, outcome: Outcome::Ok };
    let again = first.step(&ended, now).unwrap().step(&Event::Restart, now).unwrap();
    let again = again.step(&claim, now).unwrap().step(&Event::Launch, now).unwrap();
    assert_eq!(again.step(&ended, now), Err(Rejected::StaleRun { stale: first.run, current: again.run }));
}
