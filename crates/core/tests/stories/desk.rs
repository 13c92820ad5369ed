//! A store and targets that answer at once, unless a story holds an answer back.

use std::collections::{BTreeMap, BTreeSet};

use pgasync_core::{
    Asked, Command, Epoch, Found, Head, Held, Input, Kind, Lane, Orchestrator, Outcome, PoolName, Priority, Request,
    RequestId, Row, RowState, Run, SessionId, Settings, Sighting, Span, TargetName, TargetSettings, TaskId, Terms,
    Timestamp, Turn,
};

/// One target, "there", and whoever waits for it.
pub(crate) struct Desk {
    pub(crate) core: Orchestrator,
    pub(crate) now: Timestamp,
    pub(crate) rows: BTreeMap<TaskId, (Turn, Lane, Terms, Row)>,
    pub(crate) requests: BTreeMap<RequestId, (TaskId, Request)>,
    pub(crate) running: BTreeMap<TaskId, (SessionId, Run)>,
    /// Sessions that are open at the target.
    pub(crate) sessions: BTreeSet<SessionId>,
    /// Claims of these are refused.
    pub(crate) locked: BTreeSet<TaskId>,
    /// No record can be written.
    pub(crate) unwritable: bool,
    /// More of them than these are refused.
    pub(crate) sessions_max: usize,
    /// All that was said so far.
    pub(crate) said: Vec<Command>,
    /// What is said and not answered.
    pub(crate) holds: fn(&Command) -> bool,
    /// What was held, in order.
    pub(crate) held: Vec<Command>,
    pub(crate) alarm: Option<Timestamp>,
}

pub(crate) fn there() -> TargetName {
    TargetName::new("there").expect("a name")
}

pub(crate) fn lane() -> Lane {
    Lane { pool: PoolName::of(None, &there()), target: there(), kind: Kind::Run }
}

/// A pool of so many slots.
pub(crate) fn settings(slots: u32) -> Settings {
    let mut settings = Settings { target_patience: Span::seconds(5), ..Settings::default() };
    settings.tuning.ahead_per_slot_max = 0;
    settings.targets.insert(there(), TargetSettings { max_concurrency: slots, default_timeout: None });
    settings
}

