//! Offers give way to queries that rank before them, or after some time, and at a drain. What clients
//! do to the rows of tasks without a query is followed.

use pgasync_core::{
    Command, Event, FinishStatus, Input, Row, RowState, Run, Settings, Span, TaskEvent, TaskId, TaskOptions,
};

use crate::harness::{Harness, settings};

const PULLED: TaskOptions = TaskOptions {
    client_pulled: true,
    asynchronous_finish: false,
    track_yielded: false,
    manual_timeout: None,
    run_at: None,
    expires_at: None,
    retry: None,
    receipt: false,
};

fn withdrawals(harness: &Harness) -> usize {
    harness.count(|command| matches!(command, Command::Write(TaskEvent { event: Event::Withdraw, .. })))
}

#[test]
fn an_offer_gives_way_at_once_to_a_query_that_ranks_before_it() {
    let mut harness = Harness::leading(settings(1));
    let first = harness.push(3);
    harness.end(first, pgasync_core::Outcome::Ok);
    harness.push_as(2, PULLED);
    harness.push(1);
    assert_eq!((withdrawals(&harness), harness.running.len()), (1, 1));
}

#[test]
fn an_offer_gives_way_to_a_query_behind_it_when_it_has_waited() {
    let mut harness = Harness::leading(settings(1));
    harness.push_as(1, PULLED);
    harness.push(2);
    assert_eq!((withdrawals(&harness), harness.running.len()), (0, 0));
    harness.wait(Span::seconds(2));
    assert_eq!((withdrawals(&harness), harness.running.len()), (1, 1));
}

/// The other tasks of its lane come before the query too, and would take the slot.
#[test]
fn the_lane_of_an_offer_that_has_waited_gives_way_with_it() {
    let mut harness = Harness::leading(settings(1));
    harness.push_as(1, PULLED);
    harness.push_as(2, PULLED);
    let query = harness.push(3);
    harness.wait(Span::seconds(2));
    assert!(harness.running.contains_key(&query));
    harness.end(query, pgasync_core::Outcome::Ok);
    harness.wait(Span::seconds(2));
    assert_eq!((harness.row(TaskId(1)).tracked, harness.slots_taken()), (Some(true), 1), "it is offered again");
}

#[test]
fn an_offer_stands_while_the_leader_is_paused() {
    let mut harness = Harness::leading(settings(1));
    harness.push_as(1, PULLED);
    harness.push(2);
    harness.deliver(Input::Configured(Box::new(Settings { paused: true, ..settings(1) })));
    harness.wait(Span::seconds(2));
    assert_eq!((withdrawals(&harness), harness.running.len()), (0, 0));
    harness.deliver(Input::Configured(Box::new(settings(1))));
    assert_eq!((withdrawals(&harness), harness.running.len()), (1, 1));
}

#[test]
fn a_drain_withdraws_offers_of_pools_with_free_slots() {
    let mut harness = Harness::leading(settings(2));
    harness.push_as(1, PULLED);
    harness.deliver(Input::Shutdown { drain_until: harness.now.monotonic + Span::seconds(2) });
    assert_eq!(withdrawals(&harness), 1);
}

/// A pulled task that a client has taken.
fn taken(harness: &mut Harness) -> (TaskId, Row) {
    let task = harness.push_as(1, PULLED);
    let row = Row { consumed: Some(harness.now.server), run: 1, ..harness.row(task).clone() };
    harness.store.tasks.get_mut(&task).expect("it is there").row = row.clone();
    harness.deliver(Input::Taken { task, row: row.clone() });
    assert_eq!(harness.slots_taken(), 1);
    (task, row)
}

#[test]
fn a_task_that_was_taken_and_finished_in_one_step_leaves_its_slot() {
    let mut harness = Harness::leading(settings(1));
    let task = harness.push_as(1, PULLED);
    let now = Some(harness.now.server);
    let finished = Row {
        consumed: now,
        processed: now,
        run: 1,
        failed: Some(false),
        finish_status: Some(FinishStatus::Finished),
        tracked: None,
        ..harness.row(task).clone()
    };
    harness.store.tasks.get_mut(&task).expect("it is there").row = finished.clone();
    harness.deliver(Input::Taken { task, row: finished });
    assert_eq!(harness.slots_taken(), 0);
}

