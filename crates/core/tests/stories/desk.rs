//! A store and targets that answer at once, unless a story holds an answer back.

use std::collections::{BTreeMap, BTreeSet};

use pgasync_core::{
    Command, Epoch, Event, Head, Input, Lane, LaneKind, LaunchState, MonotonicTime, Now, Orchestrator, Outcome,
    PoolName, Priority, QueuePosition, Request, RequestId, Row, RowState, Run, SessionId, Settings, Sleep, Span,
    StoredRequest, TargetName, TargetSettings, TaskEvent, TaskId, TaskOptions, TaskSnapshot, WriteAnswer,
};

/// One target, "there", and what waits for it.
pub(crate) struct Desk {
    pub(crate) core: Orchestrator,
    pub(crate) now: Now,
    pub(crate) rows: BTreeMap<TaskId, (QueuePosition, Lane, TaskOptions, Row)>,
    pub(crate) requests: BTreeMap<RequestId, (TaskId, Request)>,
    pub(crate) running: BTreeMap<TaskId, (SessionId, Run)>,
    /// Sessions that are open at the target.
    pub(crate) sessions: BTreeSet<SessionId>,
    /// Claims of these are refused.
    pub(crate) locked: BTreeSet<TaskId>,
    /// Nothing can be written but claims.
    pub(crate) unwritable: bool,
    /// More of them than these are refused.
    pub(crate) sessions_max: usize,
    /// All that was said so far.
    pub(crate) said: Vec<Command>,
    /// What is said and not answered.
    pub(crate) holds: fn(&Command) -> bool,
    /// What was held, in order.
    pub(crate) held: Vec<Command>,
    /// What callers of `wait_for_latch` wait for.
    pub(crate) latch: i64,
    pub(crate) alarm: Option<MonotonicTime>,
}

/// Stories say themselves what is new in the store.
const RARELY: Span = Span::seconds(1_000_000);

pub(crate) fn there() -> TargetName {
    TargetName::new("there").expect("a name")
}

pub(crate) fn lane() -> Lane {
    Lane { pool: PoolName::of(None, &there()), target: there(), kind: LaneKind::Run }
}

/// A pool of so many slots.
pub(crate) fn settings(slots: u32) -> Settings {
    let mut settings = Settings { target_patience: Span::seconds(5), idle_sleep: RARELY, ..Settings::default() };
    settings.tuning.maintain_every = RARELY;
    settings.tuning.audit_every = RARELY;
    settings.tuning.ahead_per_slot_max = 0;
    settings.targets.insert(there(), TargetSettings { max_concurrency: slots, default_timeout: None });
    settings
}

