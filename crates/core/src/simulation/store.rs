//! The fake store: rows, requests, marks and a registry, and one session that holds the lead.

use std::collections::{BTreeMap, BTreeSet};

use super::Broken;
use super::world::{Happening, World};
use crate::orchestrator::input::{Asked, Found, RequestId, Sighting};
use crate::task::intention::Intention;
use crate::task::row::{Held, Row, RowState};
use crate::task::status::FinishStatus;
use crate::time::{Span, Timestamp};
use crate::{Command, Epoch, Head, Input, Kind, Lane, Request, Run, SessionId, TargetName, Task, TaskId, Terms, Turn};

/// A task as the table has it.
#[derive(Debug, Clone)]
pub(super) struct StoredTask {
    pub(super) turn: Turn,
    pub(super) lane: Lane,
    pub(super) terms: Terms,
    pub(super) row: Row,
    /// How long its query takes, and what it does.
    pub(super) nature: Nature,
    /// A trigger makes it yield when it finishes first.
    pub(super) rewritten: bool,
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
    pub(super) requests: BTreeMap<RequestId, (TaskId, Request, Timestamp)>,
    pub(super) marks: BTreeSet<(TaskId, Run)>,
    pub(super) registry: BTreeMap<(Epoch, SessionId), TargetName>,
    pub(super) epoch: i64,
    pub(super) goodbye: bool,
    /// Who holds the lock.
    pub(super) leader: Option<Epoch>,
    pub(super) last_request: i64,
}

impl StoredTask {
    fn sighting(&self, held: Held) -> Option<Sighting> {
        let task: Task = self.row.task(self.terms, held).ok()?;
        Some(Sighting { turn: self.turn, lane: self.lane.clone(), task })
    }

    pub(super) fn waits(&self) -> bool {
        self.row.state() == RowState::Ready && self.row.tracked != Some(true)
    }
}

impl Store {
    pub(super) fn lanes(&self) -> Vec<Lane> {
        let lanes: BTreeSet<Lane> = self.tasks.values().filter(|t| t.waits()).map(|t| t.lane.clone()).collect();
        lanes.into_iter().collect()
    }

    pub(super) fn inherited(&self) -> Vec<Sighting> {
        let mut all = Vec::new();
        for (id, task) in &self.tasks {
            let marked = self.marks.contains(&(*id, Run(task.row.run)));
            let held = if marked { Held::Launched(None) } else { Held::Claimed };
            if task.row.state() == RowState::Running || task.row.tracked == Some(true) {
                all.extend(task.sighting(held));
            }
        }
        all
    }

    pub(super) fn ask(&mut self, task: TaskId, request: Request, now: Timestamp) {
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
                turn: t.turn,
                run: Run(t.row.run),
                terms: t.terms,
                times_up: t.row.times_up,
                text_bytes: 10,
            })
            .collect();
        heads.sort_by_key(|head| head.turn);
        let more = heads.len() > heads_max;
        heads.truncate(heads_max);
        Input::Refilled { lane: lane.clone(), heads, more }
    }

    fn sweep(&mut self, now: Timestamp, tasks_max: usize) -> Input {
        let (mut overdue, mut promoted, mut next) = (Vec::new(), BTreeSet::new(), None::<Timestamp>);
        let mut then = |at: Timestamp| next = Some(next.map_or(at, |next: Timestamp| next.min(at)));
        for task in self.tasks.values_mut().filter(|task| task.row.processed.is_none()) {
            let runs = task.row.state() == RowState::Running && !task.terms.client_pulled;
            if let Some(until) = task.row.eligible_when {
                if until <= now {
                    task.row.eligible_when = None;
                    promoted.insert(task.lane.clone());
                } else {
                    then(until);
                }
            }
            match task.row.times_up.filter(|_| !runs) {
                Some(times_up) if times_up <= now && overdue.len() < tasks_max => {
                    overdue.extend(task.sighting(Held::Claimed));
                }
                Some(times_up) if times_up > now => then(times_up),
                Some(_) | None => {}
            }
        }
        Input::Swept { overdue, promoted: promoted.into_iter().collect(), next }
    }

    fn read_requests(&self, serial: u64) -> Input {
        let asked = self.requests.iter().filter_map(|(id, (task, request, _))| {
            let about = self.tasks.get(task)?.sighting(Held::Launched(None::<Intention>))?;
            Some(Asked { id: *id, request: request.clone(), about })
        });
        Input::Requests { serial, asked: asked.collect(), last: true }
    }
}

impl World {
    /// The next command of a leader is carried out, unless it lost its connection meanwhile.
    pub(super) fn store_turn(&mut self, epoch: Epoch, connection: u64) -> Result<(), Broken> {
        let Some(leader) = self.leaders.get_mut(&epoch) else { return Ok(()) };
        if leader.connection != connection {
            return Ok(());
        }
        let Some(command) = leader.for_store.pop_front() else { return Ok(()) };
        let answer = if self.store.leader == Some(epoch) {
            self.execute(epoch, command)?
        } else {
            // Somebody else took the lock while this one was away.
            Some(Input::Deposed)
        };
        if let Some(input) = answer {
            self.answer(epoch, connection, input);
        }
        Ok(())
    }

