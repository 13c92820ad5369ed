//! The fake targets: sessions, queries that really run, and what can be said about them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Broken;
use super::store::StoredTask;
use super::world::{Happening, World};
use crate::task::row::RowState;
use crate::task::status::FinishStatus;
use crate::time::Span;
use crate::{Command, Epoch, Input, Outcome, PoolName, Request, Run, SessionId, TargetName, TaskId};

type Key = (Epoch, SessionId);

#[derive(Default)]
pub(super) struct FakeTarget {
    pub(super) health: Health,
    /// Counts faults, so that an old one's end does not end a newer one.
    pub(super) fault: u64,
    pub(super) sessions: BTreeMap<Key, FakeSession>,
    /// More sessions than these are refused.
    pub(super) sessions_max: Option<usize>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    #[default]
    Up,
    /// It answers, and refuses.
    Refusing,
    /// Nothing reaches it, nothing comes from it; what runs there runs on.
    CutOff,
    /// Nothing moves.
    Stopped,
}

#[derive(Default)]
pub(super) struct FakeSession {
    pub(super) query: Option<(TaskId, Run)>,
    /// Its client is gone; it ends with its query.
    pub(super) cut: bool,
}

impl World {
    fn place(&self, key: Key) -> Option<TargetName> {
        self.targets.iter().find(|(_, t)| t.sessions.contains_key(&key)).map(|(name, _)| name.clone())
    }

    pub(super) fn reach(&mut self, epoch: Epoch, command: Command) -> Result<(), Broken> {
        match command {
            Command::Connect { session, target } => self.connect(epoch, session, &target),
            Command::Launch { task, run, session } => return self.launch(epoch, task, run, session),
            Command::Cancel { session, .. } => self.cancel((epoch, session)),
            Command::Terminate { session, .. } => self.terminate((epoch, session)),
            Command::Disconnect { session } => self.disconnect((epoch, session)),
            Command::Fence { target, before } => self.fence(epoch, target, before),
            Command::FenceSession { target, session } => self.fence_session(epoch, target, session),
            other => return Err(Broken(format!("a target was asked to {other:?}"))),
        }
        Ok(())
    }

    fn connect(&mut self, epoch: Epoch, session: SessionId, target: &TargetName) {
        let refused = !self.healing && self.random.percent(2);
        let Some(state) = self.targets.get_mut(target) else { return };
        let refused = refused || state.sessions_max.is_some_and(|most| state.sessions.len() >= most);
        let failed = |error: &str| Input::ConnectFailed { session, error: error.to_owned() };
        let (span, input) = match state.health {
            Health::Up if refused => (Span::millis(1), failed("too many connections")),
            Health::Up => {
                state.sessions.insert((epoch, session), FakeSession::default());
                (Span::millis(2), Input::Connected { session })
            }
            Health::Refusing => (Span::millis(1), failed("connection refused")),
            Health::CutOff | Health::Stopped => (Span::seconds(5), failed("timeout expired")),
        };
        self.report(epoch, session, span, input);
    }

    fn launch(&mut self, epoch: Epoch, task: TaskId, run: Run, session: SessionId) -> Result<(), Broken> {
        let key = (epoch, session);
        let place = self.place(key);
        let Some(target) = place.and_then(|name| Some((name.clone(), self.targets.get_mut(&name)?))) else {
            self.ledger.loses_run(task, run);
            self.report(epoch, session, Span::millis(1), Input::SessionLost { session });
            return Ok(());
        };
        let (name, target) = target;
        match target.health {
            Health::Stopped => {
                self.after(
                    Span::seconds(1),
                    Happening::Reach { leader: epoch, command: Command::Launch { task, run, session } },
                );
                return Ok(());
            }
            Health::CutOff => return Ok(()),
            Health::Up | Health::Refusing => {}
        }
        let Some(its) = target.sessions.get_mut(&key).filter(|its| !its.cut) else { return Ok(()) };
        if let Some((other, _)) = its.query {
            return Err(Broken(format!("task {task} is sent to a session that runs task {other}")));
        }
        its.query = Some((task, run));
        self.started(&name, key, task, run)
    }

    fn started(&mut self, target: &TargetName, key: Key, task: TaskId, run: Run) -> Result<(), Broken> {
        let Some(stored) = self.store.tasks.get(&task) else {
            return Err(Broken(format!("task {task} runs and does not exist")));
        };
        if stored.row.state() != RowState::Running || stored.row.run != run.0 {
            return Err(Broken(format!("task {task} is sent as run {run}, its row says {:?}", stored.row)));
        }
        if stored.lane.target != *target {
            return Err(Broken(format!("task {task} runs at {target}")));
        }
        let (pool, nature) = (stored.lane.pool.clone(), stored.nature);
        let (in_pool, in_all) = self.running(&pool);
        let fits = self.ledger.starts(self.now, task, &pool, in_pool, in_all);
        fits.map_err(|Broken(what)| Broken(format!("{what} {}", self.sightings(&pool))))?;
        self.meet_doom();
        self.report(key.0, key.1, Span::millis(1), Input::Sent { task, run });
        self.after(nature.takes, Happening::QueryEnds { target: target.clone(), key, task, run });
        Ok(())
    }

