//! The fake targets: their sessions and queries, and their faults.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use pgasync_core::{
    Command, Epoch, FinishStatus, Input, Outcome, PoolName, Request, RowState, Run, SessionId, Span, TargetName, TaskId,
};

use super::Violation;
use super::world::{ScheduledEvent, World};
use crate::fake_store::StoredTask;

/// The error of queries that fail.
const ERROR: &str = "23505: duplicate key";

/// The error of lost runs whose receipts are voided.
pub(super) const VOIDED: &str = "PA216: voided";

type Key = (Epoch, SessionId);

#[derive(Default)]
pub(super) struct FakeTarget {
    pub(super) health: Health,
    /// Counts faults, so that the end of an old fault does not end a newer one.
    pub(super) fault: u64,
    /// The runs whose receipts are voided.
    pub(super) voided: BTreeSet<(TaskId, Run)>,
    pub(super) sessions: BTreeMap<Key, FakeSession>,
    /// The number of sessions after which further ones are refused.
    pub(super) sessions_max: Option<usize>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    #[default]
    Up,
    /// The target refuses connections.
    Refusing,
    /// No message reaches or leaves the target. Its queries continue.
    CutOff,
    /// The target is stopped.
    Stopped,
}

#[derive(Default)]
pub(super) struct FakeSession {
    pub(super) query: Option<(TaskId, Run)>,
    /// The client is gone; the session ends with its query.
    pub(super) cut: bool,
}

impl World {
    fn place(&self, key: Key) -> Option<TargetName> {
        self.targets.iter().find(|(_, t)| t.sessions.contains_key(&key)).map(|(name, _)| name.clone())
    }

    pub(super) fn execute_at_target(&mut self, epoch: Epoch, command: Command) -> Result<(), Violation> {
        match command {
            Command::Connect { session, target } => self.connect(epoch, session, &target),
            Command::Launch { task, run, session } => return self.launch(epoch, task, run, session),
            Command::Cancel { session, .. } => self.cancel((epoch, session)),
            Command::Terminate { session, .. } => self.terminate((epoch, session)),
            Command::Disconnect { session } => self.disconnect((epoch, session)),
            Command::Fence { target, before } => self.fence(epoch, target, before),
            Command::FenceSession { target, session } => self.fence_session(epoch, target, session),
            other => return Err(Violation(format!("a target was asked to {other:?}"))),
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
        self.send_to_leader(epoch, session, span, input);
    }

    fn launch(&mut self, epoch: Epoch, task: TaskId, run: Run, session: SessionId) -> Result<(), Violation> {
        let key = (epoch, session);
        let place = self.place(key);
        let Some(target) = place.and_then(|name| Some((name.clone(), self.targets.get_mut(&name)?))) else {
            self.ledger.note_lost_run(task, run);
            self.send_to_leader(epoch, session, Span::millis(1), Input::SessionLost { session });
            return Ok(());
        };
        let (name, target) = target;
        match target.health {
            Health::Stopped => {
                self.after(
                    Span::seconds(1),
                    ScheduledEvent::ExecuteAtTarget { leader: epoch, command: Command::Launch { task, run, session } },
                );
                return Ok(());
            }
            Health::CutOff => return Ok(()),
            Health::Up | Health::Refusing => {}
        }
        let Some(its) = target.sessions.get_mut(&key).filter(|its| !its.cut) else { return Ok(()) };
        if let Some((other, _)) = its.query {
            return Err(Violation(format!("task {task} is sent to a session that runs task {other}")));
        }
        its.query = Some((task, run));
        self.started(&name, key, task, run)
    }

    fn started(&mut self, target: &TargetName, key: Key, task: TaskId, run: Run) -> Result<(), Violation> {
        let Some(stored) = self.store.tasks.get(&task) else {
            return Err(Violation(format!("task {task} runs and does not exist")));
        };
        if stored.row.state() != RowState::Running || stored.row.run != run.0 {
            return Err(Violation(format!("task {task} is sent as run {run}, its row says {:?}", stored.row)));
        }
        if stored.lane.target != *target {
            return Err(Violation(format!("task {task} runs at {target}")));
        }
        let (pool, query_profile) = (stored.lane.pool.clone(), stored.query);
        let (in_pool, in_all) = self.running(&pool);
        let fits = self.ledger.check_start(self.now, task, &pool, in_pool, in_all);
        fits.map_err(|Violation(what)| Violation(format!("{what} {}", self.describe_pool(&pool))))?;
        let busy = |its: &FakeTarget| its.sessions.values().filter(|session| session.query.is_some()).count();
        self.ledger.check_target(self.now, target, self.targets.get(target).map_or(0, busy))?;
        self.crash_if_planned();
        self.send_to_leader(key.0, key.1, Span::millis(1), Input::Sent { task, run });
        self.after(query_profile.takes, ScheduledEvent::QueryEnds { target: target.clone(), key, task, run });
        Ok(())
    }

    /// The queries of a pool, for the message.
    fn describe_pool(&self, pool: &PoolName) -> String {
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

    /// The number of queries in a pool, and of all queries.
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
        // Pulled tasks count too.
        let pulled = |t: &&StoredTask| t.options.client_pulled && t.lane.pool == *pool;
        let pulled = self.store.tasks.values().filter(pulled).filter(|t| t.row.state() == RowState::Running);
        in_pool += pulled.count();
        (in_pool, in_all)
    }

    pub(super) fn query_ends(
        &mut self,
        target: &TargetName,
        key: Key,
        task: TaskId,
        run: Run,
    ) -> Result<(), Violation> {
        let Some(state) = self.targets.get_mut(target) else { return Ok(()) };
        let Some(session) = state.sessions.get_mut(&key) else { return Ok(()) };
        if session.query != Some((task, run)) {
            return Ok(());
        }
        if state.health == Health::Stopped {
            let target = target.clone();
            self.after(Span::seconds(1), ScheduledEvent::QueryEnds { target, key, task, run });
            return Ok(());
        }
        let Some(query_profile) = self.store.tasks.get(&task).map(|stored| stored.query) else { return Ok(()) };
        if let Some(own_request) = query_profile.own_request {
            let duration = (own_request == FinishStatus::Deferred).then(|| Span::seconds(self.random.within(1, 60)));
            let request = Request { duration, ..Request::finish(own_request) };
            self.ledger.note_request(task, &request);
            self.ledger.note_own_request(task, run, own_request);
            self.store.request(task, request, self.now);
            if let Some(stored) = self.store.tasks.get_mut(&task) {
                stored.query.own_request = None;
            }
        }
        let outcome = if state.voided.contains(&(task, run)) {
            // The text begins with the receipt, which conflicts.
            Outcome::Error(VOIDED.to_owned())
        } else if query_profile.fails {
            // A later attempt may succeed.
            let fails_again = self.random.percent(60);
            if let Some(stored) = self.store.tasks.get_mut(&task) {
                stored.query.fails = fails_again;
            }
            Outcome::Error(ERROR.to_owned())
        } else {
            self.ledger.note_commit(task, run);
            Outcome::Ok
        };
        self.report_end(target, key, task, run, outcome);
        Ok(())
    }

    fn report_end(&mut self, target: &TargetName, key: Key, task: TaskId, run: Run, outcome: Outcome) {
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
            self.after(again, ScheduledEvent::Deliver { leader: key.0, connection: None, input: input.clone() });
        }
        self.send_to_leader(key.0, key.1, span, input);
    }

