//! The orchestrator over the fake store, and targets whose queries end when the sequence says so.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use pgasync_core::{
    Command, Epoch, Event, Input, Lane, LaneKind, MonotonicTime, Now, Orchestrator, PoolName, Priority, QueuePosition,
    Request, RowState, Run, SessionId, Settings, Span, TargetName, TargetSettings, TaskEvent, TaskId, TaskOptions,
    Tuning, WriteAnswer,
};

use super::Limits;
use crate::fake_store::{FakeStore, StoredTask};

const TARGETS: [&str; 2] = ["a", "b"];

/// A query at a target.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query {
    pub(super) session: SessionId,
    pub(super) run: Run,
    pub(super) lost: bool,
}

pub(super) struct System {
    pub(super) core: Orchestrator,
    pub(super) now: Now,
    limits: Limits,
    pub(super) store: FakeStore,
    pub(super) running: BTreeMap<TaskId, Query>,
    /// Sessions whose query was canceled, and sessions that were terminated.
    pub(super) canceled: BTreeMap<SessionId, MonotonicTime>,
    pub(super) terminated: BTreeSet<SessionId>,
    pub(super) ends: BTreeMap<TaskId, u32>,
    /// Tasks for which a client made a request.
    requested: BTreeSet<TaskId>,
    /// The store is lost.
    store_lost: bool,
    /// The store does not execute what it receives.
    pub(super) stalled: bool,
    /// The orchestrator may not have seen the tasks that were pushed while the store was stalled.
    pub(super) unseen: bool,
    /// Commands that a stalled store received.
    pending: Vec<(Command, MonotonicTime)>,
    /// Sweeps that were delivered to the orchestrator now, and before the command that is executed.
    sweeps_delivered: u64,
    decided_after: u64,
    /// The sweep that let a task join the queue: the orchestrator cannot know the task before the
    /// delivery.
    promoted_by: BTreeMap<TaskId, u64>,
    /// When the queries of claims have to end.
    pub(super) deadlines: BTreeMap<TaskId, MonotonicTime>,
    alarms: Vec<MonotonicTime>,
    last_task: i64,
}

fn settings(limits: &Limits) -> Settings {
    let mut settings = Settings { workers: limits.workers, paused: limits.paused, ..Settings::default() };
    settings.idle_sleep = Span::seconds(30);
    // The reference has no claims ahead.
    let rarely = Span::seconds(1_000);
    settings.tuning = Tuning {
        ahead_per_slot_max: 0,
        window_heads_min: 2,
        poll_at_least_every: rarely,
        audit_every: rarely,
        marks_max: 3,
        ..Tuning::default()
    };
    settings.default_timeout = Some(Span::seconds(120));
    for (name, slots) in TARGETS.into_iter().zip(limits.slots) {
        let target = TargetSettings { max_concurrency: slots, default_timeout: None, max_sessions: None };
        settings.targets.insert(TargetName::new(name).unwrap(), target);
    }
    settings.pools.insert(PoolName::new("shared").unwrap(), 1);
    settings
}

impl System {
    pub(super) fn leading(limits: &Limits) -> Self {
        let mut system = Self {
            core: Orchestrator::new(settings(limits), 5),
            now: Now::from_micros(1_000_000_000_000),
            limits: limits.clone(),
            store: FakeStore::default(),
            running: BTreeMap::new(),
            canceled: BTreeMap::new(),
            terminated: BTreeSet::new(),
            ends: BTreeMap::new(),
            requested: BTreeSet::new(),
            store_lost: false,
            stalled: false,
            unseen: false,
            pending: Vec::new(),
            sweeps_delivered: 0,
            decided_after: 0,
            promoted_by: BTreeMap::new(),
            deadlines: BTreeMap::new(),
            alarms: Vec::new(),
            last_task: 0,
        };
        let (fence, inherited, lanes) = (vec![], vec![], vec![]);
        system.deliver(Input::Elected { epoch: Epoch(1), fence, inherited, lanes });
        system
    }

