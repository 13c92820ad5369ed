//! Choosing what runs, and claiming it: in its turn, or a little ahead of it.

use super::held::{Held, Stage};
use super::{Bug, Command, Orchestrator};
use crate::names::{PoolName, Run, TaskId};
use crate::plan::Choice;
use crate::plan::lane::{Head, Kind, Lane, Turn};
use crate::task::event::Event;
use crate::time::Span;

/// How long the tasks of a pool take, and how many of them are claimed ahead.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// A moving average; `None` before the first.
    average: Option<Span>,
    ahead: u32,
}

impl Orchestrator {
    pub(super) fn waiting(&mut self, lanes: &[Lane]) {
        for lane in lanes {
            self.look_at_lane(lane);
        }
    }

    pub(super) fn refilled(&mut self, lane: &Lane, mut heads: Vec<Head>, more: bool) {
        // What is in hand was read before it was.
        heads.retain(|head| !self.held.contains_key(&head.turn.task));
        self.plan.refill(lane, heads, more);
        self.refresh_pool(&lane.pool);
        self.contested.insert(lane.pool.clone());
        self.hasty.insert(lane.pool.clone());
        self.want_target(&lane.target);
    }

    pub(super) fn ask_for_heads(&mut self) {
        for (lane, heads_max) in self.plan.refills(self.settings.tuning.refill_lanes_max) {
            self.say(Command::Refill { lane, heads_max });
        }
    }

    /// Takes all whose turn it is.
    pub(super) fn choose(&mut self) {
        while self.launches() {
            let (lane, head, ahead) = match self.plan.next(self.worker_free()) {
                Choice::Take { lane, head, ahead } => (lane.clone(), head.clone(), ahead),
                Choice::Await(_) | Choice::Nobody => break,
            };
            match (lane.kind, ahead) {
                (Kind::Run, true) => self.take_up(&lane, head.turn.task),
                (Kind::Run, false) => {
                    self.plan.remove(&lane, head.turn.task);
                    self.claim(lane, &head, false);
                }
                (Kind::Pull, _) => {
                    self.plan.remove(&lane, head.turn.task);
                    self.offer(lane, &head);
                }
            }
        }
        self.claim_ahead();
    }

    /// The turn has come of a task that is claimed already.
    fn take_up(&mut self, lane: &Lane, task: TaskId) {
        self.plan.remove(lane, task);
        self.count_ahead(&lane.pool, false);
        match self.held.get(&task).map(|held| &held.stage) {
            Some(Stage::Claiming { .. }) => self.restage(task, Stage::Claiming { ahead: false }),
            Some(Stage::Ahead { .. }) => self.enqueue(task),
            // The plan has no others.
            Some(_) | None => debug_assert!(false, "task {task} is ahead of nothing"),
        }
    }

    fn claim(&mut self, lane: Lane, head: &Head, ahead: bool) {
        let default_timeout = self.settings.timeout(&lane.target);
        let claim = Event::Claim { default_timeout };
        let Ok(task) = head.task().step(&claim, self.now) else {
            // Overdue: the sweep ends it.
            self.plan.remove(&lane, head.turn.task);
            return self.sweep_by(self.now);
        };
        if ahead {
            self.count_ahead(&lane.pool, true);
        }
        self.say(Command::Claim { task: head.turn.task, row: task.row() });
        let mut held = Held::new(head.turn, lane, task, Stage::Claiming { ahead });
        held.text_bytes = head.text_bytes;
        self.hold(held);
        if self.bug == Some(Bug::LaunchBeforeClaim) && !ahead {
            self.enqueue(head.turn.task);
        }
    }

    pub(super) fn claimed(&mut self, task: TaskId, run: Run, claimed: bool) {
        let Some(Stage::Claiming { ahead }) = self.stage(task, run) else { return };
        match (claimed, *ahead) {
            (true, true) => {
                self.restage(task, Stage::Ahead { since: self.now });
                let pool = self.held.get(&task).map(|held| held.lane.pool.clone());
                self.hasty.extend(pool);
            }
            (true, false) => self.enqueue(task),
            (false, ahead) => {
                if let Some(held) = self.let_go(task) {
                    self.plan.remove(&held.lane, task);
                    if ahead {
                        self.count_ahead(&held.lane.pool, false);
                    }
                    self.look_at_lane(&held.lane);
                }
            }
        }
    }

