//! Polls, the latch, routines, and marks that are begun anew.

use pgasync_core::{Command, Input, Outcome, Run, Sleep, Span};

use super::desk::{Desk, settings};

#[test]
fn marks_are_begun_anew_with_those_of_what_is_launched() {
    let mut settings = settings(2);
    settings.tuning.marks_max = 3;
    let mut desk = Desk::leading(settings);
    let long = desk.push(1);
    for task in 2..=4 {
        desk.push(task);
        desk.end(pgasync_core::TaskId(task), Outcome::Ok);
    }
    let rotations: Vec<_> = desk
        .said
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
    let mut desk = Desk::leading(settings);
    desk.holds = |command| matches!(command, Command::Mark { .. });
    let task = desk.push(1);
    assert_eq!(desk.held.len(), 1);
    let carried =
        |command: &Command| matches!(command, Command::RotateMarks { launched } if launched[..] == [(task, Run(1))]);
    assert_eq!(desk.count(carried), 1);
}

#[test]
fn callers_of_the_latch_wait_for_polls_that_begin_after_it_was_seen() {
    let mut desk = Desk::leading(settings(1));
    let polls = |desk: &Desk| desk.count(|command| matches!(command, Command::Poll { .. }));
    desk.latch = 7;
    let before = polls(&desk);
    desk.tell(Input::Notified);
    desk.wait(Span::seconds(1));
    assert_eq!(desk.count(|command| *command == Command::ServeLatch { number: 7 }), 1);
    assert!(polls(&desk) >= before + 3, "one that sees it, and two after it");
}

#[test]
fn callers_that_come_during_a_cycle_get_the_next_one() {
    let mut desk = Desk::leading(settings(1));
    desk.wait(Span::seconds(1));
    desk.latch = 1;
    desk.tell(Input::Notified);
    desk.holds = |command| matches!(command, Command::Poll { .. });
    desk.wait(Span::seconds(1));
    desk.latch = 2;
    desk.release();
    desk.wait(Span::seconds(1));
    let served = |number| desk.count(|command| *command == Command::ServeLatch { number });
    assert_eq!((served(1), served(2)), (1, 1));
}

#[test]
fn a_leader_that_sleeps_is_woken_by_a_notification() {
    let mut desk = Desk::leading(settings(1));
    desk.wait(Span::seconds(10));
    let polls = |desk: &Desk| desk.count(|command| matches!(command, Command::Poll { .. }));
    let before = polls(&desk);
    desk.wait(Span::seconds(100));
    assert_eq!(polls(&desk), before, "it sleeps");
    desk.tell(Input::Notified);
    assert!(matches!(desk.said[..], [.., Command::Poll { sleep: Sleep::WakeUp, .. }, Command::SleepUntil(_)]));
}

#[test]
fn routines_run_when_something_has_happened() {
    let mut settings = settings(1);
    settings.has_routines = true;
    let mut desk = Desk::leading(settings);
    let runs = |desk: &Desk| desk.count(|command| *command == Command::RunRoutines);
    desk.wait(Span::seconds(1));
    let before = runs(&desk);
    assert!(before > 0);
    desk.wait(Span::seconds(1_000));
    assert_eq!(runs(&desk), before, "nothing has happened");
    desk.push(1);
    desk.wait(Span::seconds(1));
    assert!(runs(&desk) > before);
}
