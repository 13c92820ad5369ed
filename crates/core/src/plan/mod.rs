//! Which task runs next, exactly, at a cost that does not grow with the backlog.
//!
//! The store holds every waiting task. The plan sees a *window* of heads for each lane, in order,
//! and asks for more when a window runs low. Every change costs the logarithm of the number of
//! lanes. A lane that may not run (its pool is full, its target is down) is taken out of the order
//! and costs nothing while it is out.
//!
//! ```
//! use pgasync_core::*;
//! let target = TargetName::new("t").unwrap();
//! let lane = Lane { pool: PoolName::of(None, &target), target, kind: LaneKind::Run };
//! let head = |task, priority| Head {
//!     position: QueuePosition { priority: Priority(priority), entered: Timestamp::from_micros(0), task: TaskId(task) },
//!     run: Run::NONE, options: TaskOptions::default(), times_up: None, text_bytes: 8,
//! };
//! let mut plan = Plan::new();
//! plan.refill(&lane, vec![head(1, 5), head(2, 0)], false);
//! plan.set_pool(&lane.pool, true, 16);
//! let Choice::Take { head, .. } = plan.next(true) else { panic!("two tasks wait") };
//! assert_eq!(head.position.task, TaskId(2));
//! ```

pub(crate) mod lane;
mod order;
mod window;

use std::collections::{BTreeMap, BTreeSet};

use crate::names::{PoolName, TargetName, TaskId};
use lane::{Head, Lane, LaneKind, QueuePosition};
use order::{Number, Order, Pool};
use window::Window;

/// Heads read at once for a lane whose pool has no other number.
pub const WINDOW_HEADS_DEFAULT: usize = 16;

/// The order of the waiting tasks that may run.
///
/// ```
/// use pgasync_core::*;
/// let target = TargetName::new("t")?;
/// let lane = Lane { pool: PoolName::of(None, &target), target, kind: LaneKind::Run };
/// let head = |task, priority| Head {
///     position: QueuePosition { priority: Priority(priority), entered: Timestamp::from_micros(0), task: TaskId(task) },
///     run: Run::NONE,
///     options: TaskOptions::default(),
///     times_up: None,
///     text_bytes: 8,
/// };
/// let mut plan = Plan::new();
/// plan.refill(&lane, vec![head(1, 5), head(2, 0)], false);
/// plan.set_pool(&lane.pool, true, 16);
/// let Choice::Take { head, .. } = plan.next(true) else { panic!("two tasks wait") };
/// assert_eq!(head.position.task, TaskId(2));
/// # Ok::<(), BadName>(())
/// ```
///
/// Invariant: `order` has, for each kind, the first lane of every open pool, and nothing else.
#[derive(Debug, Default)]
pub struct Plan {
    numbers: BTreeMap<Lane, Number>,
    lanes: BTreeMap<Number, Window>,
    pools: BTreeMap<PoolName, Pool>,
    /// The lanes of each target.
    targets: BTreeMap<TargetName, Target>,
    order: Order,
    wanting: BTreeSet<Number>,
    last_number: Number,
}

#[derive(Debug, Default)]
struct Target {
    shut: bool,
    lanes: BTreeSet<Number>,
}

/// The choice of the next task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice<'a> {
    /// This task; call [`Plan::remove`] when it is taken.
    Take {
        /// Its lane.
        lane: &'a Lane,
        /// The task.
        head: &'a Head,
        /// It was claimed before its turn came.
        ahead: bool,
    },
    /// The next task may be in this lane, whose window is being refilled.
    Await(&'a Lane),
    /// No task is eligible.
    Nobody,
}

