//! Tasks that clients pull: offers, and when they give way.
//!
//! An offer holds a slot that nobody uses. It gives way at once to who comes first in the order,
//! and after some patience to anybody else who wants the slot; then its lane stands back for a
//! while, so that the slot does not come straight back.

use super::clock::Timer;
use super::held::{Held, Stage};
use super::{Command, Orchestrator};
use crate::names::{PoolName, TargetName, TaskId};
use crate::plan::lane::{Head, Lane};
use crate::task::Terms;
use crate::task::event::Event;
use crate::task::row::{Held as Known, Row};

impl Orchestrator {
    pub(super) fn offer(&mut self, lane: Lane, head: &Head) {
        let Ok(task) = head.task().step(&Event::Offer, self.now) else {
            return self.sweep_by(self.now);
        };
        self.say(Command::Offer { task: head.turn.task, row: task.row() });
        self.hold(Held::new(head.turn, lane, task, Stage::Offering));
    }

    pub(super) fn offered(&mut self, task: TaskId, offered: bool) {
        match self.held.get(&task).map(|held| &held.stage) {
            Some(Stage::Offering) if offered => self.restage(task, Stage::Offered { since: self.now }),
            Some(Stage::Offering) => {
                if let Some(held) = self.let_go(task) {
                    self.look_at_lane(&held.lane);
                }
            }
            Some(_) | None => {}
        }
    }

    /// Somebody waits for offers: the lanes that stood back for lack of demand come back.
    pub(super) fn pulling(&mut self, target: &TargetName) {
        let wanted = |lane: &&Lane| lane.target == *target;
        for lane in self.unwanted.keys().filter(wanted).cloned().collect::<Vec<_>>() {
            self.unwanted.remove(&lane);
            self.plan.set_resting(&lane, false);
            self.refresh_pool(&lane.pool);
        }
    }

    pub(super) fn taken(&mut self, task: TaskId, row: &Row) {
        let Some(held) = self.held.get_mut(&task) else { return };
        self.unwanted.remove(&held.lane);
        // What is being written names the run before, so it will not be written, and shows the row.
        if matches!(held.stage, Stage::Recording { .. }) {
            return;
        }
        let terms = Terms { client_pulled: true, ..held.task.terms };
        if let Ok(next) = row.task(terms, Known::Claimed) {
            held.task = next;
            self.restage(task, Stage::Pulled);
        }
    }

    pub(super) fn withdrawn(&mut self, task: TaskId) {
        if let Some(Stage::Withdrawing) = self.held.get(&task).map(|held| &held.stage)
            && let Some(held) = self.let_go(task)
        {
            self.look_at_lane(&held.lane);
        }
    }

    pub(super) fn forget_offer(&mut self, pool: &PoolName, task: TaskId) {
        if let Some(offers) = self.offers.get_mut(pool) {
            offers.remove(&task);
            if offers.is_empty() {
                self.offers.remove(pool);
            }
        }
    }

    /// Takes back the offers that have to give way.
    pub(super) fn settle_offers(&mut self) {
        for pool in std::mem::take(&mut self.contested) {
            let offers: Vec<TaskId> = self.offers.get(&pool).into_iter().flatten().copied().collect();
            let calm = self.settings.paused || self.slot_free(&pool);
            if calm && self.drain_until.is_none() {
                continue;
            }
            for task in offers {
                self.settle_offer(&pool, task);
            }
        }
    }

    /// The lane stands back, the longer the more often nobody came.
    fn rest(&mut self, lane: Lane) {
        self.plan.set_resting(&lane, true);
        let times = self.unwanted.entry(lane.clone()).or_default();
        let rest = self.settings.tuning.offer_rest.doubled(*times);
        *times = times.saturating_add(1).min(self.settings.tuning.offer_rest_doublings_max);
        self.at(self.now + rest, Timer::Rested(lane));
    }

    fn settle_offer(&mut self, pool: &PoolName, task: TaskId) {
        let Some(held) = self.held.get(&task) else { return };
        let Stage::Offered { since } = held.stage else { return };
        let (turn, lane) = (held.turn, held.lane.clone());
        let impatient = since + self.settings.tuning.offer_patience <= self.now;
        let rival = self.plan.first_of(pool, &lane, self.worker_free());
        let sibling = self.plan.first_in(&lane);
        let outranked = rival.into_iter().chain(sibling).any(|other| other < turn);
        let outwaited = impatient && rival.is_some();
        if !(outranked || outwaited || self.drain_until.is_some()) {
            return;
        }
        self.say(Command::Withdraw { task });
        self.restage(task, Stage::Withdrawing);
        if outwaited && !outranked {
            self.rest(lane);
        }
    }
}
