//! The cost of one task (its choice, the release of its slot, another push, a refill of the window)
//! with 1, 10^4 and 10^6 waiting tasks in 1,000 pools.
//!
//! `cargo run --release -p pgasync-core --example planning_speed`

#![expect(clippy::print_stdout, reason = "an example speaks to a person")]
#![expect(clippy::disallowed_methods, reason = "it measures, so it needs a clock")]

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use pgasync_core::{
    BadName, Choice, Head, Lane, LaneKind, Plan, PoolName, Priority, QueuePosition, Refill, Run, TargetName, TaskId,
    TaskOptions, Timestamp,
};

const POOLS: usize = 1_000;
const ROUNDS: u32 = 200_000;

fn main() -> Result<(), BadName> {
    println!("{:>10} {:>12} {:>16} {:>10}", "waiting", "ns a task", "heads in memory", "lanes");
    for waiting in [1_usize, 10_000, 1_000_000] {
        measure(waiting)?;
    }
    Ok(())
}

/// Repeatedly takes a task, frees its slot, and adds another task to its lane.
fn measure(waiting: usize) -> Result<(), BadName> {
    let target = TargetName::new("t")?;
    let mut store: BTreeMap<Lane, VecDeque<QueuePosition>> = BTreeMap::new();
    let mut plan = Plan::new();
    for number in 0..waiting {
        let pool = PoolName::new(format!("pool {}", number % POOLS))?;
        let lane = Lane { pool, target: target.clone(), kind: LaneKind::Run };
        store.entry(lane).or_default().push_back(position(number));
    }
    for lane in store.keys() {
        plan.stale(lane);
        plan.set_pool(&lane.pool, true, 16);
    }
    refill(&mut plan, &store);
    let heads = plan.heads();
    let mut next = waiting;
    let start = Instant::now();
    for _ in 0..ROUNDS {
        let (lane, task) = match plan.next(true) {
            Choice::Take { lane, head, .. } => (lane.clone(), head.position.task),
            Choice::Await(_) | Choice::NoTask => break,
        };
        plan.remove(&lane, task);
        plan.set_pool(&lane.pool, false, 16);
        plan.set_pool(&lane.pool, true, 16);
        if let Some(waits) = store.get_mut(&lane) {
            waits.pop_front();
            waits.push_back(position(next));
            next += 1;
        }
        plan.arrive(&lane, head(position(next - 1)));
        refill(&mut plan, &store);
        plan.set_pool(&lane.pool, true, 16);
    }
    let nanos = start.elapsed().as_nanos() / u128::from(ROUNDS);
    println!("{waiting:>10} {nanos:>12} {heads:>16} {:>10}", plan.lanes().count());
    Ok(())
}

fn refill(plan: &mut Plan, store: &BTreeMap<Lane, VecDeque<QueuePosition>>) {
    for Refill { lane, after, heads_max } in plan.refills(POOLS) {
        let waits = store.get(&lane).into_iter().flatten();
        let mut waits = waits.filter(|position| after.is_none_or(|after| **position > after));
        let heads: Vec<Head> = waits.by_ref().take(heads_max).map(|position| head(*position)).collect();
        plan.refill(&lane, heads, waits.next().is_some());
    }
}

fn head(position: QueuePosition) -> Head {
    Head { position, run: Run::NONE, attempt: 0, options: TaskOptions::default(), times_up: None, text_bytes: 0 }
}

fn position(number: usize) -> QueuePosition {
    let task = TaskId(i64::try_from(number).unwrap_or(i64::MAX));
    QueuePosition { priority: Priority(0), entered: Timestamp::from_micros(task.0), task }
}
