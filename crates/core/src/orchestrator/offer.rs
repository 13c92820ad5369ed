//! Tasks that clients pull: offers, and when they give way.
//!
//! An offer holds a slot that nothing uses. It gives way at once to a task that comes first in the
//! order, and after some patience to any other that wants the slot; then its lane stands back for a
//! while, so that the slot does not come straight back.

use super::Orchestrator;
use super::timers::Timer;
use super::tracked::{Stage, Tracked};
use crate::names::{PoolName, TaskId};
use crate::plan::lane::{Head, Lane};
use crate::task::TaskOptions;
use crate::task::event::Event;
use crate::task::row::{LaunchState, Row};

impl Orchestrator {
    pub(super) fn offer(&mut self, lane: Lane, head: &Head) {
        let default_timeout = self.settings.timeout(&lane.target);
        let Some(write) = self.write_of(&head.task(), Event::Offer { default_timeout }) else {
            return self.sweep_by(self.now.monotonic);
        };
        let (task, stage) = (head.position.task, Stage::Writing(write));
        self.track(Tracked::new(head.position, lane, head.task(), stage, &self.settings.tuning, self.now));
        self.send_write(task);
    }

    pub(super) fn taken(&mut self, task: TaskId, row: &Row) {
        let now = self.now;
        let Some(tracked) = self.tracked.get_mut(&task) else { return };
        // What is being written names the run before, so it will not be written, and shows the row.
        if tracked.write().is_some() {
            return;
        }
        let options = TaskOptions { client_pulled: true, ..tracked.task.options };
        if let Ok(next) = row.task(options, LaunchState::Claimed) {
            tracked.set_task(next, now);
            self.restage(task, Stage::Pulled);
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

    /// The lane stands back for a while.
    fn rest(&mut self, lane: Lane) {
        self.plan.set_resting(&lane, true);
        self.at(self.now.monotonic + self.settings.tuning.offer_rest, Timer::Rested(lane));
    }

    fn settle_offer(&mut self, pool: &PoolName, task: TaskId) {
        let Some(tracked) = self.tracked.get(&task) else { return };
        let Stage::Offered { since } = tracked.stage else { return };
        let (position, lane) = (tracked.position, tracked.lane.clone());
        let impatient = since + self.settings.tuning.offer_patience <= self.now.monotonic;
        let rival = self.plan.first_of(pool, &lane, self.worker_free());
        let sibling = self.plan.first_in(&lane);
        let outranked = rival.into_iter().chain(sibling).any(|other| other < position);
        let outwaited = impatient && rival.is_some();
        if !(outranked || outwaited || self.drain_until.is_some()) {
            return;
        }
        let Some(write) = self.write_of(&tracked.task, Event::Withdraw) else { return };
        self.begin_write(task, write);
        if outwaited && !outranked {
            self.rest(lane);
        }
    }
}
