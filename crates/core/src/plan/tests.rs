//! The plan asks for heads as often as it needs them, and counts what it has in memory.

use super::budget::HEADS_MAX;
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
    Head { position, run: Run::NONE, attempt: 0, options: TaskOptions::default(), times_up: None, text_bytes: 1 }
}

#[test]
fn no_more_refills_are_under_way_than_asked_for_and_each_once() {
    let mut plan = Plan::new();
    let lanes = [lane("a"), lane("b"), lane("c")];
    lanes.iter().for_each(|lane| plan.stale(lane));
    let names = |refills: Vec<Refill>| -> Vec<Lane> { refills.into_iter().map(|refill| refill.lane).collect() };
    assert_eq!(names(plan.refills(2)), lanes[..2]);
    assert_eq!(names(plan.refills(2)), vec![]);
    plan.refill(&lanes[1], vec![head(1)], false);
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

#[test]
fn a_lane_that_rests_is_left_out_and_not_forgotten() {
    let (mut plan, lane) = (Plan::new(), lane("a"));
    plan.refill(&lane, vec![head(1)], false);
    plan.set_pool(&lane.pool, true, 16);
    plan.set_resting(&lane, true);
    assert_eq!(plan.next(true), Choice::NoTask);
    plan.remove(&lane, TaskId(1));
    assert_eq!(plan.lanes().collect::<Vec<_>>(), [&lane]);
    plan.refill(&lane, vec![head(2)], false);
    assert_eq!(plan.next(true), Choice::NoTask, "the heads are new, and it rests on");
    plan.set_resting(&lane, false);
    assert!(matches!(plan.next(true), Choice::Take { head, .. } if head.position.task == TaskId(2)));
    plan.remove(&lane, TaskId(2));
    assert_eq!(plan.names(), 0);
}

#[test]
fn the_heads_of_a_target_are_those_with_a_query() {
    let mut plan = Plan::new();
    let shared = Lane { pool: PoolName::new("b").unwrap(), ..lane("a") };
    let pulled = Lane { kind: LaneKind::Pull, ..lane("a") };
    for (lane, task) in [(lane("a"), 1), (shared, 2), (pulled, 3), (lane("b"), 4)] {
        plan.refill(&lane, vec![head(task)], false);
    }
    let of = |target: &str| -> Vec<TaskId> {
        plan.heads_of(&TargetName::new(target).unwrap()).map(|(_, head)| head.position.task).collect()
    };
    assert_eq!((of("a"), of("b"), of("c")), (vec![TaskId(1), TaskId(2)], vec![TaskId(4)], vec![]));
}

/// The lane is read again from there on, as often as tasks arrive there, and not from the front.
#[test]
fn what_arrives_after_a_position_is_read_from_there_on() {
    let (mut plan, lane) = (Plan::new(), lane("a"));
    plan.refill(&lane, (1..=4).map(head).collect(), true);
    plan.set_pool(&lane.pool, true, 16);
    plan.arrive_after(&lane, head(8).position);
    assert_eq!(plan.refills(9)[0].after, Some(head(4).position), "what comes after the bound is read after it");
    plan.refill(&lane, vec![head(5), head(9)], false);

    plan.arrive_after(&lane, head(3).position);
    plan.arrive_after(&lane, head(2).position);
    assert_eq!(plan.heads(), 6, "the heads in memory stay until the answer");
    assert_eq!(plan.refills(9)[0].after, Some(head(2).position));
    plan.arrive_after(&lane, head(3).position);
    plan.refill(&lane, vec![head(4), head(6)], false);
    assert_eq!(plan.heads(), 4, "the answer lacks 3, 5 and 9, which are gone");
    assert_eq!(plan.refills(9)[0].after, Some(head(3).position), "the answer may lack what arrived meanwhile");
    plan.refill(&lane, vec![head(6)], false);
    for task in [1, 2, 6] {
        assert!(matches!(plan.next(true), Choice::Take { head, .. } if head.position.task == TaskId(task)));
        plan.remove(&lane, TaskId(task));
    }
    assert_eq!(plan.next(true), Choice::NoTask);
}

/// A task that was removed may return while heads are read, and the answer may lack it.
#[test]
fn the_answer_to_a_read_before_a_return_is_ignored() {
    let (mut plan, lane) = (Plan::new(), lane("a"));
    plan.refill(&lane, (1..=4).map(head).collect(), true);
    plan.set_pool(&lane.pool, true, 16);
    for task in [1, 2, 3] {
        plan.remove(&lane, TaskId(task));
    }
    assert_eq!(plan.refills(9)[0].after, Some(head(4).position));
    plan.recall(&lane, head(2).position);
    plan.refill(&lane, vec![head(5)], false);
    assert_eq!(plan.next(true), Choice::Await(&lane));
    assert_eq!(plan.refills(9)[0].after, Some(head(2).position.before()));
    plan.refill(&lane, vec![head(2), head(4), head(5)], false);
    assert_eq!((plan.heads(), plan.first_in(&lane)), (3, Some(head(2).position)));
}

/// The read may have come before the task, or after it.
#[test]
fn what_arrives_while_heads_are_read_is_neither_lost_nor_chosen_twice() {
    for answer in [vec![head(4)], vec![head(3), head(4)]] {
        let (mut plan, lane) = (Plan::new(), lane("a"));
        plan.refill(&lane, vec![head(2)], true);
        plan.set_pool(&lane.pool, true, 16);
        plan.remove(&lane, TaskId(2));
        let refills = plan.refills(9);
        assert_eq!(refills.iter().map(|refill| refill.after).collect::<Vec<_>>(), [Some(head(2).position)]);
        plan.arrive(&lane, head(3));
        plan.arrive(&lane, head(9));
        plan.refill(&lane, answer, true);
        assert_eq!(plan.heads(), 2, "task 9 comes after the bound, and a later read finds it");
        for task in [3, 4] {
            assert!(matches!(plan.next(true), Choice::Take { head, .. } if head.position.task == TaskId(task)));
            plan.remove(&lane, TaskId(task));
        }
        assert_eq!(plan.next(true), Choice::Await(&lane));
        assert_eq!(plan.refills(9)[0].after, Some(head(4).position));
    }
}

#[test]
fn a_window_that_grows_by_arrivals_is_cut_and_the_store_keeps_the_others() {
    let (mut plan, lane) = (Plan::new(), lane("a"));
    plan.arrive(&lane, head(0));
    plan.set_pool(&lane.pool, true, 2);
    let most = i64::try_from(WINDOW_GROWTH_MAX).unwrap() + 2;
    (1..most).for_each(|task| plan.arrive(&lane, head(task)));
    assert_eq!(plan.heads(), WINDOW_GROWTH_MAX + 2);
    plan.arrive(&lane, head(most));
    assert_eq!(plan.heads(), 2);
    plan.arrive(&lane, head(most + 1));
    assert_eq!(plan.heads(), 2, "it comes after the bound");
    for task in 0..2 {
        assert!(plan.remove(&lane, TaskId(task)).is_some());
    }
    assert_eq!(plan.next(true), Choice::Await(&lane));
    assert_eq!(plan.refills(9)[0].after, Some(head(1).position));
    plan.refill(&lane, (2..=9).map(head).collect(), false);
    assert_eq!((plan.heads(), plan.first_in(&lane)), (8, Some(head(2).position)));
}

/// The window is read again when half of it is gone, if the store has more.
#[test]
fn half_a_window_is_enough_until_it_is_gone() {
    let lane = lane("a");
    for (more, asked) in [(true, [false, false, true, true]), (false, [false; 4])] {
        let mut plan = Plan::new();
        plan.refill(&lane, (1..=5).map(head).collect(), more);
        assert!(plan.refills(9).is_empty());
        let asks = [1, 2, 3, 4].map(|task| {
            plan.remove(&lane, TaskId(task));
            let asks = !plan.refills(9).is_empty();
            if asks {
                // The answer does not come.
                plan.forget_refills();
            }
            asks
        });
        assert_eq!(asks, asked, "more: {more}");
    }
}

/// A session of a target looks for a task: of this priority, in a pool with a free slot.
#[test]
fn the_first_task_at_a_target_is_one_of_the_priority_whose_pool_is_open() {
    let mut plan = Plan::new();
    let in_pool = |pool: &str| Lane { pool: PoolName::new(pool).unwrap(), ..lane("a") };
    let of_priority = |task, priority| {
        let mut head = head(task);
        head.position.priority = Priority(priority);
        head
    };
    for (pool, heads) in [("full", vec![head(1)]), ("open", vec![head(2), head(3)]), ("later", vec![of_priority(4, 5)])]
    {
        plan.refill(&in_pool(pool), heads, true);
        plan.set_pool(&PoolName::new(pool).unwrap(), pool != "full", 16);
    }
    let target = lane("a").target;
    let first = |plan: &Plan, priority| match plan.first_at(&target, Priority(priority)) {
        Choice::Take { head, .. } => Some(head.position.task.0),
        Choice::Await(lane) => panic!("{lane:?}"),
        Choice::NoTask => None,
    };
    assert_eq!([first(&plan, 0), first(&plan, 5), first(&plan, 6)], [Some(2), Some(4), None]);
    assert_eq!(plan.front_of(&target), Some(head(2).position));
    plan.remove(&in_pool("open"), TaskId(2));
    plan.remove(&in_pool("open"), TaskId(3));
    assert_eq!(plan.first_at(&target, Priority(0)), Choice::Await(&in_pool("open")), "its heads are being read");
    plan.set_target(&target, false);
    assert_eq!(plan.first_at(&target, Priority(0)), Choice::NoTask, "the target is shut");
    assert_eq!(plan.front_of(&target), Some(head(3).position), "the position after which its next task comes");
    assert_eq!(plan.front(), None);
}

/// A plan with these lanes, whose windows were filled from endless lanes, and the number of the last task
/// of each.
fn filled(lanes: usize) -> (Plan, Vec<Lane>, BTreeMap<Lane, i64>) {
    let mut plan = Plan::new();
    let all: Vec<Lane> = (0..lanes).map(|number| lane(&format!("t{number}"))).collect();
    for lane in &all {
        plan.stale(lane);
        plan.set_pool(&lane.pool, true, 512);
        plan.set_target(&lane.target, true);
    }
    let mut last = BTreeMap::new();
    refill_all(&mut plan, &mut last);
    (plan, all, last)
}

/// Answers all refills, and returns how many heads the largest one had.
fn refill_all(plan: &mut Plan, last: &mut BTreeMap<Lane, i64>) -> usize {
    let mut largest = 0;
    for Refill { lane, heads_max, .. } in plan.refills(usize::MAX) {
        let last = last.entry(lane.clone()).or_default();
        let heads = (*last + 1..).take(heads_max).map(head).collect();
        *last += i64::try_from(heads_max).unwrap();
        largest = largest.max(heads_max);
        plan.refill(&lane, heads, true);
    }
    largest
}

fn take(plan: &mut Plan, lane: &Lane, tasks: usize) {
    for _ in 0..tasks {
        let Some(first) = plan.first_in(lane) else { return };
        plan.remove(lane, first.task);
    }
}

#[test]
fn many_lanes_have_fewer_heads_each_and_those_that_are_taken_grow() {
    for (lanes, heads) in [(1, 512), (64, 256), (1_000, WINDOW_HEADS_DEFAULT), (3_000, WINDOW_HEADS_DEFAULT)] {
        let (mut plan, all, mut last) = filled(lanes);
        assert_eq!(plan.heads(), lanes * heads, "{lanes} lanes");
        let mut read = 0;
        for _ in 0..20 {
            take(&mut plan, &all[0], 512);
            read = refill_all(&mut plan, &mut last);
        }
        // The heads of 3,000 lanes are more than the limit: no window grows.
        assert_eq!(read, if lanes > 2_000 { WINDOW_HEADS_DEFAULT } else { 512 }, "{lanes} lanes");
    }
}

#[test]
fn the_heads_in_memory_are_bounded_whatever_is_taken() {
    for lanes in [3, 100, 1_000, 2_000] {
        let (mut plan, all, mut last) = filled(lanes);
        for turn in 0..40 {
            for (number, lane) in all.iter().enumerate() {
                take(&mut plan, lane, if (number + turn) % 3 == 0 { 512 } else { 3 });
            }
            refill_all(&mut plan, &mut last);
            // Windows grow together in one turn: each sees the heads that were left before.
            assert!(plan.heads() <= HEADS_MAX + HEADS_MAX / 2, "{lanes} lanes: {} heads", plan.heads());
        }
    }
}

#[test]
fn the_lane_of_the_next_task_is_refilled_first() {
    let mut plan = Plan::new();
    let lanes = [lane("a"), lane("b"), lane("c")];
    for (lane, task) in lanes.iter().zip([3, 2, 1]) {
        plan.refill(lane, vec![head(task)], true);
        plan.set_pool(&lane.pool, true, 16);
        plan.set_target(&lane.target, true);
        plan.remove(lane, TaskId(task));
    }
    let order: Vec<Lane> = plan.refills(9).into_iter().map(|refill| refill.lane).collect();
    assert_eq!(order, [&lanes[2], &lanes[0], &lanes[1]].map(Clone::clone));
}
