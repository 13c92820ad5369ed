//! Taking the lead, losing it, losing sight of the store, and leaving.

use super::input::TaskSnapshot;
use super::settings::Settings;
use super::target::SessionState;
use super::timers::Timer;
use super::tracked::{Marked, Pressure, Stage, Stray, Tracked, Write, WriteState};
use super::{Command, Lead, Orchestrator};
use crate::names::{Epoch, SessionId, TargetName, TaskId};
use crate::plan::lane::Lane;
use crate::task::event::{Event, Request};
use crate::task::phase::Phase;
use crate::task::row::Row;
use crate::task::status::FinishStatus;
use crate::time::{MonotonicTime, Span};

/// What is known of a query whose leader was lost.
pub(super) const LEADER_LOST: &str = "outcome unknown: the orchestrator was lost while the query ran";

impl Orchestrator {
    pub(super) fn configured(&mut self, settings: Settings) {
        self.settings = settings;
        for pool in self.plan.pools() {
            self.refresh_pool(&pool);
            self.contested.insert(pool);
        }
        self.unassigned.extend(self.targets.keys().cloned());
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
            self.targets.entry(target.clone()).or_default().fencing = true;
            self.refresh_target(target);
        }
        for sighting in inherited {
            self.inherit(sighting);
        }
        self.waiting(lanes);
        self.lead = Lead::Starting { epoch };
        for target in fence {
            self.emit(Command::Fence { target, before: epoch });
        }
        self.emit(Command::RunStartup);
    }

    /// Takes a task in hand that the leader before had in hand.
    fn inherit(&mut self, sighting: TaskSnapshot) {
        let TaskSnapshot { position, lane, task } = sighting;
        let (target, since) = (lane.target.clone(), self.now.monotonic);
        let stage = match &task.phase {
            Phase::Launched { .. } => Stage::Lost { since },
            Phase::Claimed { .. } => Stage::Queued,
            Phase::Offered { .. } => Stage::Offered { since },
            Phase::Pulled { .. } => Stage::Pulled,
            Phase::Yielded { tracked: true, .. } => Stage::Yielded,
            Phase::Finished { end, .. } if end.tracked == Some(true) => Stage::Abandoned,
            Phase::Ready { .. } | Phase::Yielded { .. } | Phase::Finished { .. } => return,
        };
        let orphan = matches!(stage, Stage::Lost { .. } | Stage::Abandoned);
        let offered = matches!(stage, Stage::Offered { .. });
        let mut tracked = Tracked::new(position, lane, task, stage, &self.settings.tuning, self.now);
        tracked.mark_sent = orphan;
        self.track(tracked);
        if orphan {
            self.set_stray(position.task, Stray::MayRun);
            self.targets.entry(target).or_default().orphans.push(position.task);
        }
        if offered {
            // Offers are listed when their stage is set.
            self.restage(position.task, Stage::Offered { since });
        }
    }

    pub(super) fn startup_done(&mut self) {
        let Lead::Starting { epoch } = self.lead else { return };
        self.lead = Lead::Leads { epoch };
        self.begin_upkeep();
        // Nothing was sent for what was not marked.
        let unmarked: Vec<TaskId> = self
            .tracked
            .iter()
            .filter(|(_, tracked)| matches!(tracked.stage, Stage::Queued))
            .map(|(task, _)| *task)
            .collect();
        for task in unmarked {
            self.give_back(task);
        }
        for target in self.targets.keys().cloned().collect::<Vec<_>>() {
            self.resolve(&target);
        }
        self.reading.forget();
        self.sweep_by(self.now.monotonic);
    }

    pub(super) fn fenced(&mut self, target: &TargetName, sessions: Vec<i64>) {
        if let Some(state) = self.targets.get_mut(target) {
            state.fencing = false;
        }
        self.unregister(sessions.into_iter().map(super::command::Registered::Older));
        self.refresh_target(target);
        self.unassigned.insert(target.clone());
        self.resolve(target);
    }

    /// The target's host cannot be reached: what an older leader ran there takes no worker any more.
    pub(super) fn fence_failed(&mut self, target: &TargetName) {
        let orphans = self.targets.get(target).map(|state| state.orphans.clone()).unwrap_or_default();
        for task in orphans {
            self.cannot_reach(task);
        }
    }

    /// Resolves what the leader before ran at the target, once its sessions are gone.
    fn resolve(&mut self, target: &TargetName) {
        let leads = matches!(self.lead, Lead::Leads { .. });
        let Some(state) = self.targets.get_mut(target) else { return };
        if !leads || state.fencing {
            return;
        }
        for task in std::mem::take(&mut state.orphans) {
            self.query_gone(task, LEADER_LOST);
        }
    }

    pub(super) fn deposed(&mut self) {
        let fresh = Self::new(self.settings.clone(), self.random);
        let old = std::mem::replace(self, fresh);
        self.now = old.now;
        // Sessions of another epoch of this process must not be taken for this one's.
        self.last_session = old.last_session;
        // Those that are being closed are closed all the same.
        let closes = |command: &Command| matches!(command, Command::Disconnect { .. });
        self.commands.extend(old.commands.into_iter().filter(closes));
        for (session, state) in old.sessions {
            if state.state != SessionState::Closing {
                self.emit(Command::Disconnect { session });
            }
        }
    }

    pub(super) fn store_lost(&mut self) {
        let (epoch, started) = match self.lead {
            Lead::Not => return,
            Lead::Starting { epoch } => (epoch, false),
            Lead::Leads { epoch } => (epoch, true),
            Lead::Blind { epoch, started } => (epoch, started),
        };
        self.lead = Lead::Blind { epoch, started };
        self.forget_marks_ahead();
        for command in std::mem::take(&mut self.commands) {
            if let Command::Launch { task, session, .. } = command {
                // Launching stops at once.
                self.unlaunch(task, session);
            } else if !command.is_for_store() {
                self.emit(command);
            }
        }
        self.doubt_writes();
        self.retries.forget();
        // A lead that is lost soon after it was proved was lost by what it does.
        let apart = self.settings.tuning.losses_apart;
        if self.proved_at.is_none_or(|at| at + apart <= self.now.monotonic) {
            self.proof.reset();
            self.emit(Command::ProveLead { after: Span::ZERO });
        } else {
            self.prove_later();
        }
    }

    /// The lead could not be proved, or was lost again.
    pub(super) fn prove_later(&mut self) {
        if matches!(self.lead, Lead::Blind { .. }) {
            let random = self.random();
            let after = self.proof.next(random);
            self.emit(Command::ProveLead { after });
        }
    }

    /// No target saw the launch yet: it did not happen.
    fn unlaunch(&mut self, task: TaskId, session: SessionId) {
        let now = self.now;
        let Some(tracked) = self.tracked.get_mut(&task) else { return };
        let Phase::Launched { consumed, times_up, .. } = tracked.task.phase else { return };
        let mut claimed = tracked.task.clone();
        claimed.phase = Phase::Claimed { consumed, times_up };
        tracked.set_task(claimed, now);
        tracked.marked = Marked::No;
        self.free_text(task);
        self.enqueue(task);
        self.rest_session(session);
    }

    pub(super) fn store_back(&mut self) {
        if let Lead::Blind { .. } = self.lead {
            self.proved_at = Some(self.now.monotonic);
            self.ask_for_rows();
        }
    }

    /// The store is back, and it is known what became of the writes that were under way.
    pub(super) fn resynced(&mut self, rows: Vec<(TaskId, Row)>) {
        let Lead::Blind { epoch, started } = self.lead else { return };
        self.lead = if started { Lead::Leads { epoch } } else { Lead::Starting { epoch } };
        self.confirm_all(rows);
        let registering: Vec<SessionId> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.state == SessionState::Registering)
            .map(|(session, _)| *session)
            .collect();
        for session in registering {
            self.emit(Command::Register { session });
        }
        self.unregister_again();
        self.plan.forget_refills();
        self.sweeping = false;
        self.reading.forget();
        self.sweep_by(self.now.monotonic);
        if started {
            self.begin_upkeep();
            for target in self.targets.keys().cloned().collect::<Vec<_>>() {
                self.resolve(&target);
            }
        } else {
            self.emit(Command::RunStartup);
        }
    }

    pub(super) fn shutdown(&mut self, drain_until: MonotonicTime) {
        match self.lead {
            Lead::Not => return,
            Lead::Starting { .. } | Lead::Leads { .. } | Lead::Blind { .. } => {}
        }
        self.drain_until = Some(drain_until);
        self.at(drain_until, Timer::Drain);
        self.at(drain_until + self.settings.tuning.drain_record_grace, Timer::Drain);
        self.contested.extend(self.offers.keys().cloned());
    }

    /// The time for ending by themselves is over: what still runs is stopped, and waits again.
    pub(super) fn drain(&mut self) {
        let running: Vec<TaskId> = self
            .tracked
            .iter()
            .filter(|(_, tracked)| matches!(tracked.stage, Stage::Launched { pressure: Pressure::None, .. }))
            .map(|(task, _)| *task)
            .collect();
        let pause = Event::Request(Request::finish(FinishStatus::Paused));
        let now = self.now;
        for task in running {
            if let Some(tracked) = self.tracked.get_mut(&task)
                && let Ok(next) = tracked.task.step(&pause, now.server)
            {
                tracked.set_task(next, now);
            }
            self.press(task, now.monotonic);
        }
    }

    /// Says goodbye when nothing is left that only this leader can see to.
    pub(super) fn resign_when_drained(&mut self) {
        let Some(until) = self.drain_until else { return };
        let over = until <= self.now.monotonic;
        let long_over = until + self.settings.tuning.drain_record_grace <= self.now.monotonic;
        let may_stay = |tracked: &Tracked| match tracked.stage {
            Stage::Pulled | Stage::Yielded | Stage::Abandoned => true,
            // The next leader fences it.
            Stage::Lost { .. } => over,
            // Its row cannot be written: the next leader does not know how the query ended.
            Stage::Writing(Write { state: WriteState::Due { .. }, .. }) => long_over,
            Stage::Writing(_)
            | Stage::Ahead { .. }
            | Stage::Queued
            | Stage::Marking { .. }
            | Stage::Launched { .. }
            | Stage::Ended { .. }
            | Stage::Offered { .. } => false,
        };
        if self.tracked.values().all(may_stay) && !self.is_closing_sessions() {
            self.deposed();
            self.emit(Command::Resign);
        }
    }

    /// Closes the sessions without work, so that the registry is empty for the next leader; for some
    /// time at most.
    fn is_closing_sessions(&mut self) -> bool {
        let now = self.now.monotonic;
        let until = *self.closing_until.get_or_insert(now + self.settings.tuning.closing_grace);
        if until <= now {
            return false;
        }
        self.at(until, Timer::Drain);
        let idle = |state: SessionState| matches!(state, SessionState::Idle { .. });
        let close: Vec<SessionId> =
            self.sessions.iter().filter(|(_, session)| idle(session.state)).map(|(session, _)| *session).collect();
        for session in close {
            self.close(session);
        }
        let open = |state: SessionState| state.is_open() || state == SessionState::Closing;
        !self.unregistering.is_empty() || self.sessions.values().any(|session| open(session.state))
    }
}
