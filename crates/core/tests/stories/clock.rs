//! Clocks that ring at the wrong time, and clocks that are set.

use pgasync_core::{Command, FinishStatus, Input, Now, Outcome, Span, TaskOptions};

use super::desk::{Desk, settings};

#[test]
fn a_tick_that_came_too_early_is_asked_for_again() {
    let mut desk = Desk::leading(settings(1));
    let alarm = desk.alarm.take().expect("it sweeps at some time");
    desk.now = Now::from_micros(alarm.as_micros() - 1);
    desk.tell(Input::Tick);
    assert_eq!(desk.alarm, Some(alarm));
    let said = desk.said.len();
    desk.tell(Input::Asking);
    assert!(!desk.said[said..].iter().any(|command| matches!(command, Command::SleepUntil(_))), "said once is enough");
    desk.now = Now::from_micros(alarm.as_micros());
    let said = desk.said.len();
    desk.tell(Input::Tick);
    assert!(desk.said[said..].iter().any(|command| matches!(command, Command::Sweep { .. })));
}

/// The server's clock is set by so many hours.
fn step_clock(desk: &mut Desk, hours: i64) {
    desk.now.server = desk.now.server + Span::seconds(hours * 3_600);
    desk.tell(Input::Tick);
}

#[test]
fn a_step_of_the_servers_clock_moves_no_deadline() {
    for hours in [-5, 5] {
        let mut desk = Desk::leading(settings(1));
        let task = desk.push_as(1, TaskOptions { manual_timeout: Some(Span::seconds(100)), ..TaskOptions::default() });
        desk.wait(Span::seconds(50));
        step_clock(&mut desk, hours);
        desk.wait(Span::seconds(49));
        let cancels = |desk: &Desk| desk.count(|command| matches!(command, Command::Cancel { .. }));
        assert_eq!(cancels(&desk), 0, "{hours} hours: it has a second left");
        desk.wait(Span::seconds(2));
        assert_eq!(cancels(&desk), 1, "{hours} hours: its time is up");
        desk.end(task, Outcome::Error("canceled".to_owned()));
        assert_eq!(desk.row(task).finish_status, Some(FinishStatus::TimedOut));
    }
}

#[test]
fn a_step_of_the_servers_clock_during_a_claim_moves_no_deadline() {
    let mut desk = Desk::leading(settings(1));
    desk.holds = |command| matches!(command, Command::Write(_));
    desk.push_as(1, TaskOptions { manual_timeout: Some(Span::seconds(100)), ..TaskOptions::default() });
    desk.now.server = desk.now.server + Span::seconds(3_600);
    desk.release();
    desk.wait(Span::seconds(99));
    let cancels = desk.count(|command| matches!(command, Command::Cancel { .. }));
    assert_eq!((desk.running.len(), cancels), (1, 0));
}
