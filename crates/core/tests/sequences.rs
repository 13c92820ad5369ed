//! Any sequence of events, against a reference that remembers everything.
//!
//! The store answers at once here; what a target runs is up to the sequence.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![allow(clippy::too_many_lines, reason = "one arm a command")]
#![allow(clippy::wildcard_enum_match_arm, reason = "what is not asked for here is one case")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use pgasync_core::{
    Command, Epoch, Event, FinishStatus, Head, Input, Lane, LaneKind, LaunchState, MonotonicTime, Now, Orchestrator,
    Outcome, PoolName, Priority, QueuePosition, Request, RequestId, Row, RowState, Run, SessionId, Settings, Sleep,
    Span, StoredRequest, TargetName, TargetSettings, TaskEvent, TaskId, TaskOptions, TaskSnapshot, Tuning, WriteAnswer,
};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

const TARGETS: [&str; 2] = ["a", "b"];

#[derive(Debug, Clone)]
enum Act {
    Push {
        priority: i32,
        target: usize,
        shared: bool,
    },
    /// The query that has run longest ends, or another one.
    End {
        which: usize,
        ok: bool,
    },
    Cancel {
        which: usize,
    },
    Finish {
        which: usize,
    },
    PauseTask {
        which: usize,
    },
    Defer {
        which: usize,
        seconds: i64,
    },
    Lose {
        which: usize,
    },
    Gone {
        which: usize,
    },
    Resize {
        target: usize,
        slots: u32,
    },
    Workers(u32),
    Pause(bool),
    Wait {
        seconds: i64,
    },
    /// The store is lost for so long; what was sent may have been carried out before.
    Cut {
        seconds: i64,
        carried_out: usize,
    },
    /// From now on the store carries out nothing and answers nothing, until it is cut.
    Stall,
    /// The server's clock is set.
    Step {
        seconds: i64,
    },
}

/// The reference is the limits; what runs is counted at the target.
#[derive(Debug, Clone)]
struct Limits {
    workers: u32,
    slots: [u32; 2],
    paused: bool,
}

struct Reference;

impl ReferenceStateMachine for Reference {
    type State = Limits;
    type Transition = Act;

    fn init_state() -> BoxedStrategy<Limits> {
        (1..5_u32, 1..3_u32, 1..3_u32)
            .prop_map(|(workers, a, b)| Limits { workers, slots: [a, b], paused: false })
            .boxed()
    }

    fn transitions(_: &Limits) -> BoxedStrategy<Act> {
        let which = 0..8_usize;
        prop_oneof![
            6 => (-2..3, 0..2_usize, any::<bool>())
                .prop_map(|(priority, target, shared)| Act::Push { priority, target, shared }),
            5 => (which.clone(), any::<bool>()).prop_map(|(which, ok)| Act::End { which, ok }),
            2 => which.clone().prop_map(|which| Act::Cancel { which }),
            1 => which.clone().prop_map(|which| Act::Finish { which }),
            1 => which.clone().prop_map(|which| Act::PauseTask { which }),
            2 => (which.clone(), 0..90_i64).prop_map(|(which, seconds)| Act::Defer { which, seconds }),
            1 => which.clone().prop_map(|which| Act::Lose { which }),
            2 => which.prop_map(|which| Act::Gone { which }),
            1 => (0..2_usize, 1..4_u32).prop_map(|(target, slots)| Act::Resize { target, slots }),
            1 => (1..6_u32).prop_map(Act::Workers),
            1 => any::<bool>().prop_map(Act::Pause),
            2 => (1..40_i64).prop_map(|seconds| Act::Wait { seconds }),
            2 => (0..40_i64, 0..6_usize).prop_map(|(seconds, carried_out)| Act::Cut { seconds, carried_out }),
            1 => Just(Act::Stall),
            1 => (-9_000..9_000_i64).prop_map(|seconds| Act::Step { seconds }),
        ]
        .boxed()
    }

    fn apply(mut limits: Limits, act: &Act) -> Limits {
        match *act {
            Act::Resize { target, slots } => limits.slots[target] = slots,
            Act::Workers(workers) => limits.workers = workers,
            Act::Pause(paused) => limits.paused = paused,
            _ => {}
        }
        limits
    }
}

/// A query at a target.
#[derive(Debug, Clone, Copy)]
struct Query {
    session: SessionId,
    run: Run,
    lost: bool,
}

