//! The fake store: a table, requests, marks, a registry, and an answer to every command.
//!
//! Each test overrides the answers that matter to it.

use std::collections::{BTreeMap, BTreeSet};

use pgasync_core::{
    Command, Epoch, Event, FinishStatus, Head, Input, Lane, LaunchState, MonotonicTime, Now, OpenWriters,
    QueuePosition, Registered, Request, RequestId, Row, RowState, Run, SessionId, Sleep, Span, StoredRequest,
    TargetName, Task, TaskEvent, TaskId, TaskOptions, TaskSnapshot, Timestamp, WriteAnswer,
};

/// A poll reports at most this many arrivals, and otherwise the lanes.
const ARRIVALS_MAX: usize = 40;

/// A poll reports the lanes of at most this many arrivals, and otherwise all lanes.
const LANES_OF_ARRIVALS_MAX: usize = 80;

/// The lanes, the arrivals, and the time of the next sweep of a poll.
type News = (Vec<(Lane, Option<QueuePosition>)>, Vec<(Lane, Head)>, Option<Timestamp>);

/// A task as in the table, and the behaviour of its query.
#[derive(Debug, Clone)]
pub(crate) struct StoredTask {
    pub(crate) position: QueuePosition,
    pub(crate) lane: Lane,
    pub(crate) options: TaskOptions,
    pub(crate) row: Row,
    pub(crate) query: QueryProfile,
    /// A client locks the row until then.
    pub(crate) locked_until: MonotonicTime,
}

/// The behaviour of a query.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct QueryProfile {
    pub(crate) takes: Span,
    pub(crate) fails: bool,
    /// The request for its own task that the query makes just before it ends.
    pub(crate) own_request: Option<FinishStatus>,
    pub(crate) ignores_cancels: bool,
    /// A trigger turns the end of the query into a yield.
    pub(crate) end_yields: bool,
}

#[derive(Default)]
pub(crate) struct FakeStore {
    pub(crate) tasks: BTreeMap<TaskId, StoredTask>,
    pub(crate) requests: BTreeMap<RequestId, (TaskId, Request, MonotonicTime)>,
    last_request: i64,
    pub(crate) marks: BTreeSet<(TaskId, Run)>,
    /// The runs that may have written a receipt, with their sessions.
    pub(crate) receipts: BTreeMap<(TaskId, Run), (Epoch, SessionId)>,
    /// The server crashed since the last rotation: every claimed task counts as launched.
    pub(crate) marks_lost: bool,
    /// The number of each registered session, and its target.
    pub(crate) registry: BTreeMap<(Epoch, SessionId), (i64, TargetName)>,
    last_registered: i64,
    pub(crate) epoch: i64,
    /// The epoch of the session that holds the lead.
    pub(crate) leader: Option<Epoch>,
    /// Pushes and requests notify the leader.
    pub(crate) asleep: bool,
    /// Pushes that have read `asleep` and are not committed, by their transaction ids.
    pub(crate) open_pushes: BTreeSet<i64>,
    pub(crate) last_push: i64,
    /// The first commit of a push that found the leader awake, since the last poll.
    pub(crate) unpolled_commit: Option<MonotonicTime>,
    /// The numbers that callers of `wait_for_latch` wait for, and since when.
    pub(crate) latches: BTreeMap<i64, MonotonicTime>,
    pub(crate) last_latch: i64,
    /// Polls report what waits. Otherwise the test delivers the lanes.
    polls_report: bool,
    /// The tasks that became READY by a client since the last poll of this connection. `None`: the
    /// leader has not polled on this connection, so the next poll returns the lanes.
    arrived: Option<BTreeSet<TaskId>>,
}

impl StoredTask {
    pub(crate) fn new(position: QueuePosition, lane: Lane, options: TaskOptions) -> Self {
        let locked_until = MonotonicTime::from_micros(i64::MIN);
        let row = Task::pushed(options.clone()).row();
        Self { position, lane, options, row, query: QueryProfile::default(), locked_until }
    }

    fn snapshot(&self, launch: LaunchState) -> Option<TaskSnapshot> {
        let task = self.row.task(self.options.clone(), launch).ok()?;
        Some(TaskSnapshot { position: self.position, lane: self.lane.clone(), task })
    }

