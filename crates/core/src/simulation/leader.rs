//! A process that leads, or believes so: it carries commands from the core to the world.

use std::collections::{BTreeMap, VecDeque};

use super::Broken;
use super::faulty::FaultyOrchestrator;
use super::world::{Happening, World};
use crate::time::{MonotonicTime, Span};
use crate::{Command, Epoch, Event, Input, Phase, Run, SessionId, TargetName, TaskEvent, TaskId};

/// A clock may ring this much too early.
pub(super) const EARLY: Span = Span::micros(1);

pub(super) struct Leader {
    pub(super) core: FaultyOrchestrator,
    /// Which of its connections to the store this is.
    pub(super) connection: u64,
    pub(super) for_store: VecDeque<Command>,
    /// Answers and commands keep their order on each way.
    way_from_store: MonotonicTime,
    way_to_session: BTreeMap<SessionId, MonotonicTime>,
    pub(super) sessions: BTreeMap<SessionId, TargetName>,
    /// It is stopped; what it is told waits.
    pub(super) paused: bool,
    mailbox: Vec<(Option<u64>, Input)>,
    pub(super) draining: bool,
    /// Since when it is awake and reaches the store.
    pub(super) well_since: MonotonicTime,
    /// It was told that nothing should be launched.
    told_to_pause: bool,
    /// When its clock rings.
    alarm: Option<MonotonicTime>,
    /// It has a connection to the store.
    pub(super) linked: bool,
    /// What it sent over the connection before may be carried out until then.
    gone_at: MonotonicTime,
    /// When the queries of its claims have to end, by the clock that never steps.
    deadlines: BTreeMap<TaskId, (Run, MonotonicTime)>,
}

impl World {
    pub(super) fn elect(&mut self) {
        if self.store.leader.is_some() {
            return;
        }
        self.stats.elections += 1;
        self.ledger.elected();
        self.ledger.loses(self.store.tasks.iter().filter(|(_, task)| task.runs()));
        self.store.epoch += 1;
        let epoch = Epoch(self.store.epoch);
        self.store.leader = Some(epoch);
        self.store.asleep = false;
        let mut fence: Vec<TargetName> =
            self.store.registry.iter().filter(|((of, _), _)| *of < epoch).map(|(_, its)| its.1.clone()).collect();
        fence.sort();
        fence.dedup();
        let core = FaultyOrchestrator::new(&self.settings, self.random.next(), self.bug, self.both_clocks());
        let leader = Leader {
            core,
            connection: 1,
            for_store: VecDeque::new(),
            way_from_store: self.now,
            way_to_session: BTreeMap::new(),
            sessions: BTreeMap::new(),
            paused: false,
            mailbox: Vec::new(),
            draining: false,
            well_since: self.now,
            told_to_pause: self.settings.paused,
            alarm: None,
            linked: true,
            gone_at: self.now,
            deadlines: BTreeMap::new(),
        };
        self.leaders.insert(epoch, leader);
        let (inherited, lanes) = (self.store.inherited(), self.store.lanes());
        let input = Input::Elected { epoch, fence, inherited, lanes };
        self.after(Span::ZERO, Happening::Tell { leader: epoch, connection: Some(1), input });
    }

    /// Tells the leader of the moment something, if it has a connection.
    pub(super) fn notify(&mut self, input: Input) {
        let Some(epoch) = self.store.leader else { return };
        let Some(leader) = self.leaders.get(&epoch).filter(|leader| leader.linked) else { return };
        let connection = leader.connection;
        if input == Input::Notified {
            // A notification may overtake answers that were on their way before it.
            let span = Span::micros(self.random.within(50, 2_000));
            return self.after(span, Happening::Tell { leader: epoch, connection: Some(connection), input });
        }
        self.answer(epoch, connection, input);
    }

    pub(super) fn answer(&mut self, epoch: Epoch, connection: u64, input: Input) {
        let slow = matches!(input, Input::Refilled { .. }) && self.random.percent(20);
        let most = if !self.healing && self.random.percent(1) {
            5_000_000
        } else if slow {
            20_000
        } else {
            2_000
        };
        let span = Span::micros(self.random.within(50, most));
        let Some(leader) = self.leaders.get_mut(&epoch) else { return };
        let when = (self.now + span).max(leader.way_from_store + Span::micros(1));
        leader.way_from_store = when;
        let happening = Happening::Tell { leader: epoch, connection: Some(connection), input };
        self.after(when - self.now, happening);
    }

    /// A target's word to a leader, in order for each session.
    pub(super) fn report(&mut self, epoch: Epoch, session: SessionId, span: Span, input: Input) {
        let Some(leader) = self.leaders.get_mut(&epoch) else { return };
        let way = leader.way_to_session.entry(session).or_insert(self.now);
        let when = (self.now + span).max(*way + Span::micros(1));
        *way = when;
        self.after(when - self.now, Happening::Tell { leader: epoch, connection: None, input });
    }

