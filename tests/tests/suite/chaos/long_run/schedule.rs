//! The schedule of a long run: a function of the seed, the length and the faults.

use std::time::Duration;

use super::super::seed::Seed;
use super::faults::{Fault, Resource};

/// The first fault happens after this time.
const FIRST_AT: Duration = Duration::from_secs(3);

/// The time between two faults, in milliseconds.
const GAP: (u64, u64) = (300, 4500);

/// The time between two faults that use the same resource, so that the engines make progress.
const REST: Duration = Duration::from_millis(2500);

/// The last fault has begun this long before the end.
const CALM: Duration = Duration::from_secs(4);

/// A fault with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    /// The time since the begin of the run.
    pub(super) at: Duration,
    pub(super) lasts: Duration,
    pub(super) fault: Fault,
}

/// The faults of a run, by time. Each of `faults` has a weight.
pub(super) fn plan(seed: &mut Seed, length: Duration, faults: &[(Fault, u64)]) -> Vec<Planned> {
    let mut planned: Vec<Planned> = Vec::new();
    let mut at = FIRST_AT;
    while at + CALM < length {
        let fault = choose(seed, faults).draw(seed);
        let (least, most) = fault.lasts();
        let lasts = Duration::from_millis(least + seed.below(most - least + 1));
        // A fault whose resource is in use is left out, and the next one is drawn.
        if fault.resources().iter().all(|resource| is_free(&planned, *resource, at)) {
            planned.push(Planned { at, lasts, fault });
        }
        at += Duration::from_millis(GAP.0 + seed.below(GAP.1 - GAP.0));
    }
    planned
}

fn choose(seed: &mut Seed, faults: &[(Fault, u64)]) -> Fault {
    let mut place = seed.below(faults.iter().map(|(_, weight)| weight).sum());
    for (fault, weight) in faults {
        if place < *weight {
            return *fault;
        }
        place -= weight;
    }
    unreachable!("the place is below the sum of the weights")
}

fn is_free(planned: &[Planned], resource: Resource, at: Duration) -> bool {
    planned.iter().filter(|entry| entry.fault.resources().contains(&resource)).all(|entry| {
        let end = entry.at + entry.lasts;
        at > end + REST
    })
}