    fn head(&self) -> Head {
        let (run, times_up) = (Run(self.row.run), self.row.times_up);
        let (attempt, options) = (self.row.attempt, self.options.clone());
        Head { position: self.position, run, attempt, options, times_up, text_bytes: 8 }
    }

    /// The task is in the queue and may be claimed.
    pub(crate) fn is_queued(&self) -> bool {
        self.row.state() == RowState::Ready && self.row.tracked != Some(true) && self.row.eligible_when.is_none()
    }

    pub(crate) fn is_offered(&self) -> bool {
        self.row.state() == RowState::Ready && self.row.tracked == Some(true)
    }

    /// A query of the task is claimed, and may run.
    pub(crate) fn runs(&self) -> bool {
        self.row.state() == RowState::Running && !self.options.client_pulled
    }
}

impl FakeStore {
    /// A store whose polls report the tasks that arrived.
    pub(crate) fn reporting_arrivals() -> Self {
        Self { polls_report: true, ..Self::default() }
    }

    pub(crate) fn insert(&mut self, task: StoredTask) {
        self.arrived(task.position.task);
        self.tasks.insert(task.position.task, task);
    }

    /// A client has made the task READY.
    pub(crate) fn arrived(&mut self, task: TaskId) {
        if let Some(arrived) = &mut self.arrived {
            arrived.insert(task);
        }
    }

    /// The leader has a new connection, or another orchestrator leads.
    pub(crate) fn reconnected(&mut self) {
        self.arrived = None;
    }

