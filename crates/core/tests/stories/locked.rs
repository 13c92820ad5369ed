//! Rows that cannot be written: they are left alone, and those behind them go on.

use pgasync_core::{Command, FinishStatus, Input, Outcome, Request, Span, TaskId};

use super::desk::{Desk, records, settings};

#[test]
fn a_task_that_cannot_be_claimed_is_left_alone_for_a_growing_time() {
    let mut desk = Desk::leading(settings(1));
    desk.locked.insert(TaskId(1));
    desk.push(1);
    desk.push(2);
    assert!(desk.running.contains_key(&TaskId(2)), "the task behind it goes on");
    desk.end(TaskId(2), Outcome::Ok);
    desk.wait(Span::seconds(60));
    let tries = desk.count(|command| matches!(command, Command::Write(event) if event.task == TaskId(1)));
    assert!((8..=14).contains(&tries), "it was tried {tries} times in a minute");
    let refills = desk.count(|command| matches!(command, Command::Refill { .. }));
    assert!(refills < 40, "its lane was read {refills} times in a minute");
    desk.locked.clear();
    desk.wait(Span::seconds(31));
    assert!(desk.running.contains_key(&TaskId(1)));
}

#[test]
fn heads_that_cannot_be_written_hide_no_other() {
    let mut settings = settings(1);
    settings.tuning.window_heads_min = 2;
    settings.tuning.window_heads_per_slot = 1;
    let mut desk = Desk::leading(settings);
    for task in 1..=8 {
        desk.push(task);
    }
    desk.unwritable = true;
    for task in 2..=7 {
        desk.ask(TaskId(task), Request::cancel("not any more"));
    }
    let before = desk.said.len();
    desk.unwritable = false;
    // What is canceled waits for its next try, and the store has it among its heads.
    desk.end(TaskId(1), Outcome::Ok);
    assert!(desk.running.contains_key(&TaskId(8)), "{:?}", &desk.said[before..]);
    let refills = desk.said[before..].iter().filter(|command| matches!(command, Command::Refill { .. })).count();
    assert!(refills < 10, "the lane was read {refills} times");
}

#[test]
fn a_record_that_cannot_be_written_is_tried_ever_more_rarely() {
    let mut desk = Desk::leading(settings(1));
    let task = desk.push(1);
    desk.unwritable = true;
    desk.end(task, Outcome::Ok);
    desk.wait(Span::seconds(600));
    let tries = desk.count(records);
    assert!((25..=40).contains(&tries), "{tries} tries in ten minutes");
    desk.unwritable = false;
    desk.wait(Span::seconds(31));
    assert_eq!(desk.row(task).finish_status, Some(FinishStatus::Finished));
}

#[test]
fn a_drain_ends_although_a_row_cannot_be_written() {
    let mut desk = Desk::leading(settings(1));
    let task = desk.push(1);
    desk.unwritable = true;
    desk.end(task, Outcome::Ok);
    desk.tell(Input::Shutdown { drain_until: desk.now.monotonic + Span::seconds(2) });
    desk.wait(Span::seconds(6));
    assert_eq!(desk.count(|command| matches!(command, Command::Resign)), 0, "it may still be written");
    desk.wait(Span::seconds(35));
    assert_eq!(desk.count(|command| matches!(command, Command::Resign)), 1);
}
