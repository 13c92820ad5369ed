//! The result of a run in the words of Jepsen.

use std::collections::BTreeMap;
use std::fmt;

/// The tasks of a run, counted.
#[derive(Debug)]
pub(super) struct Tally {
    /// Tasks in the pushes that were tried.
    pub(super) attempted: usize,
    /// Tasks whose push was confirmed.
    pub(super) acknowledged: usize,
    /// Tasks whose push was not confirmed, and which are in the table nevertheless.
    pub(super) recovered: usize,
    pub(super) by_status: BTreeMap<String, usize>,
    /// Tasks with an unknown outcome, and those of them whose effect the ledger has.
    pub(super) unknown: usize,
    pub(super) unknown_committed: usize,
    /// Confirmed pushes, effects and requests that are missing.
    pub(super) lost: usize,
    /// Tasks that ran or were taken more often than they should.
    pub(super) duplicated: usize,
    /// Tasks and effects that should not exist, and ends that contradict the ledger.
    pub(super) unexpected: usize,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "attempted {}, acknowledged {}", self.attempted, self.acknowledged)?;
        writeln!(f, "lost {}, duplicated {}, unexpected {}", self.lost, self.duplicated, self.unexpected)?;
        writeln!(f, "recovered {} (pushed, and the answer was lost)", self.recovered)?;
        let ends: Vec<_> = self.by_status.iter().map(|(status, count)| format!("{status} {count}")).collect();
        writeln!(f, "ends: {}", ends.join(", "))?;
        write!(f, "unknown outcomes {}, of which {} have committed", self.unknown, self.unknown_committed)
    }
}
