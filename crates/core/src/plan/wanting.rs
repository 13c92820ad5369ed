//! The lanes whose windows need more heads, in the order in which they began to.

use std::collections::{BTreeMap, BTreeSet};

use super::order::LaneNumber;

/// Invariant: each lane stands in both maps, or in none.
#[derive(Debug, Default)]
pub(super) struct Wanting {
    turns: BTreeMap<LaneNumber, u64>,
    lanes: BTreeSet<(u64, LaneNumber)>,
    last_turn: u64,
}

impl Wanting {
    /// Appends a lane that is not among them.
    pub(super) fn insert(&mut self, lane: LaneNumber) {
        if !self.turns.contains_key(&lane) {
            self.last_turn += 1;
            self.turns.insert(lane, self.last_turn);
            self.lanes.insert((self.last_turn, lane));
        }
    }

    pub(super) fn remove(&mut self, lane: LaneNumber) -> bool {
        let turn = self.turns.remove(&lane);
        turn.is_some_and(|turn| self.lanes.remove(&(turn, lane)))
    }

    /// Takes this lane, if it is among them, and otherwise the first one.
    pub(super) fn take(&mut self, preferred: Option<LaneNumber>) -> Option<LaneNumber> {
        if let Some(lane) = preferred.filter(|lane| self.remove(*lane)) {
            return Some(lane);
        }
        let (_, lane) = self.lanes.pop_first()?;
        self.turns.remove(&lane);
        Some(lane)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_taken_in_turn_but_for_the_preferred_one() {
        let mut wanting = Wanting::default();
        [5, 3, 9, 3, 7].into_iter().for_each(|lane| wanting.insert(lane));
        assert!(wanting.remove(9) && !wanting.remove(9));
        assert_eq!([Some(7), Some(8), None, None].map(|lane| wanting.take(lane)), [Some(7), Some(5), Some(3), None]);
    }
}
