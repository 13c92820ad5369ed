//! The orchestrator: what happens goes in, what to do comes out.
//!
//! ```
//! use pgasync_core::*;
//! let now = Now::from_micros(0);
//! let mut orchestrator = Orchestrator::new(Settings::default(), 42);
//! orchestrator.handle(Input::Elected { epoch: Epoch(1), fence: vec![], inherited: vec![], lanes: vec![] }, now);
//! assert_eq!(orchestrator.poll_command(), Some(Command::RunStartup));
//! ```
//!
//! The driver's part: carry out commands (those for the store in order, see
//! [`Command::is_for_store`]), call [`Orchestrator::handle`] with what became of them, and call it
//! with [`Input::Tick`] when the time of [`Command::SleepUntil`] has come. Nothing here waits.

mod ahead;
mod backoff;
mod choose;
pub(crate) mod command;
mod end;
mod forget;
pub(crate) mod input;
mod launch;
mod leadership;
mod occupancy;
mod offer;
mod request;
mod retry;
pub(crate) mod settings;
mod skipped;
mod target;
mod timers;
mod tracked;
mod unconfirmed;
mod upkeep;
mod wake;
mod write;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::names::{Epoch, PoolName, Run, SessionId, TargetName, TaskId};
use crate::plan::Plan;
use crate::plan::lane::Lane;
use crate::time::{MonotonicTime, Now};
use ahead::Pace;
use backoff::Backoff;
use command::{Command, Registered};
use input::Input;
use occupancy::{Load, Occupancy};
use request::Reading;
use retry::Retries;
use settings::Settings;
use skipped::Skipped;
use target::{Session, Target};
use timers::Timer;
use tracked::{Stage, Tracked};
use upkeep::Latch;
use wake::Wake;

/// Decides for all tasks of one server, as long as it leads.
///
/// ```
/// use pgasync_core::*;
/// let now = Now::from_micros(0);
/// let mut orchestrator = Orchestrator::new(Settings::default(), 42);
/// orchestrator.handle(Input::Elected { epoch: Epoch(1), fence: vec![], inherited: vec![], lanes: vec![] }, now);
/// assert_eq!(orchestrator.poll_command(), Some(Command::RunStartup));
/// ```
///
/// The [crate's documentation](crate#driving-it) has a whole round, and what a driver must do.
///
/// Invariant: `occupancy` is what adding up the loads of `tracked` gives. `plan` never has a task
/// that is tracked, but for those claimed ahead. At most one write about a task is under way.
#[derive(Debug)]
pub struct Orchestrator {
    settings: Settings,
    now: Now,
    lead: Lead,
    /// Nothing new is launched; what still runs then is stopped.
    drain_until: Option<MonotonicTime>,
    /// How long the closing of sessions is waited for at the end of a drain.
    closing_until: Option<MonotonicTime>,
    plan: Plan,
    occupancy: Occupancy,
    tracked: BTreeMap<TaskId, Tracked>,
    targets: BTreeMap<TargetName, Target>,
    sessions: BTreeMap<SessionId, Session>,
    last_session: u64,
    /// Sessions that are gone and may stand in the registry yet.
    unregistering: BTreeSet<Registered>,
    /// Targets with queued tasks that may find a session now.
    unassigned: BTreeSet<TargetName>,
    /// Targets whose tasks lack room for their texts, or for a session.
    starved: BTreeSet<TargetName>,
    /// What the sessions ran that were lost and may live on.
    lost: BTreeMap<SessionId, TaskId>,
    text_bytes: u64,
    /// Offered tasks of each pool.
    offers: BTreeMap<PoolName, BTreeSet<TaskId>>,
    /// Tasks that could not be claimed lately.
    skipped: BTreeMap<TaskId, Skipped>,
    /// Pools whose offers may have to give way.
    contested: BTreeSet<PoolName>,
    paces: BTreeMap<PoolName, Pace>,
    /// Pools that may claim ahead.
    hasty: BTreeSet<PoolName>,
    reading: Reading,
    /// Tasks whose queries are over, and wait for a read of the requests.
    reading_ends: BTreeSet<TaskId>,
    timers: BTreeSet<(MonotonicTime, Timer)>,
    sweep_at: Option<MonotonicTime>,
    sweeping: bool,
    wake: Wake,
    /// Something was written or polled since the LOOP routines ran last.
    stirred: bool,
    routines_run: bool,
    routines_at: MonotonicTime,
    latch: Option<Latch>,
    latch_served: i64,
    maintain_at: MonotonicTime,
    audit_at: MonotonicTime,
    /// Marks sent since they were begun anew.
    marks_sent: usize,
    /// They have to be begun anew as soon as the store is back.
    marks_lost: bool,
    rotating: bool,
    retries: Retries,
    /// Of attempts to prove the lead.
    proof: Backoff,
    proved_at: Option<MonotonicTime>,
    sleep_until: Option<MonotonicTime>,
    commands: VecDeque<Command>,
    random: u64,
}

