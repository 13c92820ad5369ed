//! The fake store: rows, requests, marks and a registry, and one session that holds the lead.

use std::collections::{BTreeMap, BTreeSet};

use super::Broken;
use super::world::{Happening, World};
use crate::orchestrator::command::{Registered, Sleep};
use crate::orchestrator::input::{RequestId, StoredRequest, TaskSnapshot, WriteAnswer};
use crate::task::row::{LaunchState, Row, RowState};
use crate::task::row_event::TaskEvent;
use crate::task::status::FinishStatus;
use crate::time::{MonotonicTime, Span, Timestamp};
use crate::{
    Command, Epoch, Head, Input, Lane, QueuePosition, Request, Run, SessionId, TargetName, Task, TaskId, TaskOptions,
};

/// A task as the table has it.
#[derive(Debug, Clone)]
pub(super) struct StoredTask {
    pub(super) position: QueuePosition,
    pub(super) lane: Lane,
    pub(super) options: TaskOptions,
    pub(super) row: Row,
    /// How long its query takes, and what it does.
    pub(super) nature: Nature,
    /// A trigger makes it yield when it finishes first.
    pub(super) rewritten: bool,
    /// A client holds the row until then.
    pub(super) held_until: MonotonicTime,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Nature {
    pub(super) takes: Span,
    pub(super) fails: bool,
    /// It asks for this itself, just before it ends.
    pub(super) wish: Option<FinishStatus>,
    /// It does not hear cancels.
    pub(super) deaf: bool,
}

#[derive(Default)]
pub(super) struct Store {
    pub(super) tasks: BTreeMap<TaskId, StoredTask>,
    pub(super) requests: BTreeMap<RequestId, (TaskId, Request, MonotonicTime)>,
    pub(super) marks: BTreeSet<(TaskId, Run)>,
    /// The server crashed since marks were begun anew: every claimed task counts as launched.
    pub(super) marks_lost: bool,
    /// The number of each registered session, and where it is.
    pub(super) registry: BTreeMap<(Epoch, SessionId), (i64, TargetName)>,
    last_registered: i64,
    pub(super) epoch: i64,
    pub(super) goodbye: bool,
    /// The epoch whose session holds the lead.
    pub(super) leader: Option<Epoch>,
    pub(super) last_request: i64,
    /// Pushes and requests notify.
    pub(super) asleep: bool,
    /// Pushes that have read `asleep` and are not committed.
    pub(super) open_pushes: usize,
    /// Numbers that callers of `wait_for_latch` wait for, and since when.
    pub(super) latches: BTreeMap<i64, MonotonicTime>,
    pub(super) last_latch: i64,
}

impl StoredTask {
    fn sighting(&self, launch: LaunchState) -> Option<TaskSnapshot> {
        let task: Task = self.row.task(self.options, launch).ok()?;
        Some(TaskSnapshot { position: self.position, lane: self.lane.clone(), task })
    }

    pub(super) fn waits(&self) -> bool {
        self.row.state() == RowState::Ready && self.row.tracked != Some(true)
    }

    pub(super) fn is_offered(&self) -> bool {
        self.row.state() == RowState::Ready && self.row.tracked == Some(true)
    }

    /// A query of it is claimed, and may run.
    pub(super) fn runs(&self) -> bool {
        self.row.state() == RowState::Running && !self.options.client_pulled
    }
}

impl Store {
    pub(super) fn lanes(&self) -> Vec<Lane> {
        let waits = |t: &&StoredTask| t.waits() && t.row.eligible_when.is_none();
        let lanes: BTreeSet<Lane> = self.tasks.values().filter(waits).map(|t| t.lane.clone()).collect();
        lanes.into_iter().collect()
    }

    pub(super) fn inherited(&self) -> Vec<TaskSnapshot> {
        let mut all = Vec::new();
        for (id, task) in &self.tasks {
            let marked = self.marks_lost || self.marks.contains(&(*id, Run(task.row.run)));
            let launch = if marked { LaunchState::Launched(None) } else { LaunchState::Claimed };
            if task.row.state() == RowState::Running || task.row.tracked == Some(true) {
                all.extend(task.sighting(launch));
            }
        }
        all
    }

    pub(super) fn ask(&mut self, task: TaskId, request: Request, now: MonotonicTime) {
        self.last_request += 1;
        self.requests.insert(RequestId(self.last_request), (task, request, now));
    }

