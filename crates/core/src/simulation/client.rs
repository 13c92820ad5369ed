//! The clients: they push, ask, pull and finish.

use super::store::{Nature, StoredTask};
use super::world::{Happening, POOLS, TARGETS, World};
use crate::task::row::{Row, RowState};
use crate::task::status::FinishStatus;
use crate::time::{Span, Timestamp};
use crate::{Event, Input, Kind, Lane, PoolName, Priority, Request, TargetName, Task, TaskId, Terms, Turn};

impl World {
    pub(super) fn push(&mut self) {
        let mut lanes = Vec::new();
        for _ in 0..self.random.within(1, 7) {
            let Some(task) = self.new_task() else { continue };
            lanes.push(task.lane.clone());
            self.store.tasks.insert(task.turn.task, task);
        }
        if self.random.percent(30) {
            // Another push comes while the leader looks at this one.
            self.soon(Happening::Push);
        }
        self.notify(Input::Waiting(lanes));
    }

    fn new_task(&mut self) -> Option<StoredTask> {
        let target = TargetName::new(self.random.pick(&TARGETS)?).ok()?;
        let named = if self.random.percent(30) { self.random.pick(&POOLS) } else { None };
        let named = named.and_then(|pool| PoolName::new(pool).ok());
        let client_pulled = self.random.percent(15);
        let kind = if client_pulled { Kind::Pull } else { Kind::Run };
        let lane = Lane { pool: PoolName::of(named.as_ref(), &target), target, kind };
        let entered = Timestamp::from_micros(self.now.as_micros());
        let task = TaskId(i64::try_from(self.store.tasks.len()).ok()? + 1);
        let priority = Priority(i32::try_from(self.random.within(-2, 3)).ok()?);
        let terms = Terms {
            client_pulled,
            asynchronous_finish: self.random.percent(15),
            track_yielded: self.random.percent(40),
            manual_timeout: self.random.percent(15).then(|| Span::seconds(self.random.within(1, 60))),
        };
        let wishes = [FinishStatus::Deferred, FinishStatus::Finished, FinishStatus::Failed, FinishStatus::Yielded];
        let nature = Nature {
            takes: Span::millis(self.random.spread(1, 400_000)),
            fails: self.random.percent(10),
            wish: if self.random.percent(15) { self.random.pick(&wishes) } else { None },
            deaf: self.random.percent(15),
        };
        let rewritten = !client_pulled && self.random.percent(5);
        let turn = Turn { priority, entered, task };
        Some(StoredTask { turn, lane, terms, row: Row::default(), nature, rewritten })
    }

    fn some_task(&mut self, like: impl Fn(&StoredTask) -> bool) -> Option<TaskId> {
        let all: Vec<TaskId> = self.store.tasks.iter().filter(|(_, task)| like(task)).map(|(id, _)| *id).collect();
        self.random.pick(&all)
    }

    /// Somebody wants something of a task.
    pub(super) fn ask(&mut self) {
        let running = self.random.percent(50);
        let like = |task: &StoredTask| task.row.processed.is_none() && (!running || task.row.consumed.is_some());
        let Some(task) = self.some_task(like) else { return };
        let second = Some(Span::millis(self.random.spread(10, 60_000)));
        let request = match self.random.index(5) {
            0 => Request::defer(Span::millis(self.random.spread(10, 120_000))),
            1 => Request { status: FinishStatus::Paused, error: None, duration: second },
            2 => Request::finish(FinishStatus::Finished),
            _ => Request::cancel("not any more"),
        };
        self.ledger.asks(task, &request);
        self.store.ask(task, request, self.now);
        self.notify(Input::Asking);
    }

    /// A client takes what is offered.
    pub(super) fn pull(&mut self) {
        let offered = |task: &StoredTask| task.row.state() == RowState::Ready && task.row.tracked == Some(true);
        let Some(id) = self.some_task(offered) else {
            let target = self.random.pick(&TARGETS).and_then(|name| TargetName::new(name).ok());
            if let Some(target) = target {
                self.notify(Input::Pulling { target });
            }
            return;
        };
        self.take(id);
    }

    /// A client takes this offer.
    pub(super) fn take(&mut self, id: TaskId) {
        let Some(stored) = self.store.tasks.get_mut(&id).filter(|stored| stored.row.state() == RowState::Ready) else {
            return;
        };
        let Ok(task) = stored.row.task(stored.terms, crate::Held::Claimed) else { return };
        let default_timeout = self.settings.timeout(&stored.lane.target);
        let Ok(Task { run, phase, terms }) = task.step(&Event::Take { default_timeout }, self.now) else { return };
        stored.row = Task { terms, run, phase }.row();
        let row = stored.row.clone();
        self.notify(Input::Taken { task: id, row });
    }

    /// Somebody finishes what he pulled, or what has yielded.
    pub(super) fn call_back(&mut self) {
        let open = |task: &StoredTask| match task.row.state() {
            RowState::Yielded => true,
            RowState::Running => task.terms.client_pulled,
            RowState::Ready | RowState::Finished => false,
        };
        let Some(task) = self.some_task(open) else { return };
        let request = Request::finish(FinishStatus::Finished);
        self.ledger.asks(task, &request);
        self.store.ask(task, request, self.now);
        self.notify(Input::Asking);
    }

    pub(super) fn restart(&mut self) {
        let Some(id) = self.some_task(|task| task.row.processed.is_some() && task.row.tracked != Some(true)) else {
            return;
        };
        let Some(stored) = self.store.tasks.get_mut(&id) else { return };
        stored.row = Row { run: stored.row.run, ..Row::default() };
        let lane = stored.lane.clone();
        self.ledger.restarts(id);
        self.notify(Input::Waiting(vec![lane]));
    }
}
