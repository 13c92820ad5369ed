//! The plan asks for heads as often as it needs them, and counts what it has in memory.

use super::*;
use crate::names::{Priority, Run};
use crate::task::TaskOptions;
use crate::time::Timestamp;

fn lane(target: &str) -> Lane {
    let target = TargetName::new(target).unwrap();
    Lane { pool: PoolName::of(None, &target), target, kind: LaneKind::Run }
}

fn head(task: i64) -> Head {
    let position = QueuePosition { priority: Priority(0), entered: Timestamp::from_micros(0), task: TaskId(task) };
    Head { position, run: Run::NONE, options: TaskOptions::default(), times_up: None, text_bytes: 1 }
}

#[test]
fn no_more_refills_are_requested_than_asked_for_and_each_once() {
    let mut plan = Plan::new();
    let lanes = [lane("a"), lane("b"), lane("c")];
    lanes.iter().for_each(|lane| plan.stale(lane));
    let names = |refills: Vec<(Lane, usize)>| -> Vec<Lane> { refills.into_iter().map(|(lane, _)| lane).collect() };
    assert_eq!(names(plan.refills(2)), lanes[..2]);
    assert_eq!(names(plan.refills(2)), lanes[2..]);
    assert_eq!(names(plan.refills(2)), vec![]);
    plan.forget_refills();
    assert_eq!(names(plan.refills(9)), lanes);
}

#[test]
fn the_names_in_memory_are_lanes_pools_and_targets() {
    let mut plan = Plan::new();
    assert_eq!(plan.names(), 0);
    for target in ["a", "b"] {
        plan.refill(&lane(target), vec![head(1)], false);
    }
    assert_eq!(plan.names(), 6);
    let shared = Lane { pool: PoolName::new("b").unwrap(), ..lane("a") };
    plan.refill(&shared, vec![head(2)], false);
    assert_eq!(plan.names(), 7, "one more lane of a known pool and a known target");
}

/// A task that returns to the queue may come before every head in memory.
#[test]
fn nothing_behind_a_returned_task_is_chosen_before_the_lane_is_read_again() {
    let (mut plan, lane) = (Plan::new(), lane("a"));
    plan.refill(&lane, vec![head(2), head(4)], false);
    plan.set_pool(&lane.pool, true, 16);
    plan.set_target(&lane.target, true);
    assert_eq!(plan.first_in(&lane), Some(head(2).position));
    plan.recall(&lane, head(3).position);
    assert_eq!(plan.first_in(&lane), Some(head(2).position), "this one comes first all the same");
    assert!(matches!(plan.next(true), Choice::Take { .. }));
    plan.remove(&lane, TaskId(2));
    assert_eq!(plan.next(true), Choice::Await(&lane));
    plan.refill(&lane, vec![head(3), head(4)], false);
    assert_eq!(plan.first_in(&lane), Some(head(3).position));
}