    pub(super) fn tell(&mut self, epoch: Epoch, connection: Option<u64>, input: Input) -> Result<(), Broken> {
        let now = self.both_clocks();
        let Some(leader) = self.leaders.get_mut(&epoch) else { return Ok(()) };
        if connection.is_some_and(|of| of != leader.connection) {
            return Ok(());
        }
        if leader.paused {
            leader.mailbox.push((connection, input));
            return Ok(());
        }
        let deposed = input == Input::Deposed;
        let lost = input == Input::StoreLost;
        if let Input::Elected { inherited, .. } = &input {
            for sighting in inherited.iter().filter(|sighting| matches!(sighting.task.phase, Phase::Launched { .. })) {
                let times_up = sighting.task.phase.times_up().unwrap_or(crate::Timestamp::NEVER);
                leader.deadlines.insert(sighting.position.task, (sighting.task.run, now.monotonic_at(times_up)));
            }
        }
        if let Input::Configured(settings) = &input {
            leader.told_to_pause = settings.paused;
        }
        leader.core.handle(input, now);
        if !leader.core.audit() {
            return Err(Broken("the core's occupancy differs from a recount".to_owned()));
        }
        let resigned = lost && leader.core.epoch().is_none();
        self.carry_out(epoch)?;
        if deposed || resigned {
            self.leaders.remove(&epoch);
        }
        if resigned && self.store.leader == Some(epoch) {
            // What it said last was lost, and so is its lock.
            self.store.leader = None;
            self.soon(Happening::Elect);
        }
        Ok(())
    }

    pub(super) fn tick(&mut self, epoch: Epoch) -> Result<(), Broken> {
        match self.leaders.get_mut(&epoch) {
            Some(leader) if !leader.paused && leader.alarm.is_some_and(|at| at <= self.now + EARLY) => {
                leader.alarm = None;
                self.tell(epoch, None, Input::Tick)
            }
            Some(_) | None => Ok(()),
        }
    }

    fn carry_out(&mut self, epoch: Epoch) -> Result<(), Broken> {
        while let Some(leader) = self.leaders.get_mut(&epoch)
            && let Some(command) = leader.core.poll_command()
        {
            let told_to_pause = leader.told_to_pause;
            self.hears(epoch, told_to_pause, &command)?;
            let Some(leader) = self.leaders.get_mut(&epoch) else { return Ok(()) };
            if let Command::SleepUntil(when) = command {
                leader.alarm = Some(when);
                let from = if self.random.percent(2) { self.now + EARLY } else { self.now };
                self.after((when - from).max(Span::ZERO), Happening::Tick { leader: epoch });
            } else if let Command::ProveLead { after } = command {
                let span = after + Span::micros(self.random.within(100, 20_000));
                self.after(span, Happening::Prove { leader: epoch });
            } else if command.is_for_store() {
                let connection = leader.connection;
                if leader.linked {
                    leader.for_store.push_back(command);
                    self.soon(Happening::Store { leader: epoch, connection });
                }
            } else {
                self.send_to_target(epoch, command);
            }
        }
        Ok(())
    }

    fn send_to_target(&mut self, epoch: Epoch, command: Command) {
        // A cancel travels over a connection of its own, and may be late.
        let late = self.random.percent(if matches!(command, Command::Cancel { .. }) { 40 } else { 3 });
        let span = Span::micros(self.random.within(100, if late { 2_000_000 } else { 3_000 }));
        let now = self.now;
        let Some(leader) = self.leaders.get_mut(&epoch) else { return };
        let mut when = now + span;
        if let Command::Connect { session, target } = &command {
            leader.sessions.insert(*session, target.clone());
        }
        if let Command::Connect { session, .. } | Command::Launch { session, .. } | Command::Disconnect { session } =
            &command
        {
            let way = leader.way_to_session.entry(*session).or_insert(now);
            when = when.max(*way + Span::micros(1));
            *way = when;
        }
        self.after(when - now, Happening::Reach { leader: epoch, command });
    }

    /// The process is gone, at once.
    pub(super) fn crash_leader(&mut self) {
        let Some(epoch) = self.store.leader.take() else { return };
        let leader = self.leaders.remove(&epoch);
        if let Some(leader) = leader.filter(|leader| leader.linked) {
            // The server goes on with what it was told.
            let commands = leader.for_store.into_iter().take(self.random.index(4)).collect();
            self.soon(Happening::Finish { epoch, commands });
        }
        self.sessions_orphaned(epoch);
        let pause = Span::seconds(self.random.spread(1, 60));
        self.after(pause, Happening::Elect);
    }

    /// The process stops, long enough to lose the lock, and goes on later.
    pub(super) fn pause_leader(&mut self) {
        let Some(epoch) = self.store.leader else { return };
        let Some(leader) = self.leaders.get_mut(&epoch) else { return };
        if leader.paused {
            return;
        }
        leader.paused = true;
        let sleep = Span::seconds(self.random.spread(1, 300));
        self.after(sleep, Happening::Wake { leader: epoch });
        if self.random.percent(50) {
            // What it had sent already is still carried out; then its lock is gone.
            self.store.leader = None;
            let pause = Span::seconds(self.random.spread(1, 60));
            self.after(pause, Happening::Elect);
        }
    }

