//! The choice of the next task. It is exact, and its cost does not grow with the backlog.
//!
//! The store has all waiting tasks. The plan has a *window* of heads of each lane, in order, and
//! requests more heads when half of a window is used. The cost of a change grows with the logarithm
//! of the number of lanes. A lane that may not run, because its pool is full or its target is
//! unreachable, is not in the order, so the choice does not examine it.
//!
//! ```
//! use pgasync_core::*;
//! let target = TargetName::new("t").unwrap();
//! let lane = Lane { pool: PoolName::of(None, &target), target, kind: LaneKind::Run };
//! let head = |task, priority| Head {
//!     position: QueuePosition { priority: Priority(priority), entered: Timestamp::from_micros(0), task: TaskId(task) },
//!     run: Run::NONE, attempt: 0, options: TaskOptions::default(), times_up: None, text_bytes: 8,
//! };
//! let mut plan = Plan::new();
//! plan.refill(&lane, vec![head(1, 5), head(2, 0)], false);
//! plan.set_pool(&lane.pool, true, 16);
//! let Choice::Take { head, .. } = plan.next(true) else { panic!("two tasks wait") };
//! assert_eq!(head.position.task, TaskId(2));
//! ```

mod budget;
pub(crate) mod lane;
mod merge;
mod order;
mod wanting;
mod window;

use std::collections::BTreeMap;

use crate::names::{PoolName, Priority, TargetName, TaskId};
use budget::Budget;
use lane::{Head, Lane, LaneKind, QueuePosition};
use order::{LaneNumber, Order, Pool, Target};
use wanting::Wanting;
use window::{Reading, Window};

/// The number of heads that are read at once for a lane, unless its pool has another number.
pub const WINDOW_HEADS_DEFAULT: usize = 16;

/// A window may have this many more tasks than are read at once, by tasks that arrive. Then these are
/// cut off.
const WINDOW_GROWTH_MAX: usize = 48;

/// The lanes of a target that are looked at for a task for one of its sessions. So the cost of a choice
/// does not grow with the full pools of the target.
const TARGET_LANES_MAX: usize = 32;

/// A read of heads that a window needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refill {
    /// The lane.
    pub lane: Lane,
    /// The heads after this position, or the first ones.
    pub after: Option<QueuePosition>,
    /// How many heads at most.
    pub heads_max: usize,
}

/// The order of the waiting tasks that may run.
///
/// ```
/// use pgasync_core::*;
/// let target = TargetName::new("t")?;
/// let lane = Lane { pool: PoolName::of(None, &target), target, kind: LaneKind::Run };
/// let head = |task, priority| Head {
///     position: QueuePosition { priority: Priority(priority), entered: Timestamp::from_micros(0), task: TaskId(task) },
///     run: Run::NONE,
///     attempt: 0,
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
/// Invariant: for each kind, `order` has the first lane of every open pool, and no other lane.
#[derive(Debug, Default)]
pub struct Plan {
    numbers: BTreeMap<Lane, LaneNumber>,
    lanes: BTreeMap<LaneNumber, Window>,
    pools: BTreeMap<PoolName, Pool>,
    /// The lanes of each target.
    targets: BTreeMap<TargetName, Target>,
    order: Order,
    budget: Budget,
    /// Refills under way.
    refilling: usize,
    wanting: Wanting,
    last_number: LaneNumber,
}

/// The choice of the next task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice<'a> {
    /// The next task. The caller removes it with [`Plan::remove`] when it is claimed.
    Take {
        /// Its lane.
        lane: &'a Lane,
        /// The task.
        head: &'a Head,
        /// Whether the task was claimed ahead.
        ahead: bool,
    },
    /// The next task may be in this lane. Its window is being refilled.
    Await(&'a Lane),
    /// No task is eligible.
    NoTask,
}