    fn heads(&self, lane: &Lane, heads_max: usize) -> Input {
        let waits = |t: &&StoredTask| t.waits() && t.lane == *lane && t.row.eligible_when.is_none();
        let mut heads: Vec<Head> = self
            .tasks
            .values()
            .filter(waits)
            .map(|t| Head {
                position: t.position,
                run: Run(t.row.run),
                options: t.options,
                times_up: t.row.times_up,
                text_bytes: 10,
            })
            .collect();
        heads.sort_by_key(|head| head.position);
        let more = heads.len() > heads_max;
        heads.truncate(heads_max);
        Input::Refilled { lane: lane.clone(), heads, more }
    }

    fn sweep(&mut self, now: MonotonicTime, server: Timestamp, tasks_max: usize, skip: &[TaskId]) -> Input {
        let (mut overdue, mut promoted, mut failed) = (Vec::new(), BTreeSet::new(), Vec::new());
        let mut next = None::<Timestamp>;
        let mut then = |at: Timestamp| next = Some(next.map_or(at, |next: Timestamp| next.min(at)));
        for (id, task) in self.tasks.iter_mut().filter(|(_, task)| task.row.processed.is_none()) {
            match task.row.eligible_when {
                Some(until) if until > server => then(until),
                Some(_) if skip.contains(id) => {}
                Some(_) if task.held_until > now => failed.push(*id),
                Some(_) => {
                    task.row.eligible_when = None;
                    promoted.insert(task.lane.clone());
                }
                None => {}
            }
            match task.row.times_up.filter(|_| !task.runs()) {
                Some(times_up) if times_up <= server && overdue.len() < tasks_max => {
                    overdue.extend(task.sighting(LaunchState::Claimed));
                }
                Some(times_up) if times_up > server => then(times_up),
                Some(_) | None => {}
            }
        }
        Input::Swept { overdue, promoted: promoted.into_iter().collect(), next, failed }
    }

    fn read_requests(&self, serial: u64) -> Input {
        let asked = self.requests.iter().filter_map(|(id, (task, request, _))| {
            let about = self.tasks.get(task)?.sighting(LaunchState::Launched(None))?;
            Some(StoredRequest { id: *id, request: request.clone(), about })
        });
        Input::Requests { serial, asked: asked.collect(), last: true }
    }

    fn poll(&mut self, sleep: Sleep, offered: Vec<TaskId>) -> Vec<Input> {
        match sleep {
            Sleep::Keep => {}
            Sleep::FallAsleep => self.asleep = true,
            Sleep::WakeUp => self.asleep = false,
        }
        let stands = |id: &TaskId| self.tasks.get(id).is_some_and(StoredTask::is_offered);
        let mut answers = self.reread(offered.into_iter().filter(|id| !stands(id)).collect());
        answers.push(Input::Polled {
            lanes: self.lanes(),
            requests: !self.requests.is_empty(),
            latch: self.last_latch,
            asleep: (sleep == Sleep::FallAsleep).then_some(self.open_pushes == 0),
        });
        answers
    }

    fn reread(&self, tasks: Vec<TaskId>) -> Vec<Input> {
        let read = |task| match self.tasks.get(&task) {
            Some(stored) if stored.options.client_pulled && stored.row.state() == RowState::Running => {
                Input::Taken { task, row: stored.row.clone() }
            }
            stored => Input::Changed { task, row: stored.map(|stored| stored.row.clone()) },
        };
        tasks.into_iter().map(read).collect()
    }

