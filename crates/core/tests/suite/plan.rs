//! The plan against a reference that sorts everything.

use std::collections::{BTreeMap, BTreeSet};

use pgasync_core::{
    Choice, Head, Lane, LaneKind, Plan, PoolName, Priority, QueuePosition, Refill, Run, Span, TargetName, TaskId,
    TaskOptions, Timestamp,
};
use proptest::prelude::*;

const TARGETS: [&str; 3] = ["a", "b", "c"];
const WINDOW: usize = 2;

/// The reference: all waiting tasks, and the choice by a search among all of them.
#[derive(Debug, Default, Clone)]
struct Reference {
    waiting: BTreeMap<QueuePosition, Lane>,
    slots: BTreeMap<PoolName, usize>,
    taken: BTreeMap<PoolName, usize>,
    down: BTreeSet<TargetName>,
    paused: BTreeSet<TargetName>,
    workers: usize,
    busy: usize,
}

impl Reference {
    fn open(&self, pool: &PoolName) -> bool {
        self.taken.get(pool).unwrap_or(&0) < self.slots.get(pool).unwrap_or(&1)
    }

    fn next(&self) -> Option<QueuePosition> {
        let runs = |lane: &Lane| {
            !self.paused.contains(&lane.target)
                && (lane.kind == LaneKind::Pull || self.busy < self.workers && !self.down.contains(&lane.target))
        };
        self.waiting.iter().find(|(_, lane)| self.open(&lane.pool) && runs(lane)).map(|(position, _)| *position)
    }

    fn heads(&self, lane: &Lane, after: Option<QueuePosition>, limit: usize) -> (Vec<Head>, bool) {
        let waiting = self.waiting.iter().filter(|(_, its)| *its == lane);
        let follows = |position: &QueuePosition| after.is_none_or(|after| *position > after);
        let mut all = waiting.map(|(position, _)| *position).filter(follows).map(head);
        let heads: Vec<Head> = all.by_ref().take(limit).collect();
        (heads, all.next().is_some())
    }
}

fn head(position: QueuePosition) -> Head {
    Head { position, run: Run::NONE, attempt: 0, options: TaskOptions::default(), times_up: None, text_bytes: 1 }
}

#[derive(Debug, Clone)]
enum Act {
    Push { priority: i32, entered: i64, pool: Option<bool>, target: usize, pull: bool },
    Choose,
    Free(usize),
    Resize { target: usize, slots: usize },
    Flip(usize),
    Pause(usize),
    Workers(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (-2..3, 0..4_i64, any::<Option<bool>>(), 0..TARGETS.len(), any::<bool>())
            .prop_map(|(priority, entered, pool, target, pull)| Act::Push { priority, entered, pool, target, pull }),
        6 => Just(Act::Choose),
        4 => any::<usize>().prop_map(Act::Free),
        1 => (0..TARGETS.len(), 0..3_usize).prop_map(|(target, slots)| Act::Resize { target, slots }),
        1 => (0..TARGETS.len()).prop_map(Act::Flip),
        1 => (0..TARGETS.len()).prop_map(Act::Pause),
        1 => (0..6_usize).prop_map(Act::Workers),
    ]
}

/// The plan, driven as the orchestrator drives it.
#[derive(Default)]
struct Driven {
    plan: Plan,
    all: Reference,
    running: Vec<Lane>,
    last_id: i64,
}

impl Driven {
    fn refill(&mut self) {
        let asked = self.plan.refills(usize::MAX);
        for Refill { lane, after, heads_max } in asked {
            let (heads, more) = self.all.heads(&lane, after, heads_max);
            self.plan.refill(&lane, heads, more);
        }
    }

    fn settle_pool(&mut self, pool: &PoolName) {
        self.plan.set_pool(pool, self.all.open(pool), WINDOW);
    }

