//! Polls, the latch, routines, and the rotation of marks.

use pgasync_core::{Command, Input, Outcome, Run, Sleep, Span};

use crate::harness::{Harness, settings};

#[test]
fn marks_are_begun_anew_with_those_of_what_is_launched() {
    let mut settings = settings(2);
    settings.tuning.marks_max = 3;
    let mut harness = Harness::leading(settings);
    let long = harness.push(1);
    for task in 2..=4 {
        harness.push(task);
        harness.end(pgasync_core::TaskId(task), Outcome::Ok);
    }
    let rotations: Vec<_> = harness
        .commands
        .iter()
        .filter_map(|command| if let Command::RotateMarks { launched } = command { Some(launched) } else { None })
        .collect();
    assert_eq!(rotations.len(), 1);
    assert!(rotations[0].contains(&(long, Run(1))), "{rotations:?}");
}

#[test]
fn a_mark_that_is_on_its_way_is_carried_over() {
    let mut settings = settings(2);
    settings.tuning.marks_max = 0;
    let mut harness = Harness::leading(settings);
    harness.holds = |command| matches!(command, Command::Mark { .. });
    let task = harness.push(1);
    assert_eq!(harness.held.len(), 1);
    let carried =
        |command: &Command| matches!(command, Command::RotateMarks { launched } if launched[..] == [(task, Run(1))]);
    assert_eq!(harness.count(carried), 1);
}

#[test]
fn callers_of_the_latch_wait_for_polls_that_begin_after_it_was_seen() {
    let mut harness = Harness::leading(settings(1));
    let polls = |harness: &Harness| harness.count(|command| matches!(command, Command::Poll { .. }));
    harness.store.last_latch = 7;
    let before = polls(&harness);
    harness.deliver(Input::Notified);
    harness.wait(Span::seconds(1));
    assert_eq!(harness.count(|command| *command == Command::ServeLatch { number: 7 }), 1);
    assert!(polls(&harness) >= before + 3, "one that sees it, and two after it");
}

#[test]
fn callers_that_come_during_a_cycle_get_the_next_one() {
    let mut harness = Harness::leading(settings(1));
    harness.wait(Span::seconds(1));
    harness.store.last_latch = 1;
    harness.deliver(Input::Notified);
    harness.holds = |command| matches!(command, Command::Poll { .. });
    harness.wait(Span::seconds(1));
    harness.store.last_latch = 2;
    harness.deliver(Input::Notified);
    harness.release();
    harness.wait(Span::seconds(1));
    let served = |number| harness.count(|command| *command == Command::ServeLatch { number });
    assert_eq!((served(1), served(2)), (1, 1));
}

#[test]
fn a_leader_that_sleeps_polls_for_a_notification_and_is_woken_by_many() {
    let mut harness = Harness::leading(settings(1));
    harness.wait(Span::seconds(10));
    let polls = |harness: &Harness| harness.count(|command| matches!(command, Command::Poll { .. }));
    let before = polls(&harness);
    harness.wait(Span::seconds(100));
    assert_eq!(polls(&harness), before, "it sleeps");
    let wakes =
        |harness: &Harness| harness.count(|command| matches!(command, Command::Poll { sleep: Sleep::WakeUp, .. }));
    harness.deliver(Input::Notified);
    assert_eq!((polls(&harness), wakes(&harness)), (before + 1, 0));
    for _ in 0..10 {
        harness.deliver(Input::Notified);
    }
    assert_eq!(wakes(&harness), 1);
}

#[test]
fn routines_run_when_something_has_happened() {
    let mut settings = settings(1);
    settings.has_routines = true;
    let mut harness = Harness::leading(settings);
    let runs = |harness: &Harness| harness.count(|command| *command == Command::RunRoutines);
    harness.wait(Span::seconds(1));
    let before = runs(&harness);
    assert!(before > 0);
    harness.wait(Span::seconds(1_000));
    assert_eq!(runs(&harness), before, "nothing has happened");
    harness.push(1);
    harness.wait(Span::seconds(1));
    assert!(runs(&harness) > before);
}

/// They may have made requests, and pushed tasks.
#[test]
fn triggers_that_ran_are_followed_by_a_poll_and_a_read_of_the_requests() {
    let mut settings = settings(1);
    settings.has_routines = true;
    let mut harness = Harness::leading(settings);
    harness.wait(Span::seconds(10));
    let seen = harness.commands.len();
    harness.deliver(Input::Triggered);
    harness.wait(Span::seconds(1));
    for (name, like) in [
        ("poll", (|command| matches!(command, Command::Poll { .. })) as fn(&Command) -> bool),
        ("read", |command| matches!(command, Command::ReadRequests { .. })),
        ("routines", |command| *command == Command::RunRoutines),
    ] {
        assert!(harness.commands[seen..].iter().any(like), "{name}");
    }
}
