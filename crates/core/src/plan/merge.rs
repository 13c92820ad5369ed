//! The next tasks that are not claimed ahead, in order: the lanes of the targets are merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Plan;
use super::lane::{Head, Lane, LaneKind, QueuePosition};
use super::order::{LaneNumber, Pool};
use crate::names::{TargetName, TaskId};

/// What comes next in the merge, at a target that has this place in the list of targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    /// A lane, whose first task may be claimed ahead.
    Lane(LaneNumber),
    /// A task that is not, and its place in the window of its lane.
    Task(TaskId, LaneNumber, usize),
}

impl Plan {
    /// The first tasks of open pools that have a query and are not claimed ahead, in order. `room` is how many
    /// tasks of a target at most. `may_claim` is asked about each task; the rest of a lane is left out once it
    /// says no. Looks at no lane behind the last task that is returned, and stops after `looks_max` lanes and
    /// tasks.
    pub(crate) fn next_unclaimed<'a>(
        &'a self,
        tasks_max: usize,
        looks_max: usize,
        room: impl Fn(&TargetName) -> usize,
        mut may_claim: impl FnMut(&'a Lane) -> bool,
    ) -> Vec<(LaneNumber, TaskId)> {
        let mut found = Vec::new();
        let with_room = self.targets.iter().filter(|(_, target)| !target.order.is_empty());
        let with_room = with_room.map(|(name, target)| (room(name), target.order.iter())).filter(|(room, _)| *room > 0);
        let mut targets: Vec<_> = with_room.collect();
        let mut nexts = BinaryHeap::new();
        for (at, (_, lanes)) in targets.iter_mut().enumerate() {
            nexts.extend(lanes.next().map(|(position, number)| Reverse((*position, at, Next::Lane(*number)))));
        }
        for _ in 0..looks_max {
            if found.len() == tasks_max {
                break;
            }
            let Some(Reverse((_, at, next))) = nexts.pop() else { break };
            let (room, lanes) = &mut targets[at];
            if *room == 0 {
                continue;
            }
            match next {
                Next::Lane(number) => {
                    nexts.extend(lanes.next().map(|(position, number)| Reverse((*position, at, Next::Lane(*number)))));
                    let first = if self.may_run(number) { self.task_behind(number, 0) } else { None };
                    nexts.extend(first.map(|(position, task)| Reverse((position, at, task))));
                }
                Next::Task(task, number, place) => {
                    if self.lanes.get(&number).is_some_and(|window| may_claim(&window.lane)) {
                        found.push((number, task));
                        *room -= 1;
                        let behind = self.task_behind(number, place + 1);
                        nexts.extend(behind.map(|(position, task)| Reverse((position, at, task))));
                    }
                }
            }
        }
        found
    }

    /// Marks tasks that [`Plan::next_unclaimed`] returned as claimed ahead, and returns them.
    pub(crate) fn claim_all_ahead(&mut self, tasks: Vec<(LaneNumber, TaskId)>) -> Vec<(Lane, Head)> {
        let mark = |(number, task)| {
            let window = self.window(number)?;
            let head = window.mark_ahead(task);
            debug_assert!(head.is_some(), "task {task} is in the window");
            Some((window.lane.clone(), head?))
        };
        tasks.into_iter().filter_map(mark).collect()
    }

    /// Whether the lane has queries, and its pool has a free slot.
    fn may_run(&self, number: LaneNumber) -> bool {
        let lane = self.lanes.get(&number).map(|window| &window.lane).filter(|lane| lane.kind == LaneKind::Run);
        lane.is_some_and(|lane| self.pools.get(&lane.pool).is_some_and(Pool::is_open))
    }