struct Driven {
    core: Orchestrator,
    now: Now,
    limits: Limits,
    tasks: BTreeMap<TaskId, (QueuePosition, Lane, Row)>,
    running: BTreeMap<TaskId, Query>,
    requests: BTreeMap<RequestId, (TaskId, Request)>,
    /// Sessions whose query was told to end, and those that were to be ended themselves.
    cancelled: BTreeMap<SessionId, MonotonicTime>,
    terminated: BTreeSet<SessionId>,
    ends: BTreeMap<TaskId, u32>,
    /// Tasks of which something was asked.
    granted: BTreeSet<TaskId>,
    /// The store is lost.
    cut: bool,
    /// The store does not carry out what it is told.
    stalled: bool,
    /// What was pushed while it was stalled may not have been seen yet.
    unseen: bool,
    /// What it was told since then.
    untold: Vec<(Command, MonotonicTime)>,
    /// Sweeps that the core was told of, and those of the command that is carried out.
    sweeps_heard: u64,
    decided_after: u64,
    /// The sweep that let a task join the queue: the core cannot know of it before it is told.
    promoted_by: BTreeMap<TaskId, u64>,
    /// When the queries of claims have to end.
    deadlines: BTreeMap<TaskId, MonotonicTime>,
    /// When to look at the clock.
    alarms: Vec<MonotonicTime>,
    last_id: i64,
}

fn settings(limits: &Limits) -> Settings {
    let mut settings = Settings { workers: limits.workers, paused: limits.paused, ..Settings::default() };
    settings.idle_sleep = Span::seconds(30);
    // The reference knows nothing of claims ahead.
    let rarely = Span::seconds(1_000);
    settings.tuning = Tuning {
        ahead_per_slot_max: 0,
        window_heads_min: 2,
        maintain_every: rarely,
        audit_every: rarely,
        marks_max: 3,
        ..Tuning::default()
    };
    settings.default_timeout = Some(Span::seconds(120));
    for (name, slots) in TARGETS.into_iter().zip(limits.slots) {
        let target = TargetSettings { max_concurrency: slots, default_timeout: None };
        settings.targets.insert(TargetName::new(name).unwrap(), target);
    }
    settings.pools.insert(PoolName::new("shared").unwrap(), 1);
    settings
}

impl Driven {
    fn tell(&mut self, input: Input) {
        let mut commands = VecDeque::new();
        self.hear(input, &mut commands);
        while let Some((command, sweeps)) = commands.pop_front() {
            self.decided_after = sweeps;
            if let Some(answer) = self.carry_out(command) {
                self.hear(answer, &mut commands);
            }
            assert!(self.core.audit(), "occupancy is what a recount gives");
        }
    }

    /// Queues what the core wants, with the number of sweeps that it had heard of then.
    fn hear(&mut self, input: Input, commands: &mut VecDeque<(Command, u64)>) {
        self.sweeps_heard += u64::from(matches!(input, Input::Swept { .. }));
        self.core.handle(input, self.now);
        while let Some(command) = self.core.poll_command() {
            commands.push_back((command, self.sweeps_heard));
        }
    }

    fn limit(&self, pool: &PoolName) -> usize {
        settings(&self.limits).limit(pool) as usize
    }

    fn in_pool(&self, pool: &PoolName) -> usize {
        self.running.keys().filter(|task| self.tasks[task].1.pool == *pool).count()
    }

    fn sighting(&self, id: TaskId) -> TaskSnapshot {
        let (position, lane, row) = self.tasks[&id].clone();
        TaskSnapshot { position, lane, task: row.task(TaskOptions::default(), LaunchState::Launched(None)).unwrap() }
    }

    fn waiting(&self, row: &Row) -> bool {
        row.state() == RowState::Ready && row.eligible_when.is_none()
    }