impl Plan {
    /// A plan without waiting tasks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The task that runs next; `worker_free` says whether a query may run at all.
    #[must_use]
    pub fn next(&self, worker_free: bool) -> Choice<'_> {
        let pull = self.order.pull.first();
        let run = self.order.run.first().filter(|_| worker_free);
        let first = match (pull, run) {
            (Some(pull), Some(run)) => Some(pull.min(run)),
            (first, None) | (None, first) => first,
        };
        match first.and_then(|(_, number)| self.lanes.get(number)) {
            None => Choice::Nobody,
            Some(window) => match window.first() {
                Some(entry) => Choice::Take { lane: &window.lane, head: &entry.head, ahead: entry.ahead },
                None => Choice::Await(&window.lane),
            },
        }
    }

    /// A task of this lane that was taken out returns to the store: no task behind it in its lane
    /// is chosen before the window is read again.
    pub fn recall(&mut self, lane: &Lane, position: QueuePosition) {
        let number = self.number(lane);
        if let Some(window) = self.lanes.get_mut(&number) {
            window.recall(position);
            self.wanting.insert(number);
        }
        self.settle(number);
    }

    /// The store may have new heads for this lane.
    pub fn stale(&mut self, lane: &Lane) {
        let number = self.number(lane);
        if let Some(window) = self.lanes.get_mut(&number) {
            window.stale = true;
            self.wanting.insert(number);
        }
    }

    /// Replaces the window by the first heads that the store has now; `more` says whether it has
    /// others after them. Heads that are claimed ahead stay.
    pub fn refill(&mut self, lane: &Lane, heads: Vec<Head>, more: bool) {
        let number = self.number(lane);
        if let Some(window) = self.lanes.get_mut(&number) {
            window.refill(heads, more);
            if window.stale {
                self.wanting.insert(number);
            }
        }
        self.settle(number);
    }

    /// So many of the heads that were read last cannot be taken: so many more are read
    /// next time, since the store will name those again.
    pub fn skip(&mut self, lane: &Lane, heads: usize) {
        let number = self.numbers.get(lane);
        if let Some(window) = number.and_then(|number| self.lanes.get_mut(number)) {
            window.skipped = heads;
        }
    }

    /// The lanes whose windows want more heads, and how many to read; each is named once until it
    /// is refilled.
    pub fn refills(&mut self, lanes_max: usize) -> Vec<(Lane, usize)> {
        let mut asked = Vec::new();
        while asked.len() < lanes_max
            && let Some(number) = self.wanting.pop_first()
        {
            if let Some(window) = self.lanes.get_mut(&number)
                && window.ask()
            {
                let heads = self.pools.get(&window.lane.pool).map_or(WINDOW_HEADS_DEFAULT, |pool| pool.window_heads);
                asked.push((window.lane.clone(), heads.saturating_add(window.skipped)));
            }
        }
        asked
    }

    /// Forgets the questions that [`Plan::refills`] put: their answers will not come.
    pub fn forget_refills(&mut self) {
        for (number, window) in &mut self.lanes {
            window.asked = false;
            window.stale = true;
            self.wanting.insert(*number);
        }
    }

    /// Sets whether the pool has a free slot, and how many heads are read for its lanes.
    pub fn set_pool(&mut self, pool: &PoolName, open: bool, window_heads: usize) {
        if let Some(state) = self.pools.get_mut(pool) {
            state.window_heads = window_heads;
            state.set_open(open, &mut self.order);
        }
    }

    /// Sets whether tasks may be claimed for the target.
    pub fn set_target(&mut self, target: &TargetName, open: bool) {
        let state = self.targets.entry(target.clone()).or_default();
        if state.shut != open {
            return;
        }
        state.shut = !open;
        for number in state.lanes.clone() {
            self.settle(number);
        }
        self.drop_idle_target(target);
    }

    /// Sets whether the lane is left out for a while.
    pub fn set_resting(&mut self, lane: &Lane, resting: bool) {
        if let Some(number) = self.numbers.get(lane).copied() {
            if let Some(window) = self.lanes.get_mut(&number) {
                window.resting = resting;
            }
            self.settle(number);
        }
    }

    /// Takes a task out, wherever in its lane it is.
    pub fn remove(&mut self, lane: &Lane, task: TaskId) -> Option<Head> {
        let number = *self.numbers.get(lane)?;
        let removed = self.lanes.get_mut(&number).and_then(|window| window.remove(task));
        if removed.is_some() {
            self.settle(number);
        }
        removed
    }

    /// The first query of the pool that is not claimed ahead yet, be the pool full or not; it is
    /// from now on.
    pub fn claim_ahead(&mut self, pool: &PoolName) -> Option<(Lane, Head)> {
        let numbers = self.pools.get(pool)?.order.run.iter().map(|(_, number)| *number).collect::<Vec<_>>();
        let best = numbers.into_iter().filter_map(|number| Some((self.lanes.get(&number)?.first_behind()?, number)));
        let (position, number) = best.min()?;
        let window = self.lanes.get_mut(&number)?;
        let head = window.mark_ahead(position.task)?;
        Some((window.lane.clone(), head))
    }

    /// The turn of the first that waits for a slot of this pool and could take it, leaving one
    /// lane out; `worker_free` says whether a query may run at all.
    #[must_use]
    pub fn first_of(&self, pool: &PoolName, but: &Lane, worker_free: bool) -> Option<QueuePosition> {
        let but = self.numbers.get(but);
        let state = self.pools.get(pool)?;
        let first = |kind| state.order.of(kind).iter().find(|(_, number)| Some(number) != but);
        let run = first(LaneKind::Run).filter(|_| worker_free);
        run.into_iter().chain(first(LaneKind::Pull)).min().map(|(position, _)| *position)
    }

    /// The first that waits in this lane.
    #[must_use]
    pub fn first_in(&self, lane: &Lane) -> Option<QueuePosition> {
        let number = self.numbers.get(lane)?;
        self.lanes.get(number)?.first().map(|entry| entry.head.position)
    }

    /// The heads seen of the target's queries.
    pub fn heads_of(&self, target: &TargetName) -> impl Iterator<Item = (&Lane, &Head)> {
        let lanes = self.targets.get(target).into_iter().flat_map(|target| &target.lanes);
        lanes
            .filter_map(|number| self.lanes.get(number))
            .filter(|window| window.lane.kind == LaneKind::Run)
            .flat_map(|window| window.heads().map(|head| (&window.lane, head)))
    }

    /// A task waits for the pool, or may.
    pub(crate) fn has_pool(&self, pool: &PoolName) -> bool {
        self.pools.contains_key(pool)
    }

    /// A task waits for the target, or may.
    pub(crate) fn has_lane_to(&self, target: &TargetName) -> bool {
        self.targets.get(target).is_some_and(|state| !state.lanes.is_empty())
    }

    /// How many lanes, pools and targets it knows.
    pub(crate) fn names(&self) -> usize {
        self.numbers.len() + self.pools.len() + self.targets.len()
    }

    /// Forgets that the target was shut, if no task waits for it.
    pub(crate) fn forget_target(&mut self, target: &TargetName) {
        if self.targets.get(target).is_some_and(|state| state.lanes.is_empty()) {
            self.targets.remove(target);
        }
    }

    /// The pools that tasks wait for.
    pub(crate) fn pools(&self) -> Vec<PoolName> {
        self.pools.keys().cloned().collect()
    }

    /// How many heads are held in memory.
    #[must_use]
    pub fn heads(&self) -> usize {
        self.lanes.values().map(|window| window.heads().count()).sum()
    }

    /// The lanes that have a waiting task, or may have one.
    pub fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.numbers.keys()
    }

    fn number(&mut self, lane: &Lane) -> Number {
        if let Some(number) = self.numbers.get(lane) {
            return *number;
        }
        self.last_number += 1;
        let number = self.last_number;
        self.numbers.insert(lane.clone(), number);
        self.lanes.insert(number, Window::new(lane.clone()));
        self.targets.entry(lane.target.clone()).or_default().lanes.insert(number);
        self.pools.entry(lane.pool.clone()).or_insert_with(Pool::new).lanes += 1;
        number
    }

    /// Moves a lane to the position that its window gives, or forgets it when no task waits in it.
    fn settle(&mut self, number: Number) {
        let Some(window) = self.lanes.get_mut(&number) else {
            debug_assert!(false, "lane {number} is not known");
            return;
        };
        if window.wants_more() {
            self.wanting.insert(number);
        }
        let shut = window.lane.kind == LaneKind::Run && self.targets.get(&window.lane.target).is_some_and(|t| t.shut);
        let position = if shut || window.resting { None } else { window.position() };
        let old = std::mem::replace(&mut window.listed, position);
        let (kind, empty) = (window.lane.kind, window.is_done());
        if let Some(pool) = self.pools.get_mut(&window.lane.pool) {
            pool.replace(kind, number, old, position, &mut self.order);
        }
        if empty {
            self.forget(number);
        }
    }

    fn forget(&mut self, number: Number) {
        let Some(window) = self.lanes.remove(&number) else {
            debug_assert!(false, "lane {number} is not known");
            return;
        };
        self.numbers.remove(&window.lane);
        self.wanting.remove(&number);
        if let Some(pool) = self.pools.get_mut(&window.lane.pool) {
            pool.lanes -= 1;
            if pool.lanes == 0 {
                self.pools.remove(&window.lane.pool);
            }
        }
        if let Some(target) = self.targets.get_mut(&window.lane.target) {
            target.lanes.remove(&number);
        }
        self.drop_idle_target(&window.lane.target);
    }

    fn drop_idle_target(&mut self, target: &TargetName) {
        if self.targets.get(target).is_some_and(|state| !state.shut && state.lanes.is_empty()) {
            self.targets.remove(target);
        }
    }
}
