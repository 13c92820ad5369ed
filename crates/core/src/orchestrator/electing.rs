//! Taking the lead, losing it, and losing and finding the store.

use super::Orchestrator;
use super::command::Command;
use super::input::TaskSnapshot;
use super::sessions::SessionState;
use super::settings::Settings;
use super::tracked::{Detached, Marked, Stage, Tracked};
use crate::names::{Epoch, SessionId, TargetName, TaskId};
use crate::plan::lane::Lane;
use crate::task::phase::Phase;
use crate::task::row::Row;
use crate::time::Span;

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
            self.inherit(snapshot);
        }
        self.waiting(lanes);
        self.leadership.elect(epoch);
        for target in fence {
            self.cx.emit(Command::Fence { target, before: epoch });
        }
        self.cx.emit(Command::RunStartup);
    }

    /// Tracks a task that the leader before tracked.
    fn inherit(&mut self, snapshot: TaskSnapshot) {
        let TaskSnapshot { position, lane, task } = snapshot;
        let (target, since) = (lane.target.clone(), self.cx.monotonic());
        let stage = if let Phase::Launched { .. } = &task.phase {
            Some(Stage::Lost { since })
        } else if let Phase::Claimed { .. } = &task.phase {
            Some(Stage::Queued)
        } else {
            Stage::of_row(&task.phase, since)
        };
        let Some(stage) = stage else { return };
        let orphan = matches!(stage, Stage::Lost { .. } | Stage::Abandoned);
        let mut tracked = Tracked::new(position, lane, task, stage, self.cx.tuning(), self.cx.now());
        tracked.mark_sent = orphan;
        self.track(tracked);
        if orphan {
            self.set_detached(position.task, Detached::MayRun);
            self.sessions.add_orphan(target, position.task);
        }
    }

    pub(super) fn startup_done(&mut self) {
        if !self.leadership.started() {
            return;
        }
        self.begin_cycle();
        // Queries that were not marked were not sent.
        for task in self.tracked.filter(|tracked| matches!(tracked.stage(), Stage::Queued)) {
            self.give_back(task);
        }
        self.resolve_all();
        self.requests.restart();
        self.sweep_by(self.cx.monotonic());
    }

    pub(super) fn fenced(&mut self, target: &TargetName, older: Vec<i64>) {
        let connected = self.leadership.is_connected();
        self.sessions.fenced(target, older, connected, &mut self.cx, &mut self.plan);
        self.resolve(target);
    }

    /// The host of the target cannot be reached: what an older leader ran there takes no worker.
    pub(super) fn fence_failed(&mut self, target: &TargetName) {
        for task in self.sessions.orphans(target) {
            self.host_unreachable(task);
        }
    }

    fn resolve_all(&mut self) {
        for target in self.sessions.targets() {
            self.resolve(&target);
        }
    }

    /// Resolves the tasks that the leader before ran at the target, once its sessions are gone.
    fn resolve(&mut self, target: &TargetName) {
        if self.leadership.is_active() {
            for task in self.sessions.take_resolvable(target) {
                self.query_gone(task, LEADER_LOST);
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

    /// The session that holds the lead is lost.
    pub(super) fn store_lost(&mut self) {
        if !self.leadership.disconnect() {
            return;
        }
        self.forget_marks_ahead();
        for command in self.cx.take_commands() {
            if let Command::Launch { task, session, .. } = command {
                // Launching stops at once.
                self.unlaunch(task, session);
            } else if !command.is_for_store() {
                self.cx.emit(command);
            }
        }
        self.doubt_writes();
        self.retries.clear();
        if self.leadership.lost_again(self.cx.monotonic(), self.cx.tuning()) {
            self.prove_later();
        } else {
            self.cx.emit(Command::ProveLead { after: Span::ZERO });
        }
    }

    /// The lead could not be proved, or was lost soon after it was.
    pub(super) fn prove_later(&mut self) {
        if self.leadership.is_disconnected() {
            let random = self.cx.random();
            let after = self.leadership.next_proof(random);
            self.cx.emit(Command::ProveLead { after });
        }
    }

    /// The driver has not seen the launch: the task is claimed as before.
    fn unlaunch(&mut self, task: TaskId, session: SessionId) {
        let now = self.cx.now();
        let Some(tracked) = self.tracked.get_mut(task) else { return };
        let Phase::Launched { consumed, times_up, .. } = tracked.task().phase else { return };
        let mut claimed = tracked.task().clone();
        claimed.phase = Phase::Claimed { consumed, times_up };
        tracked.set_task(claimed, now);
        tracked.marked = Marked::No;
        self.free_text(task);
        self.enqueue(task);
        self.rest(session);
    }

    pub(super) fn store_back(&mut self) {
        if self.leadership.is_disconnected() {
            self.leadership.proved(self.cx.monotonic());
            self.ask_for_rows();
        }
    }

    /// The store is back, and the rows of unconfirmed writes are known.
    pub(super) fn resynced(&mut self, rows: Vec<(TaskId, Row)>) {
        let Some(started) = self.leadership.reconnect() else { return };
        self.confirm_all(rows);
        for session in self.sessions.filter(|state| state == SessionState::Registering) {
            self.cx.emit(Command::Register { session });
        }
        self.sessions.unregister_again(&mut self.cx);
        self.plan.forget_refills();
        self.sweep.finished();
        self.requests.restart();
        self.sweep_by(self.cx.monotonic());
        if started {
            self.begin_cycle();
            self.resolve_all();
        } else {
            self.cx.emit(Command::RunStartup);
        }
    }
}