    pub(super) fn deliver(&mut self, input: Input) {
        let mut commands = VecDeque::new();
        self.handle(input, &mut commands);
        while let Some((command, sweeps)) = commands.pop_front() {
            self.decided_after = sweeps;
            for answer in self.execute(command) {
                self.handle(answer, &mut commands);
            }
            assert!(self.core.audit(), "occupancy is what a recount gives");
        }
    }

    /// Queues the orchestrator's commands, with the number of sweeps that were delivered before.
    fn handle(&mut self, input: Input, commands: &mut VecDeque<(Command, u64)>) {
        self.sweeps_delivered += u64::from(matches!(input, Input::Swept { .. }));
        self.core.handle(input, self.now);
        while let Some(command) = self.core.poll_command() {
            commands.push_back((command, self.sweeps_delivered));
        }
    }

    pub(super) fn limit(&self, pool: &PoolName) -> usize {
        settings(&self.limits).limit(pool) as usize
    }

    pub(super) fn in_pool(&self, pool: &PoolName) -> usize {
        self.running.keys().filter(|task| self.store.tasks[task].lane.pool == *pool).count()
    }

    fn execute(&mut self, command: Command) -> Vec<Input> {
        if command.is_for_store() && self.store_lost {
            return Vec::new();
        }
        if command.is_for_store() && self.stalled {
            self.pending.push((command, self.now.monotonic));
            return Vec::new();
        }
        match &command {
            Command::Write(event) => {
                let answer = self.write(event, self.now.monotonic);
                return vec![Input::Written { task: event.task, run: event.run, answer }];
            }
            Command::Sweep { .. } => return self.sweep(command),
            Command::RotateMarks { launched } => self.check_rotation(launched),
            Command::Launch { task, run, session } => {
                self.launch(*task, Query { session: *session, run: *run, lost: false });
                return Vec::new();
            }
            Command::Disconnect { session } => {
                // Queries there continue out of reach.
                if let Some(query) = self.running.values_mut().find(|query| query.session == *session) {
                    query.lost = true;
                    return Vec::new();
                }
            }
            Command::Cancel { session, task } => self.cancel(*session, *task),
            Command::Terminate { session, .. } => drop(self.terminated.insert(*session)),
            Command::SleepUntil(when) => self.alarms.push(*when),
            _ => {}
        }
        self.store.answer(command, self.now)
    }

    fn check_rotation(&self, launched: &[(TaskId, Run)]) {
        let carried = |(task, query): (&TaskId, &Query)| launched.contains(&(*task, query.run));
        let open = |task: &TaskId| self.store.tasks[task].row.state() == RowState::Running;
        assert!(self.running.iter().filter(|(task, _)| open(task)).all(carried), "a mark is not carried over");
    }

    fn launch(&mut self, task: TaskId, query: Query) {
        let pool = self.store.tasks[&task].lane.pool.clone();
        assert!(self.running.insert(task, query).is_none(), "task {task} runs already");
        assert!(self.in_pool(&pool) <= self.limit(&pool), "pool {pool} is over its limit");
        assert!(self.running.len() <= self.limits.workers as usize, "more queries than workers");
        assert!(!self.limits.paused, "nothing is launched while paused");
        assert!(!self.store_lost, "nothing is launched without the store");
    }

    fn cancel(&mut self, session: SessionId, task: TaskId) {
        let requested = self.store.requests.values().any(|(its, _, _)| *its == task);
        let due = self.deadlines.get(&task).is_some_and(|at| *at <= self.now.monotonic);
        assert!(requested || due || self.requested.contains(&task), "task {task} is canceled before its time");
        self.canceled.insert(session, self.now.monotonic);
    }

    fn write(&mut self, event: &TaskEvent, decided: MonotonicTime) -> WriteAnswer {
        let stored = self.store.tasks[&event.task].clone();
        if matches!(event.event, Event::Claim { .. }) && !self.unseen {
            let earlier = |other: &&StoredTask| {
                let task = other.position.task;
                let known = self.promoted_by.get(&task).is_none_or(|sweep| *sweep <= self.decided_after);
                other.lane == stored.lane && self.is_eligible(other) && other.position < stored.position && known
            };
            assert!(!self.store.tasks.values().any(|other| earlier(&other)), "lower priority goes first within a lane");
        }
        let answer = self.store.write(event);
        if answer != WriteAnswer::AsPredicted {
            return answer;
        }
        let (before, after) = (&stored.row, &self.store.tasks[&event.task].row);
        let released = event.event == Event::Release;
        assert!(before.processed.is_none() || released, "a finished task only restarts");
        if after.processed.is_some() && !released {
            *self.ends.entry(event.task).or_default() += 1;
        }
        if after.state() == RowState::Running && before.state() == RowState::Ready {
            let decided = Now { server: event.at, monotonic: decided };
            let deadline = after.times_up.map_or(MonotonicTime::NEVER, |at| decided.monotonic_at(at));
            self.deadlines.insert(event.task, deadline);
        }
        answer
    }

