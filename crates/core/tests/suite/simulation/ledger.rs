//! The observations of the store and the targets, against which the promises are checked.

use std::collections::{BTreeMap, BTreeSet};

use pgasync_core::{
    Event, FinishStatus, MonotonicTime, PoolName, Request, RoleName, Row, RowState, Run, SessionId, Settings, Span,
    TargetName, TaskEvent, TaskId, Timestamp,
};

use super::Violation;
use crate::fake_store::{FakeStore, StoredTask};

/// The time for which an old limit counts beside the new one: queries that started under it may
/// still run.
const LIMIT_MEMORY: Span = Span::seconds(1_200);

#[derive(Default)]
pub(super) struct Ledger {
    limits: Vec<(MonotonicTime, Settings)>,
    starts: BTreeMap<TaskId, u32>,
    /// The last start of each pool, as its leader sent it or its client took it.
    last_start: BTreeMap<PoolName, MonotonicTime>,
    /// Starts beyond the first that a client requested.
    reruns: BTreeMap<TaskId, u32>,
    ends: BTreeMap<TaskId, u32>,
    /// The ends of all tasks, in all their lives.
    ended: u64,
    restarts: BTreeMap<TaskId, u32>,
    committed: BTreeSet<(TaskId, Run)>,
    /// Queries that were canceled or terminated; the sessions are the current leader's.
    canceled: BTreeSet<(SessionId, TaskId)>,
    requested: BTreeMap<TaskId, u32>,
    /// The roles that made these requests.
    roles: BTreeMap<TaskId, BTreeSet<RoleName>>,
    /// Runs that were claimed, and not recorded, when a leader or a target was lost.
    lost: BTreeSet<(TaskId, Run)>,
    /// Runs at a host that an attempt could not reach.
    unreachable: BTreeSet<(TaskId, Run)>,
    /// The requests that queries made for their own tasks before they ended.
    own_request: BTreeMap<(TaskId, Run), FinishStatus>,
}

