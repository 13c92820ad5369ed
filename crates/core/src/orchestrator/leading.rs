//! Taking the lead, losing it, and losing and finding the store.

use std::collections::BTreeMap;

use super::Orchestrator;
use super::command::Command;
use super::input::TaskSnapshot;
use super::sessions::SessionState;
use super::settings::Settings;
use super::timers::Timer;
use super::tracked::{Marked, TaskSession, Tracked};
use crate::names::{Epoch, TargetName, TaskId};
use crate::plan::lane::Lane;
use crate::task::row::Row;

impl Orchestrator {
    pub(super) fn configured(&mut self, settings: Settings) {
        let scheduler = &mut self.scheduler;
        scheduler.cx.configure(settings);
        scheduler.tracked.starts.configured(&mut scheduler.cx);
        scheduler.sessions.limit(&mut scheduler.cx, &mut scheduler.plan);
        scheduler.sessions.pause(&mut scheduler.cx, &mut scheduler.plan);
        for pool in scheduler.plan.pools() {
            scheduler.refresh_pool(&pool);
        }
        scheduler.offers.review_all();
        scheduler.give_back_paused();
        scheduler.sessions.assign_all_later();
    }

    pub(super) fn elected(
        &mut self,
        epoch: Epoch,
        fence: Vec<TargetName>,
        inherited: Vec<TaskSnapshot>,
        lanes: &[Lane],
    ) {
        self.deposed();
        let scheduler = &mut self.scheduler;
        scheduler.sessions.limit(&mut scheduler.cx, &mut scheduler.plan);
        scheduler.sessions.pause(&mut scheduler.cx, &mut scheduler.plan);
        scheduler.tracked.starts.begin(&mut scheduler.cx);
        for target in &fence {
            scheduler.sessions.fence(target, &mut scheduler.plan);
        }
        for snapshot in inherited {
            let (task, target) = (snapshot.position.task, snapshot.lane.target.clone());
            let Some(tracked) = Tracked::inherited(snapshot, scheduler.cx.tuning(), scheduler.cx.now()) else {
                continue;
            };
            if tracked.session().lost_host().is_some() {
                scheduler.sessions.add_orphan(target, task);
            }
            scheduler.track(tracked);
        }
        scheduler.refresh_lanes(lanes);
        scheduler.leadership.elect(epoch);
        for target in fence {
            scheduler.cx.emit(Command::Fence { target, before: epoch });
        }
        scheduler.cx.emit(Command::RunStartup);
    }

    pub(super) fn startup_done(&mut self) {
        if !self.scheduler.leadership.started() {
            return;
        }
        // Queries that were not marked were not sent.
        self.scheduler.give_back_all(self.scheduler.tracked.filter(Tracked::is_unlaunched_claim));
        self.resume();
    }

    /// A leadership begins, or the store is back: no step of the cycle is under way.
    pub(super) fn resume(&mut self) {
        self.cycle.begin(&self.scheduler.cx);
        self.scheduler.tracked.marks.not_rotated();
        self.scheduler.requests.restart();
        self.scheduler.sweep.at_once(&mut self.scheduler.cx);
        for target in self.scheduler.sessions.targets() {
            self.scheduler.resolve(&target);
        }
    }

    /// Another orchestrator leads: everything is forgotten, and every session is closed.
    pub(super) fn deposed(&mut self) {
        let fresh = Self::with(self.scheduler.restarted());
        let mut old = std::mem::replace(self, fresh);
        for command in old.scheduler.cx.take_commands() {
            if matches!(command, Command::Disconnect { .. }) {
                self.scheduler.cx.emit(command);
            }
        }
        for session in old.scheduler.sessions.filter(|state| state != SessionState::Closing) {
            self.scheduler.cx.emit(Command::Disconnect { session });
        }
    }

    /// The session that holds the lead is lost, and with it the texts that came with marks:
    /// launches stop at once, and have to be marked anew.
    pub(super) fn store_lost(&mut self) {
        let scheduler = &mut self.scheduler;
        if !scheduler.leadership.disconnect() {
            return;
        }
        let is_marked = |tracked: &Tracked| {
            tracked.marked() != Marked::No || matches!(tracked.session(), TaskSession::Assigned { .. })
        };
        for task in scheduler.tracked.filter(is_marked) {
            scheduler.update(task, Tracked::lose_mark);
        }
        for command in scheduler.cx.take_commands() {
            if let Command::Launch { task, session, .. } = command {
                // A session that is lost has no launch that waits.
                scheduler.unlaunch(task);
                scheduler.sessions.rest(session, &mut scheduler.cx, &mut scheduler.plan);
            } else if !command.is_for_store() {
                scheduler.cx.emit(command);
            }
        }
        scheduler.tracked.doubt_writes();
        self.retries.clear();
        scheduler.leadership.prove(&mut scheduler.cx);
    }

    /// The store is back, and the rows of unconfirmed writes are known.
    pub(super) fn resynced(&mut self, rows: Vec<(TaskId, Row)>) {
        let scheduler = &mut self.scheduler;
        let Some(started) = scheduler.leadership.reconnect() else { return };
        let rows: BTreeMap<TaskId, Row> = rows.into_iter().collect();
        for task in scheduler.tracked.filter(|_| true) {
            if scheduler.confirm(task, rows.get(&task)) {
                self.cycle.written();
            }
        }
        scheduler.sessions.register_again(&mut scheduler.cx);
        scheduler.sessions.unregister_again(&mut scheduler.cx);
        scheduler.plan.forget_refills();
        scheduler.sweep.finished();
        if started {
            self.resume();
        } else {
            // What follows from the end of the routines is done then.
            scheduler.cx.emit(Command::RunStartup);
        }
    }

    /// Gives up the lead when nothing is left that only this leader can do.
    pub(super) fn resign_when_drained(&mut self) {
        let scheduler = &mut self.scheduler;
        let Some(until) = scheduler.leadership.drain_until() else { return };
        let (now, tuning) = (scheduler.cx.monotonic(), *scheduler.cx.tuning());
        let over = until <= now;
        let long_over = until + tuning.drain_record_grace <= now;
        if !scheduler.tracked.iter().all(|(_, tracked)| tracked.may_be_left(over, long_over)) {
            return;
        }
        let closing_until = scheduler.leadership.closing_until(now, tuning.closing_grace);
        if now < closing_until {
            scheduler.cx.at(closing_until, Timer::Drain);
            if scheduler.sessions.close_idle(&mut scheduler.cx, &mut scheduler.plan) {
                return;
            }
        }
        self.deposed();
        self.scheduler.cx.emit(Command::Resign);
    }
}