    /// A cancel affects the query that the session runs when the cancel arrives.
    fn cancel(&mut self, key: Key) {
        let Some(target) = self.place(key) else { return };
        let Some(state) = self.targets.get(&target).filter(|state| state.health == Health::Up) else { return };
        let Some((task, run)) = state.sessions.get(&key).and_then(|session| session.query) else { return };
        if self.store.tasks.get(&task).is_some_and(|stored| !stored.query.ignores_cancels) {
            self.report_end(&target, key, task, run, Outcome::Error("canceled".to_owned()));
        }
    }

    fn terminate(&mut self, key: Key) {
        let Some(target) = self.place(key) else { return };
        let Some(state) = self.targets.get_mut(&target).filter(|state| state.health == Health::Up) else { return };
        let Some(session) = state.sessions.remove(&key) else { return };
        if let Some((task, run)) = session.query {
            self.ledger.note_lost_run(task, run);
        }
        if let Some((task, run)) = session.query.filter(|_| !session.cut) {
            let outcome = Outcome::Error("terminated".to_owned());
            let input = Input::QueryEnded { session: key.1, task, run, outcome };
            self.send_to_leader(key.0, key.1, Span::millis(1), input);
        }
        self.send_to_leader(key.0, key.1, Span::millis(1), Input::SessionLost { session: key.1 });
    }