impl Desk {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            core: Orchestrator::new(settings, 3),
            now: Timestamp::from_micros(0),
            rows: BTreeMap::new(),
            requests: BTreeMap::new(),
            running: BTreeMap::new(),
            sessions: BTreeSet::new(),
            locked: BTreeSet::new(),
            unwritable: false,
            sessions_max: usize::MAX,
            said: Vec::new(),
            holds: |_| false,
            held: Vec::new(),
            alarm: None,
        }
    }

    /// It leads, and nobody led before.
    pub(crate) fn leading(settings: Settings) -> Self {
        let mut desk = Self::new(settings);
        let (fence, inherited, lanes) = (vec![], vec![], vec![]);
        desk.tell(Input::Elected { epoch: Epoch(1), at_once: true, fence, inherited, lanes });
        desk
    }

    pub(crate) fn tell(&mut self, input: Input) {
        self.core.handle(input, self.now);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        while let Some(command) = self.core.poll_command() {
            self.said.push(command.clone());
            assert!(self.said.len() < 100_000, "it never comes to rest");
            if (self.holds)(&command) {
                self.held.push(command);
            } else if let Some(answer) = self.answer(command) {
                self.core.handle(answer, self.now);
            }
            assert!(self.core.audit(), "the books are what a recount gives");
        }
    }

    /// Answers what was held back.
    pub(crate) fn release(&mut self) {
        self.holds = |_| false;
        for command in std::mem::take(&mut self.held) {
            if let Some(answer) = self.answer(command) {
                self.tell(answer);
            }
        }
    }

    pub(crate) fn push(&mut self, task: i64) -> TaskId {
        self.push_as(task, Terms::default())
    }

    pub(crate) fn push_as(&mut self, task: i64, terms: Terms) -> TaskId {
        let turn = Turn { priority: Priority(0), entered: self.now, task: TaskId(task) };
        let kind = if terms.client_pulled { Kind::Pull } else { Kind::Run };
        let lane = Lane { kind, ..lane() };
        self.rows.insert(turn.task, (turn, lane.clone(), terms, Row::default()));
        self.tell(Input::Waiting(vec![lane]));
        turn.task
    }

    pub(crate) fn ask(&mut self, task: TaskId, request: Request) {
        let id = RequestId(i64::try_from(self.said.len()).expect("not so many"));
        self.requests.insert(id, (task, request));
        self.tell(Input::Asking);
    }

    pub(crate) fn end(&mut self, task: TaskId, outcome: Outcome) {
        let (session, run) = self.running.remove(&task).expect("it runs");
        self.tell(Input::QueryEnded { session, task, run, outcome });
    }

    /// Time passes, from alarm to alarm.
    pub(crate) fn wait(&mut self, span: Span) {
        let end = self.now + span;
        loop {
            self.now = self.alarm.take().filter(|at| *at < end).map_or(end, |at| at.max(self.now));
            self.tell(Input::Tick);
            if self.now == end {
                return;
            }
        }
    }

    pub(crate) fn row(&self, task: TaskId) -> &Row {
        &self.rows[&task].3
    }

    /// How often something like this was said.
    pub(crate) fn count(&self, like: impl Fn(&Command) -> bool) -> usize {
        self.said.iter().filter(|command| like(command)).count()
    }

    fn sighting(&self, task: TaskId) -> Sighting {
        let (turn, lane, terms, row) = self.rows[&task].clone();
        Sighting { turn, lane, task: row.task(terms, Held::Launched(None)).expect("a row") }
    }

    fn heads(&self, lane: Lane, heads_max: usize) -> Input {
        let waits = self.rows.values().filter(|(_, its, _, row)| {
            *its == lane && row.state() == RowState::Ready && row.tracked != Some(true) && row.eligible_when.is_none()
        });
        let mut heads: Vec<Head> = waits
            .map(|(turn, _, terms, row)| Head {
                turn: *turn,
                run: Run(row.run),
                terms: *terms,
                times_up: row.times_up,
                text_bytes: 1,
            })
            .collect();
        heads.sort_by_key(|head| head.turn);
        let more = heads.len() > heads_max;
        heads.truncate(heads_max);
        Input::Refilled { lane, heads, more }
    }

    fn write(&mut self, task: TaskId, row: Row) {
        self.rows.get_mut(&task).expect("it exists").3 = row;
    }

    #[allow(clippy::too_many_lines, reason = "one arm a command")]
    pub(crate) fn answer(&mut self, command: Command) -> Option<Input> {
        Some(match command {
            Command::RunStartup => Input::StartupDone,
            Command::Refill { lane, heads_max } => self.heads(lane, heads_max),
            Command::Sweep { .. } => Input::Swept { overdue: vec![], promoted: vec![], next: None },
            Command::ReadRequests { serial } => {
                let asked = self.requests.iter();
                let asked = asked.map(|(id, (task, request))| Asked {
                    id: *id,
                    request: request.clone(),
                    about: self.sighting(*task),
                });
                Input::Requests { serial, asked: asked.collect(), last: true }
            }
            Command::Claim { task, row } => {
                let run = Run(row.run);
                let claimed = self.row(task).state() == RowState::Ready
                    && self.row(task).run + 1 == row.run
                    && !self.locked.contains(&task);
                if claimed {
                    self.write(task, row);
                }
                Input::Claimed { task, run, claimed }
            }
            Command::GiveBack { task, run, row } => {
                self.write(task, row);
                Input::GivenBack { task, run }
            }
            Command::Offer { task, row } => {
                self.write(task, row);
                Input::Offered { task, offered: true }
            }
            Command::Withdraw { task } => {
                let row = Row { tracked: None, ..self.row(task).clone() };
                self.write(task, row);
                Input::Withdrawn { task }
            }
            Command::Connect { session, .. } if self.sessions.len() >= self.sessions_max => {
                Input::ConnectFailed { session, error: "too many connections".to_owned() }
            }
            Command::Connect { session, .. } => {
                self.sessions.insert(session);
                Input::Connected { session }
            }
            Command::Register { session } => Input::Registered { session },
            Command::Mark { task, run, session } => Input::Marked { task, run, session },
            Command::Launch { task, run, session } => {
                assert!(self.running.insert(task, (session, run)).is_none(), "task {task} runs already");
                Input::Sent { task, run }
            }
            Command::Disconnect { session } => {
                if self.running.values().any(|(its, _)| *its == session) {
                    return None;
                }
                self.sessions.remove(&session);
                Input::SessionGone { session }
            }
            Command::Record { task, run, .. } if self.unwritable => {
                Input::Recorded { task, run, found: Found::Unwritable }
            }
            Command::Record { task, run, row, settles } => {
                self.write(task, row.clone());
                self.requests.retain(|id, _| !settles.contains(id));
                Input::Recorded { task, run, found: Found::Row(row) }
            }
            Command::Release { task, .. } => {
                let row = Row { tracked: Some(false), ..self.row(task).clone() };
                self.write(task, row);
                return None;
            }
            Command::Dismiss { request, .. } => {
                self.requests.remove(&request);
                return None;
            }
            Command::Resync { tasks } => {
                let row = |task: TaskId| Some((task, self.rows.get(&task)?.3.clone()));
                Input::Resynced(tasks.into_iter().filter_map(row).collect())
            }
            Command::SleepUntil(when) => {
                self.alarm = Some(when);
                return None;
            }
            Command::Fence { .. }
            | Command::FenceSession { .. }
            | Command::Cancel { .. }
            | Command::Terminate { .. }
            | Command::Resign => return None,
        })
    }
}