    /// Claims ahead for pools that are full of short tasks.
    fn claim_ahead(&mut self) {
        let tuning = self.settings.tuning;
        for pool in std::mem::take(&mut self.hasty) {
            let Some(average) = self.paces.get(&pool).and_then(|pace| pace.average) else { continue };
            // Only slots that queries run in come free by themselves.
            let taken = self.books.of(&pool);
            let most =
                (taken.slots - taken.resting).min(self.settings.workers).saturating_mul(tuning.ahead_per_slot(average));
            self.return_surplus(&pool, most);
            if !self.launches() {
                continue;
            }
            while self.paces.get(&pool).is_some_and(|pace| pace.ahead < most)
                && let Some((lane, head)) = self.plan.claim_ahead(&pool)
            {
                self.claim(lane, &head, true);
            }
        }
    }

    /// Returns the last of those claimed ahead, when there are more than slots to wait for.
    fn return_surplus(&mut self, pool: &PoolName, most: u32) {
        let ahead = self.paces.get(pool).map_or(0, |pace| pace.ahead);
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

    /// The task is claimed before its turn has come, or is about to be.
    #[must_use]
    pub fn is_ahead(&self, task: TaskId) -> bool {
        let stage = self.held.get(&task).map(|held| &held.stage);
        matches!(stage, Some(Stage::Claiming { ahead: true } | Stage::Ahead { .. }))
    }

    pub(super) fn count_ahead(&mut self, pool: &PoolName, one_more: bool) {
        let pace = self.paces.entry(pool.clone()).or_default();
        pace.ahead = if one_more { pace.ahead + 1 } else { pace.ahead.saturating_sub(1) };
        self.hasty.insert(pool.clone());
    }

    /// Learns how long a task of the pool took.
    pub(super) fn learn_pace(&mut self, pool: &PoolName, took: Span) {
        let pace = self.paces.entry(pool.clone()).or_default();
        let old = pace.average.unwrap_or(took);
        pace.average = Some(Span::micros((old.as_micros() / 8) * 7 + took.as_micros() / 8));
        self.hasty.insert(pool.clone());
    }

    /// Returns a claim that was not launched.
    pub(super) fn give_back(&mut self, task: TaskId) {
        let Some(held) = self.held.get_mut(&task) else { return };
        let Ok(next) = held.task.step(&Event::GiveBack, self.now) else { return };
        let was_ahead = matches!(held.stage, Stage::Ahead { .. });
        let run = held.task.run;
        held.task = next;
        let (row, lane, turn) = (held.task.row(), held.lane.clone(), held.turn);
        self.drop_from_queue(&lane.target, task);
        self.restage(task, Stage::Returning);
        self.say(Command::GiveBack { task, run, row });
        if was_ahead {
            self.plan.remove(&lane, task);
            self.count_ahead(&lane.pool, false);
            // No slot came free in time: the tasks are not as short as they were.
            let pace = self.paces.entry(lane.pool.clone()).or_default();
            pace.average = pace.average.max(Some(self.settings.tuning.ahead_age_max));
        }
        self.plan.recall(&lane, turn);
    }

    pub(super) fn given_back(&mut self, task: TaskId, run: Run) {
        let returning = |held: &Held| matches!(held.stage, Stage::Returning) && held.task.run.next() == run;
        if self.held.get(&task).is_some_and(returning)
            && let Some(held) = self.let_go(task)
        {
            self.look_at_lane(&held.lane);
            if let Some(deadline) = held.task.phase.times_up() {
                self.sweep_by(deadline);
            }
        }
    }

    /// While paused or draining: what is claimed and not launched goes back.
    pub(super) fn hold_back(&mut self) {
        if self.launches() {
            return;
        }
        let idle = |held: &Held| matches!(held.stage, Stage::Ahead { .. } | Stage::Queued);
        let back: Vec<TaskId> = self.held.iter().filter(|(_, held)| idle(held)).map(|(task, _)| *task).collect();
        for task in back {
            self.give_back(task);
        }
    }
}
