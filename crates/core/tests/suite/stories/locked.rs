//! Rows that cannot be written: the orchestrator leaves them alone, and later tasks run.

use pgasync_core::{Command, FinishStatus, Input, Outcome, Request, Span, TaskId};

use crate::harness::{Harness, records, settings};

#[test]
fn a_task_that_cannot_be_claimed_is_left_alone_for_a_growing_time() {
    let mut harness = Harness::leading(settings(1));
    harness.locked.insert(TaskId(1));
    harness.push(1);
    harness.push(2);
    assert!(harness.running.contains_key(&TaskId(2)), "the task behind it goes on");
    harness.end(TaskId(2), Outcome::Ok);
    harness.wait(Span::seconds(60));
    let tries = harness.count(|command| matches!(command, Command::Write(event) if event.task == TaskId(1)));
    assert!((8..=14).contains(&tries), "it was tried {tries} times in a minute");
    let refills = harness.count(|command| matches!(command, Command::Refill { .. }));
    assert!(refills < 40, "its lane was read {refills} times in a minute");
    harness.locked.clear();
    harness.wait(Span::seconds(31));
    assert!(harness.running.contains_key(&TaskId(1)));
}

#[test]
fn heads_that_cannot_be_written_hide_no_other() {
    let mut settings = settings(1);
    settings.tuning.window_heads_min = 2;
    settings.tuning.window_heads_per_slot = 1;
    let mut harness = Harness::leading(settings);
    for task in 1..=8 {
        harness.push(task);
    }
    harness.unwritable = true;
    for task in 2..=7 {
        harness.request(TaskId(task), Request::cancel("not any more"));
    }
    let before = harness.commands.len();
    harness.unwritable = false;
    // The canceled task waits for its next attempt, and is among the heads in the store.
    harness.end(TaskId(1), Outcome::Ok);
    assert!(harness.running.contains_key(&TaskId(8)), "{:?}", &harness.commands[before..]);
    let refills = harness.commands[before..].iter().filter(|command| matches!(command, Command::Refill { .. })).count();
    assert!(refills < 10, "the lane was read {refills} times");
}

#[test]
fn a_record_that_cannot_be_written_is_tried_ever_more_rarely() {
    let mut harness = Harness::leading(settings(1));
    let task = harness.push(1);
    harness.unwritable = true;
    harness.end(task, Outcome::Ok);
    harness.wait(Span::seconds(600));
    let tries = harness.count(records);
    assert!((25..=40).contains(&tries), "{tries} tries in ten minutes");
    harness.unwritable = false;
    harness.wait(Span::seconds(31));
    assert_eq!(harness.row(task).finish_status, Some(FinishStatus::Finished));
}

#[test]
fn a_drain_ends_although_a_row_cannot_be_written() {
    let mut harness = Harness::leading(settings(1));
    let task = harness.push(1);
    harness.unwritable = true;
    harness.end(task, Outcome::Ok);
    harness.deliver(Input::Shutdown { drain_until: harness.now.monotonic + Span::seconds(2) });
    harness.wait(Span::seconds(6));
    assert_eq!(harness.count(|command| matches!(command, Command::Resign)), 0, "it may still be written");
    harness.wait(Span::seconds(35));
    assert_eq!(harness.count(|command| matches!(command, Command::Resign)), 1);
}
