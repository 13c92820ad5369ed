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
