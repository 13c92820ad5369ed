//! Queries that may run without a connection: they keep slot and worker until they are gone.

use pgasync_core::{Command, Epoch, FinishStatus, Input, Outcome, Registered, Row, Span, TaskOptions, WriteAnswer};

use crate::harness::{Harness, records, settings, target};

/// A task has ended at its deadline, and its query may still run.
fn given_up() -> Harness {
    let mut harness = Harness::leading(settings(2));
    let task = harness.push_as(1, TaskOptions { manual_timeout: Some(Span::seconds(10)), ..TaskOptions::default() });
    let (session, _) = harness.running[&task];
    harness.deliver(Input::SessionLost { session });
    harness.wait(Span::seconds(60));
    assert_eq!(harness.row(task).finish_status, Some(FinishStatus::TimedOut));
    harness
}

fn taken(harness: &Harness) -> (u32, u32) {
    (harness.slots_taken(), harness.core.workers_busy())
}

#[test]
fn given_up_queries_keep_slot_and_worker() {
    let mut harness = given_up();
    assert_eq!(taken(&harness), (1, 1));
    let (task, (session, _)) = harness.running.pop_first().expect("it runs");
    harness.deliver(Input::SessionGone { session });
    assert_eq!(taken(&harness), (0, 0));
    assert_eq!(harness.row(task).tracked, Some(false));
}

#[test]
fn a_row_changed_by_hand_frees_no_slot_of_a_query_that_may_run() {
    for row in [None, Some(Row::default())] {
        let mut harness = given_up();
        let (task, (session, _)) = harness.running.pop_first().expect("it runs");
        if let (Some(row), Some(kept)) = (&row, harness.store.tasks.get_mut(&task)) {
            kept.row = row.clone();
        }
        harness.deliver(Input::Changed { task, row: row.clone() });
        assert_eq!(taken(&harness), (1, 1), "{row:?}");
        harness.deliver(Input::SessionGone { session });
        let again = u32::from(row.is_some());
        assert_eq!(taken(&harness), (again, again), "{row:?}");
    }
}

#[test]
fn a_row_deleted_while_it_is_given_up_frees_no_slot() {
    let mut harness = Harness::leading(settings(2));
    let task = harness.push_as(1, TaskOptions { manual_timeout: Some(Span::seconds(10)), ..TaskOptions::default() });
    let (session, run) = harness.running[&task];
    harness.deliver(Input::SessionLost { session });
    harness.holds = records;
    harness.wait(Span::seconds(60));
    harness.deliver(Input::Written { task, run, answer: WriteAnswer::Gone });
    assert_eq!(taken(&harness), (1, 1));
    harness.deliver(Input::SessionGone { session });
    assert_eq!(taken(&harness), (0, 0));
}

#[test]
fn a_host_that_cannot_be_reached_keeps_the_slot_and_no_worker() {
    let mut harness = Harness::leading(settings(2));
    let task = harness.push(1);
    let (session, _) = harness.running[&task];
    harness.deliver(Input::SessionLost { session });
    assert_eq!(taken(&harness), (1, 1), "no attempt has failed yet");
    harness.deliver(Input::SessionUnreachable { session });
    assert_eq!(taken(&harness), (1, 0));
    harness.deliver(Input::SessionGone { session });
    assert_eq!(taken(&harness), (0, 0));
    let error = harness.row(task).processing_error.clone().unwrap_or_default();
    assert!(error.starts_with("outcome unknown"), "{error}");
}

/// The sessions of the leader before may be gone before the startup routines have run.
#[test]
fn what_the_leader_before_ran_is_resolved_when_fence_and_startup_are_complete() {
    for fenced_first in [true, false] {
        let mut harness = Harness::leading(settings(1));
        let task = harness.push(1);
        let (fence, inherited) = (vec![target()], harness.store.inherited());
        harness.holds = |command| matches!(command, Command::RunStartup);
        harness.deliver(Input::Elected { epoch: Epoch(2), fence, inherited, lanes: vec![] });
        let fenced = Input::Fenced { target: target(), sessions: vec![7] };
        if fenced_first {
            harness.deliver(fenced.clone());
        } else {
            harness.release();
        }
        assert_eq!(harness.row(task).finish_status, None, "fenced first: {fenced_first}");
        if fenced_first {
            harness.release();
        } else {
            harness.deliver(fenced);
        }
        assert_eq!(harness.row(task).finish_status, Some(FinishStatus::Failed), "fenced first: {fenced_first}");
        assert_eq!(taken(&harness), (0, 0));
        let unregister = Command::Unregister { sessions: vec![Registered::Older(7)] };
        assert_eq!(harness.count(|command| *command == unregister), 1);
    }
}

#[test]
fn a_client_that_takes_a_task_whose_query_may_run_frees_no_slot() {
    let mut harness = given_up();
    let (task, (session, _)) = harness.running.pop_first().expect("it runs");
    // It was restarted by hand, as a task that clients pull.
    let row = Row { consumed: Some(harness.now.server), run: 2, ..Row::default() };
    let stored = harness.store.tasks.get_mut(&task).expect("it is there");
    (stored.row, stored.options.client_pulled) = (row.clone(), true);
    harness.deliver(Input::Taken { task, row });
    assert_eq!(taken(&harness), (1, 1));
    harness.deliver(Input::SessionGone { session });
    assert_eq!(taken(&harness), (1, 0), "the client has it");
}

#[test]
fn a_row_deleted_while_the_end_of_its_query_is_written_leaves_nothing_behind() {
    let mut harness = Harness::leading(settings(1));
    let task = harness.push(1);
    let (_, run) = harness.running[&task];
    harness.holds = records;
    harness.end(task, Outcome::Ok);
    assert_eq!(harness.held.len(), 1);
    harness.deliver(Input::Written { task, run, answer: WriteAnswer::Gone });
    assert_eq!((taken(&harness), harness.core.memory().tasks), ((0, 0), 0));
}

#[test]
fn a_task_that_yields_keeps_its_slot_only_if_it_may() {
    for track_yielded in [true, false] {
        let mut harness = Harness::leading(settings(1));
        let task =
            harness.push_as(1, TaskOptions { asynchronous_finish: true, track_yielded, ..TaskOptions::default() });
        harness.end(task, Outcome::Ok);
        assert!(harness.row(task).yielded.is_some());
        let slots = u32::from(track_yielded);
        assert_eq!((taken(&harness), harness.core.resting().count()), ((slots, 0), usize::from(track_yielded)));
    }
}

#[test]
fn what_the_leader_before_ran_on_a_host_that_cannot_be_reached_takes_no_worker() {
    let mut harness = Harness::leading(settings(1));
    harness.push(1);
    let (fence, inherited) = (vec![target()], harness.store.inherited());
    harness.deliver(Input::Elected { epoch: Epoch(2), fence, inherited, lanes: vec![] });
    assert_eq!(taken(&harness), (1, 1));
    harness.deliver(Input::FenceFailed { target: target() });
    assert_eq!(taken(&harness), (1, 0));
    harness.deliver(Input::Fenced { target: target(), sessions: vec![] });
    assert_eq!(taken(&harness), (0, 0));
}
