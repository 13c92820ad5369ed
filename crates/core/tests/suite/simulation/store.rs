//! The fake store with faults: lost connections, lost answers, refusals, locked rows and triggers.

use pgasync_core::{
    Command, Epoch, Event, FinishStatus, Input, LaunchState, Request, Row, SessionId, Span, TaskEvent, TaskId,
    Timestamp, WriteAnswer,
};

use super::Violation;
use super::world::{ScheduledEvent, World};

impl World {
    /// The store executes the next commands of a leader in one transaction, unless the leader lost
    /// its connection meanwhile.
    pub(super) fn execute_next(&mut self, epoch: Epoch, connection: u64) -> Result<(), Violation> {
        let Some(leader) = self.leaders.get_mut(&epoch) else { return Ok(()) };
        if leader.connection != connection || leader.for_store.is_empty() {
            return Ok(());
        }
        if self.store.leader != Some(epoch) {
            // Another orchestrator took the lead meanwhile.
            leader.for_store.clear();
            self.answer(epoch, connection, Input::Deposed);
            return Ok(());
        }
        let count = 1 + self.random.index(leader.for_store.len().min(4));
        let commands: Vec<Command> = leader.for_store.drain(..count).collect();
        let roll = if self.healing { usize::MAX } else { self.random.index(1_000) };
        match roll {
            // The transaction is rolled back, and the connection is lost.
            0 | 1 => self.lose_link(epoch, Vec::new()),
            // The transaction is committed, and the answer is lost.
            2..5 => self.lose_link(epoch, commands),
            // The commands are several transactions. The last ones are not executed.
            5 | 6 => {
                let done = self.random.index(commands.len());
                self.lose_link(epoch, commands.into_iter().take(done).collect());
            }
            7..17 => {
                self.stats.refused += commands.len();
                for command in commands {
                    let refused = Input::Refused { command: Box::new(command), reason: "not now".to_owned() };
                    self.answer(epoch, connection, refused);
                }
            }
            _ => {
                for command in commands {
                    for input in self.execute(epoch, command)? {
                        self.answer(epoch, connection, input);
                    }
                }
            }
        }
        Ok(())
    }

    /// The server executes what it received over a connection that is lost.
    pub(super) fn finish_in_store(&mut self, epoch: Epoch, commands: Vec<Command>) -> Result<(), Violation> {
        for command in commands {
            // Every write transaction compares the epoch.
            if self.store.epoch == epoch.0 {
                self.execute(epoch, command)?;
            }
        }
        Ok(())
    }

    fn execute(&mut self, epoch: Epoch, command: Command) -> Result<Vec<Input>, Violation> {
        if !command.is_for_store() {
            return Err(Violation(format!("the store was sent {command:?}")));
        }
        match command {
            Command::Write(event) => {
                let answer = self.write(&event)?;
                return Ok(vec![Input::Written { task: event.task, run: event.run, answer }]);
            }
            Command::Register { session } if !self.register(epoch, session) => return Ok(Vec::new()),
            Command::RunRoutines if !self.healing && self.random.percent(3) => self.push(),
            Command::Unregister { ref sessions } => self.store.unregister(epoch, sessions),
            Command::RotateMarks { .. } => self.stats.rotations += 1,
            Command::Resign => self.resign(epoch),
            _ => {}
        }
        Ok(self.store.answer(command, self.both_clocks()))
    }

    fn register(&mut self, epoch: Epoch, session: SessionId) -> bool {
        let target = self.leaders.get(&epoch).and_then(|leader| leader.sessions.get(&session)).cloned();
        let found = target.is_some();
        if let Some(target) = target {
            self.store.register(epoch, session, target);
        }
        found
    }

    fn resign(&mut self, epoch: Epoch) {
        self.store.leader = None;
        self.leaders.remove(&epoch);
        let pause = Span::seconds(self.random.within(1, 60));
        self.after(pause, ScheduledEvent::Elect);
    }

    /// Applies the event to the row, unless the row is locked or a trigger raises an error.
    fn write(&mut self, event: &TaskEvent) -> Result<WriteAnswer, Violation> {
        if event.event == Event::Withdraw && !self.healing && self.random.percent(20) {
            // A client takes the offer first.
            self.take_offer(event.task);
        }
        let odd = !self.healing && self.random.percent(2);
        let (now, server) = (self.now, self.server());
        let Some(stored) = self.store.tasks.get_mut(&event.task) else { return Ok(WriteAnswer::Gone) };
        if stored.locked_until > now || odd && self.random.percent(50) {
            return Ok(WriteAnswer::Locked);
        }
        if odd {
            return Ok(WriteAnswer::Failed("a trigger raises".to_owned()));
        }
        let Some(row) = event.apply(&stored.row, stored.options.clone()) else { return Ok(self.store.write(event)) };
        self.ledger.check_write(now, server, event, stored, &row)?;
        if let Some(stored) = self.store.tasks.get(&event.task) {
            self.ledger.check_attempts(now, event, stored, &row, &self.store)?;
        }
        if event.event == Event::Deadline {
            self.check_deadline(event.task)?;
        }
        let Some(stored) = self.store.tasks.get_mut(&event.task) else { return Ok(WriteAnswer::Gone) };
        let end_yields = stored.query.end_yields && row.finish_status == Some(FinishStatus::Finished);
        if !end_yields {
            return Ok(self.store.write(event));
        }
        stored.query.end_yields = false;
        self.ledger.undo_end(event.task);
        stored.row = Row {
            processed: None,
            yielded: Some(server),
            finish_status: Some(FinishStatus::Yielded),
            failed: None,
            tracked: None,
            ..row
        };
        let answer = WriteAnswer::Row(stored.row.clone());
        self.store.settle(event);
        Ok(answer)
    }
    /// Checks that no request that was committed before the deadline of the task is lost to it. The
    /// deadline was seen in the server's time, so it says nothing after that clock was set.
    fn check_deadline(&self, task: TaskId) -> Result<(), Violation> {
        let stored = &self.store.tasks[&task];
        let by_monotonic = |at: Timestamp| self.now + (at - self.server());
        let (Some(consumed), Some(times_up)) = (stored.row.consumed, stored.row.times_up) else { return Ok(()) };
        // A claim in the future is one from before the clock was set back.
        if by_monotonic(consumed) <= self.clock_set || consumed > self.server() {
            return Ok(());
        }
        let applies = |request: &Request| {
            let task = stored.row.task(stored.options.clone(), LaunchState::Claimed);
            task.is_ok_and(|task| task.step(&Event::Request(request.clone()), self.server()).is_ok())
        };
        let lost = self
            .store
            .requests
            .values()
            .find(|(its, request, asked)| *its == task && *asked < by_monotonic(times_up) && applies(request));
        match lost {
            Some((_, request, asked)) => Err(Violation(format!(
                "task {task}: {request:?} of {asked:?} is lost to the deadline at {:?}",
                by_monotonic(times_up)
            ))),
            None => Ok(()),
        }
    }
}
