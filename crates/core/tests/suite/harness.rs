//! An orchestrator over a store and targets that answer at once, unless a test holds an answer
//! back.

use std::collections::{BTreeMap, BTreeSet};

use pgasync_core::{
    Command, Epoch, Event, Input, Lane, LaneKind, MonotonicTime, Now, Orchestrator, Outcome, PoolName, Priority,
    QueuePosition, Request, Row, Run, SessionId, Settings, Span, TargetName, TargetSettings, TaskEvent, TaskId,
    TaskOptions, WriteAnswer,
};

use crate::fake_store::{FakeStore, StoredTask};

pub(crate) struct Harness {
    pub(crate) core: Orchestrator,
    pub(crate) now: Now,
    /// How long each command takes.
    pub(crate) command_takes: Span,
    pub(crate) store: FakeStore,
    pub(crate) running: BTreeMap<TaskId, (SessionId, Run)>,
    /// Sessions that are open at a target.
    pub(crate) sessions: BTreeSet<SessionId>,
    /// The tasks whose claims are refused.
    pub(crate) locked: BTreeSet<TaskId>,
    /// Only claims can be written.
    pub(crate) unwritable: bool,
    /// The number of sessions after which further ones are refused.
    pub(crate) sessions_max: usize,
    /// Targets that refuse every session.
    pub(crate) refusing: BTreeSet<TargetName>,
    /// All commands so far.
    pub(crate) commands: Vec<Command>,
    /// Commands that are held without an answer.
    pub(crate) holds: fn(&Command) -> bool,
    /// The held commands, in order.
    pub(crate) held: Vec<Command>,
    pub(crate) alarm: Option<MonotonicTime>,
}

/// Tests deliver changes of the store themselves.
const RARELY: Span = Span::seconds(1_000_000);

pub(crate) fn target() -> TargetName {
    TargetName::new("there").expect("a name")
}

pub(crate) fn lane() -> Lane {
    Lane { pool: PoolName::of(None, &target()), target: target(), kind: LaneKind::Run }
}

/// One target, whose pool has `slots` slots.
pub(crate) fn settings(slots: u32) -> Settings {
    let mut settings = Settings { target_patience: Span::seconds(5), idle_sleep: RARELY, ..Settings::default() };
    settings.tuning.poll_at_least_every = RARELY;
    settings.tuning.audit_every = RARELY;
    settings.tuning.ahead_per_slot_max = 0;
    settings
        .targets
        .insert(target(), TargetSettings { max_concurrency: slots, default_timeout: None, max_sessions: None });
    settings
}

impl Harness {
    /// The first leader.
    pub(crate) fn leading(settings: Settings) -> Self {
        let mut harness = Self {
            core: Orchestrator::new(settings, 3),
            now: Now::from_micros(0),
            command_takes: Span::ZERO,
            store: FakeStore::default(),
            running: BTreeMap::new(),
            sessions: BTreeSet::new(),
            locked: BTreeSet::new(),
            unwritable: false,
            sessions_max: usize::MAX,
            refusing: BTreeSet::new(),
            commands: Vec::new(),
            holds: |_| false,
            held: Vec::new(),
            alarm: None,
        };
        let (fence, inherited, lanes) = (vec![], vec![], vec![]);
        harness.deliver(Input::Elected { epoch: Epoch(1), fence, inherited, lanes });
        harness
    }

    pub(crate) fn deliver(&mut self, input: Input) {
        self.deliver_group([input]);
    }

    /// Delivers several inputs before the commands that follow from them are taken.
    pub(crate) fn deliver_group(&mut self, inputs: impl IntoIterator<Item = Input>) {
        for input in inputs {
            self.core.handle(input, self.now);
            assert!(self.core.audit(), "the occupancy is what a recount gives");
        }
        while let Some(command) = self.core.poll_command() {
            self.commands.push(command.clone());
            assert!(self.commands.len() < 100_000, "the orchestrator never comes to rest");
            self.now = self.now + self.command_takes;
            if (self.holds)(&command) {
                self.held.push(command);
            } else {
                for answer in self.answer(command) {
                    self.core.handle(answer, self.now);
                }
            }
            assert!(self.core.audit(), "the occupancy is what a recount gives");
        }
    }

    /// Executes a command that was held, and delivers its answer.
    pub(crate) fn execute(&mut self, command: Command) {
        for answer in self.answer(command) {
            self.deliver(answer);
        }
    }

