//! The orchestrator: what happens goes in, what to do comes out.
//!
//! ```
//! use pgasync_core::*;
//! let now = Timestamp::from_micros(0);
//! let mut orchestrator = Orchestrator::new(Settings::default(), 42);
//! orchestrator.handle(
//!     Input::Elected { epoch: Epoch(1), at_once: true, fence: vec![], inherited: vec![], lanes: vec![] },
//!     now,
//! );
//! assert_eq!(orchestrator.poll_command(), Some(Command::RunStartup));
//! ```
//!
//! The driver's part: carry out commands (those for the store in order, see
//! [`Command::is_for_store`]), call [`Orchestrator::handle`] with what became of them, and call it
//! with [`Input::Tick`] when the time of [`Command::SleepUntil`] has come. Nothing here waits.

mod ahead;
mod books;
pub(crate) mod bug;
mod choose;
mod clock;
pub(crate) mod command;
mod end;
mod forget;
mod held;
pub(crate) mod input;
mod launch;
mod lead;
mod offer;
mod refused;
mod request;
pub(crate) mod settings;
mod target;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::names::{Epoch, PoolName, Run, SessionId, TargetName, TaskId};
use crate::plan::Plan;
use crate::plan::lane::Lane;
use crate::time::Timestamp;
use ahead::Pace;
use books::{Books, Load};
use bug::{Bug, Planted};
use clock::Timer;
use command::Command;
use held::{Held, Stage};
use input::Input;
use refused::Refusal;
use request::Reading;
use settings::Settings;
use target::{Session, Target};

/// Decides for all tasks of one server, as long as it leads.
///
/// ```
/// use pgasync_core::*;
/// let now = Timestamp::from_micros(0);
/// let mut orchestrator = Orchestrator::new(Settings::default(), 42);
/// orchestrator.handle(
///     Input::Elected { epoch: Epoch(1), at_once: true, fence: vec![], inherited: vec![], lanes: vec![] },
///     now,
/// );
/// assert_eq!(orchestrator.poll_command(), Some(Command::RunStartup));
/// ```
///
/// The [crate's documentation](crate#driving-it) has a whole round, and what a driver must do.
///
/// Invariant: `books` is what adding up the loads of `held` gives. `plan` never has a task that is
/// held, but for those claimed ahead.
#[derive(Debug)]
pub struct Orchestrator {
    settings: Settings,
    now: Timestamp,
    lead: Lead,
    /// Nothing new is launched; what still runs then is stopped.
    drain_until: Option<Timestamp>,
    plan: Plan,
    books: Books,
    held: BTreeMap<TaskId, Held>,
    targets: BTreeMap<TargetName, Target>,
    sessions: BTreeMap<SessionId, Session>,
    last_session: u64,
    /// Targets with queued tasks that may find a session now.
    unassigned: BTreeSet<TargetName>,
    /// Targets whose tasks lack room for their texts, or for a session.
    starved: BTreeSet<TargetName>,
    /// What the sessions ran that were lost and may live on.
    lost: BTreeMap<SessionId, TaskId>,
    text_bytes: u64,
    /// Offered tasks of each pool.
    offers: BTreeMap<PoolName, BTreeSet<TaskId>>,
    /// Lanes whose offers nobody took, and how often.
    unwanted: BTreeMap<Lane, u32>,
    /// Tasks that could not be claimed lately.
    refused: BTreeMap<TaskId, Refusal>,
    /// Pools whose offers may have to give way.
    contested: BTreeSet<PoolName>,
    paces: BTreeMap<PoolName, Pace>,
    /// Pools that may claim ahead.
    hasty: BTreeSet<PoolName>,
    reading: Reading,
    /// Tasks whose queries are over, and wait for a read of the requests.
    reading_ends: BTreeSet<TaskId>,
    timers: BTreeSet<(Timestamp, Timer)>,
    sweep_at: Option<Timestamp>,
    sweeping: bool,
    sleep_until: Option<Timestamp>,
    commands: VecDeque<Command>,
    random: u64,
    bug: Planted,
}

