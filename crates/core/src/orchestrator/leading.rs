//! Taking the lead, losing it, and losing and finding the store.

use super::Orchestrator;
use super::command::Command;
use super::input::TaskSnapshot;
use super::sessions::SessionState;
use super::settings::Settings;
use super::timers::Timer;
use super::tracked::{Marked, TaskSession, Tracked};
use crate::names::{Epoch, SessionId, TargetName, TaskId};
use crate::plan::lane::Lane;
use crate::task::phase::Phase;

/// What is known of a query whose leader was lost.
const LEADER_LOST: &str = "outcome unknown: the orchestrator was lost while the query ran";

impl Orchestrator {
    pub(super) fn configured(&mut self, settings: Settings) {
        self.cx.configure(settings);
        for pool in self.plan.pools() {
            self.refresh_pool(&pool);
            self.offers.review(pool);
        }
        self.sessions.assign_all_later();
    }

    pub(super) fn elected(
        &mut self,
        epoch: Epoch,
        fence: Vec<TargetName>,
        inherited: Vec<TaskSnapshot>,
        lanes: &[Lane],
    ) {
        self.deposed();
        for target in &fence {
            self.sessions.fence(target, &mut self.plan);
        }
        for snapshot in inherited {
            let (task, target) = (snapshot.position.task, snapshot.lane.target.clone());
            let Some(tracked) = Tracked::inherited(snapshot, self.cx.tuning(), self.cx.now()) else { continue };
            if tracked.session().lost_host().is_some() {
                self.sessions.add_orphan(target, task);
            }
            self.track(tracked);
        }
        self.refresh_lanes(lanes);
        self.leadership.elect(epoch);
        for target in fence {
            self.cx.emit(Command::Fence { target, before: epoch });
        }
        self.cx.emit(Command::RunStartup);
    }

    pub(super) fn startup_done(&mut self) {
        if !self.leadership.started() {
            return;
        }
        // Queries that were not marked were not sent.
        self.give_back_all(self.tracked.filter(Tracked::is_unlaunched_claim));
        self.resume();
    }

    /// A leadership begins, or the store is back: no step of the cycle is under way.
    pub(super) fn resume(&mut self) {
        self.cycle.begin(&self.cx);
        self.tracked.marks.not_rotated();
        self.requests.restart();
        self.sweep.at_once(&mut self.cx);
        for target in self.sessions.targets() {
            self.resolve(&target);
        }
    }

    /// Resolves the tasks that the leader before ran at the target, once its sessions are gone.
    pub(super) fn resolve(&mut self, target: &TargetName) {
        if self.leadership.is_active() {
            for task in self.sessions.take_resolvable(target) {
                self.query_gone(task, LEADER_LOST.to_owned());
            }
        }
    }

    /// Another orchestrator leads: everything is forgotten, and every session is closed.
    pub(super) fn deposed(&mut self) {
        let fresh = Self::with(self.cx.restarted(), self.sessions.restarted());
        let mut old = std::mem::replace(self, fresh);
        for command in old.cx.take_commands() {
            if matches!(command, Command::Disconnect { .. }) {
                self.cx.emit(command);
            }
        }
        for session in old.sessions.filter(|state| state != SessionState::Closing) {
            self.cx.emit(Command::Disconnect { session });
        }
    }

    /// The session that holds the lead is lost, and with it the texts that came with marks:
    /// launches stop at once, and have to be marked anew.
    pub(super) fn store_lost(&mut self) {
        if !self.leadership.disconnect() {
            return;
        }
        let is_marked = |tracked: &Tracked| {
            tracked.marked() != Marked::No || matches!(tracked.session(), TaskSession::Assigned { .. })
        };
        for task in self.tracked.filter(is_marked) {
            self.update(task, Tracked::lose_mark);
        }
        for command in self.cx.take_commands() {
            if let Command::Launch { task, session, .. } = command {
                self.unlaunch(task, session);
            } else if !command.is_for_store() {
                self.cx.emit(command);
            }
        }
        self.tracked.doubt_writes();
        self.retries.clear();
        self.leadership.prove(&mut self.cx);
    }

    /// The driver has not seen the launch: the task is claimed as before.
    fn unlaunch(&mut self, task: TaskId, session: SessionId) {
        let now = self.cx.now();
        let Some(tracked) = self.tracked.known(task) else { return };
        let Phase::Launched { consumed, times_up, .. } = tracked.task().phase else {
            debug_assert!(false, "task {task} is to be launched and is not launched");
            return;
        };
        let mut claimed = tracked.task().clone();
        claimed.phase = Phase::Claimed { consumed, times_up };
        self.update(task, |tracked| {
            tracked.set_task(claimed, now);
            tracked.lose_mark();
            tracked.set_session(TaskSession::Wanted);
        });
        self.enqueue(task);
        self.sessions.rest(session, &mut self.cx, &mut self.plan);
    }

    /// Gives up the lead when nothing is left that only this leader can do.
    pub(super) fn resign_when_drained(&mut self) {
        let Some(until) = self.leadership.drain_until() else { return };
        let (now, tuning) = (self.cx.monotonic(), *self.cx.tuning());
        let over = until <= now;
        let long_over = until + tuning.drain_record_grace <= now;
        if !self.tracked.iter().all(|(_, tracked)| tracked.may_be_left(over, long_over)) {
            return;
        }
        let closing_until = self.leadership.closing_until(now, tuning.closing_grace);
        if now < closing_until {
            self.cx.at(closing_until, Timer::Drain);
            if self.sessions.close_idle(&mut self.cx, &mut self.plan) {
                return;
            }
        }
        self.deposed();
        self.cx.emit(Command::Resign);
    }
}