    fn choose(&mut self) -> Option<QueuePosition> {
        loop {
            let (lane, position) = match self.plan.next(self.all.busy < self.all.workers) {
                Choice::Take { lane, head, .. } => (lane.clone(), head.position),
                Choice::Await(_) => {
                    self.refill();
                    continue;
                }
                Choice::NoTask => return None,
            };
            self.plan.remove(&lane, position.task);
            return Some(position);
        }
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Push { priority, entered, pool, target, pull } => self.push(priority, entered, pool, target, pull),
            Act::Choose => {
                let expected = self.all.next();
                assert_eq!(self.choose(), expected, "the plan and the reference differ");
                if let Some(lane) = expected.and_then(|position| self.all.waiting.remove(&position)) {
                    *self.all.taken.entry(lane.pool.clone()).or_default() += 1;
                    self.all.busy += usize::from(lane.kind == LaneKind::Run);
                    self.settle_pool(&lane.pool);
                    self.running.push(lane);
                }
            }
            Act::Free(which) if !self.running.is_empty() => {
                let lane = self.running.swap_remove(which % self.running.len());
                *self.all.taken.entry(lane.pool.clone()).or_default() -= 1;
                self.all.busy -= usize::from(lane.kind == LaneKind::Run);
                self.settle_pool(&lane.pool);
            }
            Act::Free(_) => {}
            Act::Resize { target, slots } => {
                let pool = PoolName::new(TARGETS[target]).unwrap();
                self.all.slots.insert(pool.clone(), slots);
                self.settle_pool(&pool);
            }
            Act::Flip(target) => {
                let target = TargetName::new(TARGETS[target]).unwrap();
                let up = self.all.down.remove(&target);
                if !up {
                    self.all.down.insert(target.clone());
                }
                self.plan.set_target(&target, up);
            }
            Act::Pause(target) => {
                let target = TargetName::new(TARGETS[target]).unwrap();
                let resumed = self.all.paused.remove(&target);
                if !resumed {
                    self.all.paused.insert(target.clone());
                }
                self.plan.set_paused(&target, !resumed);
            }
            Act::Workers(workers) => self.all.workers = workers,
        }
    }

    fn push(&mut self, priority: i32, entered: i64, pool: Option<bool>, target: usize, pull: bool) {
        self.last_id += 1;
        let target = TargetName::new(TARGETS[target]).unwrap();
        let known = self.target_is_known(&target);
        let named = pool.map(|first| PoolName::new(if first { "x" } else { "a" }).unwrap());
        let kind = if pull { LaneKind::Pull } else { LaneKind::Run };
        let lane = Lane { pool: PoolName::of(named.as_ref(), &target), target, kind };
        let entered = Timestamp::from_micros(0) + Span::seconds(entered);
        let position = QueuePosition { priority: Priority(priority), entered, task: TaskId(self.last_id) };
        self.all.waiting.insert(position, lane.clone());
        // Every third push is found by a read from the front, and the others are reported. Some are
        // reported while a refill is under way.
        match self.last_id % 3 {
            0 => {
                self.plan.stale(&lane);
                self.refill();
            }
            1 => self.plan.arrive(&lane, head(position)),
            _ => {
                self.plan.stale(&lane);
                let asked = self.plan.refills(usize::MAX);
                let answers: Vec<_> = asked
                    .iter()
                    .map(|Refill { lane, after, heads_max }| {
                        let mut before = self.all.clone();
                        before.waiting.remove(&position);
                        (lane.clone(), before.heads(lane, *after, *heads_max))
                    })
                    .collect();
                self.plan.arrive(&lane, head(position));
                for (lane, (heads, more)) in answers {
                    self.plan.refill(&lane, heads, more);
                }
            }
        }
        self.settle_pool(&lane.pool);
        if !known {
            // The plan forgets a target without lanes, and learns with the first one whether it is paused.
            self.plan.set_paused(&lane.target, self.all.paused.contains(&lane.target));
        }
    }

    fn target_is_known(&self, target: &TargetName) -> bool {
        self.plan.lanes().any(|lane| lane.target == *target)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, max_shrink_time: 60_000, ..ProptestConfig::default() })]

    #[test]
    fn the_plan_agrees_with_sorting_all_tasks(acts in prop::collection::vec(act(), 1..120)) {
        let mut driven = Driven { all: Reference { workers: 3, ..Reference::default() }, ..Driven::default() };
        for act in &acts {
            driven.act(act);
        }
        // The number of waiting tasks does not matter.
        let lanes = driven.plan.lanes().count();
        prop_assert!(driven.plan.heads() <= lanes * 50, "a window has two heads, and 48 that arrived");
    }
}