#[test]
fn a_pulled_task_that_was_finished_by_hand_and_kept_its_slot_is_released() {
    let mut harness = Harness::leading(settings(1));
    let (task, row) = taken(&mut harness);
    let finished = Row {
        processed: Some(harness.now.server),
        failed: Some(false),
        finish_status: Some(FinishStatus::Finished),
        tracked: Some(true),
        ..row
    };
    harness.store.tasks.get_mut(&task).expect("it is there").row = finished.clone();
    harness.deliver(Input::Changed { task, row: Some(finished) });
    assert_eq!((harness.row(task).tracked, harness.slots_taken()), (Some(false), 0));
}

#[test]
fn a_pulled_task_that_was_restarted_by_hand_is_offered_again() {
    let mut harness = Harness::leading(settings(1));
    let (task, row) = taken(&mut harness);
    let restarted = Row { run: row.run, ..Row::default() };
    harness.store.tasks.get_mut(&task).expect("it is there").row = restarted.clone();
    harness.deliver(Input::Changed { task, row: Some(restarted) });
    assert_eq!((harness.row(task).tracked, harness.slots_taken()), (Some(true), 1));
}

#[test]
fn a_pulled_task_that_a_request_leaves_running_keeps_its_slot() {
    let mut harness = Harness::leading(settings(1));
    let (task, row) = taken(&mut harness);
    assert_eq!(row.state(), RowState::Running);
    // A trigger makes a running task again of what the deadline ended.
    harness.holds = |command| matches!(command, Command::Write(_));
    harness.request(task, pgasync_core::Request::cancel("not any more"));
    let Some(Command::Write(event)) = harness.held.pop() else { panic!("the cancel is written") };
    harness.deliver(Input::Written { task, run: event.run, answer: pgasync_core::WriteAnswer::Row(row) });
    assert_eq!(harness.slots_taken(), 1);
}

#[test]
fn a_row_of_an_untracked_task_that_changed_is_swept_at_its_time() {
    let mut harness = Harness::leading(settings(1));
    harness.wait(Span::seconds(1));
    let task = harness.insert(1, crate::harness::lane(), TaskOptions::default());
    let due = Row { eligible_when: Some(harness.now.server + Span::millis(700)), ..harness.row(task).clone() };
    harness.store.tasks.get_mut(&task).expect("it is there").row = due.clone();
    let before = harness.count(|command| matches!(command, Command::Sweep { .. }));
    harness.deliver(Input::Changed { task, row: Some(due) });
    harness.wait(Span::millis(701));
    assert!(harness.count(|command| matches!(command, Command::Sweep { .. })) > before);
    assert!(harness.running.contains_key(&task));
}

#[test]
fn the_text_of_a_launch_is_awaited_from_its_mark_until_it_is_sent() {
    let mut harness = Harness::leading(settings(1));
    harness.holds = |command| matches!(command, Command::Mark { .. });
    let task = harness.push(1);
    assert!(harness.core.awaits_text(task, Run(1)) && !harness.core.awaits_text(task, Run(2)));
    harness.release();
    assert!(!harness.core.awaits_text(task, Run(1)));
}

#[test]
fn failed_writes_are_counted() {
    let mut harness = Harness::leading(settings(1));
    let task = harness.push(1);
    assert_eq!(harness.core.write_failures(task), 0);
    harness.unwritable = true;
    harness.end(task, pgasync_core::Outcome::Ok);
    assert_eq!(harness.core.write_failures(task), 1);
}

#[test]
fn a_drain_waits_until_its_sessions_are_closed() {
    let resigned = |harness: &Harness| harness.count(|command| matches!(command, Command::Resign)) > 0;
    let mut harness = Harness::leading(settings(1));
    let task = harness.push(1);
    harness.end(task, pgasync_core::Outcome::Ok);
    harness.holds = |command| matches!(command, Command::Disconnect { .. });
    harness.deliver(Input::Shutdown { drain_until: harness.now.monotonic + Span::seconds(2) });
    assert!(!harness.held.is_empty() && !resigned(&harness));
    harness.wait(Span::seconds(1));
    assert!(!resigned(&harness));
    harness.release();
    assert!(resigned(&harness));
}