    /// What runs in a pool, for the message.
    fn sightings(&self, pool: &PoolName) -> String {
        let mut seen = format!("at {:?}:", self.now);
        for (name, target) in &self.targets {
            for (key, session) in &target.sessions {
                let stored = session.query.and_then(|(task, _)| self.store.tasks.get(&task));
                if let Some(stored) = stored.filter(|stored| stored.lane.pool == *pool) {
                    let _ = write!(
                        seen,
                        " [{name} {:?} {key:?} cut {} {:?} {:?}]",
                        target.health, session.cut, session.query, stored.row
                    );
                }
            }
        }
        seen
    }

    /// What runs in a pool, and all queries.
    fn running(&self, pool: &PoolName) -> (usize, usize) {
        let queries = self.targets.values().flat_map(|t| t.sessions.values()).filter_map(|s| s.query);
        let (mut in_pool, mut in_all) = (0, 0);
        for (task, run) in queries {
            if let Some(stored) = self.store.tasks.get(&task) {
                in_pool += usize::from(stored.lane.pool == *pool);
            }
            // A host that cannot be reached keeps no worker.
            in_all += usize::from(!self.ledger.is_unreachable(task, run));
        }
        // What clients have pulled counts too.
        let pulled = |t: &&StoredTask| t.options.client_pulled && t.lane.pool == *pool;
        let pulled = self.store.tasks.values().filter(pulled).filter(|t| t.row.state() == RowState::Running);
        in_pool += pulled.count();
        (in_pool, in_all)
    }

    pub(super) fn query_ends(&mut self, target: &TargetName, key: Key, task: TaskId, run: Run) -> Result<(), Broken> {
        let Some(state) = self.targets.get_mut(target) else { return Ok(()) };
        let Some(session) = state.sessions.get_mut(&key) else { return Ok(()) };
        if session.query != Some((task, run)) {
            return Ok(());
        }
        if state.health == Health::Stopped {
            let target = target.clone();
            self.after(Span::seconds(1), Happening::QueryEnds { target, key, task, run });
            return Ok(());
        }
        let Some(nature) = self.store.tasks.get(&task).map(|stored| stored.nature) else { return Ok(()) };
        if let Some(wish) = nature.wish {
            let duration = (wish == FinishStatus::Deferred).then(|| Span::seconds(self.random.within(1, 60)));
            let request = Request { status: wish, error: None, duration };
            self.ledger.asks(task, &request);
            self.ledger.wishes(task, run, wish);
            self.store.ask(task, request, self.now);
            if let Some(stored) = self.store.tasks.get_mut(&task) {
                stored.nature.wish = None;
            }
        }
        let outcome = if nature.fails {
            Outcome::Error("division by zero".to_owned())
        } else {
            self.ledger.commits(task, run);
            Outcome::Ok
        };
        self.tell_end(target, key, task, run, outcome);
        Ok(())
    }

    fn tell_end(&mut self, target: &TargetName, key: Key, task: TaskId, run: Run, outcome: Outcome) {
        let late = self.random.percent(5);
        let twice = self.random.percent(5);
        let span = Span::micros(self.random.within(100, if late { 2_000_000 } else { 2_000 }));
        let Some(state) = self.targets.get_mut(target) else { return };
        let Some(session) = state.sessions.get_mut(&key) else { return };
        session.query = None;
        if session.cut {
            state.sessions.remove(&key);
            return;
        }
        if state.health == Health::CutOff {
            return;
        }
        let input = Input::QueryEnded { session: key.1, task, run, outcome };
        if twice {
            let again = Span::micros(self.random.within(5_000, 3_000_000));
            self.after(again, Happening::Tell { leader: key.0, connection: None, input: input.clone() });
        }
        self.report(key.0, key.1, span, input);
    }

    /// A cancel hits whatever the session runs when it arrives.
    fn cancel(&mut self, key: Key) {
        let Some(target) = self.place(key) else { return };
        let Some(state) = self.targets.get(&target).filter(|state| state.health == Health::Up) else { return };
        let Some((task, run)) = state.sessions.get(&key).and_then(|session| session.query) else { return };
        if self.store.tasks.get(&task).is_some_and(|stored| !stored.nature.deaf) {
            self.tell_end(&target, key, task, run, Outcome::Error("canceled".to_owned()));
        }
    }

    fn terminate(&mut self, key: Key) {
        let Some(target) = self.place(key) else { return };
        let Some(state) = self.targets.get_mut(&target).filter(|state| state.health == Health::Up) else { return };
        let Some(session) = state.sessions.remove(&key) else { return };
        if let Some((task, run)) = session.query {
            self.ledger.loses_run(task, run);
        }
        if let Some((task, run)) = session.query.filter(|_| !session.cut) {
            let outcome = Outcome::Error("terminated".to_owned());
            let input = Input::QueryEnded { session: key.1, task, run, outcome };
            self.report(key.0, key.1, Span::millis(1), input);
        }
        self.report(key.0, key.1, Span::millis(1), Input::SessionLost { session: key.1 });
    }

