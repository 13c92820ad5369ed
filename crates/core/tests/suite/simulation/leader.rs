//! A process with an orchestrator, which leads or has lost the lead without notice.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use pgasync_core::{
    Command, Epoch, Event, Input, MonotonicTime, Phase, Run, SessionId, Settings, Span, TargetName, TaskEvent, TaskId,
};

use super::Violation;
use super::faulty::FaultyOrchestrator;
use super::world::{ScheduledEvent, World};

/// The time by which an alarm may be early.
pub(super) const ALARM_EARLY_MAX: Span = Span::micros(1);

pub(super) struct Leader {
    pub(super) core: FaultyOrchestrator,
    /// The number of the current connection to the store.
    pub(super) connection: u64,
    pub(super) for_store: VecDeque<Command>,
    /// Answers of the store keep their order, and so do messages to and from a session.
    last_answer_at: MonotonicTime,
    last_message_at: BTreeMap<SessionId, MonotonicTime>,
    pub(super) sessions: BTreeMap<SessionId, TargetName>,
    /// The process is stopped; inputs wait in the mailbox.
    pub(super) paused: bool,
    mailbox: Vec<(Option<u64>, Input)>,
    pub(super) draining: bool,
    /// The tasks that had ended when it was elected.
    ended_before: u64,
    /// Since when the process is awake and reaches the store.
    pub(super) healthy_since: MonotonicTime,
    /// The settings that were delivered last.
    settings: Arc<Settings>,
    alarm: Option<MonotonicTime>,
    /// The process has a connection to the store.
    pub(super) linked: bool,
    /// The server may execute what it received over the last connection until then.
    old_connection_gone_at: MonotonicTime,
    /// The deadlines of the claimed queries, by the monotonic clock.
    deadlines: BTreeMap<TaskId, (Run, MonotonicTime)>,
}

impl World {
    pub(super) fn elect(&mut self) {
        if self.store.leader.is_some() {
            return;
        }
        self.stats.elections += 1;
        self.ledger.elected();
        self.ledger.note_lost(self.store.tasks.iter().filter(|(_, task)| task.runs()));
        self.store.epoch += 1;
        let epoch = Epoch(self.store.epoch);
        self.store.leader = Some(epoch);
        let mut fence: Vec<TargetName> =
            self.store.registry.iter().filter(|((of, _), _)| *of < epoch).map(|(_, its)| its.1.clone()).collect();
        let open = self.store.open_receipts(|(of, _)| of < epoch).into_iter();
        fence.extend(open.filter_map(|(task, _)| Some(self.store.tasks.get(&task)?.lane.target.clone())));
        fence.sort();
        fence.dedup();
        let core = FaultyOrchestrator::new(&self.settings, self.random.next(), self.bug, self.both_clocks());
        let leader = Leader {
            core,
            connection: 1,
            for_store: VecDeque::new(),
            last_answer_at: self.now,
            last_message_at: BTreeMap::new(),
            sessions: BTreeMap::new(),
            paused: false,
            mailbox: Vec::new(),
            draining: false,
            ended_before: self.ledger.ended(),
            healthy_since: self.now,
            settings: Arc::new(self.settings.clone()),
            alarm: None,
            linked: true,
            old_connection_gone_at: self.now,
            deadlines: BTreeMap::new(),
        };
        self.leaders.insert(epoch, leader);
        self.store.reconnected();
        let (inherited, lanes) = (self.store.inherited(), self.store.lanes());
        let input = Input::Elected { epoch, fence, inherited, lanes };
        self.after(Span::ZERO, ScheduledEvent::Deliver { leader: epoch, connection: Some(1), input });
    }