    /// The first task of a lane from this place on that is not claimed ahead.
    fn task_behind(&self, number: LaneNumber, from: usize) -> Option<(QueuePosition, Next)> {
        let (place, position) = self.lanes.get(&number)?.behind(from)?;
        Some((position, Next::Task(position.task, number, place)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::names::{PoolName, Priority, Run};
    use crate::task::TaskOptions;
    use crate::time::Timestamp;

    fn lane(pool: u8, target: u8) -> Lane {
        Lane {
            pool: PoolName::new(format!("p{pool}")).unwrap(),
            target: TargetName::new(format!("t{target}")).unwrap(),
            kind: LaneKind::Run,
        }
    }

    fn head(priority: i32, task: i64) -> Head {
        Head {
            position: QueuePosition {
                priority: Priority(priority),
                entered: Timestamp::from_micros(0),
                task: TaskId(task),
            },
            run: Run::NONE,
            attempt: 0,
            options: TaskOptions::default(),
            times_up: None,
            text_bytes: 1,
        }
    }

    /// A plan with these tasks (pool, target, priority), numbered from 1 on. Pools are open.
    fn plan(tasks: &[(u8, u8, i32)]) -> Plan {
        let mut plan = Plan::new();
        for (number, (pool, target, priority)) in (1..).zip(tasks) {
            plan.arrive(&lane(*pool, *target), head(*priority, number));
        }
        for pool in plan.pools() {
            plan.set_pool(&pool, true, 512);
        }
        plan
    }

    fn next(plan: &Plan, tasks_max: usize) -> Vec<i64> {
        plan.next_unclaimed(tasks_max, usize::MAX, |_| usize::MAX, |_| true)
            .into_iter()
            .map(|(_, task)| task.0)
            .collect()
    }

    proptest! {
        /// The next tasks are those that a sort of all tasks of open pools gives.
        #[test]
        fn the_next_tasks_are_the_first_of_all(
            tasks in prop::collection::vec((0_u8..4, 0_u8..3, -2_i32..3), 0..40),
            closed in 0_u8..4,
            claimed in 0_usize..20,
            tasks_max in 0_usize..45,
        ) {
            let mut plan = plan(&tasks);
            plan.set_pool(&lane(closed, 0).pool, false, 512);
            let all = (1_i64..).zip(&tasks).filter(|(_, (pool, ..))| *pool != closed);
            let mut expected: Vec<(i32, i64)> = all.map(|(task, (_, _, priority))| (*priority, task)).collect();
            expected.sort_unstable();
            let first = plan.next_unclaimed(claimed, usize::MAX, |_| usize::MAX, |_| true);
            let first: Vec<i64> = plan.claim_all_ahead(first).into_iter().map(|(_, head)| head.position.task.0).collect();
            let expected: Vec<i64> = expected.into_iter().map(|(_, task)| task).collect();
            let (before, after) = expected.split_at(claimed.min(expected.len()));
            prop_assert_eq!(first, before);
            prop_assert_eq!(next(&plan, tasks_max), &after[..tasks_max.min(after.len())]);
        }
    }

    #[test]
    fn the_rest_of_a_lane_is_left_out_once_it_may_not_be_claimed() {
        let plan = plan(&[(1, 1, 0), (1, 2, 0), (1, 1, 0), (2, 1, 0)]);
        let mut asked = 0;
        let may_claim = |lane: &Lane| {
            asked += 1;
            lane.target.as_str() == "t2" || lane.pool.as_str() == "p2"
        };
        let found = plan.next_unclaimed(9, usize::MAX, |_| usize::MAX, may_claim);
        let found: Vec<i64> = found.into_iter().map(|(_, task)| task.0).collect();
        assert_eq!((found, asked), (vec![2, 4], 3));
    }

    #[test]
    fn a_target_gets_no_more_tasks_than_it_has_room_for() {
        let plan = plan(&[(1, 1, 0), (2, 1, 0), (1, 1, 0), (1, 2, 0), (3, 3, 0), (1, 2, 0)]);
        let room = |target: &TargetName| match target.as_str() {
            "t1" => 2,
            "t2" => 1,
            _ => 0,
        };
        let found: Vec<i64> =
            plan.next_unclaimed(9, usize::MAX, room, |_| true).into_iter().map(|(_, task)| task.0).collect();
        assert_eq!(found, vec![1, 2, 4]);
    }

    #[test]
    fn no_more_is_looked_at_than_allowed() {
        let tasks: Vec<(u8, u8, i32)> = (0..100).map(|pool| (pool, 0, 0)).collect();
        let plan = plan(&tasks);
        // A lane, then its task.
        let found = |looks_max| plan.next_unclaimed(100, looks_max, |_| usize::MAX, |_| true).len();
        assert_eq!((found(0), found(10), found(1_000)), (0, 5, 100));
    }
}
