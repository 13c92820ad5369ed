//! Pools that are full of short tasks claim tasks, and mark their launches, ahead of their turn.

use pgasync_core::{
    Command, Event, Input, Lane, Outcome, PoolName, Row, Settings, Span, TaskEvent, TaskId, TaskOptions,
};

use crate::fake_store::StoredTask;
use crate::harness::{Harness, claims, lane, settings};

/// A pool that claims two tasks ahead for each slot, and marks one of them.
fn eager(slots: u32) -> Settings {
    let mut settings = settings(slots);
    settings.tuning.ahead_per_slot_max = 2;
    settings.tuning.marked_per_slot_max = 1;
    // Claims ahead that are not launched stay claimed.
    settings.tuning.ahead_age_max = Span::seconds(100);
    settings
}

fn tasks(ids: impl IntoIterator<Item = i64>) -> Vec<TaskId> {
    ids.into_iter().map(TaskId).collect()
}

fn running(harness: &Harness) -> Vec<TaskId> {
    harness.running.keys().copied().collect()
}

/// The tasks that are claimed, and do not run.
fn ahead(harness: &Harness) -> Vec<TaskId> {
    let is_ahead = |(task, stored): &(&TaskId, &StoredTask)| stored.runs() && !harness.running.contains_key(task);
    harness.store.tasks.iter().filter(is_ahead).map(|(task, _)| *task).collect()
}

/// The tasks whose launches were marked for any session.
fn marked(harness: &Harness) -> Vec<TaskId> {
    let mark = |command: &Command| match command {
        Command::Mark { task, session: None, .. } => Some(*task),
        _ => None,
    };
    harness.commands.iter().filter_map(mark).collect()
}

fn returned(harness: &Harness) -> usize {
    harness.count(|command| matches!(command, Command::Write(TaskEvent { event: Event::GiveBack { .. }, .. })))
}

/// A leader to which so many tasks were pushed, the first of which has ended at once.
fn leading(settings: Settings, pushed: i64) -> Harness {
    let mut harness = Harness::leading(settings);
    for task in 1..=pushed {
        harness.push(task);
    }
    assert_eq!(ahead(&harness), [], "it is not known how long a task takes");
    harness.end(TaskId(1), Outcome::Ok);
    harness
}

#[test]
fn tasks_of_a_full_pool_are_claimed_and_marked_ahead_and_launched_without_another_mark() {
    let mut harness = leading(eager(2), 9);
    assert_eq!((running(&harness), ahead(&harness)), (tasks(2..=3), tasks(4..=7)));
    assert_eq!((marked(&harness), harness.slots_taken()), (tasks(4..=5), 2));
    let marks = |harness: &Harness| harness.count(|command| matches!(command, Command::Mark { session: Some(_), .. }));
    let before = marks(&harness);
    harness.end(TaskId(2), Outcome::Ok);
    assert_eq!((running(&harness), ahead(&harness)), (tasks(3..=4), tasks(5..=8)));
    assert_eq!((marked(&harness), marks(&harness)), (tasks(4..=6), before));
    for task in 3..=9 {
        harness.end(TaskId(task), Outcome::Ok);
    }
    assert_eq!((running(&harness), ahead(&harness), returned(&harness)), (vec![], vec![], 0));
}

#[test]
fn nothing_is_claimed_ahead_for_a_slot_that_no_end_of_a_query_frees() {
    let mut harness = Harness::leading(eager(2));
    let pulled = harness.push_as(1, TaskOptions { client_pulled: true, ..TaskOptions::default() });
    let row = Row { consumed: Some(harness.now.server), run: 1, ..harness.row(pulled).clone() };
    harness.store.tasks.get_mut(&pulled).expect("it is there").row = row.clone();
    harness.deliver(Input::Taken { task: pulled, row });
    for task in 2..=9 {
        harness.push(task);
    }
    harness.end(TaskId(2), Outcome::Ok);
    assert_eq!((running(&harness), harness.slots_taken()), (tasks([3]), 2));
    assert_eq!((ahead(&harness), marked(&harness)), (tasks(4..=5), tasks([4])));
}

/// Three pools, each with a free slot, and two workers for all of them.
fn with_free_slots() -> Harness {
    let mut harness = Harness::leading(Settings { workers: 2, ..eager(9) });
    for task in 1..=12 {
        let lane = Lane { pool: PoolName::new(format!("pool {}", task % 3)).expect("a name"), ..lane() };
        harness.insert(task, lane.clone(), TaskOptions::default());
        harness.deliver(Input::Waiting(vec![lane]));
    }
    harness
}

#[test]
fn the_next_tasks_of_all_pools_are_claimed_and_marked_ahead_of_busy_workers() {
    let mut harness = with_free_slots();
    assert_eq!((running(&harness), ahead(&harness)), (tasks(1..=2), vec![]));
    harness.end(TaskId(1), Outcome::Ok);
    assert_eq!((running(&harness), ahead(&harness)), (tasks(2..=3), tasks(4..=7)));
    assert_eq!(marked(&harness), tasks(4..=5));
    for task in 2..=12 {
        harness.end(TaskId(task), Outcome::Ok);
    }
    assert_eq!((running(&harness), ahead(&harness), returned(&harness)), (vec![], vec![], 0));
}

