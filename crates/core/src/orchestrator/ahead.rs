//! Claiming and marking ahead: pools that are full of short tasks should not wait for the store between two of them.

use std::collections::BTreeSet;

use super::Orchestrator;
use super::tracked::{Marked, Stage, Tracked};
use crate::names::{PoolName, TaskId};
use crate::plan::lane::Turn;
use crate::time::Span;

/// How long the tasks of a pool take, and what is done for them ahead of their turn.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// A moving average; `None` before the first.
    average: Option<Span>,
    /// Claimed ahead, or about to be.
    claims: u32,
    /// Those of them whose launch is marked, or about to be.
    marks: u32,
    /// Those that are claimed and not marked.
    unmarked: BTreeSet<Turn>,
}

impl Pace {
    /// Nothing is claimed ahead.
    pub(super) const fn is_idle(&self) -> bool {
        self.claims == 0
    }
}

impl Orchestrator {
    /// Claims and marks ahead for pools that are full of short tasks.
    pub(super) fn work_ahead(&mut self) {
        let tuning = self.settings.tuning;
        for pool in std::mem::take(&mut self.hasty) {
            let Some(average) = self.paces.get(&pool).and_then(|pace| pace.average) else { continue };
            // Only slots that queries run in come free by themselves.
            let taken = self.occupancy.of(&pool);
            let slots = (taken.slots - taken.resting).min(self.settings.workers);
            let claims_max = slots.saturating_mul(tuning.ahead_per_slot(average));
            self.return_surplus(&pool, claims_max);
            if !self.launches() {
                continue;
            }
            while self.paces.get(&pool).is_some_and(|pace| pace.claims < claims_max)
                && let Some((lane, head)) = self.plan.claim_ahead(&pool)
            {
                self.claim(lane, &head, true);
            }
            self.mark_ahead(&pool, slots.saturating_mul(tuning.marked_per_slot(average)));
        }
    }

    /// Marks the first of those that are claimed ahead: each goes as soon as a slot is free.
    fn mark_ahead(&mut self, pool: &PoolName, marks_max: u32) {
        while let Some(pace) = self.paces.get_mut(pool)
            && pace.marks < marks_max
            && let Some(turn) = pace.unmarked.first().copied()
        {
            let Some(tracked) = self.tracked.get_mut(&turn.task) else { return };
            if self.text_bytes > 0 && self.text_bytes + tracked.text_bytes > self.settings.tuning.text_bytes_max {
                return;
            }
            pace.unmarked.remove(&turn);
            pace.marks += 1;
            tracked.marked = Marked::Asked;
            let run = tracked.task.run;
            self.take_text(turn.task);
            self.emit_mark(turn.task, run, None);
        }
    }

    /// The claim ahead is written: the task waits for its turn.
    pub(super) fn go_ahead(&mut self, task: TaskId) {
        self.restage(task, Stage::Ahead { since: self.now.monotonic });
        let Some(tracked) = self.tracked.get(&task) else { return };
        let (pool, turn) = (tracked.lane.pool.clone(), tracked.turn);
        self.paces.entry(pool.clone()).or_default().unmarked.insert(turn);
        self.hasty.insert(pool);
    }

    /// Whatever becomes of the task, it is not ahead of its turn any more.
    pub(super) fn leave_ahead(&mut self, task: TaskId) {
        if let Some(tracked) = self.tracked.get(&task).filter(|tracked| matches!(tracked.stage, Stage::Ahead { .. }))
            && let Some(pace) = self.paces.get_mut(&tracked.lane.pool)
        {
            match tracked.marked {
                Marked::No => drop(pace.unmarked.remove(&tracked.turn)),
                Marked::Asked | Marked::Durably => pace.marks = pace.marks.saturating_sub(1),
            }
        }
    }

    /// The store is lost, and the texts that came with marks ahead: the launches have to be marked anew.
    pub(super) fn forget_marks_ahead(&mut self) {
        let marked = |tracked: &Tracked| tracked.marked != Marked::No || matches!(tracked.stage, Stage::Marking { .. });
        for task in
            self.tracked.iter().filter(|(_, tracked)| marked(tracked)).map(|(task, _)| *task).collect::<Vec<_>>()
        {
            self.leave_ahead(task);
            self.free_text(task);
            let Some(tracked) = self.tracked.get_mut(&task) else { continue };
            tracked.marked = Marked::No;
            if let Stage::Ahead { .. } = tracked.stage {
                let (pool, turn) = (tracked.lane.pool.clone(), tracked.turn);
                self.paces.entry(pool.clone()).or_default().unmarked.insert(turn);
                self.hasty.insert(pool);
            }
        }
    }

    /// No slot came free in time: the tasks are not as short as they were.
    pub(super) fn slow_down(&mut self, pool: &PoolName) {
        let pace = self.paces.entry(pool.clone()).or_default();
        pace.average = pace.average.max(Some(self.settings.tuning.ahead_age_max));
    }

    /// Returns the last of those claimed ahead, when there are more than slots to wait for.
    fn return_surplus(&mut self, pool: &PoolName, most: u32) {
        let ahead = self.paces.get(pool).map_or(0, |pace| pace.claims);
        if ahead <= most || self.slot_free(pool) {
            return;
        }
        let waits = |tracked: &Tracked| matches!(tracked.stage, Stage::Ahead { .. }) && tracked.lane.pool == *pool;
        let mut turns: Vec<Turn> =
            self.tracked.values().filter(|tracked| waits(tracked)).map(|tracked| tracked.turn).collect();
        turns.sort_unstable();
        for turn in turns.into_iter().rev().take(usize::try_from(ahead - most).unwrap_or(usize::MAX)) {
            self.give_back(turn.task);
        }
    }

    pub(super) fn count_ahead(&mut self, pool: &PoolName, one_more: bool) {
        let pace = self.paces.entry(pool.clone()).or_default();
        pace.claims = if one_more { pace.claims + 1 } else { pace.claims.saturating_sub(1) };
        self.hasty.insert(pool.clone());
    }

    /// Learns how long a task of the pool took.
    pub(super) fn learn_pace(&mut self, pool: &PoolName, took: Span) {
        let pace = self.paces.entry(pool.clone()).or_default();
        let old = pace.average.unwrap_or(took);
        pace.average = Some(Span::micros((old.as_micros() / 8) * 7 + took.as_micros() / 8));
        self.hasty.insert(pool.clone());
    }
}