    /// The lanes with queued tasks.
    pub(crate) fn lanes(&self) -> Vec<Lane> {
        let queued = self.tasks.values().filter(|task| task.is_queued());
        queued.map(|task| task.lane.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The tasks that a new leader inherits.
    pub(crate) fn inherited(&self) -> Vec<TaskSnapshot> {
        let held = |task: &StoredTask| task.row.state() == RowState::Running || task.row.tracked == Some(true);
        let snapshot = |(id, task): (&TaskId, &StoredTask)| {
            let key = (*id, Run(task.row.run));
            let marked = if task.options.receipt {
                self.receipts.contains_key(&key)
            } else {
                self.marks_lost || self.marks.contains(&key)
            };
            task.snapshot(if marked { LaunchState::Launched(None) } else { LaunchState::Claimed })
        };
        self.tasks.iter().filter(|(_, task)| held(task)).filter_map(snapshot).collect()
    }

    /// The runs that are not recorded and may have written a receipt on sessions of which this is true.
    pub(crate) fn open_receipts(&self, of: impl Fn((Epoch, SessionId)) -> bool) -> Vec<(TaskId, Run)> {
        let open = |(task, run): &(TaskId, Run)| {
            self.tasks.get(task).is_some_and(|its| its.row.state() == RowState::Running && its.row.run == run.0)
        };
        self.receipts.iter().filter(|(key, session)| open(key) && of(**session)).map(|(key, _)| *key).collect()
    }

    pub(crate) fn request(&mut self, task: TaskId, request: Request, now: MonotonicTime) {
        self.last_request += 1;
        self.requests.insert(RequestId(self.last_request), (task, request, now));
    }

    /// Executes a command like a store and targets without faults. The answer to a launch is only
    /// that the query was sent; the caller ends the query.
    pub(crate) fn answer(&mut self, command: Command, now: Now) -> Vec<Input> {
        vec![match command {
            Command::RunStartup => Input::StartupDone,
            Command::RunRoutines => Input::RoutinesDone,
            Command::Poll { sleep, offered } => return self.poll(sleep, offered),
            Command::ServeLatch { number } => {
                self.latches.retain(|latch, _| *latch > number);
                return Vec::new();
            }
            Command::Reread { tasks } => return self.reread(tasks),
            Command::Refill { lane, after, heads_max } => self.refill(lane, after, heads_max),
            Command::Sweep { tasks_max, skip } => self.sweep(now, tasks_max, &skip),
            Command::ReadRequests { serial } => self.read_requests(serial),
            Command::Write(event) => {
                let answer = self.write(&event);
                Input::Written { task: event.task, run: event.run, answer }
            }
            Command::Register { session } => Input::Registered { session },
            Command::Unregister { sessions } => Input::Unregistered { sessions },
            Command::Mark { task, run, session } => {
                self.marks.insert((task, run));
                if let (Some(session), Some(_)) = (session, self.tasks.get(&task).filter(|its| its.options.receipt)) {
                    self.receipts.insert((task, run), (Epoch(self.epoch), session));
                }
                Input::Marked { task, run, session }
            }
            Command::RotateMarks { launched } => {
                self.marks = launched.into_iter().collect();
                self.marks_lost = false;
                Input::MarksRotated
            }
            Command::Dismiss { request, .. } => {
                self.requests.remove(&request);
                return Vec::new();
            }
            Command::Resync { tasks } => {
                let row = |task: TaskId| Some((task, self.tasks.get(&task)?.row.clone()));
                Input::Resynced(tasks.into_iter().filter_map(row).collect())
            }
            Command::Connect { session, .. } => Input::Connected { session },
            Command::Launch { task, run, .. } => Input::Sent { task, run },
            Command::Disconnect { session } => Input::SessionGone { session },
            Command::Fence { .. }
            | Command::FenceSession { .. }
            | Command::Cancel { .. }
            | Command::Terminate { .. }
            | Command::ProveLead { .. }
            | Command::Resign
            | Command::SleepUntil(_) => return Vec::new(),
        }]
    }

    /// The queued tasks of a lane, in order.
    fn refill(&self, lane: Lane, after: Option<QueuePosition>, heads_max: usize) -> Input {
        let follows = |position| after.is_none_or(|after| position > after);
        let queued = self.tasks.values().filter(|task| task.lane == lane && task.is_queued() && follows(task.position));
        let mut heads: Vec<Head> = queued.map(StoredTask::head).collect();
        heads.sort_by_key(|head| head.position);
        let more = heads.len() > heads_max;
        heads.truncate(heads_max);
        Input::Refilled { lane, heads, more }
    }

    fn sweep(&mut self, now: Now, tasks_max: usize, skip: &[TaskId]) -> Input {
        let (mut overdue, mut promoted, mut failed) = (Vec::new(), BTreeSet::new(), Vec::new());
        let mut next = None::<Timestamp>;
        let mut then = |at: Timestamp| next = Some(next.map_or(at, |next: Timestamp| next.min(at)));
        for (id, task) in self.tasks.iter_mut().filter(|(_, task)| task.row.processed.is_none()) {
            match task.row.eligible_when {
                Some(until) if until > now.server => then(until),
                Some(_) if skip.contains(id) => {}
                Some(_) if task.locked_until > now.monotonic => failed.push(*id),
                Some(_) => {
                    // As in the writer: a later `run_at` counts.
                    let its = task.row.task(task.options.clone(), LaunchState::Claimed);
                    if let Some(next) = its.ok().and_then(|its| its.step(&Event::Promote, now.server).ok()) {
                        task.row = next.row();
                        promoted.insert(task.lane.clone());
                    }
                }
                None => {}
            }
            match task.row.times_up.filter(|_| !task.runs()) {
                Some(times_up) if times_up <= now.server && overdue.len() < tasks_max => {
                    overdue.extend(task.snapshot(LaunchState::Claimed));
                }
                Some(times_up) => then(times_up),
                None => {}
            }
        }
        Input::Swept { overdue, promoted: promoted.into_iter().collect(), next, failed }
    }

    fn read_requests(&self, serial: u64) -> Input {
        let asked = self.requests.iter().filter_map(|(id, (task, request, _))| {
            let about = self.tasks.get(task)?.snapshot(LaunchState::Launched(None))?;
            Some(StoredRequest { id: *id, request: request.clone(), about })
        });
        Input::Requests { serial, asked: asked.collect(), last: true }
    }

    fn poll(&mut self, sleep: Sleep, offered: Vec<TaskId>) -> Vec<Input> {
        self.unpolled_commit = None;
        let open = |before| Some(OpenWriters { before, open: self.open_pushes.range(..before).next().is_some() });
        let writers = match sleep {
            Sleep::Keep => None,
            Sleep::FallAsleep => {
                self.asleep = true;
                open(self.last_push + 1)
            }
            Sleep::AwaitWriters { before } => open(before),
            Sleep::WakeUp => {
                self.asleep = false;
                None
            }
        };
        let stands = |id: &TaskId| self.tasks.get(id).is_some_and(StoredTask::is_offered);
        let mut answers = self.reread(offered.into_iter().filter(|id| !stands(id)).collect());
        let (lanes, arrivals, due) = self.news();
        answers.push(Input::Polled {
            lanes,
            arrivals,
            due,
            requests: !self.requests.is_empty(),
            latch: self.last_latch,
            writers,
        });
        answers
    }

    /// What waits, as far as the leader does not know it. Now and then an arrival is reported again.
    fn news(&mut self) -> News {
        if !self.polls_report {
            return (Vec::new(), Vec::new(), None);
        }
        let all = |lanes: Vec<Lane>| lanes.into_iter().map(|lane| (lane, None)).collect();
        let Some(arrived) = self.arrived.replace(BTreeSet::new()) else { return (all(self.lanes()), Vec::new(), None) };
        let too_many = Some(Timestamp::from_micros(i64::MIN));
        if arrived.len() > LANES_OF_ARRIVALS_MAX {
            return (all(self.lanes()), Vec::new(), too_many);
        }
        if arrived.len() > ARRIVALS_MAX {
            return (self.lanes_of(&arrived), Vec::new(), too_many);
        }
        let ready =
            arrived.iter().filter_map(|task| self.tasks.get(task)).filter(|task| task.row.state() == RowState::Ready);
        let (tasks, due) = (
            ready.clone().filter(|task| task.is_queued()),
            ready.flat_map(|task| [task.row.eligible_when, task.row.times_up]).flatten().min(),
        );
        let arrivals = tasks.map(|task| (task.lane.clone(), task.head())).collect();
        if arrived.iter().any(|task| task.0 % 5 == 0) {
            self.arrived = Some(arrived.into_iter().filter(|task| task.0 % 5 != 0).collect());
        }
        (Vec::new(), arrivals, due)
    }

    /// The lanes of these tasks, each with the least priority, the least time and the least number of
    /// its tasks.
    fn lanes_of(&self, arrived: &BTreeSet<TaskId>) -> Vec<(Lane, Option<QueuePosition>)> {
        let mut lanes: BTreeMap<Lane, QueuePosition> = BTreeMap::new();
        let ready = |task: &&StoredTask| task.row.state() == RowState::Ready && task.is_queued();
        for task in arrived.iter().filter_map(|task| self.tasks.get(task)).filter(ready) {
            let position = task.head().position;
            let least = lanes.entry(task.lane.clone()).or_insert(position);
            least.priority = least.priority.min(position.priority);
            least.entered = least.entered.min(position.entered);
            least.task = TaskId(least.task.0.min(position.task.0 - 1));
        }
        lanes.into_iter().map(|(lane, after)| (lane, Some(after))).collect()
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

    /// Applies the event to the row, as the writer in the database does.
    pub(crate) fn write(&mut self, event: &TaskEvent) -> WriteAnswer {
        let Some(stored) = self.tasks.get_mut(&event.task) else { return WriteAnswer::Gone };
        let Some(next) = event.apply(&stored.row, stored.options.clone()) else {
            if stored.row.processed.is_some() {
                self.requests.retain(|id, _| !event.settles.contains(id));
            }
            return WriteAnswer::Row(stored.row.clone());
        };
        stored.row = next;
        self.settle(event);
        WriteAnswer::AsPredicted
    }

    /// Deletes the requests that the event settles.
    pub(crate) fn settle(&mut self, event: &TaskEvent) {
        self.requests.retain(|id, _| !event.settles.contains(id));
    }

    pub(crate) fn register(&mut self, epoch: Epoch, session: SessionId, target: TargetName) {
        self.last_registered += 1;
        self.registry.insert((epoch, session), (self.last_registered, target));
    }

    pub(crate) fn unregister(&mut self, epoch: Epoch, sessions: &[Registered]) {
        for session in sessions {
            match session {
                Registered::Own(session) => drop(self.registry.remove(&(epoch, *session))),
                Registered::Older(number) => self.registry.retain(|_, (its, _)| its != number),
            }
        }
    }
}