    pub(super) fn execute(&mut self, epoch: Epoch, command: Command) -> Result<Option<Input>, Broken> {
        let now = self.now;
        Ok(match command {
            Command::RunStartup => Some(Input::StartupDone),
            Command::Refill { lane, heads_max } => Some(self.store.heads(&lane, heads_max)),
            Command::Sweep { tasks_max } => Some(self.store.sweep(now, tasks_max)),
            Command::ReadRequests { serial } => Some(self.store.read_requests(serial)),
            Command::Claim { task, row } => Some(self.claim(task, row)?),
            Command::GiveBack { task, run, row } => Some(self.give_back(task, run, row)),
            Command::Offer { task, row } => Some(self.offer(task, row)),
            Command::Withdraw { task } => {
                if !self.healing && self.random.percent(20) {
                    // A client was faster.
                    self.take(task);
                }
                self.withdraw(task)
            }
            Command::Register { session } => self.register(epoch, session),
            Command::Mark { task, run, session } => {
                self.store.marks.insert((task, run));
                Some(Input::Marked { task, run, session })
            }
            Command::Record { task, run, row, settles } => Some(self.record(task, run, row, &settles)?),
            Command::Release { task, run } => {
                if let Some(stored) = self.store.tasks.get_mut(&task)
                    && stored.row.run == run.0
                    && stored.row.processed.is_some()
                {
                    stored.row.tracked = Some(false);
                }
                None
            }
            Command::Dismiss { request, .. } => {
                self.store.requests.remove(&request);
                None
            }
            Command::Resync { tasks } => {
                let rows = tasks.into_iter().filter_map(|id| Some((id, self.store.tasks.get(&id)?.row.clone())));
                Some(Input::Resynced(rows.collect()))
            }
            Command::Resign => {
                self.store.goodbye = true;
                self.store.leader = None;
                self.leaders.remove(&epoch);
                let pause = Span::seconds(self.random.within(1, 60));
                self.after(pause, Happening::Elect);
                None
            }
            other => return Err(Broken(format!("the store was asked to {other:?}"))),
        })
    }

    fn claim(&mut self, task: TaskId, row: Row) -> Result<Input, Broken> {
        let run = Run(row.run);
        let Some(stored) = self.store.tasks.get_mut(&task) else {
            return Err(Broken(format!("task {task} is claimed and does not exist")));
        };
        let claimed = stored.waits() && stored.row.run + 1 == row.run;
        if claimed {
            self.ledger.writes(self.now, task, stored, &row)?;
            stored.row = row;
        }
        Ok(Input::Claimed { task, run, claimed })
    }

    fn give_back(&mut self, task: TaskId, run: Run, row: Row) -> Input {
        if let Some(stored) = self.store.tasks.get_mut(&task)
            && stored.row.state() == RowState::Running
            && stored.row.run == run.0
        {
            stored.row = row;
        }
        Input::GivenBack { task, run }
    }

    fn offer(&mut self, task: TaskId, row: Row) -> Input {
        let Some(stored) = self.store.tasks.get_mut(&task) else { return Input::Offered { task, offered: false } };
        let offered = stored.waits() && stored.lane.kind == Kind::Pull;
        if offered {
            stored.row = row;
        }
        Input::Offered { task, offered }
    }

    fn withdraw(&mut self, task: TaskId) -> Option<Input> {
        let stored = self.store.tasks.get_mut(&task)?;
        match stored.row.state() {
            RowState::Ready => {
                stored.row.tracked = None;
                Some(Input::Withdrawn { task })
            }
            RowState::Running => Some(Input::Taken { task, row: stored.row.clone() }),
            RowState::Yielded | RowState::Finished => Some(Input::Withdrawn { task }),
        }
    }

    fn register(&mut self, epoch: Epoch, session: SessionId) -> Option<Input> {
        let leader = self.leaders.get(&epoch)?;
        let target = leader.sessions.get(&session)?.clone();
        self.store.registry.insert((epoch, session), target);
        Some(Input::Registered { session })
    }

    fn record(&mut self, task: TaskId, run: Run, mut row: Row, settles: &[RequestId]) -> Result<Input, Broken> {
        let unwritable = !self.healing && self.random.percent(2);
        let Some(stored) = self.store.tasks.get_mut(&task) else {
            return Ok(Input::Recorded { task, run, found: Found::Deleted });
        };
        if unwritable {
            return Ok(Input::Recorded { task, run, found: Found::Unwritable });
        }
        if stored.row.run == run.0 && stored.row.processed.is_none() {
            self.ledger.writes(self.now, task, stored, &row)?;
            if stored.rewritten && row.finish_status == Some(FinishStatus::Finished) {
                stored.rewritten = false;
                self.ledger.unends(task);
                row = Row {
                    processed: None,
                    yielded: Some(self.now),
                    finish_status: Some(FinishStatus::Yielded),
                    failed: None,
                    tracked: None,
                    ..row
                };
            }
            stored.row = row;
            for id in settles {
                self.store.requests.remove(id);
            }
        }
        let found = self.store.tasks.get(&task).map_or(Found::Deleted, |stored| Found::Row(stored.row.clone()));
        Ok(Input::Recorded { task, run, found })
    }
}
