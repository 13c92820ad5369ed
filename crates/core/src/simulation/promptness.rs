//! What has to be done soon is done soon, by a leader that is awake and reaches the store.

use super::Broken;
use super::leader::EARLY;
use super::store::StoredTask;
use super::target::Health;
use super::world::World;
use crate::task::row::RowState;
use crate::time::{MonotonicTime, Span};
use crate::{Command, Epoch, LaneKind, Run, SessionId, TaskId};

/// Longer than any message and any grace of the leader takes, and than any backoff.
const SOON: Span = Span::seconds(60);

/// The graces of cancel and terminate, and that of a session that is lost.
const GRACES: Span = Span::seconds(5 + 10 + 5);

/// So long nothing starts though something may; longer than all that leaders do first.
const STANDSTILL: Span = Span::seconds(150);

impl World {
    /// A leader's core says something: what it was told binds it at once.
    pub(super) fn hears(&mut self, epoch: Epoch, told_to_pause: bool, command: &Command) -> Result<(), Broken> {
        match command {
            Command::Launch { task, .. } if told_to_pause => {
                Err(Broken(format!("task {task} is launched while nothing should be")))
            }
            Command::Write(event) => {
                self.notes_claim(epoch, event);
                Ok(())
            }
            Command::Cancel { session, task } | Command::Terminate { session, task } => {
                self.ledger.presses(*session, *task);
                if let (Command::Terminate { .. }, Some(stored)) = (command, self.store.tasks.get(task)) {
                    // From now on its end may not be seen.
                    self.ledger.loses_run(*task, Run(stored.row.run));
                }
                let early = self.deadline(epoch, *task).is_some_and(|at| self.now + EARLY < at);
                if early && !self.ledger.is_asked(*task) && !self.ledger.is_rerun(*task) {
                    return Err(Broken(format!("at {:?}: task {task} is told to end before its deadline", self.now)));
                }
                Ok(())
            }
            Command::RunRoutines if !self.settings.has_routines => {
                Err(Broken("routines are run that there are not".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// The leader, and since when it is well, if it is.
    fn well(&self) -> Option<(Epoch, MonotonicTime)> {
        let epoch = self.store.leader?;
        let leader = self.leaders.get(&epoch)?;
        (!leader.paused && leader.linked && leader.well_since + SOON < self.now).then_some((epoch, leader.well_since))
    }

    /// Deadlines and requests are acted on.
    pub(super) fn check_promptness(&self) -> Result<(), Broken> {
        let Some((epoch, well_since)) = self.well() else { return Ok(()) };
        let late = |since: MonotonicTime| since.max(well_since) + SOON < self.now;
        for (session, task) in self.reachable_queries() {
            let overdue = self.deadline(epoch, task).filter(|at| late(*at));
            if let Some(at) = overdue.filter(|_| !self.ledger.is_pressed(session, task)) {
                return Err(Broken(format!(
                    "task {task} runs since its time was up at {at:?}, and is not told to end"
                )));
            }
        }
        for (id, stored) in self.store.tasks.iter().filter(|(_, stored)| stored.runs() && late(stored.held_until)) {
            let overdue = self.deadline(epoch, *id).filter(|at| *at != MonotonicTime::NEVER && late(*at + GRACES));
            if let Some(at) = overdue {
                return Err(Broken(format!("task {id} is claimed since its time was up at {at:?}: {:?}", stored.row)));
            }
        }
        self.check_requests(late)?;
        let latch = self.store.latches.iter().find(|(_, since)| late(**since + SOON));
        match latch {
            Some((number, since)) => {
                Err(Broken(format!("callers wait for the cycle {number} since {since:?} until {:?}", self.now)))
            }
            None => Ok(()),
        }
    }

    fn check_requests(&self, late: impl Fn(MonotonicTime) -> bool) -> Result<(), Broken> {
        for (id, (task, request, asked)) in &self.store.requests {
            // What is asked of a task that is over changes nothing, and need not be read soon.
            let open = self.store.tasks.get(task).filter(|stored| stored.row.processed.is_none());
            let Some(stored) = open.filter(|stored| late(*asked) && late(stored.held_until)) else { continue };
            let session = self.reachable_queries().find(|(_, its)| its == task).map(|(session, _)| session);
            let heeded = stored.runs() && session.is_none_or(|session| self.ledger.is_pressed(session, *task));
            if !heeded {
                return Err(Broken(format!(
                    "at {:?}: request {} of task {task} is not heeded: {request:?} {:?}",
                    self.now, id.0, stored.row
                )));
            }
        }
        Ok(())
    }

    /// What waits starts when there is room for it.
    pub(super) fn check_progress(&mut self) -> Result<(), Broken> {
        let started = self.ledger.started();
        let may = self.well().is_some().then(|| self.startable()).flatten();
        let Some(task) = may else {
            self.still = None;
            return Ok(());
        };
        let (since, then) = *self.still.get_or_insert((self.now, started));
        if then != started {
            self.still = Some((self.now, started));
        } else if since + STANDSTILL < self.now {
            return Err(Broken(format!(
                "task {task} may start since {since:?}, and nothing does until {:?}",
                self.now
            )));
        }
        Ok(())
    }

    /// A task that could start now, as far as rows and targets say.
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
        };
        let may = |stored: &StoredTask| {
            let waits = stored.row.state() == RowState::Ready && stored.row.eligible_when.is_none();
            waits
                && stored.lane.kind == LaneKind::Run
                && stored.held_until + SOON < self.now
                && up(stored)
                && free(stored)
        };
        self.store.tasks.iter().find(|(_, stored)| may(stored)).map(|(id, _)| *id)
    }

    /// What the leader runs where it can be reached.
    fn reachable_queries(&self) -> impl Iterator<Item = (SessionId, TaskId)> {
        let up = self.targets.values().filter(|target| target.health == Health::Up);
        up.flat_map(|target| &target.sessions)
            .filter(|(key, session)| Some(key.0) == self.store.leader && !session.cut)
            .filter_map(|(key, session)| Some((key.1, session.query?.0)))
    }
}