/// Whether it leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lead {
    /// Another does, or nobody.
    Not,
    /// It has the lock, and leaves the leader before it some time to come back.
    Grace { epoch: Epoch, until: Timestamp },
    /// It leads, and the STARTUP routines run.
    Starting { epoch: Epoch },
    /// It leads.
    Leads { epoch: Epoch },
    /// It does not reach the store, and goes on from here when it does.
    Blind { epoch: Epoch, from: From },
}

/// How far a lead had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Grace { until: Timestamp },
    Starting,
    Leads,
}

impl Orchestrator {
    /// One that does not lead yet; `seed` spreads the retries of orchestrators that fail together.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            settings,
            now: Timestamp::from_micros(i64::MIN),
            lead: Lead::Not,
            drain_until: None,
            plan: Plan::new(),
            books: Books::default(),
            held: BTreeMap::new(),
            targets: BTreeMap::new(),
            sessions: BTreeMap::new(),
            last_session: 0,
            unassigned: BTreeSet::new(),
            starved: BTreeSet::new(),
            lost: BTreeMap::new(),
            text_bytes: 0,
            offers: BTreeMap::new(),
            unwanted: BTreeMap::new(),
            refused: BTreeMap::new(),
            contested: BTreeSet::new(),
            paces: BTreeMap::new(),
            hasty: BTreeSet::new(),
            reading: Reading::default(),
            reading_ends: BTreeSet::new(),
            timers: BTreeSet::new(),
            sweep_at: None,
            sweeping: false,
            sleep_until: None,
            commands: VecDeque::new(),
            random: seed,
            bug: Planted::default(),
        }
    }

    /// Takes in what happened; `now` may stand still, and never runs back.
    pub fn handle(&mut self, input: Input, now: Timestamp) {
        self.now = self.now.max(now);
        let rang = matches!(input, Input::Tick);
        self.take_in(input);
        self.fire_timers();
        self.settle(rang);
    }

    #[cfg(test)]
    pub(crate) const fn plant(&mut self, bug: Option<Bug>) {
        self.bug = Planted::new(bug);
    }

    /// The next thing to do, until there is none.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// How many slots of the pool are taken.
    #[must_use]
    pub fn slots_taken(&self, pool: &PoolName) -> u32 {
        self.books.of(pool).slots
    }

    /// Every pool of which a slot is taken, and how many are.
    pub fn occupancy(&self) -> impl Iterator<Item = (&PoolName, u32)> {
        self.books.pools().map(|(pool, taken)| (pool, taken.slots))
    }

    /// Tasks in hand that no query runs of: pulled, yielded, or over with their sessions unknown.
    /// Their rows may be changed by others; see [`Input::Changed`].
    pub fn resting(&self) -> impl Iterator<Item = TaskId> {
        let rests = |held: &Held| matches!(held.stage, Stage::Pulled | Stage::Yielded | Stage::Abandoned);
        self.held.iter().filter(move |(_, held)| rests(held)).map(|(task, _)| *task)
    }

    /// Whether the text that comes with the mark of this launch is still wanted.
    #[must_use]
    pub fn awaits_text(&self, task: TaskId, run: Run) -> bool {
        let waits = |stage: &Stage| matches!(stage, Stage::Ahead { .. } | Stage::Queued | Stage::Marking { .. });
        self.held.get(&task).is_some_and(|held| held.task.run == run && waits(&held.stage))
    }

    /// How many workers are busy.
    #[must_use]
    pub const fn workers_busy(&self) -> u32 {
        self.books.workers()
    }

    /// The epoch in which it leads.
    #[must_use]
    pub const fn epoch(&self) -> Option<Epoch> {
        match self.lead {
            Lead::Not => None,
            Lead::Grace { epoch, .. }
            | Lead::Starting { epoch }
            | Lead::Leads { epoch }
            | Lead::Blind { epoch, .. } => Some(epoch),
        }
    }

    /// Tasks and heads in memory: bounded by limits, whatever waits.
    #[must_use]
    pub fn tasks_in_memory(&self) -> usize {
        self.held.len() + self.plan.heads()
    }

    /// Names of pools, targets and lanes in memory: bounded by what runs and waits, not by what once
    /// did.
    #[must_use]
    pub fn names_in_memory(&self) -> usize {
        self.paces.len()
            + self.targets.len()
            + self.unwanted.len()
            + self.offers.len()
            + self.refused.len()
            + self.contested.len()
            + self.hasty.len()
            + self.unassigned.len()
            + self.starved.len()
            + self.lost.len()
            + self.books.pools().count()
            + self.plan.names()
    }

    /// Sessions with targets.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Things to look at at some time: for each task in hand, session and target a few at most.
    #[must_use]
    pub fn timers(&self) -> usize {
        self.timers.len()
    }

    /// Adds up what the tasks in hand take, and says whether the books agree.
    #[must_use]
    pub fn audit(&self) -> bool {
        let mut recount = Books::default();
        for held in self.held.values() {
            recount.rebook(&held.lane.pool, Load::NOTHING, held.load(self.bug.get()));
        }
        recount == self.books
    }

    fn take_in(&mut self, input: Input) {
        match input {
            Input::Tick => {}
            Input::Configured(settings) => self.configured(*settings),
            Input::Elected { epoch, at_once, fence, inherited, lanes } => {
                self.elected(epoch, at_once, fence, inherited, &lanes);
            }
            Input::Deposed => self.deposed(),
            Input::StoreLost => self.store_lost(),
            Input::StoreBack => self.store_back(),
            Input::Resynced(rows) => self.resynced(rows),
            Input::StartupDone => self.startup_done(),
            Input::Fenced { target } => self.fenced(&target),
            Input::Shutdown { drain_until } => self.shutdown(drain_until),
            Input::Waiting(lanes) => self.waiting(&lanes),
            Input::Refilled { lane, heads, more } => self.refilled(&lane, heads, more),
            Input::Swept { overdue, promoted, next } => self.swept(overdue, &promoted, next),
            Input::Asking => self.reading.wanted = true,
            Input::Requests { serial, asked, last } => self.requests(serial, asked, last),
            Input::Claimed { task, run, claimed } => self.claimed(task, run, claimed),
            Input::GivenBack { task, run } => self.given_back(task, run),
            Input::Offered { task, offered } => self.offered(task, offered),
            Input::Pulling { target } => self.pulling(&target),
            Input::Changed { task, row } => self.changed(task, row.as_ref()),
            Input::Taken { task, row } => self.taken(task, &row),
            Input::Withdrawn { task } => self.withdrawn(task),
            Input::Marked { task, run, session } => self.marked(task, run, session),
            Input::Recorded { task, run, found } => self.recorded(task, run, found),
            Input::Connected { session } => self.connected(session),
            Input::ConnectFailed { session, error } => self.connect_failed(session, &error),
            Input::Registered { session } => self.registered(session),
            Input::Sent { task, run } => self.sent(task, run),
            Input::QueryEnded { session, task, run, outcome } => self.query_ended(session, task, run, outcome),
            Input::SessionLost { session } => self.session_lost(session),
            Input::SessionGone { session } => self.session_gone(session),
        }
    }

    /// Does what follows from everything taken in.
    fn settle(&mut self, rang: bool) {
        if matches!(self.lead, Lead::Leads { .. }) {
            self.read_requests();
            self.hold_back();
            self.choose();
            self.settle_offers();
            self.assign_sessions();
            self.ask_for_heads();
            self.sweep_if_due();
            self.resign_when_drained();
        }
        self.sleep(rang);
        debug_assert!(self.held.len() > 64 || self.audit(), "the books differ from a recount");
    }

    fn launches(&self) -> bool {
        matches!(self.lead, Lead::Leads { .. }) && !self.settings.paused && self.drain_until.is_none()
    }

    fn worker_free(&self) -> bool {
        self.books.workers() < self.settings.workers
    }

    fn slot_free(&self, pool: &PoolName) -> bool {
        let limit = self.settings.limit(pool) + u32::from(self.bug.get() == Some(Bug::PoolTakesOneMore));
        self.books.of(pool).slots < limit
    }

    fn say(&mut self, command: Command) {
        self.commands.push_back(command);
    }

    fn hold(&mut self, held: Held) {
        let (task, pool, load) = (held.turn.task, held.lane.pool.clone(), held.load(self.bug.get()));
        debug_assert!(!self.held.contains_key(&task), "task {task} is in hand already");
        let (target, claim) = (held.lane.target.clone(), held.wants_session());
        self.held.insert(task, held);
        self.count_claim(&target, false, claim);
        self.rebook(&pool, Load::NOTHING, load);
        self.schedule(task);
    }

    fn let_go(&mut self, task: TaskId) -> Option<Held> {
        self.free_text(task);
        self.leave_ahead(task);
        let held = self.held.remove(&task)?;
        self.unschedule(task, held.timers);
        if held.is_being_written() {
            self.reading.look_again();
        }
        self.count_claim(&held.lane.target, held.wants_session(), false);
        self.rebook(&held.lane.pool, held.load(self.bug.get()), Load::NOTHING);
        self.forget_offer(&held.lane.pool, task);
        Some(held)
    }

    /// Moves a task in hand to another stage, keeping the books.
    fn restage(&mut self, task: TaskId, stage: Stage) {
        self.leave_ahead(task);
        let Some(held) = self.held.get_mut(&task) else { return };
        if held.is_being_written() {
            self.reading.look_again();
        }
        let (before, claim_before) = (held.load(self.bug.get()), held.wants_session());
        held.stage = stage;
        let (after, pool) = (held.load(self.bug.get()), held.lane.pool.clone());
        let is_offer = matches!(held.stage, Stage::Offered { .. });
        let claim = held.wants_session();
        if claim != claim_before {
            let target = held.lane.target.clone();
            self.count_claim(&target, claim_before, claim);
        }
        self.rebook(&pool, before, after);
        if is_offer {
            self.offers.entry(pool.clone()).or_default().insert(task);
            self.contested.insert(pool);
        } else {
            self.forget_offer(&pool, task);
        }
        self.schedule(task);
    }

    fn rebook(&mut self, pool: &PoolName, before: Load, after: Load) {
        if before.worker && !after.worker && !self.worker_free() {
            // Queries may want the slots of offers again.
            self.contested.extend(self.offers.keys().cloned());
        }
        if after.rests && !before.rests {
            self.hasty.insert(pool.clone());
        }
        if self.books.rebook(pool, before, after) {
            self.refresh_pool(pool);
        }
    }

    /// Tells the plan how the pool stands.
    fn refresh_pool(&mut self, pool: &PoolName) {
        let (open, heads) = (self.slot_free(pool), self.settings.window_heads(pool));
        self.plan.set_pool(pool, open, heads);
        if !open {
            self.hasty.insert(pool.clone());
            if self.offers.contains_key(pool) {
                self.contested.insert(pool.clone());
            }
        }
    }

    fn stage(&self, task: TaskId, run: Run) -> Option<&Stage> {
        self.held.get(&task).filter(|held| held.task.run == run).map(|held| &held.stage)
    }

    /// Looks at a lane again: the store may have something new for it.
    fn look_at_lane(&mut self, lane: &Lane) {
        if self.bug.get() == Some(Bug::PushForgotten) && self.plan.is_asked(lane) {
            return;
        }
        self.plan.stale(lane);
        self.refresh_target(&lane.target);
        self.refresh_pool(&lane.pool);
        self.contested.insert(lane.pool.clone());
    }

    /// A number from the seed, for spreading retries; splitmix64.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