/// Whether it leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lead {
    /// Another does, or none.
    Not,
    /// It leads, and the STARTUP routines run.
    Starting { epoch: Epoch },
    /// It leads.
    Leads { epoch: Epoch },
    /// It does not reach the store, and goes on when it does; `started` says whether the STARTUP
    /// routines had run.
    Blind { epoch: Epoch, started: bool },
}

impl Orchestrator {
    /// One that does not lead yet; `seed` spreads the retries of orchestrators that fail together.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        let start = MonotonicTime::from_micros(i64::MIN);
        let tuning = settings.tuning;
        Self {
            settings,
            now: Now { monotonic: start, server: crate::Timestamp::from_micros(i64::MIN) },
            lead: Lead::Not,
            drain_until: None,
            closing_until: None,
            plan: Plan::new(),
            occupancy: Occupancy::default(),
            tracked: BTreeMap::new(),
            targets: BTreeMap::new(),
            sessions: BTreeMap::new(),
            last_session: 0,
            unregistering: BTreeSet::new(),
            unassigned: BTreeSet::new(),
            starved: BTreeSet::new(),
            lost: BTreeMap::new(),
            text_bytes: 0,
            offers: BTreeMap::new(),
            skipped: BTreeMap::new(),
            contested: BTreeSet::new(),
            paces: BTreeMap::new(),
            hasty: BTreeSet::new(),
            reading: Reading::default(),
            reading_ends: BTreeSet::new(),
            timers: BTreeSet::new(),
            sweep_at: None,
            sweeping: false,
            wake: Wake::new(start),
            stirred: false,
            routines_run: false,
            routines_at: start,
            latch: None,
            latch_served: 0,
            maintain_at: MonotonicTime::NEVER,
            audit_at: MonotonicTime::NEVER,
            marks_sent: 0,
            marks_lost: false,
            rotating: false,
            retries: Retries::new(tuning.store_backoff_first, tuning.store_backoff_last),
            proof: Backoff::new(tuning.proof_backoff_first, tuning.proof_backoff_last),
            proved_at: None,
            sleep_until: None,
            commands: VecDeque::new(),
            random: seed,
        }
    }

    /// Takes in what happened. The monotonic time may stand still, and never runs back; the server's
    /// may step either way.
    pub fn handle(&mut self, input: Input, now: Now) {
        self.now = Now { monotonic: self.now.monotonic.max(now.monotonic), server: now.server };
        let rang = matches!(input, Input::Tick);
        self.take_in(input);
        self.fire_timers();
        self.settle(rang);
    }

    /// The next thing to do, until there is none.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// How many slots of the pool are taken.
    #[must_use]
    pub fn slots_taken(&self, pool: &PoolName) -> u32 {
        self.occupancy.of(pool).slots
    }

    /// Every pool of which a slot is taken, and how many are.
    pub fn occupancy(&self) -> impl Iterator<Item = (&PoolName, u32)> {
        self.occupancy.pools().map(|(pool, taken)| (pool, taken.slots))
    }

    /// Tasks in hand that no query runs of: pulled, yielded, or over with their sessions unknown.
    /// Their rows may be changed by others; see [`Input::Changed`].
    pub fn resting(&self) -> impl Iterator<Item = TaskId> {
        let rests = |tracked: &Tracked| matches!(tracked.stage, Stage::Pulled | Stage::Yielded | Stage::Abandoned);
        self.tracked.iter().filter(move |(_, tracked)| rests(tracked)).map(|(task, _)| *task)
    }

    /// Whether the text that comes with the mark of this launch is still wanted.
    #[must_use]
    pub fn awaits_text(&self, task: TaskId, run: Run) -> bool {
        let waits = |stage: &Stage| matches!(stage, Stage::Ahead { .. } | Stage::Queued | Stage::Marking { .. });
        self.tracked.get(&task).is_some_and(|tracked| tracked.task.run == run && waits(&tracked.stage))
    }

    /// How often in a row the task's row could not be written.
    #[must_use]
    pub fn write_failures(&self, task: TaskId) -> u32 {
        let tracked = self.tracked.get(&task).map_or(0, |tracked| tracked.backoff.failures());
        tracked.max(self.skipped_failures(task))
    }

    /// How many workers are busy.
    #[must_use]
    pub const fn workers_busy(&self) -> u32 {
        self.occupancy.workers()
    }

    /// The epoch in which it leads.
    #[must_use]
    pub const fn epoch(&self) -> Option<Epoch> {
        match self.lead {
            Lead::Not => None,
            Lead::Starting { epoch } | Lead::Leads { epoch } | Lead::Blind { epoch, .. } => Some(epoch),
        }
    }

    /// Tasks and heads in memory: bounded by limits, whatever waits.
    #[must_use]
    pub fn tasks_in_memory(&self) -> usize {
        self.tracked.len() + self.plan.heads()
    }

    /// Names of pools, targets and lanes in memory: bounded by what runs and waits, not by what once
    /// did.
    #[must_use]
    pub fn names_in_memory(&self) -> usize {
        self.paces.len()
            + self.targets.len()
            + self.offers.len()
            + self.skipped.len()
            + self.contested.len()
            + self.hasty.len()
            + self.unassigned.len()
            + self.starved.len()
            + self.lost.len()
            + self.occupancy.pools().count()
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

    /// Adds up what the tasks in hand take, and says whether the counts agree.
    #[must_use]
    pub fn audit(&self) -> bool {
        let mut recount = Occupancy::default();
        for tracked in self.tracked.values() {
            recount.rebook(&tracked.lane.pool, Load::NOTHING, tracked.load());
        }
        recount == self.occupancy
    }

    fn take_in(&mut self, input: Input) {
        match input {
            Input::Tick => {}
            Input::Configured(settings) => self.configured(*settings),
            Input::Elected { epoch, fence, inherited, lanes } => self.elected(epoch, fence, inherited, &lanes),
            Input::Deposed => self.deposed(),
            Input::StoreLost => self.store_lost(),
            Input::StoreBack => self.store_back(),
            Input::MarksLost => self.marks_lost = true,
            Input::ProofFailed => self.prove_later(),
            Input::Refused { command, .. } => self.refused(*command),
            Input::Resynced(rows) => self.resynced(rows),
            Input::StartupDone => self.startup_done(),
            Input::RoutinesDone => self.routines_done(),
            Input::Polled { lanes, requests, latch, asleep } => {
                self.store_works();
                self.polled(&lanes, requests, latch, asleep);
            }
            Input::Notified => self.wake.notified(self.now.monotonic, &self.settings.tuning),
            Input::Maintained { more } => self.maintained(more),
            Input::Fenced { target, sessions } => self.fenced(&target, sessions),
            Input::FenceFailed { target } => self.fence_failed(&target),
            Input::SessionUnreachable { session } => self.session_unreachable(session),
            Input::Unregistered { sessions } => self.unregistered(&sessions),
            Input::MarksRotated => self.marks_rotated(),
            Input::Shutdown { drain_until } => self.shutdown(drain_until),
            Input::Waiting(lanes) => self.waiting(&lanes),
            Input::Refilled { lane, heads, more } => self.refilled(&lane, heads, more),
            Input::Swept { overdue, promoted, next, failed } => self.swept(overdue, &promoted, next, &failed),
            Input::Asking => self.reading.wanted = true,
            Input::Triggered => self.triggered(),
            Input::Requests { serial, asked, last } => self.requests(serial, asked, last),
            Input::Written { task, run, answer } => self.written(task, run, &answer),
            Input::Changed { task, row } => self.row_changed(task, row.as_ref()),
            Input::Taken { task, row } => self.taken(task, &row),
            Input::Marked { task, run, session } => self.marked(task, run, session),
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
            self.keep_up();
            self.resign_when_drained();
        }
        self.sleep(rang);
        debug_assert!(self.tracked.len() > 64 || self.audit(), "the occupancy differs from a recount");
    }

    fn launches(&self) -> bool {
        matches!(self.lead, Lead::Leads { .. }) && !self.settings.paused && self.drain_until.is_none()
    }

    fn worker_free(&self) -> bool {
        self.occupancy.workers() < self.settings.workers
    }

    fn slot_free(&self, pool: &PoolName) -> bool {
        self.occupancy.of(pool).slots < self.settings.limit(pool)
    }

    fn emit(&mut self, command: Command) {
        self.commands.push_back(command);
    }

    fn track(&mut self, tracked: Tracked) {
        let (task, pool, load) = (tracked.position.task, tracked.lane.pool.clone(), tracked.load());
        debug_assert!(!self.tracked.contains_key(&task), "task {task} is in hand already");
        let (target, claim) = (tracked.lane.target.clone(), tracked.wants_session());
        self.tracked.insert(task, tracked);
        self.count_claim(&target, false, claim);
        self.rebook(&pool, Load::NOTHING, load);
        self.schedule(task);
    }

    fn let_go(&mut self, task: TaskId) -> Option<Tracked> {
        self.free_text(task);
        self.leave_ahead(task);
        let tracked = self.tracked.remove(&task)?;
        self.unschedule(task, tracked.timers);
        if tracked.write().is_some() {
            self.reading.look_again();
        }
        self.count_claim(&tracked.lane.target, tracked.wants_session(), false);
        self.rebook(&tracked.lane.pool, tracked.load(), Load::NOTHING);
        self.forget_offer(&tracked.lane.pool, task);
        Some(tracked)
    }

    /// Moves a task in hand to another stage, keeping the books.
    fn restage(&mut self, task: TaskId, stage: Stage) {
        self.leave_ahead(task);
        let Some(tracked) = self.tracked.get_mut(&task) else { return };
        if tracked.write().is_some() {
            self.reading.look_again();
        }
        let (before, claim_before) = (tracked.load(), tracked.wants_session());
        tracked.stage = stage;
        let (after, pool) = (tracked.load(), tracked.lane.pool.clone());
        let is_offer = matches!(tracked.stage, Stage::Offered { .. });
        let claim = tracked.wants_session();
        if claim != claim_before {
            let target = tracked.lane.target.clone();
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
        if self.occupancy.rebook(pool, before, after) {
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
        self.tracked.get(&task).filter(|tracked| tracked.task.run == run).map(|tracked| &tracked.stage)
    }

    /// Looks at a lane again: the store may have something new for it.
    fn look_at_lane(&mut self, lane: &Lane) {
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