    fn carry_out(&mut self, command: Command) -> Option<Input> {
        if self.cut && command.is_for_store() {
            return None;
        }
        if self.stalled && command.is_for_store() {
            self.untold.push((command, self.now.monotonic));
            return None;
        }
        Some(match command {
            Command::Resync { tasks } => {
                Input::Resynced(tasks.into_iter().map(|id| (id, self.tasks[&id].2.clone())).collect())
            }
            Command::RunStartup => Input::StartupDone,
            Command::Refill { lane, heads_max } => {
                let waits = self.tasks.values().filter(|(_, its, row)| *its == lane && self.waiting(row));
                let mut heads: Vec<Head> = waits
                    .map(|(position, _, row)| Head {
                        position: *position,
                        run: Run(row.run),
                        options: TaskOptions::default(),
                        times_up: row.times_up,
                        text_bytes: 1,
                    })
                    .collect();
                heads.sort_by_key(|head| head.position);
                let more = heads.len() > heads_max;
                heads.truncate(heads_max);
                Input::Refilled { lane, heads, more }
            }
            Command::Sweep { .. } => self.sweep(),
            Command::ReadRequests { serial } => {
                let asked = self.requests.iter().map(|(id, (task, request))| StoredRequest {
                    id: *id,
                    request: request.clone(),
                    about: self.sighting(*task),
                });
                Input::Requests { serial, asked: asked.collect(), last: true }
            }
            Command::Write(event) => {
                let answer = self.write(&event, self.now.monotonic);
                Input::Written { task: event.task, run: event.run, answer }
            }
            Command::Poll { sleep, .. } => Input::Polled {
                lanes: vec![],
                requests: !self.requests.is_empty(),
                latch: 0,
                asleep: (sleep == Sleep::FallAsleep).then_some(true),
            },
            Command::Maintain => Input::Maintained { more: false },
            Command::Unregister { sessions } => Input::Unregistered { sessions },
            Command::RotateMarks { launched } => {
                let runs = |(task, query): (&TaskId, &Query)| launched.contains(&(*task, query.run));
                let open = |task: &TaskId| self.tasks[task].2.state() == RowState::Running;
                assert!(self.running.iter().filter(|(task, _)| open(task)).all(runs), "a mark is not carried over");
                Input::MarksRotated
            }
            Command::Connect { session, .. } => Input::Connected { session },
            Command::Register { session } => Input::Registered { session },
            Command::Mark { task, run, session } => Input::Marked { task, run, session },
            Command::Launch { task, run, session } => {
                let pool = self.tasks[&task].1.pool.clone();
                assert!(self.running.insert(task, Query { session, run, lost: false }).is_none(), "it runs already");
                assert!(self.in_pool(&pool) <= self.limit(&pool), "pool {pool} is over its limit");
                assert!(self.running.len() <= self.limits.workers as usize, "there are not so many workers");
                assert!(!self.limits.paused, "nothing is launched while paused");
                assert!(!self.cut, "nothing is launched without the store");
                return None;
            }
            Command::Disconnect { session } => {
                // What runs there runs on, out of reach.
                if let Some(query) = self.running.values_mut().find(|query| query.session == session) {
                    query.lost = true;
                    return None;
                }
                Input::SessionGone { session }
            }
            Command::Dismiss { request, .. } => {
                self.requests.remove(&request);
                return None;
            }
            Command::Cancel { session, task } => {
                let asked = self.requests.values().any(|(its, _)| its == &task);
                let due = self.deadlines.get(&task).is_some_and(|at| *at <= self.now.monotonic);
                assert!(asked || due || self.granted.contains(&task), "task {task} is cancelled before its time");
                self.cancelled.insert(session, self.now.monotonic);
                return None;
            }
            Command::Terminate { session, .. } => {
                self.terminated.insert(session);
                return None;
            }
            Command::SleepUntil(when) => {
                self.alarms.push(when);
                return None;
            }
            _ => return None,
        })
    }

    fn write(&mut self, event: &TaskEvent, decided: MonotonicTime) -> WriteAnswer {
        let now = self.now;
        let (position, lane, _) = self.tasks[&event.task].clone();
        if matches!(event.event, Event::Claim { .. }) && !self.unseen {
            let earlier = |(other, its, row): &&(QueuePosition, Lane, Row)| {
                let in_time = row.times_up.is_none_or(|at| at > now.server);
                let known = self.promoted_by.get(&other.task).is_none_or(|sweep| *sweep <= self.decided_after);
                *its == lane && self.waiting(row) && *other < position && in_time && known
            };
            assert!(self.tasks.values().find(earlier).is_none(), "lower priority goes first within a lane");
        }
        let row = &mut self.tasks.get_mut(&event.task).unwrap().2;
        let Some(next) = event.apply(row, TaskOptions::default()) else { return WriteAnswer::Row(row.clone()) };
        let released = event.event == Event::Release;
        assert!(row.processed.is_none() || released, "a finished task only restarts");
        if next.processed.is_some() && !released {
            *self.ends.entry(event.task).or_default() += 1;
        }
        if next.state() == RowState::Running && row.state() == RowState::Ready {
            let decided = Now { server: event.at, monotonic: decided };
            self.deadlines
                .insert(event.task, next.times_up.map_or(MonotonicTime::NEVER, |at| decided.monotonic_at(at)));
        }
        *row = next;
        self.requests.retain(|id, _| !event.settles.contains(id));
        WriteAnswer::AsPredicted
    }

