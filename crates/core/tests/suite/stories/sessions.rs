//! Targets that take some sessions and refuse others.

use pgasync_core::{Command, FinishStatus, Outcome, RowState, Span};

use crate::harness::{Harness, settings};

#[test]
fn a_target_that_takes_fewer_sessions_than_its_pool_serves_all() {
    let mut harness = Harness::leading(settings(4));
    harness.sessions_max = 1;
    for task in 1..=5 {
        harness.push(task);
    }
    for _ in 0..5 {
        let (task, _) = harness.running.first_key_value().expect("a task runs");
        let task = *task;
        assert_eq!(harness.running.len(), 1);
        // Longer than the patience with a target that is down.
        harness.wait(Span::seconds(60));
        harness.end(task, Outcome::Ok);
    }
    let done = |row: &pgasync_core::Row| row.finish_status == Some(FinishStatus::Finished);
    let wrong: Vec<_> = harness.store.tasks.values().filter(|task| !done(&task.row)).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(harness.count(|command| matches!(command, Command::Launch { .. })), 5);
}

#[test]
fn tasks_without_a_session_hold_no_slot() {
    let mut harness = Harness::leading(settings(4));
    harness.sessions_max = 2;
    for task in 1..=6 {
        harness.push(task);
    }
    harness.wait(Span::seconds(1));
    assert_eq!(harness.slots_taken(), 2);
    let claimed = harness.store.tasks.values().filter(|task| task.row.state() == RowState::Running).count();
    assert_eq!(claimed, 2);
}

#[test]
fn a_place_that_comes_free_at_the_target_is_used_soon() {
    let mut harness = Harness::leading(settings(4));
    harness.sessions_max = 1;
    for task in 1..=3 {
        harness.push(task);
    }
    harness.wait(Span::seconds(100));
    assert_eq!(harness.running.len(), 1);
    harness.sessions_max = 2;
    harness.wait(Span::seconds(31));
    assert_eq!(harness.running.len(), 2, "it is asked again now and then");
    let asked = harness.count(|command| matches!(command, Command::Connect { .. }));
    assert!(asked < 30, "it is asked {asked} times");
    // The error ends the session, whose place is free at once.
    let (task, _) = harness.running.first_key_value().expect("a task runs");
    let task = *task;
    harness.end(task, Outcome::Error("no".to_owned()));
    harness.wait(Span::seconds(1));
    assert_eq!(harness.running.len(), 2);
}
