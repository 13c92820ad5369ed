//! The clock, and the queue of events.

use std::collections::{BTreeMap, BTreeSet};

use pgasync_core::{
    Command, Epoch, Input, MonotonicTime, Now, PoolName, Run, SessionId, Settings, Span, TargetName, TargetSettings,
    TaskId, Timestamp,
};

use super::faulty::Bug;
use super::leader::Leader;
use super::ledger::Ledger;
use super::random::Random;
use super::target::FakeTarget;
use super::{Stats, Violation};
use crate::fake_store::{FakeStore, StoredTask};

pub(super) const TARGETS: [&str; 3] = ["red", "green", "blue"];
pub(super) const START: MonotonicTime = MonotonicTime::from_micros(0);
pub(super) const POOLS: [&str; 2] = ["shared", "single"];

/// An event at a time.
#[derive(Debug)]
pub(super) enum ScheduledEvent {
    /// An input reaches a leader; from the store over the connection of that number.
    Deliver { leader: Epoch, connection: Option<u64>, input: Input },
    /// A leader's alarm.
    Tick { leader: Epoch },
    /// A leader's driver takes the commands that wait.
    TakeCommands { leader: Epoch },
    /// The store executes the next commands of a leader.
    ExecuteInStore { leader: Epoch, connection: u64 },
    /// A command reaches a target.
    ExecuteAtTarget { leader: Epoch, command: Command },
    /// A query ends.
    QueryEnds { target: TargetName, key: (Epoch, SessionId), task: TaskId, run: Run },
    /// A fault, or an action of a client.
    Chaos,
    /// A target recovers.
    Recover { target: TargetName, fault: u64 },
    /// A paused leader wakes up.
    Wake { leader: Epoch },
    /// A leader that lost its connection to the store proves its lead over another one.
    Prove { leader: Epoch },
    /// The store executes what it received over a connection that is lost.
    Finish { epoch: Epoch, commands: Vec<Command> },
    /// Another orchestrator takes the lead.
    Elect,
    /// The leader's process dies.
    Crash,
    /// A client pushes.
    Push,
    /// A push commits, and notifies the leader if it found it asleep.
    Commit { tasks: Vec<StoredTask>, notifies: bool, transaction: i64 },
}

pub(super) struct World {
    pub(super) now: MonotonicTime,
    /// The lead of the server's clock over the monotonic clock.
    pub(super) server_ahead: Span,
    /// When the server's clock was set last.
    pub(super) clock_set: MonotonicTime,
    /// The server takes no connection until then.
    pub(super) server_down_until: MonotonicTime,
    pub(super) random: Random,
    pub(super) settings: Settings,
    pub(super) store: FakeStore,
    pub(super) targets: BTreeMap<TargetName, FakeTarget>,
    pub(super) leaders: BTreeMap<Epoch, Leader>,
    pub(super) ledger: Ledger,
    pub(super) healing: bool,
    /// The leader dies at the next launch.
    pub(super) crashes_at_launch: bool,
    pub(super) stats: Stats,
    pub(super) bug: Option<Bug>,
    /// The time since which a task may start, and the number of starts before it.
    pub(super) no_start_since: Option<(MonotonicTime, usize)>,
    pub(super) last_task: i64,
    /// The sessions that a fence ends, which reports their end.
    pub(super) fenced: BTreeSet<(Epoch, SessionId)>,
    queue: BTreeMap<(MonotonicTime, u64), ScheduledEvent>,
    entries: u64,
}

impl World {
    pub(super) fn new(seed: u64, bug: Option<Bug>) -> Self {
        let mut random = Random::new(seed);
        let settings = settings(&mut random);
        let mut sessions_max = || random.percent(30).then(|| random.index(3) + 1);
        let target =
            |name: &TargetName| (name.clone(), FakeTarget { sessions_max: sessions_max(), ..FakeTarget::default() });
        let targets = settings.targets.keys().map(target).collect();
        let mut world = Self {
            now: START,
            server_ahead: Span::seconds(100 * 86_400),
            clock_set: START,
            server_down_until: START,
            random,
            ledger: Ledger::new(&settings),
            settings,
            store: FakeStore::reporting_arrivals(),
            targets,
            leaders: BTreeMap::new(),
            healing: false,
            crashes_at_launch: false,
            stats: Stats::default(),
            bug,
            no_start_since: None,
            last_task: 0,
            fenced: BTreeSet::new(),
            queue: BTreeMap::new(),
            entries: 0,
        };
        world.soon(ScheduledEvent::Elect);
        world.after(Span::seconds(1), ScheduledEvent::Chaos);
        world
    }

    /// The time by the server's clock.
    pub(super) fn server(&self) -> Timestamp {
        Timestamp::from_micros(self.now.as_micros()) + self.server_ahead
    }

    /// The time by both clocks.
    pub(super) fn both_clocks(&self) -> Now {
        Now { monotonic: self.now, server: self.server() }
    }

    pub(super) fn after(&mut self, span: Span, event: ScheduledEvent) {
        self.entries += 1;
        self.queue.insert((self.now + span, self.entries), event);
    }

    pub(super) fn soon(&mut self, event: ScheduledEvent) {
        let span = Span::micros(self.random.within(50, 3_000));
        self.after(span, event);
    }