    /// Executes all commands that were held.
    pub(crate) fn release(&mut self) {
        self.holds = |_| false;
        for command in std::mem::take(&mut self.held) {
            self.execute(command);
        }
    }

    pub(crate) fn push(&mut self, task: i64) -> TaskId {
        self.push_as(task, TaskOptions::default())
    }

    pub(crate) fn push_as(&mut self, task: i64, options: TaskOptions) -> TaskId {
        let kind = if options.client_pulled { LaneKind::Pull } else { LaneKind::Run };
        let lane = Lane { kind, ..lane() };
        let task = self.insert(task, lane.clone(), options);
        self.deliver(Input::Waiting(vec![lane]));
        task
    }

    /// Inserts a task, and does not notify.
    pub(crate) fn insert(&mut self, task: i64, lane: Lane, options: TaskOptions) -> TaskId {
        let position = QueuePosition { priority: Priority(0), entered: self.now.server, task: TaskId(task) };
        self.store.insert(StoredTask::new(position, lane, options));
        position.task
    }

    pub(crate) fn request(&mut self, task: TaskId, request: Request) {
        self.store.request(task, request, self.now.monotonic);
        self.deliver(Input::Asking);
    }

    pub(crate) fn end(&mut self, task: TaskId, outcome: Outcome) {
        let (session, run) = self.running.remove(&task).expect("it runs");
        self.deliver(Input::QueryEnded { session, task, run, outcome });
    }

    /// Advances the time from alarm to alarm.
    pub(crate) fn wait(&mut self, span: Span) {
        let end = self.now.monotonic + span;
        while self.wait_for_alarm(end) {}
    }

    /// Advances the time to the next alarm, at most to `end`. Returns whether that
    /// is before `end`.
    pub(crate) fn wait_for_alarm(&mut self, end: MonotonicTime) -> bool {
        let next = self.alarm.take().filter(|at| *at < end).unwrap_or(end).max(self.now.monotonic);
        self.now = self.now + (next - self.now.monotonic);
        self.deliver(Input::Tick);
        next < end
    }

    pub(crate) fn slots_taken(&self) -> u32 {
        self.core.occupancy().find(|(pool, _)| **pool == lane().pool).map_or(0, |(_, slots)| slots)
    }

    pub(crate) fn row(&self, task: TaskId) -> &Row {
        &self.store.tasks[&task].row
    }

    /// The number of commands so far that `like` accepts.
    pub(crate) fn count(&self, like: impl Fn(&Command) -> bool) -> usize {
        self.commands.iter().filter(|command| like(command)).count()
    }

    fn write(&mut self, event: &TaskEvent) -> WriteAnswer {
        let claims = matches!(event.event, Event::Claim { .. });
        if self.unwritable && !claims {
            return WriteAnswer::Failed("a trigger raises".to_owned());
        }
        if claims && self.locked.contains(&event.task) {
            return WriteAnswer::Locked;
        }
        self.store.write(event)
    }

    /// Executes a command like the fake store, except for the changes of the test.
    pub(crate) fn answer(&mut self, command: Command) -> Vec<Input> {
        match command {
            Command::Write(event) => {
                let answer = self.write(&event);
                vec![Input::Written { task: event.task, run: event.run, answer }]
            }
            Command::Connect { session, ref target } => {
                if self.sessions.len() >= self.sessions_max || self.refusing.contains(target) {
                    return vec![Input::ConnectFailed { session, error: "too many connections".to_owned() }];
                }
                self.sessions.insert(session);
                self.store.answer(command, self.now)
            }
            Command::Launch { task, run, session } => {
                assert!(self.running.insert(task, (session, run)).is_none(), "task {task} runs already");
                self.store.answer(command, self.now)
            }
            Command::Disconnect { session } => {
                if self.running.values().any(|(its, _)| *its == session) {
                    return Vec::new();
                }
                self.sessions.remove(&session);
                self.store.answer(command, self.now)
            }
            Command::SleepUntil(when) => {
                self.alarm = Some(when);
                Vec::new()
            }
            other => self.store.answer(other, self.now),
        }
    }
}

/// The write of a claim.
pub(crate) fn claims(command: &Command) -> bool {
    matches!(command, Command::Write(TaskEvent { event: Event::Claim { .. }, .. }))
}

/// The write of an end.
pub(crate) fn records(command: &Command) -> bool {
    matches!(
        command,
        Command::Write(TaskEvent {
            event: Event::QueryEnded { .. } | Event::Request(_) | Event::Deadline | Event::Abandon { .. },
            ..
        })
    )
}
