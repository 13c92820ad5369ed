//! Queries that may run where no connection leads: slot and worker are theirs until they are gone.

use pgasync_core::{FinishStatus, Input, Row, Span, TaskOptions, WriteAnswer};

use super::desk::{Desk, lane, records, settings};

/// One task is over by its deadline, and its query may run.
fn given_up() -> Desk {
    let mut desk = Desk::leading(settings(2));
    let task = desk.push_as(1, TaskOptions { manual_timeout: Some(Span::seconds(10)), ..TaskOptions::default() });
    let (session, _) = desk.running[&task];
    desk.tell(Input::SessionLost { session });
    desk.wait(Span::seconds(60));
    assert_eq!(desk.row(task).finish_status, Some(FinishStatus::TimedOut));
    desk
}

fn taken(desk: &Desk) -> (u32, u32) {
    (desk.core.slots_taken(&lane().pool), desk.core.workers_busy())
}

#[test]
fn what_was_given_up_keeps_its_slot_and_its_worker() {
    let mut desk = given_up();
    assert_eq!(taken(&desk), (1, 1));
    let (task, (session, _)) = desk.running.pop_first().expect("it runs");
    desk.tell(Input::SessionGone { session });
    assert_eq!(taken(&desk), (0, 0));
    assert_eq!(desk.row(task).tracked, Some(false));
}

#[test]
fn a_row_changed_by_hand_frees_no_slot_of_a_query_that_may_run() {
    for row in [None, Some(Row::default())] {
        let mut desk = given_up();
        let (task, (session, _)) = desk.running.pop_first().expect("it runs");
        if let (Some(row), Some(kept)) = (&row, desk.rows.get_mut(&task)) {
            kept.3 = row.clone();
        }
        desk.tell(Input::Changed { task, row: row.clone() });
        assert_eq!(taken(&desk), (1, 1), "{row:?}");
        desk.tell(Input::SessionGone { session });
        let again = u32::from(row.is_some());
        assert_eq!(taken(&desk), (again, again), "{row:?}");
    }
}

#[test]
fn a_row_deleted_while_it_is_given_up_frees_no_slot() {
    let mut desk = Desk::leading(settings(2));
    let task = desk.push_as(1, TaskOptions { manual_timeout: Some(Span::seconds(10)), ..TaskOptions::default() });
    let (session, run) = desk.running[&task];
    desk.tell(Input::SessionLost { session });
    desk.holds = records;
    desk.wait(Span::seconds(60));
    desk.tell(Input::Written { task, run, answer: WriteAnswer::Gone });
    assert_eq!(taken(&desk), (1, 1));
    desk.tell(Input::SessionGone { session });
    assert_eq!(taken(&desk), (0, 0));
}

#[test]
fn a_host_that_cannot_be_reached_keeps_the_slot_and_no_worker() {
    let mut desk = Desk::leading(settings(2));
    let task = desk.push(1);
    let (session, _) = desk.running[&task];
    desk.tell(Input::SessionLost { session });
    assert_eq!(taken(&desk), (1, 1), "no attempt has failed yet");
    desk.tell(Input::SessionUnreachable { session });
    assert_eq!(taken(&desk), (1, 0));
    desk.tell(Input::SessionGone { session });
    assert_eq!(taken(&desk), (0, 0));
    let error = desk.row(task).processing_error.clone().unwrap_or_default();
    assert!(error.starts_with("outcome unknown"), "{error}");
}