#[test]
fn claims_ahead_of_workers_that_are_too_old_are_returned_and_not_repeated() {
    let mut settings = Settings { workers: 1, ..eager(9) };
    settings.tuning.ahead_age_max = Span::millis(100);
    let mut harness = leading(settings, 5);
    assert_eq!(ahead(&harness), tasks(3..=4));
    harness.wait(Span::millis(101));
    assert_eq!((running(&harness), ahead(&harness), returned(&harness)), (tasks([2]), vec![], 2));
    harness.end(TaskId(2), Outcome::Ok);
    assert_eq!((running(&harness), ahead(&harness)), (tasks([3]), vec![]));
}

#[test]
fn claims_ahead_of_a_pool_that_becomes_slow_are_returned() {
    let mut harness = leading(eager(1), 5);
    assert_eq!(ahead(&harness), tasks(3..=4));
    harness.wait(Span::seconds(1));
    harness.end(TaskId(2), Outcome::Ok);
    assert_eq!((running(&harness), ahead(&harness), returned(&harness)), (tasks([3]), vec![], 1));
    harness.end(TaskId(3), Outcome::Ok);
    assert_eq!(running(&harness), tasks([4]), "it is claimed again in its turn");
}

#[test]
fn claims_ahead_of_workers_are_returned_when_tasks_become_slow() {
    let mut harness = leading(Settings { workers: 1, ..eager(2) }, 5);
    assert_eq!((running(&harness), ahead(&harness), harness.slots_taken()), (tasks([2]), tasks(3..=4), 1));
    harness.wait(Span::seconds(1));
    harness.end(TaskId(2), Outcome::Ok);
    assert_eq!((running(&harness), ahead(&harness), returned(&harness)), (tasks([3]), vec![], 1));
}

#[test]
fn claims_ahead_that_are_too_old_are_returned_and_not_repeated() {
    let mut settings = eager(1);
    settings.tuning.ahead_age_max = Span::millis(100);
    let mut harness = leading(settings, 5);
    harness.wait(Span::millis(99));
    assert_eq!((ahead(&harness), returned(&harness)), (tasks(3..=4), 0));
    harness.wait(Span::millis(2));
    assert_eq!((ahead(&harness), returned(&harness)), (vec![], 2));
    harness.wait(Span::seconds(10));
    assert_eq!((running(&harness), ahead(&harness)), (tasks([2]), vec![]));
    harness.end(TaskId(2), Outcome::Ok);
    assert_eq!(running(&harness), tasks([3]));
}

#[test]
fn a_claim_ahead_whose_turn_comes_while_it_is_written_is_launched() {
    let mut harness = leading(eager(1), 4);
    assert_eq!(ahead(&harness), tasks(3..=4));
    harness.holds = claims;
    harness.push(5);
    for task in [2, 3, 4] {
        harness.end(TaskId(task), Outcome::Ok);
    }
    assert_eq!((harness.held.len(), harness.slots_taken()), (1, 1), "the claim of task 5 takes the slot");
    harness.release();
    assert_eq!(running(&harness), tasks([5]));
}

#[test]
fn a_leader_that_pauses_returns_its_claims_ahead() {
    let mut harness = leading(eager(1), 5);
    harness.deliver(Input::Configured(Box::new(Settings { paused: true, ..eager(1) })));
    assert_eq!((running(&harness), ahead(&harness), returned(&harness)), (tasks([2]), vec![], 2));
    harness.end(TaskId(2), Outcome::Ok);
    assert_eq!((running(&harness), ahead(&harness)), (vec![], vec![]));
    harness.deliver(Input::Configured(Box::new(eager(1))));
    assert_eq!(running(&harness), tasks([3]));
}

#[test]
fn launches_that_were_marked_ahead_are_marked_again_after_the_store_was_lost() {
    let mut harness = leading(eager(1), 4);
    assert_eq!((ahead(&harness), marked(&harness)), (tasks(3..=4), tasks([3])));
    harness.deliver(Input::StoreLost);
    harness.deliver(Input::StoreBack);
    harness.end(TaskId(2), Outcome::Ok);
    assert_eq!(running(&harness), tasks([3]));
    let marks = harness.count(|command| matches!(command, Command::Mark { task: TaskId(3), .. }));
    assert_eq!(marks, 2, "the text that came with the first mark is lost");
}

#[test]
fn the_pace_of_a_pool_is_remembered_while_it_has_a_task() {
    let mut harness = leading(eager(1), 2);
    assert_eq!((running(&harness), ahead(&harness)), (tasks([2]), vec![]));
    // The sweep forgets the pools that are not used.
    harness.wait(Span::seconds(70));
    harness.push(3);
    assert_eq!(ahead(&harness), tasks([3]));
    for task in [2, 3] {
        harness.end(TaskId(task), Outcome::Ok);
    }
    harness.wait(Span::seconds(200));
    assert_eq!(harness.core.memory().names, 0);
}
