//! Claiming and marking ahead: pools that are full of short tasks should not wait for the store between two of them.

use std::collections::BTreeSet;

use super::Orchestrator;
use super::tracked::{Marked, Stage, Tracked};
use crate::names::{PoolName, TaskId};
use crate::plan::lane::QueuePosition;
use crate::time::{MonotonicTime, Span};

/// How long the tasks of a pool take, and what is done for them ahead of their turn.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// How long a query takes: a moving average; `None` before the first.
    average: Option<Span>,
    /// How long a slot takes from one end to the next, everything included; `None` until a window of ends is over.
    cycle: Option<Span>,
    /// When the present window of ends began.
    window_began: Option<MonotonicTime>,
    /// Ends in the present window.
    window_ends: u32,
    /// Claimed ahead, or about to be.
    claims: u32,
    /// Those of them whose launch is marked, or about to be.
    marks: u32,
    /// Those that are claimed and not marked.
    unmarked: BTreeSet<QueuePosition>,
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
            let Some(pace) = self.paces.get(&pool) else { continue };
            let (Some(average), cycle) = (pace.average, pace.cycle) else { continue };
            // Only slots that queries run in come free by themselves.
            let taken = self.occupancy.of(&pool);
            let slots = (taken.slots - taken.resting).min(self.settings.workers);
            let claims_max = slots.saturating_mul(tuning.ahead_per_slot(average, cycle));
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
            && let Some(position) = pace.unmarked.first().copied()
        {
            let Some(tracked) = self.tracked.get_mut(&position.task) else { return };
            if self.text_bytes > 0 && self.text_bytes + tracked.text_bytes > self.settings.tuning.text_bytes_max {
                return;
            }
            pace.unmarked.remove(&position);
            pace.marks += 1;
            tracked.marked = Marked::Requested;
            let run = tracked.task.run;
            self.take_text(position.task);
            self.emit_mark(position.task, run, None);
        }
    }

    /// The claim ahead is written: the task waits for its turn.
    pub(super) fn go_ahead(&mut self, task: TaskId) {
        self.restage(task, Stage::Ahead { since: self.now.monotonic });
        let Some(tracked) = self.tracked.get(&task) else { return };
        let (pool, position) = (tracked.lane.pool.clone(), tracked.position);
        self.paces.entry(pool.clone()).or_default().unmarked.insert(position);
        self.hasty.insert(pool);
    }

    /// Whatever becomes of the task, it is not ahead of its turn any more.
    pub(super) fn leave_ahead(&mut self, task: TaskId) {
        if let Some(tracked) = self.tracked.get(&task).filter(|tracked| matches!(tracked.stage, Stage::Ahead { .. }))
            && let Some(pace) = self.paces.get_mut(&tracked.lane.pool)
        {
            match tracked.marked {
                Marked::No => drop(pace.unmarked.remove(&tracked.position)),
                Marked::Requested | Marked::Durably => pace.marks = pace.marks.saturating_sub(1),
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
                let (pool, position) = (tracked.lane.pool.clone(), tracked.position);
                self.paces.entry(pool.clone()).or_default().unmarked.insert(position);
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
        let mut positions: Vec<QueuePosition> =
            self.tracked.values().filter(|tracked| waits(tracked)).map(|tracked| tracked.position).collect();
        positions.sort_unstable();
        for position in positions.into_iter().rev().take(usize::try_from(ahead - most).unwrap_or(usize::MAX)) {
            self.give_back(position.task);
        }
    }

    pub(super) fn count_ahead(&mut self, pool: &PoolName, one_more: bool) {
        let pace = self.paces.entry(pool.clone()).or_default();
        pace.claims = if one_more { pace.claims + 1 } else { pace.claims.saturating_sub(1) };
        self.hasty.insert(pool.clone());
    }

    /// Learns how long a task of the pool took, and how often one ends.
    pub(super) fn learn_pace(&mut self, pool: &PoolName, took: Span) {
        let (now, window) = (self.now.monotonic, Span::micros(self.settings.tuning.ahead_age_max.as_micros() / 2));
        let slots = self.occupancy.of(pool).slots;
        let pace = self.paces.entry(pool.clone()).or_default();
        let old = pace.average.unwrap_or(took);
        pace.average = Some(Span::micros((old.as_micros() / 8) * 7 + took.as_micros() / 8));
        // Ends come in bunches, so they are counted over a window; a pool that stood still meanwhile has no pace.
        let began = *pace.window_began.get_or_insert(now);
        let elapsed = now - began;
        pace.window_ends += 1;
        if elapsed >= window {
            if elapsed <= Span::micros(window.as_micros() * 4) {
                let per_end = elapsed.as_micros() / i64::from(pace.window_ends);
                pace.cycle = Some(Span::micros(per_end.saturating_mul(i64::from(slots.max(1)))));
            }
            pace.window_began = Some(now);
            pace.window_ends = 0;
        }
        self.hasty.insert(pool.clone());
    }
}
