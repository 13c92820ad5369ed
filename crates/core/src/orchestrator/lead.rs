//! Taking the lead, losing it, losing sight of the store, and leaving.

use std::collections::BTreeMap;

use super::clock::Timer;
use super::held::{Held, Marked, Pressure, Stage, Stray};
use super::input::Sighting;
use super::settings::Settings;
use super::target::SessionState;
use super::{Bug, Command, From, Lead, Orchestrator};
use crate::names::{Epoch, TargetName, TaskId};
use crate::plan::lane::Lane;
use crate::task::event::{Event, Request};
use crate::task::phase::Phase;
use crate::task::row::{Held as Known, Row, RowState};
use crate::task::status::FinishStatus;
use crate::time::Timestamp;

const LOST: &str = "outcome unknown: the orchestrator was lost";

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
        at_once: bool,
        fence: Vec<TargetName>,
        inherited: Vec<Sighting>,
        lanes: &[Lane],
    ) {
        self.deposed();
        for target in fence {
            self.targets.entry(target.clone()).or_default().fencing = true;
            self.refresh_target(&target);
        }
        for sighting in inherited {
            self.inherit(sighting);
        }
        self.waiting(lanes);
        let until = if at_once { self.now } else { self.now + self.settings.takeover_grace };
        self.lead = Lead::Grace { epoch, until };
        self.at(until, Timer::Grace);
        self.begin_if_patient();
    }

    /// Takes a task in hand that the leader before had in hand.
    fn inherit(&mut self, sighting: Sighting) {
        let Sighting { turn, lane, task } = sighting;
        let target = lane.target.clone();
        let stage = match &task.phase {
            Phase::Launched { .. } => Stage::Lost { since: self.now },
            Phase::Claimed { .. } => Stage::Queued,
            Phase::Offered { .. } => Stage::Offered { since: self.now },
            Phase::Pulled { .. } => Stage::Pulled,
            Phase::Yielded { tracked: true, .. } => Stage::Yielded,
            Phase::Finished { end, .. } if end.tracked == Some(true) => Stage::Abandoned,
            Phase::Ready { .. } | Phase::Yielded { .. } | Phase::Finished { .. } => return,
        };
        let orphan = matches!(stage, Stage::Lost { .. } | Stage::Abandoned);
        let held = Held::new(turn, lane, task, stage);
        self.hold(held);
        if orphan {
            self.set_stray(turn.task, Stray::MayRun);
            self.targets.entry(target).or_default().orphans.push(turn.task);
        }
        // Offers are listed when their stage is set.
        if let Some(Stage::Offered { since }) = self.held.get(&turn.task).map(|held| &held.stage) {
            let since = *since;
            self.restage(turn.task, Stage::Offered { since });
        }
    }

    pub(super) fn begin_if_patient(&mut self) {
        let Lead::Grace { epoch, until } = self.lead else { return };
        if until > self.now {
            return;
        }
        self.lead = Lead::Starting { epoch };
        let fencing: Vec<TargetName> =
            self.targets.iter().filter(|(_, state)| state.fencing).map(|(target, _)| target.clone()).collect();
        for target in fencing {
            self.say(Command::Fence { target, before: epoch });
        }
        self.say(Command::RunStartup);
    }

    pub(super) fn startup_done(&mut self) {
        let Lead::Starting { epoch } = self.lead else { return };
        self.lead = Lead::Leads { epoch };
        // Nothing was sent for what was not marked.
        let unmarked: Vec<TaskId> =
            self.held.iter().filter(|(_, held)| matches!(held.stage, Stage::Queued)).map(|(task, _)| *task).collect();
        for task in unmarked {
            self.give_back(task);
        }
        for target in self.targets.keys().cloned().collect::<Vec<_>>() {
            self.resolve(&target);
        }
        self.reading.forget();
        self.sweep_by(self.now);
    }

    pub(super) fn fenced(&mut self, target: &TargetName) {
        if let Some(state) = self.targets.get_mut(target) {
            state.fencing = false;
        }
        self.refresh_target(target);
        self.unassigned.insert(target.clone());
        self.resolve(target);
    }

    /// Resolves what the leader before ran at the target, once its sessions are gone.
    fn resolve(&mut self, target: &TargetName) {
        let leads = matches!(self.lead, Lead::Leads { .. });
        let Some(state) = self.targets.get_mut(target) else { return };
        if !leads || (state.fencing && self.bug.get() != Some(Bug::ResolveBeforeFence)) {
            return;
        }
        for task in std::mem::take(&mut state.orphans) {
            self.query_gone(task, LOST);
        }
    }

    pub(super) fn deposed(&mut self) {
        let fresh = Self::new(self.settings.clone(), self.random);
        let old = std::mem::replace(self, fresh);
        self.now = old.now;
        self.bug = old.bug;
        // Sessions of another epoch of this process must not be taken for this one's.
        self.last_session = old.last_session;
        for (session, state) in old.sessions {
            if state.state != SessionState::Closing {
                self.say(Command::Disconnect { session });
            }
        }
    }

    pub(super) fn store_lost(&mut self) {
        let (epoch, from) = match self.lead {
            Lead::Not => return,
            Lead::Grace { epoch, until } => (epoch, From::Grace { until }),
            Lead::Starting { epoch } => (epoch, From::Starting),
            Lead::Leads { epoch } => (epoch, From::Leads),
            Lead::Blind { epoch, from } => (epoch, from),
        };
        self.lead = Lead::Blind { epoch, from };
        self.forget_marks_ahead();
        for command in std::mem::take(&mut self.commands) {
            if let Command::Launch { task, session, .. } = command {
                // Launching stops at once.
                self.unlaunch(task, session);
            } else if !command.is_for_store() {
                self.say(command);
            }
        }
    }

    /// Nobody saw the launch yet: it did not happen.
    fn unlaunch(&mut self, task: TaskId, session: crate::names::SessionId) {
        let Some(held) = self.held.get_mut(&task) else { return };
        let Phase::Launched { consumed, times_up, .. } = held.task.phase else { return };
        held.task.phase = Phase::Claimed { consumed, times_up, sets_deadline: held.sets_deadline };
        held.marked = Marked::No;
        self.free_text(task);
        self.enqueue(task);
        self.rest_session(session);
    }

    pub(super) fn store_back(&mut self) {
        if let Lead::Blind { .. } = self.lead {
            let tasks = self.held.keys().copied().collect();
            self.say(Command::Resync { tasks });
        }
    }

    /// The store is back: finds out what became of the writes that were under way.
    pub(super) fn resynced(&mut self, rows: Vec<(TaskId, Row)>) {
        let Lead::Blind { epoch, from } = self.lead else { return };
        let rows: BTreeMap<TaskId, Row> = rows.into_iter().collect();
        for task in self.held.keys().copied().collect::<Vec<_>>() {
            self.resync(task, rows.get(&task));
        }
        let registering: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.state == SessionState::Registering)
            .map(|(session, _)| *session)
            .collect();
        for session in registering {
            self.say(Command::Register { session });
        }
        self.plan.forget_refills();
        self.sweeping = false;
        self.reading.forget();
        self.release_again();
        self.sweep_by(self.now);
        match from {
            From::Grace { until } => {
                self.lead = Lead::Grace { epoch, until };
                self.at(until, Timer::Grace);
            }
            From::Starting => {
                self.lead = Lead::Starting { epoch };
                self.say(Command::RunStartup);
            }
            From::Leads => {
                self.lead = Lead::Leads { epoch };
                for target in self.targets.keys().cloned().collect::<Vec<_>>() {
                    self.resolve(&target);
                }
            }
        }
    }

    fn resync(&mut self, task: TaskId, row: Option<&Row>) {
        let Some(held) = self.held.get(&task) else { return };
        let run = held.task.run;
        let is_ours = row.is_some_and(|row| row.state() == RowState::Running && row.run == run.0);
        match &held.stage {
            Stage::Claiming { .. } => self.claimed(task, run, is_ours),
            Stage::Returning => {
                let row_back = held.task.row();
                if is_ours {
                    self.say(Command::GiveBack { task, run, row: row_back });
                } else {
                    self.given_back(task, run);
                }
            }
            Stage::Marking { session } => {
                let session = *session;
                self.take_text(task);
                self.say(Command::Mark { task, run, session: Some(session) });
            }
            Stage::Recording { .. } => self.write_record(task),
            Stage::Offering | Stage::Offered { .. } | Stage::Withdrawing | Stage::Pulled | Stage::Yielded => {
                self.resync_unrun(task, row);
            }
            Stage::Ahead { .. }
            | Stage::Queued
            | Stage::Launched { .. }
            | Stage::Lost { .. }
            | Stage::Ended { .. }
            | Stage::Abandoned => {}
        }
    }

    /// Somebody changed the row of a task; where a query of it runs, or a write is under way, that
    /// counts.
    pub(super) fn changed(&mut self, task: TaskId, row: Option<&Row>) {
        match self.held.get_mut(&task) {
            // Whatever the row says, its query may run.
            Some(held) if matches!(held.stage, Stage::Abandoned) && held.stray == Stray::MayRun => {
                if let Some(found) = row.and_then(|row| row.task(held.task.terms, Known::Claimed).ok()) {
                    held.task = found;
                }
            }
            Some(held)
                if matches!(held.stage, Stage::Offered { .. } | Stage::Pulled | Stage::Yielded | Stage::Abandoned) =>
            {
                self.resync_unrun(task, row);
            }
            Some(_) | None => {}
        }
    }

    /// A task that no query runs of is what its row says.
    fn resync_unrun(&mut self, task: TaskId, row: Option<&Row>) {
        let Some(held) = self.held.get_mut(&task) else { return };
        let lane = held.lane.clone();
        let found = row.and_then(|row| row.task(held.task.terms, Known::Claimed).ok());
        let stage = match found.as_ref().map(|task| &task.phase) {
            Some(Phase::Offered { .. }) => Stage::Offered { since: self.now },
            Some(Phase::Pulled { .. }) => Stage::Pulled,
            Some(Phase::Yielded { tracked: true, .. }) => Stage::Yielded,
            Some(Phase::Finished { end, .. }) if end.tracked == Some(true) => Stage::Abandoned,
            Some(
                Phase::Ready { .. }
                | Phase::Claimed { .. }
                | Phase::Launched { .. }
                | Phase::Yielded { .. }
                | Phase::Finished { .. },
            )
            | None => {
                self.let_go(task);
                return self.look_at_lane(&lane);
            }
        };
        if let Some(found) = found {
            held.task = found;
        }
        self.restage(task, stage);
    }

    pub(super) fn shutdown(&mut self, drain_until: Timestamp) {
        match self.lead {
            Lead::Not => return,
            // It has begun nothing.
            Lead::Grace { .. } => {
                self.deposed();
                return self.say(Command::Resign);
            }
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
            .held
            .iter()
            .filter(|(_, held)| matches!(held.stage, Stage::Launched { pressure: Pressure::None, .. }))
            .map(|(task, _)| *task)
            .collect();
        let pause = Event::Request(Request::finish(FinishStatus::Paused));
        for task in running {
            if let Some(held) = self.held.get_mut(&task)
                && let Ok(next) = held.task.step(&pause, self.now)
            {
                held.task = next;
            }
            self.press(task, self.now);
        }
    }

    /// Says goodbye when nothing is left that only this leader can see to.
    pub(super) fn resign_when_drained(&mut self) {
        let Some(until) = self.drain_until else { return };
        let over = until <= self.now;
        let long_over = until + self.settings.tuning.drain_record_grace <= self.now;
        let may_stay = |held: &Held| match held.stage {
            Stage::Pulled | Stage::Yielded | Stage::Abandoned => true,
            // The next leader fences it.
            Stage::Lost { .. } => over,
            // Its row cannot be written: the next leader does not know how the query ended.
            Stage::Recording { retry: Some(_), .. } => long_over,
            Stage::Claiming { .. }
            | Stage::Ahead { .. }
            | Stage::Queued
            | Stage::Marking { .. }
            | Stage::Launched { .. }
            | Stage::Ended { .. }
            | Stage::Recording { .. }
            | Stage::Returning
            | Stage::Offering
            | Stage::Offered { .. }
            | Stage::Withdrawing => false,
        };
        if self.held.values().all(may_stay) {
            self.deposed();
            self.say(Command::Resign);
        }
    }
}