    fn disconnect(&mut self, key: Key) {
        if let Some(target) = self.place(key)
            && let Some(state) = self.targets.get_mut(&target)
            && let Some(session) = state.sessions.get_mut(&key)
        {
            if let Some((task, run)) = session.query {
                session.cut = true;
                self.ledger.loses_run(task, run);
                return;
            }
            state.sessions.remove(&key);
        }
        self.report(key.0, key.1, Span::millis(1), Input::SessionGone { session: key.1 });
    }

    fn fence(&mut self, epoch: Epoch, target: TargetName, before: Epoch) {
        if !self.leaders.contains_key(&epoch) {
            return;
        }
        let Some(state) = self.targets.get_mut(&target) else { return };
        let slow = !self.healing && self.random.percent(60);
        if slow || state.health != Health::Up {
            if state.health != Health::Up && self.random.percent(30) {
                let older = state.sessions.iter().filter(|(key, _)| key.0 < before);
                for (task, run) in older.filter_map(|(_, session)| session.query) {
                    self.ledger.cannot_reach(task, run);
                }
                let input = Input::FenceFailed { target: target.clone() };
                self.after(Span::millis(1), Happening::Tell { leader: epoch, connection: None, input });
            }
            let command = Command::Fence { target, before };
            return self.after(Span::seconds(1), Happening::Reach { leader: epoch, command });
        }
        let registry = &self.store.registry;
        state.sessions.retain(|key, _| key.0 >= before || !registry.contains_key(key));
        let older = registry.iter().filter(|(key, (_, at))| key.0 < before && *at == target);
        let sessions = older.map(|(_, (number, _))| *number).collect();
        let span = Span::millis(self.random.spread(1, 3_000));
        self.after(
            span,
            Happening::Tell { leader: epoch, connection: None, input: Input::Fenced { target, sessions } },
        );
    }

    fn fence_session(&mut self, epoch: Epoch, target: TargetName, session: SessionId) {
        if !self.leaders.contains_key(&epoch) {
            return;
        }
        let Some(state) = self.targets.get_mut(&target) else { return };
        if state.health != Health::Up {
            if self.random.percent(30) {
                let query = state.sessions.get(&(epoch, session)).and_then(|session| session.query);
                if let Some((task, run)) = query {
                    self.ledger.cannot_reach(task, run);
                }
                self.report(epoch, session, Span::millis(1), Input::SessionUnreachable { session });
            }
            let command = Command::FenceSession { target, session };
            return self.after(Span::seconds(1), Happening::Reach { leader: epoch, command });
        }
        let ended = state.sessions.remove(&(epoch, session));
        if let Some((task, run)) = ended.and_then(|session| session.query) {
            self.ledger.loses_run(task, run);
        }
        self.report(epoch, session, Span::millis(1), Input::SessionGone { session });
    }

    /// The leader's process is gone: its sessions go with their queries.
    pub(super) fn sessions_orphaned(&mut self, epoch: Epoch) {
        for target in self.targets.values_mut() {
            target.sessions.retain(|key, session| key.0 != epoch || session.query.is_some());
            for (_, session) in target.sessions.iter_mut().filter(|(key, _)| key.0 == epoch) {
                session.cut = true;
            }
        }
    }

    /// Something befalls a target, for a while.
    pub(super) fn strike(&mut self, target: TargetName) {
        let roll = self.random.index(4);
        let Some(state) = self.targets.get_mut(&target) else { return };
        if state.health != Health::Up {
            return;
        }
        state.fault += 1;
        let fault = state.fault;
        let lost: Vec<Key> = state.sessions.keys().copied().collect();
        self.ledger.loses(self.store.tasks.iter().filter(|(_, task)| task.runs() && task.lane.target == target));
        match roll {
            0 => {
                state.health = Health::CutOff;
                for session in state.sessions.values_mut() {
                    session.cut = true;
                }
                state.sessions.retain(|_, session| session.query.is_some());
            }
            1 => state.health = Health::Stopped,
            // A restart: everything that ran there is undone.
            2 => {
                state.health = Health::Refusing;
                state.sessions.clear();
            }
            _ => state.sessions.clear(),
        }
        if roll != 1 {
            for (epoch, session) in lost {
                let span = Span::millis(self.random.spread(1, 10_000));
                self.report(epoch, session, span, Input::SessionLost { session });
            }
        }
        let pause = Span::millis(self.random.spread(100, 600_000));
        self.after(pause, Happening::Recover { target, fault });
    }

    pub(super) fn recover(&mut self, target: &TargetName, fault: u64) {
        if let Some(state) = self.targets.get_mut(target)
            && state.fault == fault
        {
            state.health = Health::Up;
        }
    }
}
