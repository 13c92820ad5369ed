//! A process that leads, or believes so: it carries commands from the core to the world.

use std::collections::{BTreeMap, VecDeque};

use super::Broken;
use super::world::{Happening, World};
use crate::time::{Span, Timestamp};
use crate::{Command, Epoch, Input, Orchestrator, Run, SessionId, TargetName};

/// A clock may ring this much too early.
const EARLY: Span = Span::micros(1);

pub(super) struct Leader {
    pub(super) core: Orchestrator,
    /// Which of its connections to the store this is.
    pub(super) connection: u64,
    pub(super) for_store: VecDeque<Command>,
    /// Answers and commands keep their order on each way.
    way_from_store: Timestamp,
    way_to_session: BTreeMap<SessionId, Timestamp>,
    pub(super) sessions: BTreeMap<SessionId, TargetName>,
    /// It is stopped; what it is told waits.
    pub(super) paused: bool,
    mailbox: Vec<(Option<u64>, Input)>,
    pub(super) draining: bool,
    /// Since when it is awake and reaches the store.
    pub(super) well_since: Timestamp,
    /// It was told that nothing should be launched.
    told_to_pause: bool,
    /// When its clock rings.
    alarm: Option<Timestamp>,
    /// It has a connection to the store.
    pub(super) linked: bool,
}

impl World {
    pub(super) fn elect(&mut self) {
        if self.store.leader.is_some() {
            return;
        }
        self.stats.elections += 1;
        self.ledger.elected();
        self.store.epoch += 1;
        let epoch = Epoch(self.store.epoch);
        self.store.leader = Some(epoch);
        let at_once = std::mem::take(&mut self.store.goodbye) || self.random.percent(20);
        let mut fence: Vec<TargetName> =
            self.store.registry.iter().filter(|((of, _), _)| *of < epoch).map(|(_, target)| target.clone()).collect();
        fence.sort();
        fence.dedup();
        let mut core = Orchestrator::new(self.settings.clone(), self.random.next());
        core.plant(self.bug);
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
        };
        self.leaders.insert(epoch, leader);
        let (inherited, lanes) = (self.store.inherited(), self.store.lanes());
        let input = Input::Elected { epoch, at_once, fence, inherited, lanes };
        self.after(Span::ZERO, Happening::Tell { leader: epoch, connection: Some(1), input });
    }

    /// Tells the leader of the moment something, if there is one and it listens.
    pub(super) fn notify(&mut self, input: Input) {
        let Some(epoch) = self.store.leader else { return };
        let Some(leader) = self.leaders.get(&epoch).filter(|leader| leader.linked) else { return };
        let connection = leader.connection;
        if matches!(input, Input::Waiting(_) | Input::Asking | Input::Pulling { .. }) {
            // A mere hint may overtake answers that were on their way before it.
            let span = Span::micros(self.random.within(50, 2_000));
            return self.after(span, Happening::Tell { leader: epoch, connection: Some(connection), input });
        }
        self.answer(epoch, connection, input);
    }

    pub(super) fn answer(&mut self, epoch: Epoch, connection: u64, input: Input) {
        let slow = matches!(input, Input::Refilled { .. }) && self.random.percent(20);
        let span = Span::micros(self.random.within(50, if slow { 20_000 } else { 2_000 }));
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
        let Some(leader) = self.leaders.get_mut(&epoch) else { return Ok(()) };
        if connection.is_some_and(|of| of != leader.connection) {
            return Ok(());
        }
        if leader.paused {
            leader.mailbox.push((connection, input));
            return Ok(());
        }
        let deposed = input == Input::Deposed;
        if let Input::Configured(settings) = &input {
            leader.told_to_pause = settings.paused;
        }
        leader.core.handle(input, self.now);
        if !leader.core.audit() {
            return Err(Broken("the core's books differ from a recount".to_owned()));
        }
        self.carry_out(epoch)?;
        if deposed {
            self.leaders.remove(&epoch);
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
            self.hears(told_to_pause, &command)?;
            let Some(leader) = self.leaders.get_mut(&epoch) else { return Ok(()) };
            if let Command::SleepUntil(when) = command {
                leader.alarm = Some(when);
                let from = if self.random.percent(2) { self.now + EARLY } else { self.now };
                self.after((when - from).max(Span::ZERO), Happening::Tick { leader: epoch });
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
        self.leaders.remove(&epoch);
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

    /// The connection that holds the lead is cut, or the store restarts.
    pub(super) fn cut_store(&mut self, restart: bool) -> Result<(), Broken> {
        let Some(epoch) = self.store.leader else { return Ok(()) };
        let Some(leader) = self.leaders.get_mut(&epoch) else { return Ok(()) };
        if !leader.linked {
            return Ok(());
        }
        leader.linked = false;
        leader.connection += 1;
        // Some of what was sent is done, and nobody hears of it.
        let done = self.random.index(leader.for_store.len() + 1);
        let commands: Vec<Command> = leader.for_store.drain(..).take(done).collect();
        for command in commands {
            self.execute(epoch, command)?;
        }
        if restart {
            // Marks are gone with a restart: then every claimed task counts as launched.
            let tasks = self.store.tasks.iter();
            let claimed = tasks.filter(|(_, t)| !t.waits()).map(|(id, t)| (*id, Run(t.row.run)));
            self.store.marks = claimed.collect();
        }
        let span = Span::micros(self.random.within(50, 500_000));
        self.after(span, Happening::Tell { leader: epoch, connection: None, input: Input::StoreLost });
        let pause = span + Span::millis(self.random.spread(5, 20_000));
        self.after(pause, Happening::Reconnect { leader: epoch });
        Ok(())
    }

    pub(super) fn reconnect(&mut self, epoch: Epoch) -> Result<(), Broken> {
        let Some(leader) = self.leaders.get_mut(&epoch) else { return Ok(()) };
        if leader.paused {
            self.after(Span::seconds(1), Happening::Reconnect { leader: epoch });
            return Ok(());
        }
        leader.linked = true;
        leader.well_since = self.now;
        let stands = self.store.leader == Some(epoch);
        self.tell(epoch, None, if stands { Input::StoreBack } else { Input::Deposed })?;
        if stands {
            // What was pushed and asked meanwhile.
            self.notify(Input::Configured(Box::new(self.settings.clone())));
            self.notify(Input::Waiting(self.store.lanes()));
            self.notify(Input::Asking);
        }
        Ok(())
    }
}
