//! What really happened: the promises are checked against it.

use std::collections::{BTreeMap, BTreeSet};

use super::Broken;
use super::store::{Store, StoredTask};
use crate::orchestrator::settings::Settings;
use crate::task::row::{Row, RowState};
use crate::task::row_event::TaskEvent;
use crate::task::status::FinishStatus;
use crate::time::{MonotonicTime, Span, Timestamp};
use crate::{Event, PoolName, Request, Run, SessionId, TaskId};

/// For how long an old limit counts beside the new one: what was let in under it may still run.
const LIMIT_MEMORY: Span = Span::seconds(1_200);

#[derive(Default)]
pub(super) struct Ledger {
    limits: Vec<(MonotonicTime, Settings)>,
    starts: BTreeMap<TaskId, u32>,
    /// Starts beyond the first that a client asked for.
    reruns: BTreeMap<TaskId, u32>,
    ends: BTreeMap<TaskId, u32>,
    restarts: BTreeMap<TaskId, u32>,
    committed: BTreeSet<(TaskId, Run)>,
    /// What was told to end; a session is of the leader of the moment.
    pressed: BTreeSet<(SessionId, TaskId)>,
    requested: BTreeMap<TaskId, u32>,
    /// What was claimed, and not recorded, when something was lost.
    lost: BTreeSet<(TaskId, Run)>,
    /// What runs at a host that an attempt could not reach.
    unreachable: BTreeSet<(TaskId, Run)>,
    /// What a query asked for itself before it ended.
    own_wish: BTreeMap<(TaskId, Run), FinishStatus>,
}