impl Desk {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            core: Orchestrator::new(settings, 3),
            now: Now::from_micros(0),
            rows: BTreeMap::new(),
            requests: BTreeMap::new(),
            running: BTreeMap::new(),
            sessions: BTreeSet::new(),
            locked: BTreeSet::new(),
            unwritable: false,
            sessions_max: usize::MAX,
            said: Vec::new(),
            holds: |_| false,
            held: Vec::new(),
            latch: 0,
            alarm: None,
        }
    }

    /// It leads, and is the first to.
    pub(crate) fn leading(settings: Settings) -> Self {
        let mut desk = Self::new(settings);
        let (fence, inherited, lanes) = (vec![], vec![], vec![]);
        desk.tell(Input::Elected { epoch: Epoch(1), fence, inherited, lanes });
        desk
    }

    pub(crate) fn tell(&mut self, input: Input) {
        self.core.handle(input, self.now);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        while let Some(command) = self.core.poll_command() {
            self.said.push(command.clone());
            assert!(self.said.len() < 100_000, "it never comes to rest");
            if (self.holds)(&command) {
                self.held.push(command);
            } else if let Some(answer) = self.answer(command) {
                self.core.handle(answer, self.now);
            }
            assert!(self.core.audit(), "the occupancy is what a recount gives");
        }
    }

    /// Answers what was held back.
    pub(crate) fn release(&mut self) {
        self.holds = |_| false;
        for command in std::mem::take(&mut self.held) {
            if let Some(answer) = self.answer(command) {
                self.tell(answer);
            }
        }
    }

    pub(crate) fn push(&mut self, task: i64) -> TaskId {
        self.push_as(task, TaskOptions::default())
    }

    pub(crate) fn push_as(&mut self, task: i64, options: TaskOptions) -> TaskId {
        let position = QueuePosition { priority: Priority(0), entered: self.now.server, task: TaskId(task) };
        let kind = if options.client_pulled { LaneKind::Pull } else { LaneKind::Run };
        let lane = Lane { kind, ..lane() };
        self.rows.insert(position.task, (position, lane.clone(), options, Row::default()));
        self.tell(Input::Waiting(vec![lane]));
        position.task
    }

    pub(crate) fn ask(&mut self, task: TaskId, request: Request) {
        let id = RequestId(i64::try_from(self.said.len()).expect("not so many"));
        self.requests.insert(id, (task, request));
        self.tell(Input::Asking);
    }

    pub(crate) fn end(&mut self, task: TaskId, outcome: Outcome) {
        let (session, run) = self.running.remove(&task).expect("it runs");
        self.tell(Input::QueryEnded { session, task, run, outcome });
    }

    /// Time passes, from alarm to alarm.
    pub(crate) fn wait(&mut self, span: Span) {
        let end = self.now.monotonic + span;
        loop {
            let next = self.alarm.take().filter(|at| *at < end).map_or(end, |at| at.max(self.now.monotonic));
            self.now = self.now + (next - self.now.monotonic);
            self.tell(Input::Tick);
            if next == end {
                return;
            }
        }
    }

    pub(crate) fn row(&self, task: TaskId) -> &Row {
        &self.rows[&task].3
    }

    /// How often something like this was said.
    pub(crate) fn count(&self, like: impl Fn(&Command) -> bool) -> usize {
        self.said.iter().filter(|command| like(command)).count()
    }

    fn sighting(&self, task: TaskId) -> TaskSnapshot {
        let (position, lane, options, row) = self.rows[&task].clone();
        TaskSnapshot { position, lane, task: row.task(options, LaunchState::Launched(None)).expect("a row") }
    }

    fn heads(&self, lane: Lane, heads_max: usize) -> Input {
        let waits = self.rows.values().filter(|(_, its, _, row)| {
            *its == lane && row.state() == RowState::Ready && row.tracked != Some(true) && row.eligible_when.is_none()
        });
        let mut heads: Vec<Head> = waits
            .map(|(position, _, options, row)| Head {
                position: *position,
                run: Run(row.run),
                options: *options,
                times_up: row.times_up,
                text_bytes: 1,
            })
            .collect();
        heads.sort_by_key(|head| head.position);
        let more = heads.len() > heads_max;
        heads.truncate(heads_max);
        Input::Refilled { lane, heads, more }
    }

    /// The row is what the event makes of it, unless something forbids that.
    pub(crate) fn write(&mut self, event: &TaskEvent) -> WriteAnswer {
        let claims = matches!(event.event, Event::Claim { .. });
        if self.unwritable && !claims {
            return WriteAnswer::Failed("a trigger raises".to_owned());
        }
        if claims && self.locked.contains(&event.task) {
            return WriteAnswer::Locked;
        }
        let Some((_, _, options, row)) = self.rows.get_mut(&event.task) else { return WriteAnswer::Gone };
        let Some(next) = event.apply(row, *options) else { return WriteAnswer::Row(row.clone()) };
        *row = next;
        self.requests.retain(|id, _| !event.settles.contains(id));
        WriteAnswer::AsPredicted
    }

    #[allow(clippy::too_many_lines, reason = "one arm a command")]
    pub(crate) fn answer(&mut self, command: Command) -> Option<Input> {
        Some(match command {
            Command::RunStartup => Input::StartupDone,
            Command::Refill { lane, heads_max } => self.heads(lane, heads_max),
            Command::Sweep { .. } => Input::Swept { overdue: vec![], promoted: vec![], next: None, failed: vec![] },
            Command::ReadRequests { serial } => {
                let asked = self.requests.iter();
                let asked = asked.map(|(id, (task, request))| StoredRequest {
                    id: *id,
                    request: request.clone(),
                    about: self.sighting(*task),
                });
                Input::Requests { serial, asked: asked.collect(), last: true }
            }
            Command::Write(event) => {
                let answer = self.write(&event);
                Input::Written { task: event.task, run: event.run, answer }
            }
            Command::Poll { sleep, .. } => {
                let (lanes, requests) = (vec![], !self.requests.is_empty());
                Input::Polled {
                    lanes,
                    requests,
                    latch: self.latch,
                    asleep: (sleep == Sleep::FallAsleep).then_some(true),
                }
            }
            Command::RunRoutines => Input::RoutinesDone,
            Command::Maintain => Input::Maintained { more: false },
            Command::Unregister { sessions } => Input::Unregistered { sessions },
            Command::RotateMarks { .. } => Input::MarksRotated,
            Command::Connect { session, .. } if self.sessions.len() >= self.sessions_max => {
                Input::ConnectFailed { session, error: "too many connections".to_owned() }
            }
            Command::Connect { session, .. } => {
                self.sessions.insert(session);
                Input::Connected { session }
            }
            Command::Register { session } => Input::Registered { session },
            Command::Mark { task, run, session } => Input::Marked { task, run, session },
            Command::Launch { task, run, session } => {
                assert!(self.running.insert(task, (session, run)).is_none(), "task {task} runs already");
                Input::Sent { task, run }
            }
            Command::Disconnect { session } => {
                if self.running.values().any(|(its, _)| *its == session) {
                    return None;
                }
                self.sessions.remove(&session);
                Input::SessionGone { session }
            }
            Command::Dismiss { request, .. } => {
                self.requests.remove(&request);
                return None;
            }
            Command::Resync { tasks } => {
                let row = |task: TaskId| Some((task, self.rows.get(&task)?.3.clone()));
                Input::Resynced(tasks.into_iter().filter_map(row).collect())
            }
            Command::SleepUntil(when) => {
                self.alarm = Some(when);
                return None;
            }
            Command::Fence { .. }
            | Command::FenceSession { .. }
            | Command::Cancel { .. }
            | Command::Terminate { .. }
            | Command::ServeLatch { .. }
            | Command::Reread { .. }
            | Command::ProveLead { .. }
            | Command::Resign => return None,
        })
    }
}

/// The write of a claim.
pub(crate) fn claims(command: &Command) -> bool {
    matches!(command, Command::Write(TaskEvent { event: Event::Claim { .. }, .. }))
}

/// The write of an end.
pub(crate) fn records(command: &Command) -> bool {
    let ends = |event: &Event| match event {
        Event::QueryEnded { .. } | Event::Request(_) | Event::Deadline | Event::Abandon { .. } => true,
        Event::Promote
        | Event::Claim { .. }
        | Event::GiveBack { .. }
        | Event::Launch
        | Event::Offer { .. }
        | Event::Withdraw
        | Event::Take { .. }
        | Event::Release
        | Event::Restart => false,
    };
    matches!(command, Command::Write(event) if ends(&event.event))
}
