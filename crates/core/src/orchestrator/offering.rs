//! Offering tasks to the clients that pull, and withdrawing offers.

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
        let default_timeout = self.cx.settings().timeout(&lane.target);
        let Some(write) = self.write_of(&head.task(), Event::Offer { default_timeout }) else {
            // It is overdue, and the sweep ends it.
            return self.sweep_by(self.cx.monotonic());
        };
        let stage = Stage::Writing(write);
        self.track(Tracked::new(head.position, lane, head.task(), stage, self.cx.tuning(), self.cx.now()));
        self.send_write(head.position.task);
    }

    /// A client took what was offered.
    pub(super) fn taken(&mut self, task: TaskId, row: &Row) {
        let now = self.cx.now();
        let Some(tracked) = self.tracked.get_mut(task) else { return };
        // A write under way names the run before, so it changes nothing, and its answer shows the row.
        if tracked.write().is_some() {
            return;
        }
        let options = TaskOptions { client_pulled: true, ..tracked.task().options };
        if let Ok(next) = row.task(options, LaunchState::Claimed) {
            tracked.set_task(next, now);
            self.set_stage(task, Stage::Pulled);
        }
    }

    /// Withdraws the offers that have to give way.
    pub(super) fn review_offers(&mut self) {
        for (pool, tasks) in self.offers.take_reviews() {
            let calm = self.cx.settings().paused || self.slot_free(&pool);
            if calm && !self.leadership.is_draining() {
                continue;
            }
            for task in tasks {
                self.review_offer(&pool, task);
            }
        }
    }

    fn review_offer(&mut self, pool: &PoolName, task: TaskId) {
        let Some(tracked) = self.tracked.known(task) else { return };
        let Stage::Offered { since } = *tracked.stage() else {
            debug_assert!(false, "task {task} is among the offers and is not offered");
            return;
        };
        let (position, lane) = (tracked.position, tracked.lane.clone());
        let impatient = since + self.cx.tuning().offer_patience <= self.cx.monotonic();
        let rival = self.plan.first_of(pool, &lane, self.worker_free());
        let sibling = self.plan.first_in(&lane);
        let outranked = rival.into_iter().chain(sibling).any(|other| other < position);
        let outwaited = impatient && rival.is_some();
        if !(outranked || outwaited || self.leadership.is_draining()) {
            return;
        }
        let Some(write) = self.write_of(tracked.task(), Event::Withdraw) else {
            debug_assert!(false, "task {task} is offered and cannot be withdrawn");
            return;
        };
        self.begin_write(task, write);
        if outwaited && !outranked {
            // Otherwise its lane would take the slot back at once.
            self.plan.set_resting(&lane, true);
            self.cx.at(self.cx.monotonic() + self.cx.tuning().offer_rest, Timer::Rested(lane));
        }
    }
}