impl Ledger {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { limits: vec![(MonotonicTime::from_micros(0), settings.clone())], ..Self::default() }
    }

    pub(super) fn started(&self) -> usize {
        self.starts.values().map(|n| *n as usize).sum()
    }

    pub(super) fn configured(&mut self, now: MonotonicTime, settings: &Settings) {
        let last = self.limits.len() - 1;
        self.limits.push((now, settings.clone()));
        // The limits before were in force until now.
        self.limits[last].0 = now;
        self.limits.retain(|(until, _)| *until + LIMIT_MEMORY > now);
    }

    fn limit(&self, now: MonotonicTime, of: impl Fn(&Settings) -> u32) -> u32 {
        let last = self.limits.len() - 1;
        let in_force =
            self.limits.iter().enumerate().filter(|(at, (until, _))| *at == last || *until + LIMIT_MEMORY > now);
        in_force.map(|(_, (_, settings))| of(settings)).max().unwrap_or(0)
    }

    /// A query starts at a target, beside so many others.
    pub(super) fn starts(
        &mut self,
        now: MonotonicTime,
        task: TaskId,
        pool: &PoolName,
        in_pool: usize,
        in_all: usize,
    ) -> Result<(), Broken> {
        let starts = self.starts.entry(task).or_default();
        *starts += 1;
        let allowed = 1 + self.reruns.get(&task).copied().unwrap_or(0);
        if *starts > allowed {
            return Err(Broken(format!("task {task} was started {starts} times, and {allowed} were asked for")));
        }
        let limit = self.limit(now, |settings| settings.limit(pool));
        if in_pool > limit as usize {
            return Err(Broken(format!("{in_pool} queries of pool {pool} run at once; its limit is {limit}")));
        }
        let workers = self.limit(now, |settings| settings.workers);
        if in_all > workers as usize {
            return Err(Broken(format!("{in_all} queries run at once; there are {workers} workers")));
        }
        Ok(())
    }

    pub(super) fn presses(&mut self, session: SessionId, task: TaskId) {
        self.pressed.insert((session, task));
    }

    pub(super) fn is_pressed(&self, session: SessionId, task: TaskId) -> bool {
        self.pressed.contains(&(session, task))
    }

    /// Another leader counts its sessions from the first again.
    pub(super) fn elected(&mut self) {
        self.pressed.clear();
    }

    pub(super) fn commits(&mut self, task: TaskId, run: Run) {
        self.committed.insert((task, run));
    }

    pub(super) fn wishes(&mut self, task: TaskId, run: Run, status: FinishStatus) {
        self.own_wish.insert((task, run), status);
    }

    pub(super) fn asks(&mut self, task: TaskId, request: &Request) {
        *self.requested.entry(task).or_default() += 1;
        if matches!(request.status, FinishStatus::Paused | FinishStatus::Deferred) {
            *self.reruns.entry(task).or_default() += 1;
        }
    }

    pub(super) fn restarts(&mut self, task: TaskId) {
        *self.restarts.entry(task).or_default() += 1;
        *self.reruns.entry(task).or_default() += 1;
    }

    /// A trigger undid an end as it was written.
    pub(super) fn unends(&mut self, task: TaskId) {
        if let Some(ends) = self.ends.get_mut(&task) {
            *ends -= 1;
        }
    }

    /// The leader drains, and may stop what runs.
    pub(super) fn may_rerun(&mut self, task: TaskId) {
        *self.reruns.entry(task).or_default() += 1;
    }

    /// Something is lost while these are claimed and not recorded.
    pub(super) fn loses<'a>(&mut self, tasks: impl IntoIterator<Item = (&'a TaskId, &'a StoredTask)>) {
        self.lost.extend(tasks.into_iter().map(|(task, stored)| (*task, Run(stored.row.run))));
    }

    /// The session of this run is lost.
    pub(super) fn loses_run(&mut self, task: TaskId, run: Run) {
        self.lost.insert((task, run));
    }

    /// The leader is told that the host of a query's session cannot be reached.
    pub(super) fn cannot_reach(&mut self, task: TaskId, run: Run) {
        self.unreachable.insert((task, run));
    }

    pub(super) fn is_unreachable(&self, task: TaskId, run: Run) -> bool {
        self.unreachable.contains(&(task, run))
    }

    /// A client, or the query itself, asked something of the task.
    pub(super) fn is_asked(&self, task: TaskId) -> bool {
        self.requested.contains_key(&task)
    }

    /// The leader drains: what it stops was not asked for by a client.
    pub(super) fn is_rerun(&self, task: TaskId) -> bool {
        self.reruns.contains_key(&task)
    }

    /// A row is written over another.
    pub(super) fn writes(
        &mut self,
        now: MonotonicTime,
        server: Timestamp,
        event: &TaskEvent,
        task: &StoredTask,
        new: &Row,
    ) -> Result<(), Broken> {
        let (old, id) = (&task.row, event.task);
        let say = |what: &str| Err(Broken(format!("at {now:?}: task {id}: {what}: {old:?} became {new:?}")));
        if old.processed.is_some() {
            let released = event.event == Event::Release && Row { tracked: old.tracked, ..new.clone() } == *old;
            return if released { Ok(()) } else { say("it was over already") };
        }
        if new.run < old.run {
            return say("its run went back");
        }
        if new.state() == RowState::Finished {
            *self.ends.entry(id).or_default() += 1;
        }
        if !task.runs() || new.state() == RowState::Running {
            return Ok(());
        }
        // A query that was launched has ended, or is given up.
        let run = Run(old.run);
        let committed = self.committed.contains(&(id, run));
        let asked = self.requested.get(&id).copied().unwrap_or(0);
        let error = new.processing_error.as_deref().unwrap_or_default();
        let known = !error.contains("outcome unknown");
        if !known && !self.lost.contains(&(id, run)) {
            return say("its outcome is said to be unknown, and nothing was lost");
        }
        match new.finish_status {
            Some(FinishStatus::Finished | FinishStatus::Yielded) if !committed && asked == 0 => {
                return say("it is said to have succeeded, and did not commit");
            }
            Some(FinishStatus::Failed) if committed && known && asked == 0 => {
                return say("it is said to have failed, and committed");
            }
            Some(FinishStatus::Canceled) if asked == 0 => return say("nobody cancelled it"),
            Some(FinishStatus::Failed) if error == "canceled" && asked == 0 => {
                return say("a cancel hit it that nobody asked for");
            }
            _ => {}
        }
        // Once its time is up that comes first, and a commit before even that.
        if new.finish_status == Some(FinishStatus::TimedOut) || old.times_up.is_some_and(|times_up| times_up <= server)
        {
            return Ok(());
        }
        self.own_wish_holds(id, run, asked, new)
    }

    /// A task that defers or finishes itself and then ends is deferred or finished.
    fn own_wish_holds(&self, id: TaskId, run: Run, asked: u32, new: &Row) -> Result<(), Broken> {
        let Some(wish) = self.own_wish.get(&(id, run)).filter(|_| asked == 1) else { return Ok(()) };
        let holds = match wish {
            FinishStatus::Deferred => new.state() == RowState::Ready && new.eligible_when.is_some(),
            _ => new.finish_status == Some(*wish),
        };
        if holds {
            return Ok(());
        }
        Err(Broken(format!("task {id} made itself {wish} before it ended, and became {new:?}")))
    }

    pub(super) fn finally(&self, store: &Store) -> Result<(), Broken> {
        for id in store.tasks.keys() {
            let ends = self.ends.get(id).copied().unwrap_or(0);
            let lives = 1 + self.restarts.get(id).copied().unwrap_or(0);
            if ends != lives {
                return Err(Broken(format!("task {id} ended {ends} times in {lives} lives")));
            }
        }
        Ok(())
    }
}