    fn sweep(&mut self) -> Input {
        let now = self.now.server;
        let (mut overdue, mut promoted, mut next) = (Vec::new(), Vec::new(), Vec::new());
        for (id, (_, lane, row)) in &mut self.tasks {
            if row.state() != RowState::Ready {
                continue;
            }
            match row.eligible_when {
                Some(at) if at <= now => {
                    row.eligible_when = None;
                    self.promoted_by.insert(*id, self.sweeps_heard + 1);
                    promoted.push(lane.clone());
                }
                Some(at) => next.push(at),
                None => {}
            }
            match row.times_up {
                Some(at) if at <= now => overdue.push(*id),
                Some(at) => next.push(at),
                None => {}
            }
        }
        let overdue = overdue.into_iter().map(|id| self.sighting(id)).collect();
        Input::Swept { overdue, promoted, next: next.into_iter().min(), failed: vec![] }
    }

    fn push(&mut self, priority: i32, target: usize, shared: bool) {
        self.last_id += 1;
        let target = TargetName::new(TARGETS[target]).unwrap();
        let named = shared.then(|| PoolName::new("shared").unwrap());
        let lane = Lane { pool: PoolName::of(named.as_ref(), &target), target, kind: LaneKind::Run };
        let position =
            QueuePosition { priority: Priority(priority), entered: self.now.server, task: TaskId(self.last_id) };
        self.tasks.insert(position.task, (position, lane.clone(), Row::default()));
        self.tell(Input::Waiting(vec![lane]));
    }

    /// A store that does not answer tells of no configuration either: that comes when it is back.
    fn configure(&mut self, limits: &Limits) {
        if !self.stalled {
            self.limits = limits.clone();
            self.tell(Input::Configured(Box::new(settings(limits))));
        }
    }

    fn ask(&mut self, which: usize, request: Request) {
        let open: Vec<TaskId> =
            self.tasks.iter().filter(|(_, (_, _, row))| row.processed.is_none()).map(|(id, _)| *id).collect();
        if let Some(task) = open.get(which % open.len().max(1)) {
            self.last_id += 1;
            self.granted.insert(*task);
            self.requests.insert(RequestId(self.last_id), (*task, request));
            self.tell(Input::Asking);
        }
    }

    /// The store is lost, and back after some time. Of what it was told the first commands were carried
    /// out, and no answer to them arrives.
    fn lose_store(&mut self, span: Span, carried_out: usize) {
        for (command, decided) in std::mem::take(&mut self.untold).into_iter().take(carried_out) {
            if let Command::Write(event) = command {
                self.write(&event, decided);
            }
        }
        self.stalled = false;
        self.cut = true;
        self.tell(Input::StoreLost);
        self.wait(span);
        self.cut = false;
        self.tell(Input::StoreBack);
        self.tell(Input::Asking);
    }

    fn some_query(&self, which: usize, lost: bool) -> Option<(TaskId, Query)> {
        let all: Vec<_> = self.running.iter().filter(|(_, query)| query.lost == lost).collect();
        all.get(which % all.len().max(1)).map(|(task, query)| (**task, **query))
    }

    /// Time passes, from alarm to alarm.
    fn wait(&mut self, span: Span) {
        let end = self.now.monotonic + span;
        loop {
            self.alarms.retain(|at| *at > self.now.monotonic);
            let next = self.alarms.iter().copied().min().filter(|at| *at <= end);
            self.now = self.now + (next.unwrap_or(end) - self.now.monotonic);
            self.tell(Input::Tick);
            if next.is_none() {
                return;
            }
        }
    }
}

struct Sequences;

impl StateMachineTest for Sequences {
    type SystemUnderTest = Driven;
    type Reference = Reference;

    fn init_test(limits: &Limits) -> Driven {
        let core = Orchestrator::new(settings(limits), 5);
        let mut driven = Driven {
            core,
            now: Now::from_micros(1_000_000_000_000),
            limits: limits.clone(),
            tasks: BTreeMap::new(),
            running: BTreeMap::new(),
            requests: BTreeMap::new(),
            cancelled: BTreeMap::new(),
            terminated: BTreeSet::new(),
            ends: BTreeMap::new(),
            cut: false,
            stalled: false,
            unseen: false,
            untold: Vec::new(),
            sweeps_heard: 0,
            decided_after: 0,
            promoted_by: BTreeMap::new(),
            deadlines: BTreeMap::new(),
            granted: BTreeSet::new(),
            alarms: Vec::new(),
            last_id: 0,
        };
        let (fence, inherited, lanes) = (vec![], vec![], vec![]);
        driven.tell(Input::Elected { epoch: Epoch(1), fence, inherited, lanes });
        driven
    }