    /// Delivers an input to the current leader, if it has a connection.
    pub(super) fn notify_leader(&mut self, input: Input) {
        let Some(epoch) = self.store.leader else { return };
        let Some(leader) = self.leaders.get(&epoch).filter(|leader| leader.linked) else { return };
        let connection = leader.connection;
        if input == Input::Notified {
            // A notification may overtake answers that were sent before it.
            let span = Span::micros(self.random.within(50, 2_000));
            return self.after(span, ScheduledEvent::Deliver { leader: epoch, connection: Some(connection), input });
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
        let when = (self.now + span).max(leader.last_answer_at + Span::micros(1));
        leader.last_answer_at = when;
        let event = ScheduledEvent::Deliver { leader: epoch, connection: Some(connection), input };
        self.after(when - self.now, event);
    }

    /// Delivers what a target sends, in order for each session.
    pub(super) fn send_to_leader(&mut self, epoch: Epoch, session: SessionId, span: Span, input: Input) {
        let Some(leader) = self.leaders.get_mut(&epoch) else { return };
        let last = leader.last_message_at.entry(session).or_insert(self.now);
        let when = (self.now + span).max(*last + Span::micros(1));
        *last = when;
        self.after(when - self.now, ScheduledEvent::Deliver { leader: epoch, connection: None, input });
    }

    pub(super) fn deliver(&mut self, epoch: Epoch, connection: Option<u64>, input: Input) -> Result<(), Violation> {
        // Several inputs may come before the driver takes the commands. Whether launches are paused
        // is checked for each command as of the time when it was given.
        let late = self.random.percent(5) && !matches!(input, Input::Configured(_));
        if matches!(input, Input::Configured(_)) {
            self.take_commands(epoch)?;
        }
        self.deliver_only(epoch, connection, input)?;
        if late {
            let span = Span::micros(self.random.within(1, 2_000));
            self.after(span, ScheduledEvent::TakeCommands { leader: epoch });
            return Ok(());
        }
        self.take_commands(epoch)
    }

    /// Delivers an input. The commands that follow from it stay with the orchestrator.
    fn deliver_only(&mut self, epoch: Epoch, connection: Option<u64>, input: Input) -> Result<(), Violation> {
        let now = self.both_clocks();
        let Some(leader) = self.leaders.get_mut(&epoch) else { return Ok(()) };
        if connection.is_some_and(|of| of != leader.connection) {
            return Ok(());
        }
        if leader.paused {
            leader.mailbox.push((connection, input));
            return Ok(());
        }
        let (deposed, lost) = (input == Input::Deposed, input == Input::StoreLost);
        if let Input::Elected { inherited, .. } = &input {
            for snapshot in inherited.iter().filter(|snapshot| matches!(snapshot.task.phase, Phase::Launched { .. })) {
                let times_up = snapshot.task.phase.times_up().unwrap_or(pgasync_core::Timestamp::NEVER);
                leader.deadlines.insert(snapshot.position.task, (snapshot.task.run, now.monotonic_at(times_up)));
            }
        }
        if let Input::Configured(settings) = &input {
            leader.settings = Arc::new((**settings).clone());
        }
        leader.core.handle(input, now);
        if !leader.core.audit() {
            return Err(Violation("the core's occupancy differs from a recount".to_owned()));
        }
        // Each end counts once at most, whatever was lost. A planted bug is found by what it breaks elsewhere.
        let counted: u64 = leader.core.counters().ended.values().sum();
        let ended = self.ledger.ended() - leader.ended_before;
        if counted > ended && self.bug.is_none() {
            return Err(Violation(format!("the core counted {counted} ends, and {ended} tasks ended")));
        }
        let resigned = lost && leader.core.epoch().is_none();
        if deposed || resigned {
            self.execute_commands(epoch)?;
            self.leaders.remove(&epoch);
        }
        if resigned && self.store.leader == Some(epoch) {
            // The last commands of the leader are lost, and its lock too.
            self.store.leader = None;
            self.soon(ScheduledEvent::Elect);
        }
        Ok(())
    }

    pub(super) fn tick(&mut self, epoch: Epoch) -> Result<(), Violation> {
        match self.leaders.get_mut(&epoch) {
            Some(leader) if !leader.paused && leader.alarm.is_some_and(|at| at <= self.now + ALARM_EARLY_MAX) => {
                leader.alarm = None;
                self.deliver(epoch, None, Input::Tick)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Takes the commands that wait, unless the process is stopped.
    pub(super) fn take_commands(&mut self, epoch: Epoch) -> Result<(), Violation> {
        match self.leaders.get(&epoch) {
            Some(leader) if !leader.paused => self.execute_commands(epoch),
            Some(_) | None => Ok(()),
        }
    }

    fn execute_commands(&mut self, epoch: Epoch) -> Result<(), Violation> {
        while let Some(leader) = self.leaders.get_mut(&epoch)
            && let Some(command) = leader.core.poll_command()
        {
            let settings = Arc::clone(&leader.settings);
            self.check_command(epoch, &settings, &command)?;
            let Some(leader) = self.leaders.get_mut(&epoch) else { return Ok(()) };
            if let Command::SleepUntil(when) = command {
                leader.alarm = Some(when);
                let from = if self.random.percent(2) { self.now + ALARM_EARLY_MAX } else { self.now };
                self.after((when - from).max(Span::ZERO), ScheduledEvent::Tick { leader: epoch });
            } else if let Command::ProveLead { after } = command {
                let span = after + Span::micros(self.random.within(100, 20_000));
                self.after(span, ScheduledEvent::Prove { leader: epoch });
            } else if command.is_for_store() {
                let connection = leader.connection;
                if leader.linked {
                    leader.for_store.push_back(command);
                    self.soon(ScheduledEvent::ExecuteInStore { leader: epoch, connection });
                }
            } else {
                if let Command::FenceSession { session, .. } = command {
                    self.fenced.insert((epoch, session));
                }
                if let Command::Launch { task, .. } = command
                    && let Some(stored) = self.store.tasks.get(&task)
                {
                    self.ledger.check_spacing(self.now, &stored.lane.pool)?;
                }
                self.send_to_target(epoch, command);
            }
        }
        Ok(())
    }

    fn send_to_target(&mut self, epoch: Epoch, command: Command) {
        // A cancel has a connection of its own, so it may be late.
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
            let last = leader.last_message_at.entry(*session).or_insert(now);
            when = when.max(*last + Span::micros(1));
            *last = when;
        }
        self.after(when - now, ScheduledEvent::ExecuteAtTarget { leader: epoch, command });
    }

    /// The process dies.
    pub(super) fn crash_leader(&mut self) {
        let Some(epoch) = self.store.leader.take() else { return };
        let leader = self.leaders.remove(&epoch);
        if let Some(leader) = leader.filter(|leader| leader.linked) {
            // The server still executes what it received.
            let commands = leader.for_store.into_iter().take(self.random.index(4)).collect();
            self.soon(ScheduledEvent::Finish { epoch, commands });
        }
        self.orphan_sessions(epoch);
        let pause = Span::seconds(self.random.spread(1, 60));
        self.after(pause, ScheduledEvent::Elect);
    }

    /// The process is suspended, often long enough to lose the lock, and continues later.
    pub(super) fn pause_leader(&mut self) {
        let Some(epoch) = self.store.leader else { return };
        let Some(leader) = self.leaders.get_mut(&epoch) else { return };
        if leader.paused {
            return;
        }
        leader.paused = true;
        let sleep = Span::seconds(self.random.spread(1, 300));
        self.after(sleep, ScheduledEvent::Wake { leader: epoch });
        if self.random.percent(50) {
            // The lock is lost, and perhaps the connection too: the server may still execute a part
            // of what it received.
            self.store.leader = None;
            if self.random.percent(50) {
                self.cut_link(epoch);
            }
            let pause = Span::seconds(self.random.spread(1, 60));
            self.after(pause, ScheduledEvent::Elect);
        }
    }

    pub(super) fn wake(&mut self, epoch: Epoch) -> Result<(), Violation> {
        let Some(leader) = self.leaders.get_mut(&epoch) else { return Ok(()) };
        leader.paused = false;
        leader.healthy_since = self.now;
        let (connection, linked) = (leader.connection, leader.linked);
        // What came meanwhile is handled in groups. What came from the store and what came from
        // targets was received through different connections, so the two come in any order.
        let is_from_store = |input: &(Option<u64>, Input)| input.0.is_some() || input.1 == Input::StoreLost;
        let (from_store, from_targets): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut leader.mailbox).into_iter().partition(is_from_store);
        let mut sources = [from_store, from_targets];
        let group = self.random.index(64) + 1;
        for index in 1.. {
            let first = self.random.index(2);
            let next = sources[first].pop_front().or_else(|| sources[1 - first].pop_front());
            let Some((_, input)) = next else { break };
            if index % group == 0 || matches!(input, Input::Configured(_)) {
                self.take_commands(epoch)?;
            }
            self.deliver_only(epoch, None, input)?;
        }
        self.deliver(epoch, None, Input::Tick)?;
        if self.store.leader != Some(epoch) && linked {
            self.answer(epoch, connection, Input::Deposed);
        }
        Ok(())
    }

    /// The connection that holds the lead is cut, or the server crashes.
    pub(super) fn cut_store(&mut self, crash: bool) {
        let Some(epoch) = self.store.leader else { return };
        let Some(leader) = self.leaders.get_mut(&epoch).filter(|leader| leader.linked) else { return };
        if crash {
            leader.for_store.clear();
        }
        self.cut_link(epoch);
        if crash {
            // The server empties unlogged tables. Then every claimed task counts as launched.
            self.store.marks.clear();
            self.store.marks_lost = true;
            // The last write of it need not be flushed.
            self.store.asleep = false;
            self.server_down_until = self.now + Span::millis(self.random.spread(100, 60_000));
        }
    }

    /// A leader's connection is lost. The server may have received up to four commands.
    fn cut_link(&mut self, epoch: Epoch) {
        let Some(leader) = self.leaders.get_mut(&epoch).filter(|leader| leader.linked) else { return };
        let doing = leader.for_store.len().min(4);
        let commands = leader.for_store.drain(..self.random.index(doing + 1)).collect();
        self.lose_link(epoch, commands);
    }

    /// A leader's connection is lost. The server executes these commands all the same, sooner or
    /// later, and no others; no answer reaches the leader.
    pub(super) fn lose_link(&mut self, epoch: Epoch, commands: Vec<Command>) {
        let Some(leader) = self.leaders.get_mut(&epoch) else { return };
        self.stats.losses += 1;
        leader.linked = false;
        leader.connection += 1;
        leader.for_store.clear();
        let late = self.random.percent(20);
        let finished = Span::micros(self.random.within(1, if late { 20_000_000 } else { 2_000 }));
        leader.old_connection_gone_at = self.now + finished + Span::micros(1);
        self.after(finished, ScheduledEvent::Finish { epoch, commands });
        let noticed = Span::micros(self.random.within(50, if late { 30_000_000 } else { 500_000 }));
        self.after(noticed, ScheduledEvent::Deliver { leader: epoch, connection: None, input: Input::StoreLost });
        if !self.healing && self.random.percent(10) {
            // Another orchestrator takes the lead before this one proves its own.
            self.store.leader = None;
            let pause = Span::millis(self.random.spread(100, 60_000));
            self.after(pause, ScheduledEvent::Elect);
        }
    }

    /// A leader that lost its connection tries to prove that it leads.
    pub(super) fn prove(&mut self, epoch: Epoch) -> Result<(), Violation> {
        let fails = !self.healing && self.random.percent(20);
        let Some(leader) = self.leaders.get_mut(&epoch) else { return Ok(()) };
        if leader.paused {
            self.after(Span::seconds(1), ScheduledEvent::Prove { leader: epoch });
            return Ok(());
        }
        if leader.linked {
            return Err(Violation(format!("{epoch:?} proves its lead and has a connection")));
        }
        if self.now < self.server_down_until || fails {
            return self.deliver(epoch, None, Input::ProofFailed);
        }
        if self.store.leader != Some(epoch) {
            return self.deliver(epoch, None, Input::Deposed);
        }
        if self.now < leader.old_connection_gone_at {
            // From then on the server executes no command that was sent before.
            let span = leader.old_connection_gone_at - self.now;
            self.after(span, ScheduledEvent::Prove { leader: epoch });
            return Ok(());
        }
        leader.linked = true;
        leader.healthy_since = self.now;
        self.store.reconnected();
        self.deliver(epoch, None, Input::StoreBack)?;
        self.notify_leader(Input::Configured(Box::new(self.settings.clone())));
        Ok(())
    }

    /// Notes the deadline that a claim sets.
    pub(super) fn note_deadline(&mut self, epoch: Epoch, event: &TaskEvent) {
        let now = self.both_clocks();
        let stored = self.store.tasks.get(&event.task).filter(|_| matches!(event.event, Event::Claim { .. }));
        if let Some(stored) = stored
            && let Some(row) = event.apply(&stored.row, stored.options.clone())
            && let Some(leader) = self.leaders.get_mut(&epoch)
        {
            let at = now.monotonic_at(row.times_up.unwrap_or(pgasync_core::Timestamp::NEVER));
            leader.deadlines.insert(event.task, (Run(row.run), at));
        }
    }

    /// The deadline of the query of a task that this leader tracks, by the monotonic clock.
    pub(super) fn deadline(&self, epoch: Epoch, task: TaskId) -> Option<MonotonicTime> {
        let run = Run(self.store.tasks.get(&task)?.row.run);
        let (of, at) = self.leaders.get(&epoch)?.deadlines.get(&task)?;
        (*of == run).then_some(*at)
    }
}
