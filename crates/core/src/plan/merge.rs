//! The first tasks of all open pools that are not claimed ahead, in order: the lanes are merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Bound;

use super::Plan;
use super::lane::{Lane, QueuePosition};
use super::order::LaneNumber;
use crate::names::TaskId;

/// What comes next in the merge. The order is that of the positions.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    /// The first lane of an open pool, at the position of its first task.
    Pool(QueuePosition, LaneNumber),
    /// A further lane of a pool.
    Lane(QueuePosition, LaneNumber),
    /// A task, and its place in the window of its lane.
    Task(QueuePosition, LaneNumber, usize),
}

impl Next {
    const fn position(&self) -> QueuePosition {
        match self {
            Self::Pool(position, _) | Self::Lane(position, _) | Self::Task(position, ..) => *position,
        }
    }
}

impl Plan {
    /// The first tasks of open pools that have a query and are not claimed ahead, in order. `may_claim` is
    /// asked about each one; the rest of a lane is left out once it says no. Looks at no lane behind the
    /// last task that is returned, and stops after `looks_max` lanes and tasks.
    pub(crate) fn next_unclaimed<'a>(
        &'a self,
        tasks_max: usize,
        looks_max: usize,
        mut may_claim: impl FnMut(&'a Lane) -> bool,
    ) -> Vec<(LaneNumber, TaskId)> {
        let mut found = Vec::new();
        let mut pools = self.order.run.iter().map(|(position, number)| Next::Pool(*position, *number));
        let mut nexts = BinaryHeap::new();
        let push = |nexts: &mut BinaryHeap<_>, next: Option<Next>| {
            nexts.extend(next.map(|next| Reverse((next.position(), next))));
        };
        push(&mut nexts, pools.next());
        for _ in 0..looks_max {
            if found.len() == tasks_max {
                break;
            }
            let Some(Reverse((_, next))) = nexts.pop() else { break };
            match next {
                Next::Pool(position, number) => {
                    push(&mut nexts, pools.next());
                    push(&mut nexts, self.task_behind(number, 0));
                    push(&mut nexts, self.lane_behind(position, number));
                }
                Next::Lane(position, number) => {
                    push(&mut nexts, self.task_behind(number, 0));
                    push(&mut nexts, self.lane_behind(position, number));
                }
                Next::Task(position, number, at) => {
                    if self.lanes.get(&number).is_some_and(|window| may_claim(&window.lane)) {
                        found.push((number, position.task));
                        push(&mut nexts, self.task_behind(number, at + 1));
                    }
                }
            }
        }
        found
    }

    /// The first task of a lane from this place on that is not claimed ahead.
    fn task_behind(&self, number: LaneNumber, from: usize) -> Option<Next> {
        let (at, position) = self.lanes.get(&number)?.behind(from)?;
        Some(Next::Task(position, number, at))
    }

    /// The lane of the same pool that comes after this one.
    fn lane_behind(&self, position: QueuePosition, number: LaneNumber) -> Option<Next> {
        let pool = self.pools.get(&self.lanes.get(&number)?.lane.pool)?;
        let after = (Bound::Excluded((position, number)), Bound::Unbounded);
        pool.order.run.range(after).next().map(|(position, number)| Next::Lane(*position, *number))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::names::{PoolName, Priority, Run, TargetName};
    use crate::plan::lane::{Head, LaneKind};
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
        plan.next_unclaimed(tasks_max, usize::MAX, |_| true).into_iter().map(|(_, task)| task.0).collect()
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
            let first = plan.next_unclaimed(claimed, usize::MAX, |_| true);
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
        let found: Vec<i64> =
            plan.next_unclaimed(9, usize::MAX, may_claim).into_iter().map(|(_, task)| task.0).collect();
        assert_eq!((found, asked), (vec![2, 4], 3));
    }

    #[test]
    fn no_more_is_looked_at_than_allowed() {
        let tasks: Vec<(u8, u8, i32)> = (0..100).map(|pool| (pool, 0, 0)).collect();
        let plan = plan(&tasks);
        // A lane, then its task.
        let found = |looks_max| plan.next_unclaimed(100, looks_max, |_| true).len();
        assert_eq!((found(0), found(10), found(1_000)), (0, 5, 100));
    }
}
