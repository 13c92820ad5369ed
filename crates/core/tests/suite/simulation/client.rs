//! The clients: they push, request, pull and finish.

use std::sync::Arc;

use pgasync_core::{
    Event, FinishStatus, Input, Lane, LaneKind, LaunchState, PoolName, Priority, QueuePosition, Request, RetryPolicy,
    RowState, Run, Span, TargetName, TaskEvent, TaskId, TaskOptions,
};

use super::world::{POOLS, ScheduledEvent, TARGETS, World};
use crate::fake_store::{QueryProfile, StoredTask};

impl World {
    pub(super) fn push(&mut self) {
        let number = self.random.within(1, 7);
        let tasks: Vec<StoredTask> = (0..number).filter_map(|_| self.new_task()).collect();
        // A push writes, then reads whether the leader sleeps, then commits.
        let notifies = self.store.asleep;
        if self.random.percent(30) {
            // Another push follows while the leader reads this one.
            self.soon(ScheduledEvent::Push);
        }
        if self.random.percent(20) {
            self.store.last_push += 1;
            let transaction = self.store.last_push;
            self.store.open_pushes.insert(transaction);
            let open = Span::millis(self.random.spread(1, 60_000));
            return self.after(open, ScheduledEvent::Commit { tasks, notifies, transaction });
        }
        tasks.into_iter().for_each(|task| self.store.insert(task));
        if notifies {
            self.notify_leader(Input::Notified);
        }
    }

    /// An open push commits.
    pub(super) fn commit(&mut self, tasks: Vec<StoredTask>, notifies: bool, transaction: i64) {
        self.store.open_pushes.remove(&transaction);
        tasks.into_iter().for_each(|task| self.store.insert(task));
        if notifies {
            self.notify_leader(Input::Notified);
        } else {
            self.store.unpolled_commit.get_or_insert(self.now);
        }
    }

    /// Every write of a client wakes a leader that sleeps.
    fn wake_leader(&mut self) {
        if self.store.asleep {
            self.notify_leader(Input::Notified);
        }
    }

    /// A client waits for a cycle.
    pub(super) fn wait_for_latch(&mut self) {
        self.store.last_latch += 1;
        self.store.latches.insert(self.store.last_latch, self.now);
        self.wake_leader();
    }

    /// A client locks a row for a while.
    pub(super) fn lock_row(&mut self) {
        let until = self.now + Span::millis(self.random.spread(10, 200_000));
        if let Some(id) = self.some_task(|task| task.row.processed.is_none())
            && let Some(stored) = self.store.tasks.get_mut(&id)
        {
            stored.locked_until = until;
        }
    }

    fn new_task(&mut self) -> Option<StoredTask> {
        let target = TargetName::new(self.random.pick(&TARGETS)?).ok()?;
        let named = if self.random.percent(30) { self.random.pick(&POOLS) } else { None };
        let named = named.and_then(|pool| PoolName::new(pool).ok());
        let client_pulled = self.random.percent(15);
        let kind = if client_pulled { LaneKind::Pull } else { LaneKind::Run };
        let lane = Lane { pool: PoolName::of(named.as_ref(), &target), target, kind };
        let entered = self.server();
        self.last_task += 1;
        let task = TaskId(self.last_task);
        let priority = Priority(i32::try_from(self.random.within(-2, 3)).ok()?);
        let options = TaskOptions {
            client_pulled,
            asynchronous_finish: self.random.percent(15),
            track_yielded: self.random.percent(40),
            manual_timeout: self.random.percent(15).then(|| Span::seconds(self.random.within(1, 60))),
            run_at: self.random.percent(10).then(|| entered + Span::millis(self.random.spread(1, 120_000))),
            expires_at: self.random.percent(10).then(|| entered + Span::millis(self.random.spread(1, 600_000))),
            retry: self.random.percent(30).then(|| Arc::new(self.new_policy(task))),
            receipt: false,
        };
        // Without a random choice, so that the seeds of the planted bugs stay.
        let receipt = options.retry.is_some() && !client_pulled && task.0 % 2 == 0;
        let options = TaskOptions { receipt, ..options };
        let own_requests =
            [FinishStatus::Deferred, FinishStatus::Finished, FinishStatus::Failed, FinishStatus::Yielded];
        let query = QueryProfile {
            takes: Span::millis(self.random.spread(1, 400_000)),
            fails: self.random.percent(10),
            own_request: if self.random.percent(15) { self.random.pick(&own_requests) } else { None },
            ignores_cancels: self.random.percent(15),
            end_yields: !client_pulled && self.random.percent(5),
        };
        let position = QueuePosition { priority, entered, task };
        Some(StoredTask { query, ..StoredTask::new(position, lane, options) })
    }