impl Ledger {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { limits: vec![(MonotonicTime::from_micros(0), settings.clone())], ..Self::default() }
    }

    pub(super) fn started(&self) -> usize {
        self.starts.values().map(|n| *n as usize).sum()
    }

    pub(super) const fn ended(&self) -> u64 {
        self.ended
    }

    pub(super) fn configured(&mut self, now: MonotonicTime, settings: &Settings) {
        let last = self.limits.len() - 1;
        self.limits.push((now, settings.clone()));
        // The previous limits were in force until now.
        self.limits[last].0 = now;
        self.limits.retain(|(until, _)| *until + LIMIT_MEMORY > now);
    }

    fn limit(&self, now: MonotonicTime, of: impl Fn(&Settings) -> u32) -> u32 {
        let last = self.limits.len() - 1;
        let in_force =
            self.limits.iter().enumerate().filter(|(at, (until, _))| *at == last || *until + LIMIT_MEMORY > now);
        in_force.map(|(_, (_, settings))| of(settings)).max().unwrap_or(0)
    }

    /// A query starts at a target, which then runs `running` queries.
    pub(super) fn check_start(
        &mut self,
        now: MonotonicTime,
        task: TaskId,
        pool: &PoolName,
        in_pool: usize,
        in_all: usize,
    ) -> Result<(), Violation> {
        let starts = self.starts.entry(task).or_default();
        *starts += 1;
        let allowed = 1 + self.reruns.get(&task).copied().unwrap_or(0);
        if *starts > allowed {
            return Err(Violation(format!("task {task} was started {starts} times, and {allowed} were requested")));
        }
        let limit = self.limit(now, |settings| settings.limit(pool));
        if in_pool > limit as usize {
            return Err(Violation(format!("{in_pool} queries of pool {pool} run at once; its limit is {limit}")));
        }
        let workers = self.limit(now, |settings| settings.workers);
        if in_all > workers as usize {
            return Err(Violation(format!("{in_all} queries run at once; there are {workers} workers")));
        }
        Ok(())
    }

    /// A query starts at a target, which then runs `busy` queries, each in a session.
    pub(super) fn check_target(&self, now: MonotonicTime, target: &TargetName, busy: usize) -> Result<(), Violation> {
        let of = |settings: &Settings| settings.targets.get(target).and_then(|its| its.max_sessions);
        let limit = self.limit(now, |settings| of(settings).unwrap_or(u32::MAX));
        if busy > limit as usize {
            return Err(Violation(format!("{busy} sessions run queries at {target}; it may have {limit}")));
        }
        Ok(())
    }

    /// A client takes a task of this pool.
    pub(super) fn note_pull(&mut self, now: MonotonicTime, pool: &PoolName) {
        self.last_start.insert(pool.clone(), now);
    }

    /// A query of this pool is sent.
    pub(super) fn check_spacing(&mut self, now: MonotonicTime, pool: &PoolName) -> Result<(), Violation> {
        let least = self.limits.iter().map(|(_, settings)| settings.spacings.get(pool).copied()).min().flatten();
        let last = self.last_start.insert(pool.clone(), now);
        match (last, least) {
            (Some(last), Some(spacing)) if last + spacing > now => {
                Err(Violation(format!("a task of pool {pool} starts {:?} after the one before it", now - last)))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn note_cancel(&mut self, session: SessionId, task: TaskId) {
        self.canceled.insert((session, task));
    }

    pub(super) fn is_canceled(&self, session: SessionId, task: TaskId) -> bool {
        self.canceled.contains(&(session, task))
    }

    /// A new leader starts the numbers of its sessions again.
    pub(super) fn elected(&mut self) {
        self.canceled.clear();
    }

    pub(super) fn note_commit(&mut self, task: TaskId, run: Run) {
        self.committed.insert((task, run));
    }

    pub(super) fn has_committed(&self, task: TaskId, run: Run) -> bool {
        self.committed.contains(&(task, run))
    }

    pub(super) fn note_own_request(&mut self, task: TaskId, run: Run, status: FinishStatus) {
        self.own_request.insert((task, run), status);
    }

    pub(super) fn note_request(&mut self, task: TaskId, request: &Request) {
        *self.requested.entry(task).or_default() += 1;
        self.roles.entry(task).or_default().extend(request.requested_by.clone());
        if matches!(request.status, FinishStatus::Paused | FinishStatus::Deferred) {
            *self.reruns.entry(task).or_default() += 1;
        }
    }

    pub(super) fn note_restart(&mut self, task: TaskId) {
        *self.restarts.entry(task).or_default() += 1;
        *self.reruns.entry(task).or_default() += 1;
    }

    /// A trigger undid an end as it was written.
    pub(super) fn undo_end(&mut self, task: TaskId) {
        if let Some(ends) = self.ends.get_mut(&task) {
            *ends -= 1;
        }
    }

    /// The leader drains, and may pause running tasks.
    pub(super) fn note_rerun(&mut self, task: TaskId) {
        *self.reruns.entry(task).or_default() += 1;
    }

    /// A leader or a target is lost while these are claimed and not recorded.
    pub(super) fn note_lost<'a>(&mut self, tasks: impl IntoIterator<Item = (&'a TaskId, &'a StoredTask)>) {
        self.lost.extend(tasks.into_iter().map(|(task, stored)| (*task, Run(stored.row.run))));
    }

    /// The session of this run is lost.
    pub(super) fn note_lost_run(&mut self, task: TaskId, run: Run) {
        self.lost.insert((task, run));
    }

    pub(super) fn is_lost(&self, task: TaskId, run: Run) -> bool {
        self.lost.contains(&(task, run))
    }

    /// The leader learns that the host of a query's session cannot be reached.
    pub(super) fn note_unreachable(&mut self, task: TaskId, run: Run) {
        self.unreachable.insert((task, run));
    }

    pub(super) fn is_unreachable(&self, task: TaskId, run: Run) -> bool {
        self.unreachable.contains(&(task, run))
    }

    /// A client, or the query itself, has made a request for the task.
    pub(super) fn is_requested(&self, task: TaskId) -> bool {
        self.requested.contains_key(&task)
    }

    /// The task may run again: on request, or because the leader drains.
    pub(super) fn may_rerun(&self, task: TaskId) -> bool {
        self.reruns.contains_key(&task)
    }

    /// A row replaces another.
    pub(super) fn check_write(
        &mut self,
        now: MonotonicTime,
        server: Timestamp,
        event: &TaskEvent,
        task: &StoredTask,
        new: &Row,
    ) -> Result<(), Violation> {
        let (old, id) = (&task.row, event.task);
        let violation = |what: &str| Err(Violation(format!("at {now:?}: task {id}: {what}: {old:?} became {new:?}")));
        if old.processed.is_some() {
            let released = event.event == Event::Release && Row { tracked: old.tracked, ..new.clone() } == *old;
            return if released { Ok(()) } else { violation("it was over already") };
        }
        if new.run < old.run {
            return violation("its run went back");
        }
        if let Some(role) = &new.ended_by
            && !self.roles.get(&id).is_some_and(|roles| roles.contains(role) && new.processed.is_some())
        {
            return violation("it names a role that made no request for it");
        }
        if new.finish_status == Some(FinishStatus::Canceled) && new.ended_by.is_none() {
            return violation("a request canceled it, whose role it does not name");
        }
        if new.state() == RowState::Finished {
            *self.ends.entry(id).or_default() += 1;
            self.ended += 1;
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
        if !known && task.options.receipt {
            return violation("its outcome is recorded as unknown, and it has a receipt");
        }
        if !known && !self.lost.contains(&(id, run)) {
            return violation("its outcome is recorded as unknown, and nothing was lost");
        }
        match new.finish_status {
            Some(FinishStatus::Finished | FinishStatus::Yielded) if !committed && asked == 0 => {
                return violation("success is recorded, and it did not commit");
            }
            Some(FinishStatus::Failed) if committed && known && asked == 0 => {
                return violation("failure is recorded, and it committed");
            }
            Some(FinishStatus::Canceled) if asked == 0 => {
                return violation("a cancel is recorded that no client requested");
            }
            Some(FinishStatus::Failed) if error == "canceled" && asked == 0 => {
                return violation("a cancel hit it that no client requested");
            }
            _ => {}
        }
        // An expired deadline has priority over the requests, and a commit over both.
        if new.finish_status == Some(FinishStatus::TimedOut) || old.times_up.is_some_and(|times_up| times_up <= server)
        {
            return Ok(());
        }
        self.check_own_request(id, run, asked, new)
    }

    /// A task that defers or finishes itself and then ends is deferred or finished.
    fn check_own_request(&self, id: TaskId, run: Run, asked: u32, new: &Row) -> Result<(), Violation> {
        let Some(own_request) = self.own_request.get(&(id, run)).filter(|_| asked == 1) else { return Ok(()) };
        let holds = match own_request {
            FinishStatus::Deferred => new.state() == RowState::Ready && new.eligible_when.is_some(),
            _ => new.finish_status == Some(*own_request),
        };
        if holds {
            return Ok(());
        }
        Err(Violation(format!("task {id} made itself {own_request} before it ended, and became {new:?}")))
    }

    pub(super) fn finally(&self, store: &FakeStore) -> Result<(), Violation> {
        for id in store.tasks.keys() {
            let ends = self.ends.get(id).copied().unwrap_or(0);
            let lives = 1 + self.restarts.get(id).copied().unwrap_or(0);
            if ends != lives {
                return Err(Violation(format!("task {id} ended {ends} times in {lives} lives")));
            }
        }
        Ok(())
    }
}
