//! A leader that is awake and reaches the store reacts in time.

use pgasync_core::{
    Command, Epoch, Event, LaneKind, MonotonicTime, RowState, Run, SessionId, Settings, Span, TargetName, TaskEvent,
    TaskId,
};

use super::Violation;
use super::leader::ALARM_EARLY_MAX;
use super::target::{FakeTarget, Health};
use super::world::World;
use crate::fake_store::StoredTask;

/// Longer than any message, grace period and backoff of the leader.
const REACTION_MAX: Span = Span::seconds(60);

/// The time in which a leader polls that knows of an open push.
const POLL_MAX: Span = Span::seconds(15);

/// The grace periods of cancel, of terminate, and of a lost session.
const END_GRACES: Span = Span::seconds(5 + 10 + 5);

/// The longest wait of an eligible task. A leader needs less time for everything that it does
/// before the launch.
const NO_START_MAX: Span = Span::seconds(150);

impl World {
    /// Checks a command when the leader emits it, because an input takes effect at once.
    pub(super) fn check_command(
        &mut self,
        epoch: Epoch,
        settings: &Settings,
        command: &Command,
    ) -> Result<(), Violation> {
        let is_paused =
            |task: TaskId| self.store.tasks.get(&task).is_some_and(|stored| settings.is_paused(&stored.lane));
        match command {
            Command::Launch { task, .. } if settings.paused => {
                Err(Violation(format!("task {task} is launched while launches are paused")))
            }
            Command::Launch { task, .. } if is_paused(*task) => {
                Err(Violation(format!("task {task} is launched while its target or its pool is paused")))
            }
            Command::Write(TaskEvent { task, event: Event::Offer { .. }, .. }) if is_paused(*task) => {
                Err(Violation(format!("task {task} is offered while its target or its pool is paused")))
            }
            Command::Write(TaskEvent { task, event: Event::GiveUp { .. }, .. })
                if self.store.tasks.get(task).is_some_and(|its| settings.paused_targets.contains(&its.lane.target)) =>
            {
                Err(Violation(format!("task {task} fails because of its target, which is paused")))
            }
            Command::Write(event) => {
                self.note_deadline(epoch, event);
                Ok(())
            }
            Command::Cancel { session, task } | Command::Terminate { session, task } => {
                self.ledger.note_cancel(*session, *task);
                if let (Command::Terminate { .. }, Some(stored)) = (command, self.store.tasks.get(task)) {
                    // From now on the end of the query may be lost.
                    self.ledger.note_lost_run(*task, Run(stored.row.run));
                }
                let early = self.deadline(epoch, *task).is_some_and(|at| self.now + ALARM_EARLY_MAX < at);
                if early && !self.ledger.is_requested(*task) && !self.ledger.may_rerun(*task) {
                    return Err(Violation(format!("at {:?}: task {task} is canceled before its deadline", self.now)));
                }
                Ok(())
            }
            Command::RunRoutines if !self.settings.has_routines => {
                Err(Violation("routines run, and none are configured".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// The leader, and the time since which it is awake and connected, if that is long enough.
    fn healthy_leader(&self) -> Option<(Epoch, MonotonicTime)> {
        let epoch = self.store.leader?;
        let leader = self.leaders.get(&epoch)?;
        (!leader.paused && leader.linked && leader.healthy_since + REACTION_MAX < self.now)
            .then_some((epoch, leader.healthy_since))
    }

    /// Checks that deadlines and requests are enforced in time.
    pub(super) fn check_promptness(&self) -> Result<(), Violation> {
        let Some((epoch, healthy_since)) = self.healthy_leader() else { return Ok(()) };
        let late = |since: MonotonicTime| since.max(healthy_since) + REACTION_MAX < self.now;
        for (session, task) in self.reachable_queries() {
            let overdue = self.deadline(epoch, task).filter(|at| late(*at));
            if let Some(at) = overdue.filter(|_| !self.ledger.is_canceled(session, task)) {
                return Err(Violation(format!(
                    "task {task} runs since its time was up at {at:?}, and is not canceled"
                )));
            }
        }
        // A lost run with a receipt waits for its target.
        let waits =
            |id: TaskId, stored: &StoredTask| stored.options.receipt && self.ledger.is_lost(id, Run(stored.row.run));
        for (id, stored) in self.store.tasks.iter().filter(|(_, stored)| stored.runs() && late(stored.locked_until)) {
            if waits(*id, stored) {
                continue;
            }
            let overdue = self.deadline(epoch, *id).filter(|at| *at != MonotonicTime::NEVER && late(*at + END_GRACES));
            if let Some(at) = overdue {
                return Err(Violation(format!(
                    "task {id} is claimed since its time was up at {at:?}: {:?}",
                    stored.row
                )));
            }
        }
        self.check_requests(late)?;
        let draining = self.leaders.get(&epoch).is_some_and(|leader| leader.draining);
        if let Some(since) =
            self.store.unpolled_commit.filter(|since| (*since).max(healthy_since) + POLL_MAX < self.now && !draining)
        {
            return Err(Violation(format!(
                "a push that was open while the leader fell asleep is committed since {since:?}, and no poll follows \
                 until {:?}",
                self.now
            )));
        }
        let latch = self.store.latches.iter().find(|(_, since)| late(**since + REACTION_MAX));
        match latch {
            Some((number, since)) => {
                Err(Violation(format!("callers wait for the cycle {number} since {since:?} until {:?}", self.now)))
            }
            None => Ok(()),
        }
    }

    fn check_requests(&self, late: impl Fn(MonotonicTime) -> bool) -> Result<(), Violation> {
        for (id, (task, request, asked)) in &self.store.requests {
            // A request about a finished task changes nothing, and need not be read soon.
            let open = self.store.tasks.get(task).filter(|stored| stored.row.processed.is_none());
            let Some(stored) = open.filter(|stored| late(*asked) && late(stored.locked_until)) else { continue };
            let session = self.reachable_queries().find(|(_, its)| its == task).map(|(session, _)| session);
            let served = stored.runs() && session.is_none_or(|session| self.ledger.is_canceled(session, *task));
            if !served {
                return Err(Violation(format!(
                    "at {:?}: request {} of task {task} is not served: {request:?} {:?}",
                    self.now, id.0, stored.row
                )));
            }
        }
        Ok(())
    }

    /// Checks that a queued task starts while a slot and a worker are free.
    pub(super) fn check_progress(&mut self) -> Result<(), Violation> {
        let started = self.ledger.started();
        let may = self.healthy_leader().is_some().then(|| self.startable()).flatten();
        let Some(task) = may else {
            self.no_start_since = None;
            return Ok(());
        };
        let (since, then) = *self.no_start_since.get_or_insert((self.now, started));
        if then != started {
            self.no_start_since = Some((self.now, started));
        } else if since + NO_START_MAX < self.now {
            return Err(Violation(format!(
                "task {task} may start since {since:?}, and nothing does until {:?}",
                self.now
            )));
        }
        Ok(())
    }

    /// A task that could start now, by the rows and the targets.
    fn startable(&self) -> Option<TaskId> {
        let draining = self.store.leader.and_then(|epoch| self.leaders.get(&epoch)).is_some_and(|its| its.draining);
        let runs = |(id, stored): &(&TaskId, &StoredTask)| {
            stored.runs() && !self.ledger.is_unreachable(**id, Run(stored.row.run))
        };
        let strays = self.targets.values().flat_map(|target| target.sessions.values()).filter(|session| {
            let query = session.query.filter(|(task, run)| !self.ledger.is_unreachable(*task, *run));
            query.and_then(|(task, _)| self.store.tasks.get(&task)).is_some_and(|stored| !stored.runs())
        });
        let busy = self.store.tasks.iter().filter(runs).count() + strays.count();
        if draining || self.settings.paused || busy >= self.settings.workers as usize {
            return None;
        }
        let free = |stored: &StoredTask| {
            let pool = &stored.lane.pool;
            let taken = self.store.tasks.values().filter(|its| its.lane.pool == *pool && its.row.tracked == Some(true));
            taken.count() < self.settings.limit(pool) as usize
        };
        let up = |stored: &StoredTask| {
            let target = self.targets.get(&stored.lane.target);
            target.is_some_and(|target| target.health == Health::Up && target.sessions_max.is_none())
                && self.has_room(&stored.lane.target)
        };
        let may = |stored: &StoredTask| {
            let waits = stored.row.state() == RowState::Ready && stored.row.eligible_when.is_none();
            waits
                && !self.settings.is_paused(&stored.lane)
                && stored.lane.kind == LaneKind::Run
                && stored.locked_until + REACTION_MAX < self.now
                && up(stored)
                && free(stored)
        };
        self.store.tasks.iter().find(|(_, stored)| may(stored)).map(|(id, _)| *id)
    }

    /// The target may have a session that runs no query.
    fn has_room(&self, name: &TargetName) -> bool {
        let limit = self.settings.targets.get(name).and_then(|target| target.max_sessions);
        let taken = |target: &FakeTarget| {
            target
                .sessions
                .iter()
                .filter(|((epoch, _), session)| {
                    session.cut || session.query.is_some() || Some(*epoch) != self.store.leader
                })
                .count()
        };
        limit.is_none_or(|limit| self.targets.get(name).map_or(0, taken) < limit as usize)
    }

    /// The leader's queries at targets that can be reached.
    fn reachable_queries(&self) -> impl Iterator<Item = (SessionId, TaskId)> {
        let up = self.targets.values().filter(|target| target.health == Health::Up);
        up.flat_map(|target| &target.sessions)
            .filter(|(key, session)| Some(key.0) == self.store.leader && !session.cut)
            .filter_map(|(key, session)| Some((key.1, session.query?.0)))
    }
}