    fn new_policy(&mut self, task: TaskId) -> RetryPolicy {
        let errors = ["transient", "any", "23", "23505"];
        let mut sqlstates = vec![self.random.pick(&errors).unwrap_or("any").to_owned()];
        if self.random.percent(50) {
            sqlstates.push("reported".to_owned());
        }
        RetryPolicy {
            task,
            max_attempts: i32::try_from(self.random.within(1, 5)).unwrap_or(1),
            delay: Span::millis(self.random.spread(10, 60_000)),
            backoff: if self.random.percent(50) { 1_000 } else { 2_000 },
            delay_max: Span::seconds(120),
            jitter: if self.random.percent(50) { 0 } else { 300 },
            sqlstates,
            timeouts: self.random.percent(50),
            unreachable: self.random.percent(50),
            unknown: self.random.percent(50),
            may_run_twice: self.random.percent(50),
            commits: self.random.percent(10),
        }
    }

    fn some_task(&mut self, like: impl Fn(&StoredTask) -> bool) -> Option<TaskId> {
        let all: Vec<TaskId> = self.store.tasks.iter().filter(|(_, task)| like(task)).map(|(id, _)| *id).collect();
        self.random.pick(&all)
    }

    /// A client makes a request for a task.
    pub(super) fn request(&mut self) {
        let running = self.random.percent(50);
        let like = |task: &StoredTask| task.row.processed.is_none() && (!running || task.row.consumed.is_some());
        let Some(task) = self.some_task(like) else { return };
        let second = Some(Span::millis(self.random.spread(10, 60_000)));
        let request = match self.random.index(5) {
            0 => Request::defer(Span::millis(self.random.spread(10, 120_000))),
            1 => Request { duration: second, ..Request::finish(FinishStatus::Paused) },
            2 => Request::finish(FinishStatus::Finished),
            _ => Request::cancel("not any more"),
        };
        self.ledger.note_request(task, &request);
        self.store.request(task, request, self.now);
        self.wake_leader();
    }

    /// A client takes an offer.
    pub(super) fn pull(&mut self) {
        let now = self.now;
        if let Some(id) = self.some_task(|task| task.is_offered() && task.locked_until <= now) {
            self.take_offer(id);
        }
    }

    /// A client takes this offer.
    pub(super) fn take_offer(&mut self, id: TaskId) {
        let at = self.server();
        let Some(stored) = self.store.tasks.get_mut(&id) else { return };
        let event = Event::Take { default_timeout: self.settings.timeout(&stored.lane.target) };
        let event = TaskEvent { task: id, run: Run(stored.row.run), event, launch: None, at, settles: Vec::new() };
        if let Some(row) = event.apply(&stored.row, stored.options.clone()) {
            stored.row = row;
            self.ledger.note_pull(self.now, &stored.lane.pool);
            self.wake_leader();
        }
    }

    /// A client finishes a task that it pulled, or a YIELDED one.
    pub(super) fn finish_from_client(&mut self) {
        let open = |task: &StoredTask| match task.row.state() {
            RowState::Yielded => true,
            RowState::Running => task.options.client_pulled,
            RowState::Ready | RowState::Finished => false,
        };
        let Some(task) = self.some_task(open) else { return };
        let status = if self.random.percent(25) { FinishStatus::Failed } else { FinishStatus::Finished };
        let request = Request::finish(status);
        self.ledger.note_request(task, &request);
        self.store.request(task, request, self.now);
        self.wake_leader();
    }

    pub(super) fn restart(&mut self) {
        let Some(id) = self.some_task(|task| task.row.processed.is_some() && task.row.tracked != Some(true)) else {
            return;
        };
        let at = self.server();
        let Some(stored) = self.store.tasks.get_mut(&id) else { return };
        let restarted =
            stored.row.task(stored.options.clone(), LaunchState::Claimed).map(|task| task.step(&Event::Restart, at));
        // A task that has expired is not restarted.
        let Ok(Ok(restarted)) = restarted else { return };
        stored.row = restarted.row();
        self.store.arrived(id);
        self.ledger.note_restart(id);
        self.wake_leader();
    }
}
