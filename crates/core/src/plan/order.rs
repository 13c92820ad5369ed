//! The order of the lanes: of a pool, of a target, and over all pools.

use std::collections::BTreeSet;

use super::WINDOW_HEADS_DEFAULT;
use super::lane::{LaneKind, QueuePosition};

/// The number of a lane. Sets of lanes contain the number instead of the names.
pub(super) type LaneNumber = usize;

/// Lanes by the position of their first task, one set for each kind.
#[derive(Debug, Default)]
pub(super) struct Order {
    pub(super) run: BTreeSet<(QueuePosition, LaneNumber)>,
    pub(super) pull: BTreeSet<(QueuePosition, LaneNumber)>,
}

impl Order {
    pub(super) const fn of(&self, kind: LaneKind) -> &BTreeSet<(QueuePosition, LaneNumber)> {
        match kind {
            LaneKind::Run => &self.run,
            LaneKind::Pull => &self.pull,
        }
    }

    const fn of_mut(&mut self, kind: LaneKind) -> &mut BTreeSet<(QueuePosition, LaneNumber)> {
        match kind {
            LaneKind::Run => &mut self.run,
            LaneKind::Pull => &mut self.pull,
        }
    }
}

/// The lanes of one pool.
///
/// Invariant: while the pool is open, the order over all pools has its first lane of each kind, and
/// no other lane of it. That order has no lane of a closed pool, so the choice does not examine
/// closed pools.
#[derive(Debug)]
pub(super) struct Pool {
    open: bool,
    pub(super) window_heads: usize,
    /// The number of its lanes, with and without waiting tasks.
    pub(super) lanes: usize,
    pub(super) order: Order,
}

impl Pool {
    pub(super) fn new() -> Self {
        Self { open: false, window_heads: WINDOW_HEADS_DEFAULT, lanes: 0, order: Order::default() }
    }

    pub(super) const fn is_open(&self) -> bool {
        self.open
    }

    pub(super) fn set_open(&mut self, open: bool, all: &mut Order) {
        if self.open != open {
            self.leave(all);
            self.open = open;
            self.enter(all);
        }
    }

    /// Moves a lane from one position to another. `None` is the position of a lane that may not
    /// run.
    pub(super) fn replace(
        &mut self,
        kind: LaneKind,
        lane: LaneNumber,
        before: Option<QueuePosition>,
        after: Option<QueuePosition>,
        all: &mut Order,
    ) {
        self.leave(all);
        if let Some(before) = before {
            let was_listed = self.order.of_mut(kind).remove(&(before, lane));
            debug_assert!(was_listed, "lane {lane} is not where its window says");
        }
        if let Some(after) = after {
            self.order.of_mut(kind).insert((after, lane));
        }
        self.enter(all);
    }

    fn leave(&self, all: &mut Order) {
        for kind in [LaneKind::Run, LaneKind::Pull] {
            if let Some(first) = self.order.of(kind).first().filter(|_| self.open) {
                let was_listed = all.of_mut(kind).remove(first);
                debug_assert!(was_listed, "the first lane of an open pool is in the order");
            }
        }
    }

    fn enter(&self, all: &mut Order) {
        for kind in [LaneKind::Run, LaneKind::Pull] {
            if let Some(first) = self.order.of(kind).first().filter(|_| self.open) {
                all.of_mut(kind).insert(*first);
            }
        }
    }
}

/// The lanes of one target.
#[derive(Debug, Default)]
pub(super) struct Target {
    pub(super) shut: bool,
    /// No task for it starts: neither a query, nor one that clients pull.
    pub(super) paused: bool,
    pub(super) lanes: BTreeSet<LaneNumber>,
    /// Those lanes of them that may run queries, by the position of their first task.
    pub(super) order: BTreeSet<(QueuePosition, LaneNumber)>,
}

impl Target {
    /// Moves a lane from one position to another.
    pub(super) fn replace(&mut self, lane: LaneNumber, before: Option<QueuePosition>, after: Option<QueuePosition>) {
        if let Some(before) = before {
            let was_listed = self.order.remove(&(before, lane));
            debug_assert!(was_listed, "lane {lane} is not where its window says");
        }
        self.order.extend(after.map(|after| (after, lane)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{Priority, TaskId};
    use crate::time::Timestamp;

    fn position(task: i64) -> QueuePosition {
        QueuePosition { priority: Priority(0), entered: Timestamp::from_micros(0), task: TaskId(task) }
    }

    #[test]
    fn only_the_first_lane_of_an_open_pool_is_in_the_order() {
        let (mut pool, mut all) = (Pool::new(), Order::default());
        pool.replace(LaneKind::Run, 1, None, Some(position(5)), &mut all);
        assert!(all.run.is_empty(), "the pool is closed");
        pool.set_open(true, &mut all);
        pool.replace(LaneKind::Run, 2, None, Some(position(3)), &mut all);
        assert_eq!(all.run, BTreeSet::from([(position(3), 2)]));
        pool.replace(LaneKind::Run, 2, Some(position(3)), Some(position(9)), &mut all);
        pool.replace(LaneKind::Pull, 3, None, Some(position(1)), &mut all);
        assert_eq!((all.run.first(), all.pull.first()), (Some(&(position(5), 1)), Some(&(position(1), 3))));
        pool.set_open(false, &mut all);
        assert!(all.run.is_empty() && all.pull.is_empty());
    }
}
