//! Claiming and marking ahead: pools that are full of short tasks should not wait for the store between two of them.

use std::collections::BTreeSet;

use super::held::{Held, Marked, Stage};
use super::{Command, Orchestrator};
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
            let taken = self.books.of(&pool);
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
            let Some(held) = self.held.get_mut(&turn.task) else { return };
            if self.text_bytes > 0 && self.text_bytes + held.text_bytes > self.settings.tuning.text_bytes_max {
                return;
            }
            pace.unmarked.remove(&turn);
            pace.marks += 1;
            held.marked = Marked::Asked;
            let run = held.task.run;
            self.take_text(turn.task);
            self.say(Command::Mark { task: turn.task, run, session: None });
        }
    }

    /// The claim ahead is written: the task waits for its turn.
    pub(super) fn go_ahead(&mut self, task: TaskId) {
        self.restage(task, Stage::Ahead { since: self.now });
        let Some(held) = self.held.get(&task) else { return };
        let (pool, turn) = (held.lane.pool.clone(), held.turn);
        self.paces.entry(pool.clone()).or_default().unmarked.insert(turn);
        self.hasty.insert(pool);
    }

    /// Whatever becomes of the task, it is not ahead of its turn any more.
    pub(super) fn leave_ahead(&mut self, task: TaskId) {
        if let Some(held) = self.held.get(&task).filter(|held| matches!(held.stage, Stage::Ahead { .. }))
            && let Some(pace) = self.paces.get_mut(&held.lane.pool)
        {
            match held.marked {
                Marked::No => drop(pace.unmarked.remove(&held.turn)),
                Marked::Asked | Marked::Durably => pace.marks = pace.marks.saturating_sub(1),
            }
        }
    }

    /// The store is lost, and the texts that came with marks ahead: the launches have to be marked anew.
    pub(super) fn forget_marks_ahead(&mut self) {
        let marked = |held: &Held| held.marked != Marked::No || matches!(held.stage, Stage::Marking { .. });
        for task in self.held.iter().filter(|(_, held)| marked(held)).map(|(task, _)| *task).collect::<Vec<_>>() {
            self.leave_ahead(task);
            self.free_text(task);
            let Some(held) = self.held.get_mut(&task) else { continue };
            held.marked = Marked::No;
            if let Stage::Ahead { .. } = held.stage {
                let (pool, turn) = (held.lane.pool.clone(), held.turn);
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
        let waits = |held: &Held| matches!(held.stage, Stage::Ahead { .. }) && held.lane.pool == *pool;
        let mut turns: Vec<Turn> = self.held.values().filter(|held| waits(held)).map(|held| held.turn).collect();
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