    pub(super) fn run(mut self) -> Result<Stats, Violation> {
        let faults_end = START + Span::seconds(self.random.within(600, 6 * 3_600));
        let end = faults_end + Span::seconds(48 * 3_600);
        let mut checked = faults_end;
        let mut rests = 0;
        let mut steps = 0_u32;
        while let Some(((when, _), event)) = self.queue.pop_first() {
            self.now = when;
            steps += 1;
            if steps > 1_000_000 {
                return Err(Violation("the world does not come to rest".to_owned()));
            }
            if when > faults_end && !self.healing {
                self.heal();
            }
            self.handle_event(event)?;
            if self.healing && when > checked + Span::seconds(10) {
                checked = when;
                rests = if self.is_at_rest() { rests + 1 } else { 0 };
                if rests > 6 || when > end {
                    break;
                }
                self.clean_up();
            }
        }
        self.finally()?;
        self.stats.virtual_seconds = self.now.as_micros() / 1_000_000;
        self.stats.started = self.ledger.started();
        self.stats.pushed = self.store.tasks.len();
        Ok(self.stats)
    }

    fn handle_event(&mut self, event: ScheduledEvent) -> Result<(), Violation> {
        match event {
            ScheduledEvent::Deliver { leader, connection, input } => self.deliver(leader, connection, input),
            ScheduledEvent::Tick { leader } => self.tick(leader),
            ScheduledEvent::TakeCommands { leader } => self.take_commands(leader),
            ScheduledEvent::ExecuteInStore { leader, connection } => self.execute_next(leader, connection),
            ScheduledEvent::ExecuteAtTarget { leader, command } => self.execute_at_target(leader, command),
            ScheduledEvent::QueryEnds { target, key, task, run } => self.query_ends(&target, key, task, run),
            ScheduledEvent::Chaos => self.chaos(),
            ScheduledEvent::Recover { target, fault } => {
                self.recover(&target, fault);
                Ok(())
            }
            ScheduledEvent::Wake { leader } => self.wake(leader),
            ScheduledEvent::Prove { leader } => self.prove(leader),
            ScheduledEvent::Finish { epoch, commands } => self.finish_in_store(epoch, commands),
            ScheduledEvent::Commit { tasks, notifies, transaction } => {
                self.commit(tasks, notifies, transaction);
                Ok(())
            }
            ScheduledEvent::Push => {
                self.push();
                Ok(())
            }
            ScheduledEvent::Crash => {
                self.crash_leader();
                Ok(())
            }
            ScheduledEvent::Elect => {
                self.elect();
                Ok(())
            }
        }
    }

    fn is_at_rest(&self) -> bool {
        self.store.tasks.values().all(|task| task.row.processed.is_some() && task.row.tracked != Some(true))
    }

    /// Checks the promises after the end of all faults and all waits.
    fn finally(&mut self) -> Result<(), Violation> {
        for (id, task) in &self.store.tasks {
            if task.row.processed.is_none() {
                return Err(Violation(format!("task {id} was pushed and never ended: {:?}", task.row)));
            }
            if task.row.tracked == Some(true) {
                return Err(Violation(format!("task {id} is over and holds its slot for ever: {:?}", task.row)));
            }
        }
        self.ledger.finally(&self.store)?;
        if let Some((number, _)) = self.store.latches.first_key_value() {
            return Err(Violation(format!("callers of wait_for_latch wait for ever for number {number}")));
        }
        let older = |(epoch, _): &&(Epoch, SessionId)| Some(*epoch) != self.store.leader;
        if let Some(key) = self.store.registry.keys().find(older) {
            return Err(Violation(format!("session {key:?} is gone and stands in the registry for ever")));
        }
        let Some(leader) = self.leaders.values().last() else { return Ok(()) };
        let (slots, workers) = (leader.core.occupancy().count(), leader.core.workers_busy());
        if slots > 0 || workers > 0 {
            return Err(Violation(format!(
                "the core believes, when all is over, that {slots} pools and {workers} workers are taken"
            )));
        }
        Ok(())
    }
}

pub(super) fn sessions_max(random: &mut Random) -> Option<u32> {
    random.percent(30).then(|| u32::try_from(random.within(1, 3)).unwrap_or(1))
}

fn settings(random: &mut Random) -> Settings {
    let mut settings = Settings {
        workers: u32::try_from(random.within(2, 7)).unwrap_or(4),
        default_pool_workers: 2,
        default_timeout: Some(Span::seconds(random.within(30, 900))),
        target_patience: Span::seconds(random.within(20, 200)),
        idle_sleep: Span::seconds(random.within(5, 300)),
        busy_sleep: Span::seconds(random.within(1, 60)),
        has_routines: random.percent(30),
        ..Settings::default()
    };
    for name in TARGETS {
        if let Ok(name) = TargetName::new(name) {
            let max_concurrency = u32::try_from(random.within(1, 4)).unwrap_or(2);
            settings.targets.insert(
                name,
                TargetSettings { max_concurrency, default_timeout: None, max_sessions: sessions_max(random) },
            );
        }
    }
    if let Ok(name) = PoolName::new("single") {
        settings.pools.insert(name.clone(), 1);
        if settings.workers.is_multiple_of(2) {
            settings.spacings.insert(name, Span::seconds(3));
        }
    }
    settings.tuning.poll_every = Span::millis(200);
    settings.tuning.awake = Span::seconds(1);
    settings.tuning.poll_at_least_every = Span::seconds(600);
    settings.tuning.audit_every = Span::seconds(600);
    settings.tuning.marks_max = random.index(30);
    settings.tuning.window_heads_min = 3;
    settings.tuning.window_heads_per_slot = 2;
    settings.tuning.ahead_per_slot_max = 2;
    settings.tuning.ahead_task_max = Span::seconds(random.within(0, 60));
    settings.tuning.ahead_age_max = Span::seconds(20);
    settings.tuning.marked_per_slot_max = 1;
    settings.tuning.marked_task_max = settings.tuning.ahead_task_max;
    settings
}