    fn disconnect(&mut self, key: Key) {
        if let Some(target) = self.place(key)
            && let Some(state) = self.targets.get_mut(&target)
            && let Some(session) = state.sessions.get_mut(&key)
        {
            if let Some((task, run)) = session.query {
                session.cut = true;
                self.ledger.note_lost_run(task, run);
                return;
            }
            state.sessions.remove(&key);
        }
        if self.fenced.contains(&key) {
            return;
        }
        self.send_to_leader(key.0, key.1, Span::millis(1), Input::SessionGone { session: key.1 });
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
                    self.ledger.note_unreachable(task, run);
                }
                let input = Input::FenceFailed { target: target.clone() };
                self.after(Span::millis(1), ScheduledEvent::Deliver { leader: epoch, connection: None, input });
            }
            let command = Command::Fence { target, before };
            return self.after(Span::seconds(1), ScheduledEvent::ExecuteAtTarget { leader: epoch, command });
        }
        let registry = &self.store.registry;
        let ends = |key: &Key| key.0 < before && registry.contains_key(key);
        let ended: Vec<Key> = state.sessions.keys().copied().filter(ends).collect();
        state.sessions.retain(|key, _| !ends(key));
        let older = registry.iter().filter(|(key, (_, at))| key.0 < before && *at == target);
        let sessions = older.map(|(_, (number, _))| *number).collect();
        // The process that had the sessions may live, and learns of their end.
        for (owner, session) in ended {
            self.send_to_leader(owner, session, Span::millis(1), Input::SessionLost { session });
        }
        let span = Span::millis(self.random.spread(1, 3_000));
        let open = self.store.open_receipts(|(of, _)| of < before);
        for (task, run) in open {
            if self.store.tasks.get(&task).is_some_and(|stored| stored.lane.target == target) {
                let input = self.resolve(&target, task, run);
                let span = span + Span::micros(-1);
                self.after(span, ScheduledEvent::Deliver { leader: epoch, connection: None, input });
            }
        }
        self.after(
            span,
            ScheduledEvent::Deliver { leader: epoch, connection: None, input: Input::Fenced { target, sessions } },
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
                    self.ledger.note_unreachable(task, run);
                }
                self.send_to_leader(epoch, session, Span::millis(1), Input::SessionUnreachable { session });
            }
            let command = Command::FenceSession { target, session };
            return self.after(Span::seconds(1), ScheduledEvent::ExecuteAtTarget { leader: epoch, command });
        }
        let ended = state.sessions.remove(&(epoch, session));
        if let Some((task, run)) = ended.and_then(|session| session.query) {
            self.ledger.note_lost_run(task, run);
        }
        for (task, run) in self.store.open_receipts(|of| of == (epoch, session)) {
            let input = self.resolve(&target, task, run);
            self.send_to_leader(epoch, session, Span::millis(1), input);
        }
        self.send_to_leader(epoch, session, Span::millis(1), Input::SessionGone { session });
    }

    /// The session of a run is gone: its receipt is there, or is voided.
    fn resolve(&mut self, target: &TargetName, task: TaskId, run: Run) -> Input {
        let outcome = if self.ledger.has_committed(task, run) {
            Outcome::Ok
        } else {
            if let Some(state) = self.targets.get_mut(target) {
                state.voided.insert((task, run));
            }
            Outcome::Error(VOIDED.to_owned())
        };
        Input::Resolved { task, run, outcome }
    }

    /// The leader's process is gone: each session ends with its query.
    pub(super) fn orphan_sessions(&mut self, epoch: Epoch) {
        for target in self.targets.values_mut() {
            target.sessions.retain(|key, session| key.0 != epoch || session.query.is_some());
            for (_, session) in target.sessions.iter_mut().filter(|(key, _)| key.0 == epoch) {
                session.cut = true;
            }
        }
    }

    /// A target fails for a while.
    pub(super) fn fail_target(&mut self, target: TargetName) {
        let roll = self.random.index(4);
        let Some(state) = self.targets.get_mut(&target) else { return };
        if state.health != Health::Up {
            return;
        }
        state.fault += 1;
        let fault = state.fault;
        let lost: Vec<Key> = state.sessions.keys().copied().collect();
        self.ledger.note_lost(self.store.tasks.iter().filter(|(_, task)| task.runs() && task.lane.target == target));
        match roll {
            0 => {
                state.health = Health::CutOff;
                for session in state.sessions.values_mut() {
                    session.cut = true;
                }
                state.sessions.retain(|_, session| session.query.is_some());
            }
            1 => state.health = Health::Stopped,
            // A restart: all queries there are rolled back.
            2 => {
                state.health = Health::Refusing;
                state.sessions.clear();
            }
            _ => state.sessions.clear(),
        }
        if roll != 1 {
            for (epoch, session) in lost {
                let span = Span::millis(self.random.spread(1, 10_000));
                self.send_to_leader(epoch, session, span, Input::SessionLost { session });
            }
        }
        let pause = Span::millis(self.random.spread(100, 600_000));
        self.after(pause, ScheduledEvent::Recover { target, fault });
    }

    pub(super) fn recover(&mut self, target: &TargetName, fault: u64) {
        if let Some(state) = self.targets.get_mut(target)
            && state.fault == fault
        {
            state.health = Health::Up;
        }
    }
}