    fn unregister(&mut self, epoch: Epoch, sessions: &[Registered]) {
        for session in sessions {
            match session {
                Registered::Own(session) => drop(self.registry.remove(&(epoch, *session))),
                Registered::Older(number) => self.registry.retain(|_, (its, _)| its != number),
            }
        }
    }
}

impl World {
    /// The next commands of a leader are carried out in one transaction, unless it lost its connection
    /// meanwhile.
    pub(super) fn store_turn(&mut self, epoch: Epoch, connection: u64) -> Result<(), Broken> {
        let Some(leader) = self.leaders.get_mut(&epoch) else { return Ok(()) };
        if leader.connection != connection || leader.for_store.is_empty() {
            return Ok(());
        }
        if self.store.leader != Some(epoch) {
            // Another one took the lead while this one was away.
            leader.for_store.clear();
            self.answer(epoch, connection, Input::Deposed);
            return Ok(());
        }
        let count = 1 + self.random.index(leader.for_store.len().min(4));
        let commands: Vec<Command> = leader.for_store.drain(..count).collect();
        let fate = if self.healing { usize::MAX } else { self.random.index(1_000) };
        match fate {
            // It is rolled back, and the connection is lost.
            0 | 1 => self.lose_link(epoch, Vec::new()),
            // It is committed, and the answer is lost.
            2..5 => self.lose_link(epoch, commands),
            // Several transactions, of which the last were not carried out.
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

    /// The server still carries out what it was told over a connection that is lost.
    pub(super) fn store_finishes(&mut self, epoch: Epoch, commands: Vec<Command>) -> Result<(), Broken> {
        for command in commands {
            // Every write transaction compares the epoch.
            if self.store.epoch == epoch.0 {
                self.execute(epoch, command)?;
            }
        }
        Ok(())
    }

    fn execute(&mut self, epoch: Epoch, command: Command) -> Result<Vec<Input>, Broken> {
        let (now, server) = (self.now, self.server());
        Ok(vec![match command {
            Command::RunStartup => Input::StartupDone,
            Command::RunRoutines => {
                if !self.healing && self.random.percent(3) {
                    self.push();
                }
                Input::RoutinesDone
            }
            Command::Poll { sleep, offered } => return Ok(self.store.poll(sleep, offered)),
            Command::ServeLatch { number } => {
                self.store.latches.retain(|latch, _| *latch > number);
                return Ok(Vec::new());
            }
            Command::Maintain => Input::Maintained { more: self.random.percent(10) },
            Command::Reread { tasks } => return Ok(self.store.reread(tasks)),
            Command::Refill { lane, heads_max } => self.store.heads(&lane, heads_max),
            Command::Sweep { tasks_max, skip } => self.store.sweep(now, server, tasks_max, &skip),
            Command::ReadRequests { serial } => self.store.read_requests(serial),
            Command::Write(event) => {
                let answer = self.write(&event)?;
                Input::Written { task: event.task, run: event.run, answer }
            }
            Command::Register { session } => return Ok(self.register(epoch, session)),
            Command::Unregister { sessions } => {
                self.store.unregister(epoch, &sessions);
                Input::Unregistered { sessions }
            }
            Command::Mark { task, run, session } => {
                self.store.marks.insert((task, run));
                Input::Marked { task, run, session }
            }
            Command::RotateMarks { launched } => {
                self.stats.rotations += 1;
                self.store.marks = launched.into_iter().collect();
                self.store.marks_lost = false;
                Input::MarksRotated
            }
            Command::Dismiss { request, .. } => {
                self.store.requests.remove(&request);
                return Ok(Vec::new());
            }
            Command::Resync { tasks } => {
                let rows = tasks.into_iter().filter_map(|id| Some((id, self.store.tasks.get(&id)?.row.clone())));
                Input::Resynced(rows.collect())
            }
            Command::Resign => {
                self.store.goodbye = true;
                self.store.leader = None;
                self.leaders.remove(&epoch);
                let pause = Span::seconds(self.random.within(1, 60));
                self.after(pause, Happening::Elect);
                return Ok(Vec::new());
            }
            other => return Err(Broken(format!("the store was asked to {other:?}"))),
        }])
    }

    fn register(&mut self, epoch: Epoch, session: SessionId) -> Vec<Input> {
        let leader = self.leaders.get(&epoch);
        let Some(target) = leader.and_then(|leader| leader.sessions.get(&session)).cloned() else {
            return Vec::new();
        };
        self.store.last_registered += 1;
        self.store.registry.insert((epoch, session), (self.store.last_registered, target));
        vec![Input::Registered { session }]
    }

    /// Steps the row by the event, as the writer in the database does.
    fn write(&mut self, event: &TaskEvent) -> Result<WriteAnswer, Broken> {
        if event.event == crate::Event::Withdraw && !self.healing && self.random.percent(20) {
            // A client is faster.
            self.take(event.task);
        }
        let odd = !self.healing && self.random.percent(2);
        let (now, server) = (self.now, self.server());
        let Some(stored) = self.store.tasks.get_mut(&event.task) else { return Ok(WriteAnswer::Gone) };
        if stored.held_until > now || odd && self.random.percent(50) {
            return Ok(WriteAnswer::Locked);
        }
        if odd {
            return Ok(WriteAnswer::Failed("a trigger raises".to_owned()));
        }
        let Some(mut row) = event.apply(&stored.row, stored.options) else {
            let row = stored.row.clone();
            if row.processed.is_some() {
                self.store.requests.retain(|id, _| !event.settles.contains(id));
            }
            return Ok(WriteAnswer::Row(row));
        };
        self.ledger.writes(now, server, event, stored, &row)?;
        let rewrites = stored.rewritten && row.finish_status == Some(FinishStatus::Finished);
        if rewrites {
            stored.rewritten = false;
            self.ledger.unends(event.task);
            row = Row {
                processed: None,
                yielded: Some(server),
                finish_status: Some(FinishStatus::Yielded),
                failed: None,
                tracked: None,
                ..row
            };
        }
        stored.row = row.clone();
        self.store.requests.retain(|id, _| !event.settles.contains(id));
        Ok(if rewrites { WriteAnswer::Row(row) } else { WriteAnswer::AsPredicted })
    }
}