#[test]
fn a_full_pool_and_a_dead_target_block_no_other() {
    let mut driven = Driven { all: Reference { workers: 9, ..Reference::default() }, ..Driven::default() };
    for _ in 0..3 {
        driven.push(-1, 0, None, 0, false);
        driven.push(-1, 0, None, 1, false);
        driven.push(5, 0, None, 2, false);
    }
    driven.act(&Act::Choose);
    driven.act(&Act::Flip(1));
    driven.act(&Act::Choose);
    assert_eq!(driven.running.iter().map(|lane| lane.target.as_str()).collect::<Vec<_>>(), ["a", "c"]);
}

#[test]
fn refills_are_asked_for_once_and_in_time() {
    let lane = Lane { pool: PoolName::new("a").unwrap(), target: TargetName::new("a").unwrap(), kind: LaneKind::Run };
    let position =
        |task| QueuePosition { priority: Priority(0), entered: Timestamp::from_micros(0), task: TaskId(task) };
    let mut plan = Plan::new();
    plan.stale(&lane);
    assert_eq!(plan.refills(9).len(), 1);
    assert_eq!(plan.refills(9).len(), 0, "asked already");
    plan.stale(&lane);
    assert_eq!(plan.refills(9).len(), 0, "asked already");
    plan.refill(&lane, (1..=4).map(|id| head(position(id))).collect(), true);
    assert_eq!(plan.refills(9).len(), 1, "something was pushed after the question");
    plan.refill(&lane, (1..=4).map(|id| head(position(id))).collect(), true);
    assert_eq!((plan.refills(9).len(), plan.heads()), (0, 4));
    plan.remove(&lane, TaskId(1));
    assert_eq!(plan.refills(9).len(), 0);
    plan.remove(&lane, TaskId(2));
    assert_eq!(plan.refills(9).len(), 1, "half of the window is gone");
}

#[test]
fn no_more_lanes_are_refilled_at_once_than_wanted() {
    let lane = |name: &str| Lane {
        pool: PoolName::new(name).unwrap(),
        target: TargetName::new("a").unwrap(),
        kind: LaneKind::Run,
    };
    let mut plan = Plan::new();
    for name in ["a", "b", "c"] {
        plan.stale(&lane(name));
    }
    assert_eq!(plan.refills(0).len(), 0);
    assert_eq!((plan.refills(2).len(), plan.refills(2).len()), (2, 0), "two are under way");
    assert_eq!((plan.refills(3).len(), plan.refills(3).len()), (1, 0));
}

/// A task before the one that returns is chosen at once; a task after it waits for the store.
#[test]
fn a_task_that_returns_holds_up_only_the_tasks_after_it() {
    let lane = Lane { pool: PoolName::new("a").unwrap(), target: TargetName::new("a").unwrap(), kind: LaneKind::Run };
    let position =
        |task| QueuePosition { priority: Priority(0), entered: Timestamp::from_micros(0), task: TaskId(task) };
    let mut plan = Plan::new();
    plan.refill(&lane, vec![head(position(1)), head(position(2)), head(position(4))], false);
    plan.set_pool(&lane.pool, true, WINDOW);
    plan.remove(&lane, TaskId(2));
    plan.recall(&lane, position(2));
    assert_eq!(plan.first_in(&lane), Some(position(1)));
    assert!(matches!(plan.next(true), Choice::Take { head, .. } if head.position == position(1)));
    plan.remove(&lane, TaskId(1));
    assert_eq!((plan.first_in(&lane), plan.next(true)), (None, Choice::Await(&lane)));
    plan.refill(&lane, vec![head(position(2)), head(position(4))], false);
    assert_eq!(plan.first_in(&lane), Some(position(2)));
}