    /// The task is queued, and its time is not up.
    pub(super) fn is_eligible(&self, task: &StoredTask) -> bool {
        task.is_queued() && task.row.times_up.is_none_or(|at| at > self.now.server)
    }

    fn sweep(&mut self, command: Command) -> Vec<Input> {
        let deferred = |(id, task): (&TaskId, &StoredTask)| task.row.eligible_when.map(|_| *id);
        let deferred: Vec<TaskId> = self.store.tasks.iter().filter_map(deferred).collect();
        let answers = self.store.answer(command, self.now);
        for task in deferred {
            if self.store.tasks[&task].row.eligible_when.is_none() {
                self.promoted_by.insert(task, self.sweeps_delivered + 1);
            }
        }
        answers
    }

    pub(super) fn push(&mut self, priority: i32, target: usize, shared: bool) {
        self.last_task += 1;
        let target = TargetName::new(TARGETS[target]).unwrap();
        let named = shared.then(|| PoolName::new("shared").unwrap());
        let lane = Lane { pool: PoolName::of(named.as_ref(), &target), target, kind: LaneKind::Run };
        let position =
            QueuePosition { priority: Priority(priority), entered: self.now.server, task: TaskId(self.last_task) };
        self.store.insert(StoredTask::new(position, lane.clone(), TaskOptions::default()));
        self.deliver(Input::Waiting(vec![lane]));
    }

    /// A store that does not answer delivers no configuration. The delivery follows when the store
    /// answers again.
    pub(super) fn configure(&mut self, limits: &Limits) {
        if !self.stalled {
            self.limits = limits.clone();
            self.deliver(Input::Configured(Box::new(settings(limits))));
        }
    }

    pub(super) fn request(&mut self, which: usize, request: Request) {
        let open = self.store.tasks.iter().filter(|(_, task)| task.row.processed.is_none());
        let open: Vec<TaskId> = open.map(|(id, _)| *id).collect();
        if let Some(task) = open.get(which % open.len().max(1)) {
            self.requested.insert(*task);
            self.store.request(*task, request, self.now.monotonic);
            self.deliver(Input::Asking);
        }
    }

    /// The store is lost, and back after some time. The first of the commands that it received were
    /// executed, and no answer to them arrives.
    pub(super) fn lose_store(&mut self, span: Span, executed: usize) {
        for (command, decided) in std::mem::take(&mut self.pending).into_iter().take(executed) {
            if let Command::Write(event) = command {
                self.write(&event, decided);
            }
        }
        self.stalled = false;
        self.store_lost = true;
        self.deliver(Input::StoreLost);
        self.wait(span);
        self.store_lost = false;
        self.deliver(Input::StoreBack);
        self.deliver(Input::Asking);
    }

    pub(super) fn some_query(&self, which: usize, lost: bool) -> Option<(TaskId, Query)> {
        let all: Vec<_> = self.running.iter().filter(|(_, query)| query.lost == lost).collect();
        all.get(which % all.len().max(1)).map(|(task, query)| (**task, **query))
    }

    /// Advances the time from alarm to alarm.
    pub(super) fn wait(&mut self, span: Span) {
        let end = self.now.monotonic + span;
        loop {
            self.alarms.retain(|at| *at > self.now.monotonic);
            let next = self.alarms.iter().copied().min().filter(|at| *at <= end);
            self.now = self.now + (next.unwrap_or(end) - self.now.monotonic);
            self.deliver(Input::Tick);
            if next.is_none() {
                return;
            }
        }
    }
}
