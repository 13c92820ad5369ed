//! What has to be done soon is done soon, by a leader that is awake and reaches the store.

use super::Broken;
use super::target::Health;
use super::world::World;
use crate::task::row::RowState;
use crate::time::{Span, Timestamp};
use crate::{Command, SessionId, TaskId};

/// Longer than any message and any grace of the leader takes.
const SOON: Span = Span::seconds(60);

impl World {
    /// A leader's core says something: what it was told binds it at once.
    pub(super) fn hears(&mut self, told_to_pause: bool, command: &Command) -> Result<(), Broken> {
        match command {
            Command::Launch { task, .. } if told_to_pause => {
                Err(Broken(format!("task {task} is launched while nothing should be")))
            }
            Command::Cancel { session, task } | Command::Terminate { session, task } => {
                self.ledger.presses(*session, *task);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Deadlines and requests are acted on.
    pub(super) fn check_promptness(&self) -> Result<(), Broken> {
        let Some(leader) = self.store.leader.and_then(|epoch| self.leaders.get(&epoch)) else { return Ok(()) };
        let late = |since: Timestamp| since.max(leader.well_since) + SOON < self.now;
        if leader.paused || !leader.linked || !late(leader.well_since) {
            return Ok(());
        }
        for (session, task) in self.reachable_queries() {
            let overdue = self.store.tasks.get(&task).and_then(|stored| stored.row.times_up).filter(|at| late(*at));
            if let Some(times_up) = overdue.filter(|_| !self.ledger.is_pressed(session, task)) {
                return Err(Broken(format!(
                    "task {task} runs since its time was up at {times_up:?}, and nobody minds"
                )));
            }
        }
        for (id, (task, request, asked)) in &self.store.requests {
            // What is asked of a task that is over changes nothing, and need not be read soon.
            let open = self.store.tasks.get(task).filter(|stored| stored.row.processed.is_none());
            let Some(stored) = open.filter(|_| late(*asked)) else { continue };
            let runs = stored.row.state() == RowState::Running && !stored.terms.client_pulled;
            let session = self.reachable_queries().find(|(_, its)| its == task).map(|(session, _)| session);
            let heeded =
                if runs { session.is_none_or(|session| self.ledger.is_pressed(session, *task)) } else { false };
            if !heeded {
                return Err(Broken(format!(
                    "request {} of task {task} is not heeded: {request:?} {:?}",
                    id.0, stored.row
                )));
            }
        }
        Ok(())
    }

    /// What the leader runs where it can be reached.
    fn reachable_queries(&self) -> impl Iterator<Item = (SessionId, TaskId)> {
        let up = self.targets.values().filter(|target| target.health == Health::Up);
        up.flat_map(|target| &target.sessions)
            .filter(|(key, session)| Some(key.0) == self.store.leader && !session.cut)
            .filter_map(|(key, session)| Some((key.1, session.query?.0)))
    }
}
