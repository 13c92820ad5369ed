//! Alarms at the wrong time, and steps of the clock.

use pgasync_core::{Command, FinishStatus, Input, Now, Outcome, Span, TaskOptions};

use crate::harness::{Harness, settings};

#[test]
fn a_tick_that_comes_too_early_is_requested_again() {
    let mut harness = Harness::leading(settings(1));
    let alarm = harness.alarm.take().expect("it sweeps at some time");
    harness.now = Now::from_micros(alarm.as_micros() - 1);
    harness.deliver(Input::Tick);
    assert_eq!(harness.alarm, Some(alarm));
    let seen = harness.commands.len();
    harness.deliver(Input::Asking);
    assert!(
        !harness.commands[seen..].iter().any(|command| matches!(command, Command::SleepUntil(_))),
        "one sleep is enough"
    );
    harness.now = Now::from_micros(alarm.as_micros());
    let seen = harness.commands.len();
    harness.deliver(Input::Tick);
    assert!(harness.commands[seen..].iter().any(|command| matches!(command, Command::Sweep { .. })));
}

/// Sets the server's clock by this number of hours.
fn step_clock(harness: &mut Harness, hours: i64) {
    harness.now.server = harness.now.server + Span::seconds(hours * 3_600);
    harness.deliver(Input::Tick);
}

#[test]
fn a_step_of_the_servers_clock_moves_no_deadline() {
    for hours in [-5, 5] {
        let mut harness = Harness::leading(settings(1));
        let task =
            harness.push_as(1, TaskOptions { manual_timeout: Some(Span::seconds(100)), ..TaskOptions::default() });
        harness.wait(Span::seconds(50));
        step_clock(&mut harness, hours);
        harness.wait(Span::seconds(49));
        let cancels = |harness: &Harness| harness.count(|command| matches!(command, Command::Cancel { .. }));
        assert_eq!(cancels(&harness), 0, "{hours} hours: it has a second left");
        harness.wait(Span::seconds(2));
        assert_eq!(cancels(&harness), 1, "{hours} hours: its time is up");
        harness.end(task, Outcome::Error("canceled".to_owned()));
        assert_eq!(harness.row(task).finish_status, Some(FinishStatus::TimedOut));
    }
}

#[test]
fn a_step_of_the_servers_clock_during_a_claim_moves_no_deadline() {
    let mut harness = Harness::leading(settings(1));
    harness.holds = |command| matches!(command, Command::Write(_));
    harness.push_as(1, TaskOptions { manual_timeout: Some(Span::seconds(100)), ..TaskOptions::default() });
    harness.now.server = harness.now.server + Span::seconds(3_600);
    harness.release();
    harness.wait(Span::seconds(99));
    let cancels = harness.count(|command| matches!(command, Command::Cancel { .. }));
    assert_eq!((harness.running.len(), cancels), (1, 0));
}