    fn apply(mut driven: Driven, limits: &Limits, act: Act) -> Driven {
        match act {
            Act::Push { priority, target, shared } => driven.push(priority, target, shared),
            Act::End { which, ok } => {
                if let Some((task, Query { session, run, .. })) = driven.some_query(which, false) {
                    driven.running.remove(&task);
                    let outcome = if ok { Outcome::Ok } else { Outcome::Error("no".to_owned()) };
                    driven.tell(Input::QueryEnded { session, task, run, outcome: outcome.clone() });
                    // Said twice, it counts once.
                    driven.tell(Input::QueryEnded { session, task, run, outcome });
                }
            }
            Act::Cancel { which } => driven.ask(which, Request::cancel("stop")),
            Act::Finish { which } => driven.ask(which, Request::finish(FinishStatus::Finished)),
            Act::PauseTask { which } => driven.ask(which, Request::finish(FinishStatus::Paused)),
            Act::Defer { which, seconds } => driven.ask(which, Request::defer(Span::seconds(seconds))),
            Act::Lose { which } => {
                if let Some((task, Query { session, .. })) = driven.some_query(which, false) {
                    driven.running.get_mut(&task).unwrap().lost = true;
                    driven.tell(Input::SessionLost { session });
                }
            }
            Act::Gone { which } => {
                if let Some((task, Query { session, .. })) = driven.some_query(which, true) {
                    driven.running.remove(&task);
                    driven.tell(Input::SessionGone { session });
                }
            }
            Act::Resize { .. } | Act::Workers(_) | Act::Pause(_) => driven.configure(limits),
            Act::Cut { seconds, carried_out } => {
                driven.lose_store(Span::seconds(seconds), carried_out);
                driven.configure(limits);
            }
            Act::Stall => (driven.stalled, driven.unseen) = (true, true),
            Act::Step { seconds } => {
                driven.now.server = driven.now.server + Span::seconds(seconds);
                // The sweep comes at times of the old clock.
                driven.wait(Tuning::default().sweep_every);
            }
            Act::Wait { seconds } => {
                driven.wait(Span::seconds(seconds));
                driven.unseen = driven.stalled;
            }
        }
        driven
    }

    fn check_invariants(driven: &Driven, limits: &Limits) {
        let core = &driven.core;
        for (id, query) in &driven.running {
            let row = &driven.tasks[id].2;
            let held = row.state() == RowState::Running && row.run == query.run.0;
            let given_up = row.finish_status == Some(FinishStatus::TimedOut) && row.tracked == Some(true);
            assert!(held || given_up, "task {id} runs, and its row says {row:?}");
        }
        assert!(driven.ends.values().all(|ends| *ends == 1), "no task ends twice");
        if driven.stalled {
            return;
        }
        // Nothing holds a slot but what runs, whatever was asked of it.
        for (pool, slots) in core.occupancy() {
            assert_eq!(slots as usize, driven.in_pool(pool), "slots of pool {pool}");
        }
        assert_eq!(core.workers_busy() as usize, driven.running.len(), "workers");
        for (position, _, row) in driven.tasks.values().filter(|(_, _, row)| row.state() == RowState::Ready) {
            let overdue = row.times_up.is_some_and(|at| at <= driven.now.server);
            assert!(!overdue, "the deadline of task {} has not fired", position.task);
        }
        // What runs on after its time is told to end, and made to.
        for (id, query) in driven.running.iter().filter(|(_, query)| !query.lost) {
            let Some(times_up) = driven.deadlines.get(id).copied() else { continue };
            let cancelled = driven.cancelled.get(&query.session);
            assert!(times_up > driven.now.monotonic || cancelled.is_some(), "task {id} is overdue");
            let terminates = cancelled.map(|at| *at + Tuning::default().cancel_grace);
            assert!(
                terminates.is_none_or(|at| at > driven.now.monotonic) || driven.terminated.contains(&query.session),
                "task {id} does not end"
            );
        }
        // No task waits while its pool and a worker are free.
        if limits.paused || core.workers_busy() >= limits.workers {
            return;
        }
        for (position, lane, row) in driven.tasks.values() {
            let free = driven.in_pool(&lane.pool) < driven.limit(&lane.pool);
            let may = driven.waiting(row) && row.times_up.is_none_or(|at| at > driven.now.server);
            assert!(!(free && may), "task {} waits for nothing", position.task);
        }
    }
}

prop_state_machine! {
    // Shrinking a long sequence is given a minute, so that a failure is told soon.
    #![proptest_config(ProptestConfig {
        cases: 300, failure_persistence: None, max_shrink_time: 60_000, ..ProptestConfig::default()
    })]

    #[test]
    fn any_sequence_keeps_the_promises(sequential 1..80 => Sequences);
}