impl Plan {
    /// A plan without waiting tasks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses the next task. `worker_free` says whether a worker is free.
    #[must_use]
    pub fn next(&self, worker_free: bool) -> Choice<'_> {
        let pull = self.order.pull.first();
        let run = self.order.run.first().filter(|_| worker_free);
        let first = match (pull, run) {
            (Some(pull), Some(run)) => Some(pull.min(run)),
            (first, None) | (None, first) => first,
        };
        let Some((_, number)) = first else { return Choice::NoTask };
        match self.lanes.get(number) {
            None => {
                debug_assert!(false, "lane {number} has a place in the order, and is not known");
                Choice::NoTask
            }
            Some(window) => window.choice(),
        }
    }

    /// The position of the first task with a query, whose target is open and whose pool has a free
    /// slot.
    pub(crate) fn front(&self) -> Option<QueuePosition> {
        self.order.run.first().map(|(position, _)| *position)
    }

    /// The first task of this priority with a query for the target whose pool has a free slot. Looks at
    /// the first [`TARGET_LANES_MAX`] lanes of the target.
    pub(crate) fn first_at(&self, target: &TargetName, priority: Priority) -> Choice<'_> {
        let lanes = self.targets.get(target).into_iter().flat_map(|target| &target.order).take(TARGET_LANES_MAX);
        let lanes = lanes.filter(|(position, _)| position.priority == priority);
        let windows = lanes.filter_map(|(_, number)| self.lanes.get(number));
        let mut open = windows.filter(|window| self.pools.get(&window.lane.pool).is_some_and(Pool::is_open));
        open.next().map_or(Choice::NoTask, Window::choice)
    }

    /// The position of the first task with a query for the target whose pool has a free slot. The
    /// target may be shut; it is not paused.
    pub(crate) fn front_of(&self, target: &TargetName) -> Option<QueuePosition> {
        let target = self.targets.get(target).filter(|target| !target.paused);
        let lanes = target.into_iter().flat_map(|target| &target.lanes);
        let windows = lanes.filter_map(|number| self.lanes.get(number));
        windows
            .filter(|window| window.lane.kind == LaneKind::Run && !window.resting)
            .filter(|window| self.pools.get(&window.lane.pool).is_some_and(Pool::is_open))
            .filter_map(Window::position)
            .min()
    }

    /// Notes that a task of this lane, which was removed, returns to the store. No task after it in
    /// its lane is chosen before the window was read again.
    pub fn recall(&mut self, lane: &Lane, position: QueuePosition) {
        let number = self.number(lane);
        if let Some(window) = self.window(number) {
            window.recall(position);
            self.wanting.insert(number);
        }
        self.settle(number);
    }

    /// Notes that the store may have new heads for this lane.
    pub fn stale(&mut self, lane: &Lane) {
        let number = self.number(lane);
        if let Some(window) = self.window(number) {
            window.read_again(Reading::Front);
            self.wanting.insert(number);
        }
    }

    /// Takes the answer to a refill that [`Plan::refills`] requested: heads in order. `more` says
    /// whether the store has further tasks after them. An answer that was not requested counts as
    /// read from the front, and replaces the window. Heads that are claimed ahead stay.
    pub fn refill(&mut self, lane: &Lane, heads: Vec<Head>, more: bool) {
        let bound = heads.last().map(|head| head.position);
        self.refill_to(lane, heads, bound, more);
    }

    /// As [`Plan::refill`], for heads of which those that cannot be claimed were removed. `bound` is
    /// the position of the last one that was read.
    pub(crate) fn refill_to(&mut self, lane: &Lane, heads: Vec<Head>, bound: Option<QueuePosition>, more: bool) {
        let number = self.number(lane);
        if let Some(window) = self.window(number) {
            let was_asked = window.is_refilling();
            window.refill(heads, bound, more);
            let is_stale = window.is_stale();
            debug_assert!(self.refilling > 0 || !was_asked, "a refill was not counted");
            self.refilling = self.refilling.saturating_sub(usize::from(was_asked));
            if is_stale {
                self.wanting.insert(number);
            }
        }
        self.settle(number);
    }

    /// Takes a task that became READY in the store. It takes its position among the others, or stays
    /// in the store if it comes after the window.
    pub fn arrive(&mut self, lane: &Lane, head: Head) {
        let number = self.number(lane);
        let heads_max = self.pools.get(&lane.pool).map_or(WINDOW_HEADS_DEFAULT, |pool| pool.window_heads);
        if let Some(window) = self.window(number) {
            window.arrive(head, heads_max);
        }
        self.settle(number);
    }

    /// Notes that any number of tasks may have become READY in the store after this position.
    pub fn arrive_after(&mut self, lane: &Lane, position: QueuePosition) {
        let number = self.number(lane);
        if let Some(window) = self.window(number) {
            window.read_again(Reading::After(position));
            self.wanting.insert(number);
        }
        self.settle(number);
    }

    /// The lanes whose windows need more heads, so many that at most `lanes_max` refills are under way. A
    /// lane is not returned again before it is refilled. The lane of the next task comes first, then the
    /// one that has waited longest.
    pub fn refills(&mut self, lanes_max: usize) -> Vec<Refill> {
        let mut asked = Vec::new();
        let mut share = self.budget.share(self.lanes.len());
        let first = self.order.run.first().map(|(_, number)| *number);
        while self.refilling < lanes_max
            && let Some(number) = self.wanting.take(first.filter(|_| asked.is_empty()))
        {
            if let Some(window) = self.lanes.get_mut(&number)
                && let Some(reading) = window.ask()
            {
                self.refilling += 1;
                let heads = self.pools.get(&window.lane.pool).map_or(WINDOW_HEADS_DEFAULT, |pool| pool.window_heads);
                let heads = share.take(window.len(), window.wanted(), heads);
                let (after, heads_max) = match reading {
                    Reading::Front => (None, heads),
                    Reading::After(bound) => (Some(bound), heads.saturating_sub(window.len()).max(heads.div_ceil(2))),
                };
                asked.push(Refill { lane: window.lane.clone(), after, heads_max });
            }
        }
        asked
    }

    /// Forgets the refills that [`Plan::refills`] requested, because their answers are lost.
    pub fn forget_refills(&mut self) {
        for (number, window) in &mut self.lanes {
            window.forget_refill();
            self.wanting.insert(*number);
        }
        self.refilling = 0;
    }

    /// Sets whether the pool has a free slot, and how many heads are read for its lanes.
    pub fn set_pool(&mut self, pool: &PoolName, open: bool, window_heads: usize) {
        if let Some(state) = self.pools.get_mut(pool) {
            state.window_heads = window_heads;
            state.set_open(open, &mut self.order);
        }
    }

    /// Sets whether the target is paused: no task of its lanes is chosen then, run or pulled.
    pub fn set_paused(&mut self, target: &TargetName, paused: bool) {
        let Some(state) = self.targets.get_mut(target).filter(|state| state.paused != paused) else { return };
        state.paused = paused;
        for number in state.lanes.clone() {
            self.settle(number);
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

    /// Sets whether the lane is left out of the order for a while.
    pub fn set_resting(&mut self, lane: &Lane, resting: bool) {
        if let Some(number) = self.numbers.get(lane).copied() {
            if let Some(window) = self.window(number) {
                window.resting = resting;
            }
            self.settle(number);
        }
    }

    /// Removes a task from its lane.
    pub fn remove(&mut self, lane: &Lane, task: TaskId) -> Option<Head> {
        let number = *self.numbers.get(lane)?;
        let removed = self.window(number)?.remove(task);
        if removed.is_some() {
            self.settle(number);
        }
        removed
    }

    /// Marks the first task of the pool that has a query and is not claimed ahead as claimed ahead,
    /// and returns it. The pool may be full.
    pub fn claim_ahead(&mut self, pool: &PoolName) -> Option<(Lane, Head)> {
        let numbers = self.pools.get(pool)?.order.run.iter().map(|(_, number)| *number).collect::<Vec<_>>();
        let best = numbers.into_iter().filter_map(|number| Some((self.lanes.get(&number)?.first_behind()?, number)));
        let (position, number) = best.min()?;
        let window = self.window(number)?;
        let head = window.mark_ahead(position.task);
        debug_assert!(head.is_some(), "the first task that is not claimed ahead can be");
        Some((window.lane.clone(), head?))
    }

    /// The position of the first task that could take a slot of this pool, without the tasks of the
    /// lane `but`. `worker_free` says whether a worker is free.
    #[must_use]
    pub fn first_of(&self, pool: &PoolName, but: &Lane, worker_free: bool) -> Option<QueuePosition> {
        let but = self.numbers.get(but);
        let state = self.pools.get(pool)?;
        let first = |kind| state.order.of(kind).iter().find(|(_, number)| Some(number) != but);
        let run = first(LaneKind::Run).filter(|_| worker_free);
        run.into_iter().chain(first(LaneKind::Pull)).min().map(|(position, _)| *position)
    }

    /// The position of the first task in this lane.
    #[must_use]
    pub fn first_in(&self, lane: &Lane) -> Option<QueuePosition> {
        let number = self.numbers.get(lane)?;
        self.lanes.get(number)?.first().map(|entry| entry.head.position)
    }

    /// The heads in memory that have a query for the target. None while it is paused.
    pub fn heads_of(&self, target: &TargetName) -> impl Iterator<Item = (&Lane, &Head)> {
        let target = self.targets.get(target).filter(|target| !target.paused);
        let lanes = target.into_iter().flat_map(|target| &target.lanes);
        lanes
            .filter_map(|number| self.lanes.get(number))
            .filter(|window| window.lane.kind == LaneKind::Run)
            .flat_map(|window| window.heads().map(|head| (&window.lane, head)))
    }

    /// Whether a task may be waiting for the pool.
    pub(crate) fn has_pool(&self, pool: &PoolName) -> bool {
        self.pools.contains_key(pool)
    }

    /// Whether a task may be waiting for the target.
    pub(crate) fn has_lane_to(&self, target: &TargetName) -> bool {
        self.targets.get(target).is_some_and(|state| !state.lanes.is_empty())
    }

    /// How many targets queries wait for that may run as far as the target is concerned.
    pub(crate) fn targets_waited_for(&self) -> usize {
        self.targets.values().filter(|target| !target.order.is_empty()).count()
    }

    /// The number of lanes, pools and targets in the plan.
    pub(crate) fn names(&self) -> usize {
        self.numbers.len() + self.pools.len() + self.targets.len()
    }

    /// Forgets that the target was shut, if no lane has it.
    pub(crate) fn forget_target(&mut self, target: &TargetName) {
        if self.targets.get(target).is_some_and(|state| state.lanes.is_empty()) {
            self.targets.remove(target);
        }
    }

    /// The pools that tasks wait for.
    pub(crate) fn pools(&self) -> Vec<PoolName> {
        self.pools.keys().cloned().collect()
    }

    /// The number of heads in memory.
    #[must_use]
    pub fn heads(&self) -> usize {
        let held = self.budget.held();
        debug_assert_eq!(held, self.lanes.values().map(Window::len).sum::<usize>(), "a head was not counted");
        held
    }

    /// The lanes that may have a waiting task.
    pub fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.numbers.keys()
    }

    fn number(&mut self, lane: &Lane) -> LaneNumber {
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

    /// The window of a lane that is known.
    fn window(&mut self, number: LaneNumber) -> Option<&mut Window> {
        let window = self.lanes.get_mut(&number);
        debug_assert!(window.is_some(), "lane {number} is not known");
        window
    }

    /// Moves a lane to the position that its window gives, or forgets it when no task waits in it.
    fn settle(&mut self, number: LaneNumber) {
        let Some(window) = self.lanes.get_mut(&number) else {
            debug_assert!(false, "lane {number} is not known");
            return;
        };
        if window.wants_more() {
            self.wanting.insert(number);
        }
        let target = self.targets.get(&window.lane.target);
        let closed = target.is_some_and(|target| target.paused || target.shut && window.lane.kind == LaneKind::Run);
        let position = if closed || window.resting { None } else { window.position() };
        let old = std::mem::replace(&mut window.listed, position);
        let held = window.len();
        self.budget.replace(std::mem::replace(&mut window.counted, held), held);
        let (kind, empty) = (window.lane.kind, window.is_done());
        if kind == LaneKind::Run
            && old != position
            && let Some(target) = self.targets.get_mut(&window.lane.target)
        {
            target.replace(number, old, position);
        }
        let pool = self.pools.get_mut(&window.lane.pool);
        debug_assert!(pool.is_some(), "{:?} has no pool", window.lane);
        if let Some(pool) = pool {
            pool.replace(kind, number, old, position, &mut self.order);
        }
        if empty {
            self.forget(number);
        }
    }

    fn forget(&mut self, number: LaneNumber) {
        let Some(window) = self.lanes.remove(&number) else {
            debug_assert!(false, "lane {number} is not known");
            return;
        };
        self.budget.replace(window.counted, 0);
        self.numbers.remove(&window.lane);
        self.wanting.remove(number);
        let pool = self.pools.get_mut(&window.lane.pool);
        debug_assert!(pool.is_some(), "{:?} has no pool", window.lane);
        if let Some(pool) = pool {
            pool.lanes -= 1;
            if pool.lanes == 0 {
                self.pools.remove(&window.lane.pool);
            }
        }
        let target = self.targets.get_mut(&window.lane.target);
        debug_assert!(target.is_some(), "{:?} has no target", window.lane);
        if let Some(target) = target {
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

#[cfg(test)]
mod tests;
