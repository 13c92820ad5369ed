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
    /// The last launches followed others quickly.
    flows: bool,
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
        let (mut all, mut marks) = (all, false);
        let at = instant();
        for order in came {
            match order {
                Order::Now(op) => {
                    match &op {
                        Op::Core(Command::Mark { task, .. }) => {
                            self.running.insert(*task);
                            marks = true;
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
        let lately = self.marked_at.is_some_and(|marked| at < marked + QUICK);
        if marks {
            self.flows = lately;
            self.marked_at = Some(at);
        }
        let quick = self.flows && (marks || lately) && !self.running.is_empty();
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

#[cfg(test)]
mod tests {
    use pgasync_core::{Row, Run, SessionId};

    use super::*;

    fn mark(task: i64) -> Order {
        Order::Now(Op::Core(Command::Mark { task: TaskId(task), run: Run(1), session: SessionId(1) }))
    }

    fn record(task: i64) -> Order {
        let row = Row { run: 1, ..Row::default() };
        Order::Soon(Op::Core(Command::Record { task: TaskId(task), run: Run(1), row, settles: vec![] }))
    }

    #[test]
    fn the_last_result_is_written_at_once() {
        let mut backlog = Backlog::default();
        assert_eq!(backlog.take([mark(1)].into_iter(), false).len(), 1);
        assert_eq!(backlog.take([record(1)].into_iter(), false).len(), 1);
        assert!(backlog.is_empty());
    }

    #[test]
    fn slow_tasks_gather_nothing() {
        let mut backlog = Backlog::default();
        assert_eq!(backlog.take([mark(2), mark(3), record(1)].into_iter(), false).len(), 3);
    }

    #[test]
    fn results_gather_while_marks_pass_and_never_for_ever() {
        let mut backlog = Backlog::default();
        let mut gathered = 0;
        for task in 0..i64::from(PASSES_MAX) * 3 {
            let ops = backlog.take([mark(task + 1), record(task)].into_iter(), false);
            gathered += usize::from(ops.len() == 1);
            assert!(matches!(ops.first(), Some(Op::Core(Command::Mark { .. }))), "marks go first: {ops:?}");
        }
        assert!(gathered > 0, "some wait");
        assert!(backlog.gathered.len() <= 8 + 1, "and not for long");
        let waiting = backlog.gathered.len();
        assert_eq!(backlog.take(std::iter::empty(), true).len(), waiting);
        assert!(backlog.is_empty());
    }

    #[test]
    fn whatever_else_is_to_do_takes_them_along() {
        let mut backlog = Backlog::default();
        backlog.take([mark(1)].into_iter(), false);
        backlog.take([mark(2), record(1)].into_iter(), false);
        assert_eq!(backlog.take([Order::Now(Op::Look)].into_iter(), false).len(), 2);
    }
}
