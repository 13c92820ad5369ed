//! Clocks that ring at the wrong time.

use pgasync_core::{Command, Input, Span};

use super::desk::{Desk, settings};

#[test]
fn a_tick_that_came_too_early_is_asked_for_again() {
    let mut desk = Desk::leading(settings(1));
    let alarm = desk.alarm.take().expect("it sweeps at some time");
    desk.now = pgasync_core::Timestamp::from_micros(alarm.as_micros() - 1);
    desk.tell(Input::Tick);
    assert_eq!(desk.alarm, Some(alarm));
    let said = desk.said.len();
    desk.tell(Input::Asking);
    assert!(!desk.said[said..].iter().any(|command| matches!(command, Command::SleepUntil(_))), "said once is enough");
    desk.now = alarm + Span::micros(0);
    let said = desk.said.len();
    desk.tell(Input::Tick);
    assert!(desk.said[said..].iter().any(|command| matches!(command, Command::Sweep { .. })));
}