    pub(super) fn wake(&mut self, epoch: Epoch) -> Result<(), Broken> {
        let Some(leader) = self.leaders.get_mut(&epoch) else { return Ok(()) };
        leader.paused = false;
        leader.well_since = self.now;
        let connection = leader.connection;
        for (of, input) in std::mem::take(&mut leader.mailbox) {
            self.tell(epoch, of, input)?;
        }
        self.tell(epoch, None, Input::Tick)?;
        if self.store.leader != Some(epoch) {
            self.answer(epoch, connection, Input::Deposed);
        }
        Ok(())
    }

    /// The connection that holds the lead is cut, or the server crashes.
    pub(super) fn cut_store(&mut self, crash: bool) {
        let Some(epoch) = self.store.leader else { return };
        let Some(leader) = self.leaders.get_mut(&epoch).filter(|leader| leader.linked) else { return };
        let doing = if crash { 0 } else { leader.for_store.len().min(4) };
        let commands = leader.for_store.drain(..self.random.index(doing + 1)).collect();
        self.lose_link(epoch, commands);
        if crash {
            // What is not logged is lost: then every claimed task counts as launched.
            self.store.marks.clear();
            self.store.marks_lost = true;
            self.store.asleep = false;
            self.server_down_until = self.now + Span::millis(self.random.spread(100, 60_000));
        }
    }

    /// A leader's connection is lost. The commands are carried out all the same, sooner or later; all
    /// that it sent besides is not, and no answer reaches it.
    pub(super) fn lose_link(&mut self, epoch: Epoch, commands: Vec<Command>) {
        let Some(leader) = self.leaders.get_mut(&epoch) else { return };
        self.stats.losses += 1;
        leader.linked = false;
        leader.connection += 1;
        leader.for_store.clear();
        let late = self.random.percent(20);
        let finished = Span::micros(self.random.within(1, if late { 20_000_000 } else { 2_000 }));
        leader.gone_at = self.now + finished + Span::micros(1);
        self.after(finished, Happening::Finish { epoch, commands });
        let noticed = Span::micros(self.random.within(50, if late { 30_000_000 } else { 500_000 }));
        self.after(noticed, Happening::Tell { leader: epoch, connection: None, input: Input::StoreLost });
        if !self.healing && self.random.percent(10) {
            // Another orchestrator takes the lead before this one proves its own.
            self.store.leader = None;
            let pause = Span::millis(self.random.spread(100, 60_000));
            self.after(pause, Happening::Elect);
        }
    }

    /// A leader that lost its connection tries to prove that it leads.
    pub(super) fn prove(&mut self, epoch: Epoch) -> Result<(), Broken> {
        let fails = !self.healing && self.random.percent(20);
        let Some(leader) = self.leaders.get_mut(&epoch) else { return Ok(()) };
        if leader.paused {
            self.after(Span::seconds(1), Happening::Prove { leader: epoch });
            return Ok(());
        }
        if leader.linked {
            return Err(Broken(format!("{epoch:?} proves its lead and has a connection")));
        }
        if self.now < self.server_down_until || fails {
            return self.tell(epoch, None, Input::ProofFailed);
        }
        if self.store.leader != Some(epoch) {
            return self.tell(epoch, None, Input::Deposed);
        }
        if self.now < leader.gone_at {
            // Nothing that was sent before may be carried out any more.
            let span = leader.gone_at - self.now;
            self.after(span, Happening::Prove { leader: epoch });
            return Ok(());
        }
        leader.linked = true;
        leader.well_since = self.now;
        self.tell(epoch, None, Input::StoreBack)?;
        self.notify(Input::Configured(Box::new(self.settings.clone())));
        Ok(())
    }

    /// What the leader says that has to hold whatever becomes of it.
    pub(super) fn notes_claim(&mut self, epoch: Epoch, event: &TaskEvent) {
        let now = self.both_clocks();
        let stored = self.store.tasks.get(&event.task).filter(|_| matches!(event.event, Event::Claim { .. }));
        if let Some(stored) = stored
            && let Some(row) = event.apply(&stored.row, stored.options)
            && let Some(leader) = self.leaders.get_mut(&epoch)
        {
            let at = now.monotonic_at(row.times_up.unwrap_or(crate::Timestamp::NEVER));
            leader.deadlines.insert(event.task, (Run(row.run), at));
        }
    }

    /// When a task's query has to end that this leader has in hand, by the clock that never steps.
    pub(super) fn deadline(&self, epoch: Epoch, task: TaskId) -> Option<MonotonicTime> {
        let run = Run(self.store.tasks.get(&task)?.row.run);
        let (of, at) = self.leaders.get(&epoch)?.deadlines.get(&task)?;
        (*of == run).then_some(*at)
    }
}
