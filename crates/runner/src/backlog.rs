//! What gathers for a moment before it is written: results, and claims ahead of their turn. Targets wait for launch
//! marks, and for nothing else; so while queries come and go quickly, marks go first, and the heavier writes follow in
//! larger groups. With nothing else to do they go at once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use pgasync_core::{Command, TaskId};
use pgasync_store::Op;
use tokio::time::sleep_until;

use crate::clock::instant;

/// Nothing gathers for longer.
const GATHER_MAX: Duration = Duration::from_millis(3);

/// Batches of marks that may pass what gathers.
const PASSES_MAX: u32 = 8;

/// So many are enough.
const GATHERED_MAX: usize = 256;

/// Queries come and go quickly while launches follow each other within this time.
const QUICK: Duration = Duration::from_millis(2);

/// An operation, and whether anybody waits for it.
#[derive(Debug)]
pub(crate) enum Order {
    Now(Op),
    Soon(Op),
}

/// What gathers.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    gathered: Vec<Op>,
    since: Option<Instant>,
    passes: u32,
    /// What was marked, and has no result yet.
    running: BTreeSet<TaskId>,
    marked_at: Option<Instant>,
}

impl Backlog {
    pub(crate) const fn is_empty(&self) -> bool {
        self.gathered.is_empty()
    }

    /// Returns when it has gathered for long enough.
    pub(crate) async fn is_due(&self) {
        match self.since {
            Some(since) => sleep_until((since + GATHER_MAX).into()).await,
            None => std::future::pending().await,
        }
    }

    /// What to carry out now, of what came and what gathered; `all` says that nothing is to wait.
    pub(crate) fn take(&mut self, came: impl Iterator<Item = Order>, all: bool) -> Vec<Op> {
        let mut now = Vec::new();
        let mut all = all;
        let at = instant();
        for order in came {
            match order {
                Order::Now(op) => {
                    match &op {
                        Op::Core(Command::Mark { task, .. }) => {
                            self.running.insert(*task);
                            self.marked_at = Some(at);
                        }
                        Op::Core(Command::ReadRequests { .. } | Command::Refill { .. }) => {}
                        _ => all = true,
                    }
                    now.push(op);
                }
                Order::Soon(op) => {
                    if let Op::Core(Command::Record { task, .. }) = &op {
                        self.running.remove(task);
                    }
                    self.gathered.push(op);
                }
            }
        }
        self.passes += 1;
        let quick = self.marked_at.is_some_and(|marked| at < marked + QUICK) && !self.running.is_empty();
        if all || !quick || self.passes > PASSES_MAX || self.gathered.len() >= GATHERED_MAX {
            self.since = None;
            self.passes = 0;
            now.append(&mut self.gathered);
        } else if !self.gathered.is_empty() {
            self.since.get_or_insert(at);
        }
        now
    }
}
