//! More targets than workers: sessions move between targets, and not for each task.

use pgasync_core::{
    Command, Input, Lane, Outcome, PoolName, Priority, QueuePosition, Settings, Span, TargetName, TargetSettings,
    TaskId, TaskOptions, Tuning,
};

use crate::fake_store::StoredTask;
use crate::harness::{Harness, lane, settings};

fn lane_at(target: usize) -> Lane {
    let target = TargetName::new(format!("target {target}")).expect("a name");
    Lane { pool: PoolName::of(None, &target), target, ..lane() }
}

fn of(workers: u32, targets: usize) -> Settings {
    let mut settings = Settings { workers, ..settings(4) };
    let target = TargetSettings { max_concurrency: 4, default_timeout: None, max_sessions: None };
    settings.targets = (0..targets).map(|number| (lane_at(number).target, target)).collect();
    settings
}

/// A leader with tasks that were pushed one after the other, for one target after the other.
fn leading(workers: u32, targets: usize, tasks: i64) -> Harness {
    let mut harness = Harness::leading(of(workers, targets));
    for task in 1..=tasks {
        let target = usize::try_from(task - 1).expect("positive") % targets;
        harness.insert(task, lane_at(target), TaskOptions::default());
    }
    harness.deliver(Input::Waiting((0..targets).map(lane_at).collect()));
    harness
}

fn connects(harness: &Harness) -> usize {
    harness.count(|command| matches!(command, Command::Connect { .. }))
}

/// Ends the tasks that run until none is left, each after so long. Returns them in order.
fn run_all(harness: &mut Harness, each_takes: Span) -> Vec<i64> {
    let mut order = Vec::new();
    while let Some(task) = harness.running.keys().next().copied() {
        harness.wait(each_takes);
        order.push(task.0);
        harness.end(task, Outcome::Ok);
        assert!(harness.sessions.len() <= harness.core.workers_busy() as usize + 2, "{:?}", harness.sessions);
    }
    order
}

#[test]
fn short_tasks_of_a_target_go_on_until_a_session_may_move() {
    let mut harness = leading(1, 2, 8);
    assert_eq!(run_all(&mut harness, Span::ZERO), [1, 2, 4, 6, 8, 3, 5, 7]);
    assert_eq!(connects(&harness), 3);
}

#[test]
fn long_tasks_of_all_targets_keep_their_order() {
    let mut harness = leading(1, 3, 9);
    let long = Tuning::default().session_move_every + Span::millis(1);
    assert_eq!(run_all(&mut harness, long), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

/// While a session may not move, the order bends. Then the task whose turn has come is the next one.
#[test]
fn a_task_is_overtaken_until_a_session_may_move_and_no_longer() {
    let mut harness = leading(1, 2, 200);
    let each = Span::millis(1);
    let bound = Tuning::default().session_move_every.as_micros() / each.as_micros();
    let order = run_all(&mut harness, each);
    assert_eq!(order.len(), 200);
    let place = |task: i64| order.iter().position(|other| *other == task).expect("it ran");
    assert_eq!(order[..2], [1, 2], "the first move is due at once");
    let overtaken = order.iter().take(place(3)).filter(|task| **task > 3).count();
    assert!(overtaken > 5, "task 3 was overtaken by {overtaken}");
    assert!(i64::try_from(overtaken).expect("few") <= bound + 1, "task 3 was overtaken by {overtaken}");
    assert!(connects(&harness) < 16, "{} connections", connects(&harness));
}

/// Without a bound, the targets after the first ones would wait until those have no task.
#[test]
fn of_many_targets_each_has_its_turn() {
    let mut harness = leading(2, 20, 2_000);
    let order = run_all(&mut harness, Span::millis(1));
    let place = |task: i64| order.iter().position(|other| *other == task).expect("it ran");
    let last = (1..=20).map(place).max().expect("a first task of each target");
    assert!(last < 1_200, "the first task of a target is number {last}");
    assert!(connects(&harness) < 100, "{} connections", connects(&harness));
}

#[test]
fn a_more_important_task_waits_for_no_move() {
    let mut harness = leading(1, 2, 20);
    for _ in 0..2 {
        let task = *harness.running.keys().next().expect("a task runs");
        harness.end(task, Outcome::Ok);
    }
    let entered = harness.now.server;
    for (task, target) in [(30, 1), (31, 0), (32, 1)] {
        let position = QueuePosition { priority: Priority(-1), entered, task: TaskId(task) };
        harness.store.insert(StoredTask::new(position, lane_at(target), TaskOptions::default()));
    }
    harness.deliver(Input::Waiting(vec![lane_at(0), lane_at(1)]));
    let order = run_all(&mut harness, Span::ZERO);
    let place = |task: i64| order.iter().position(|other| *other == task).expect("it ran");
    assert!(place(30) <= 2 && place(31) <= 3 && place(32) <= 3, "{order:?}");
}

/// A burst for other targets than the last one.
#[test]
fn idle_sessions_that_no_task_needs_are_moved_at_once() {
    let mut harness = leading(2, 4, 2);
    run_all(&mut harness, Span::ZERO);
    for (task, target) in [(3, 2), (4, 3)] {
        harness.insert(task, lane_at(target), TaskOptions::default());
    }
    harness.deliver(Input::Waiting(vec![lane_at(2), lane_at(3)]));
    assert_eq!(harness.running.keys().map(|task| task.0).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(harness.sessions.len(), 2, "the sessions of the other targets are closed");
}
