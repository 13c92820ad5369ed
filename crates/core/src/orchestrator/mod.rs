//! The orchestrator: inputs go in, commands come out.
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
//! [`Command::is_for_store`]), call [`Orchestrator::handle`] with their answers, and call it with
//! [`Input::Tick`] when the time of [`Command::SleepUntil`] has come. Nothing here waits.
//!
//! The state has owners. Each part has one file with its invariant and its tests: [`tracked`] (the
//! tasks and what they take), [`sessions`] (target sessions and targets), [`offers`],
//! [`claims_ahead`], [`requests`], [`leadership`], [`timers`], [`retries`], [`skipped`], [`sweep`],
//! [`wake`], [`latch`], [`marks`] and [`upkeep`]; [`context`] has what all of them need. The files
//! whose names end in *-ing* route an event through the parts: [`electing`], [`choosing`],
//! [`offering`], [`launching`], [`stopping`], [`ending`], [`recording`], [`confirming`],
//! [`requesting`], [`reaching`], [`cycling`] and [`draining`].

mod backoff;
mod choosing;
mod claims_ahead;
pub(crate) mod command;
mod confirming;
mod context;
mod cycling;
mod draining;
mod electing;
mod ending;
pub(crate) mod input;
mod latch;
mod launching;
mod leadership;
mod marks;
mod occupancy;
mod offering;
mod offers;
mod reaching;
mod recording;
mod requesting;
mod requests;
mod retries;
mod sessions;
pub(crate) mod settings;
mod skipped;
mod stopping;
mod sweep;
mod timers;
mod tracked;
mod upkeep;
mod wake;

use crate::names::{Epoch, PoolName, Run, TaskId};
use crate::plan::Plan;
use crate::plan::lane::Lane;
use crate::time::{MonotonicTime, Now, Timestamp};
use claims_ahead::ClaimsAhead;
use command::Command;
use context::Context;
use input::Input;
use latch::Latch;
use leadership::Leadership;
use marks::Marks;
use offers::Offers;
use requests::Requests;
use retries::Retries;
use sessions::Sessions;
use settings::Settings;
use skipped::SkippedTasks;
use sweep::Sweep;
use timers::Timer;
use tracked::{Change, Detached, Stage, Tracked, TrackedTasks};
use upkeep::Upkeep;
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
/// Invariant: `plan` has no task that is tracked, except those that are claimed ahead. At most one
/// write about a task is under way.
#[derive(Debug)]
pub struct Orchestrator {
    cx: Context,
    leadership: Leadership,
    plan: Plan,
    tracked: TrackedTasks,
    sessions: Sessions,
    offers: Offers,
    claims_ahead: ClaimsAhead,
    requests: Requests,
    skipped: SkippedTasks,
    sweep: Sweep,
    wake: Wake,
    upkeep: Upkeep,
    latch: Latch,
    marks: Marks,
    retries: Retries,
}

impl Orchestrator {
    /// An orchestrator that does not lead yet; `seed` spreads the retries of orchestrators that fail
    /// together.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self::with(Context::new(settings, seed), Sessions::default())
    }

    fn with(cx: Context, sessions: Sessions) -> Self {
        let tuning = *cx.tuning();
        Self {
            cx,
            leadership: Leadership::new(&tuning),
            plan: Plan::new(),
            tracked: TrackedTasks::default(),
            sessions,
            offers: Offers::default(),
            claims_ahead: ClaimsAhead::default(),
            requests: Requests::default(),
            skipped: SkippedTasks::default(),
            sweep: Sweep::default(),
            wake: Wake::new(MonotonicTime::from_micros(i64::MIN)),
            upkeep: Upkeep::new(),
            latch: Latch::default(),
            marks: Marks::default(),
            retries: Retries::new(&tuning),
        }
    }

    /// Takes an input in. The monotonic time may stand still, and never goes back; the server's time
    /// may step either way.
    pub fn handle(&mut self, input: Input, now: Now) {
        self.cx.advance(now);
        let ticked = matches!(input, Input::Tick);
        self.route(input);
        self.fire_timers();
        self.settle(ticked);
    }

    /// The next command, until there is none.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.cx.poll_command()
    }

    /// How many slots of the pool are taken.
    #[must_use]
    pub fn slots_taken(&self, pool: &PoolName) -> u32 {
        self.tracked.occupancy().of(pool).slots
    }

    /// Every pool of which a slot is taken, and how many are.
    pub fn occupancy(&self) -> impl Iterator<Item = (&PoolName, u32)> {
        self.tracked.occupancy().pools().map(|(pool, taken)| (pool, taken.slots))
    }

    /// Tracked tasks of which no query runs: pulled, yielded, or finished while a lost session may
    /// run the query. Others may change their rows; see [`Input::Changed`].
    pub fn resting(&self) -> impl Iterator<Item = TaskId> {
        let rests = |tracked: &Tracked| matches!(tracked.stage(), Stage::Pulled | Stage::Yielded | Stage::Abandoned);
        self.tracked.iter().filter(move |(_, tracked)| rests(tracked)).map(|(task, _)| task)
    }

    /// Whether the text that comes with the mark of this launch is still wanted.
    #[must_use]
    pub fn awaits_text(&self, task: TaskId, run: Run) -> bool {
        let waits = |stage: &Stage| stage.is_unlaunched_claim() || matches!(stage, Stage::Marking { .. });
        self.stage(task, run).is_some_and(waits)
    }

    /// How often in a row the task's row could not be written.
    #[must_use]
    pub fn write_failures(&self, task: TaskId) -> u32 {
        let tracked = self.tracked.get(task).map_or(0, |tracked| tracked.backoff.failures());
        tracked.max(self.skipped.failures(task))
    }

    /// How many workers are busy.
    #[must_use]
    pub const fn workers_busy(&self) -> u32 {
        self.tracked.occupancy().workers()
    }

    /// The epoch in which it leads.
    #[must_use]
    pub const fn epoch(&self) -> Option<Epoch> {
        self.leadership.epoch()
    }

    /// Tasks and heads in memory: bounded by limits, not by the backlog.
    #[must_use]
    pub fn tasks_in_memory(&self) -> usize {
        self.tracked.len() + self.plan.heads()
    }

    /// Names of pools, targets and lanes in memory: bounded by what runs and waits, not by what once
    /// did.
    #[must_use]
    pub fn names_in_memory(&self) -> usize {
        self.claims_ahead.names()
            + self.sessions.names()
            + self.offers.names()
            + self.skipped.len()
            + self.tracked.occupancy().pools().count()
            + self.plan.names()
    }

    /// Sessions with targets.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Timers: a few at most for each tracked task, session and target.
    #[must_use]
    pub fn timers(&self) -> usize {
        self.cx.timers.len()
    }

    /// Recounts what tasks take and what targets have, and returns whether the counts agree.
    #[must_use]
    pub fn audit(&self) -> bool {
        self.tracked.audit() && self.sessions.audit()
    }

    fn route(&mut self, input: Input) {
        match input {
            Input::Tick => {}
            Input::Configured(settings) => self.configured(*settings),
            Input::Elected { epoch, fence, inherited, lanes } => self.elected(epoch, fence, inherited, &lanes),
            Input::Deposed => self.deposed(),
            Input::StoreLost => self.store_lost(),
            Input::StoreBack => self.store_back(),
            Input::MarksLost => self.marks.lost(),
            Input::ProofFailed => self.prove_later(),
            Input::Refused { command, .. } => self.refused(*command),
            Input::Resynced(rows) => self.resynced(rows),
            Input::StartupDone => self.startup_done(),
            Input::RoutinesDone => self.routines_done(),
            Input::Polled { lanes, requests, latch, asleep } => {
                self.retries.succeeded();
                self.polled(&lanes, requests, latch, asleep);
            }
            Input::Notified => self.wake.notified(self.cx.monotonic(), self.cx.tuning()),
            Input::Maintained { more } => self.upkeep.maintained(more, &self.cx),
            Input::Fenced { target, sessions } => self.fenced(&target, sessions),
            Input::FenceFailed { target } => self.fence_failed(&target),
            Input::SessionUnreachable { session } => self.session_unreachable(session),
            Input::Unregistered { sessions } => self.sessions.unregistered(&sessions),
            Input::MarksRotated => self.marks.rotated(),
            Input::Shutdown { drain_until } => self.shutdown(drain_until),
            Input::Waiting(lanes) => self.waiting(&lanes),
            Input::Refilled { lane, heads, more } => self.refilled(&lane, heads, more),
            Input::Swept { overdue, promoted, next, failed } => self.swept(overdue, &promoted, next, &failed),
            Input::Asking => self.requests.want(),
            Input::Triggered => self.triggered(),
            Input::Requests { serial, asked, last } => self.requests_read(serial, asked, last),
            Input::Written { task, run, answer } => self.written(task, run, &answer),
            Input::Changed { task, row } => self.row_changed(task, row.as_ref()),
            Input::Taken { task, row } => self.taken(task, &row),
            Input::Marked { task, run, session } => self.marked(task, run, session),
            Input::Connected { session } => self.sessions.connected(session, &mut self.cx),
            Input::ConnectFailed { session, error } => self.connect_failed(session, &error),
            Input::Registered { session } => self.sessions.registered(session, &mut self.cx, &mut self.plan),
            Input::Sent { task, run } => self.sent(task, run),
            Input::QueryEnded { session, task, run, outcome } => self.query_ended(session, task, run, outcome),
            Input::SessionLost { session } => self.session_lost(session),
            Input::SessionGone { session } => self.session_gone(session),
        }
    }

    /// Does what follows from the input. The order matters: requests are read before tasks are
    /// chosen, offers give way before queued tasks look for sessions, and heads are asked for when the
    /// chosen ones have left their windows.
    fn settle(&mut self, ticked: bool) {
        if self.leadership.is_active() {
            self.read_requests();
            self.give_back_unlaunched();
            self.choose();
            self.review_offers();
            self.assign_sessions();
            self.ask_for_heads();
            self.sweep_if_due();
            self.run_cycle();
            self.resign_when_drained();
        }
        self.cx.sleep(self.next_due(), ticked);
        debug_assert!(self.tracked.len() > 64 || self.audit(), "a count differs from a recount");
    }

    fn fire_timers(&mut self) {
        if self.leadership.is_disconnected() {
            // Only the reading of rows is tried again.
            return self.send_refused_again();
        }
        while let Some(timer) = self.cx.timers.pop_due(self.cx.monotonic()) {
            match timer {
                Timer::Drain => self.drain(),
                Timer::Retry => self.send_refused_again(),
                // The sweep itself follows at the end of this input.
                Timer::Sweep => {}
                Timer::Task(task) => self.task_due(task),
                Timer::Session(session) => self.sessions.on_timer(session, &mut self.cx, &mut self.plan),
                Timer::Target(target) => self.sessions.assign_later(target),
                Timer::Rested(lane) => {
                    self.plan.set_resting(&lane, false);
                    self.refresh_pool(&lane.pool);
                }
                Timer::Skipped(task) => self.skip_over(task),
            }
        }
    }

    /// When something is due, if nothing happens before.
    fn next_due(&self) -> Option<MonotonicTime> {
        // Without the store only the retries are due.
        let timer = if self.leadership.is_disconnected() { self.retries.at() } else { self.cx.timers.first() };
        timer.into_iter().chain(self.cycle_due()).min()
    }

    fn launches(&self) -> bool {
        self.leadership.is_active() && !self.cx.settings().paused && !self.leadership.is_draining()
    }

    fn worker_free(&self) -> bool {
        self.workers_busy() < self.cx.settings().workers
    }

    fn slot_free(&self, pool: &PoolName) -> bool {
        self.slots_taken(pool) < self.cx.settings().limit(pool)
    }

    fn stage(&self, task: TaskId, run: Run) -> Option<&Stage> {
        self.tracked.get(task).filter(|tracked| tracked.task().run == run).map(Tracked::stage)
    }

    fn track(&mut self, tracked: Tracked) {
        let task = tracked.position.task;
        let offered = matches!(tracked.stage(), Stage::Offered { .. });
        let change = self.tracked.insert(tracked, &mut self.cx);
        let pool = change.pool.clone();
        self.apply(change);
        if offered {
            self.offers.insert(pool, task);
        }
    }

    fn untrack(&mut self, task: TaskId) -> Option<Tracked> {
        self.free_text(task);
        self.leave_ahead(task);
        let (tracked, change) = self.tracked.remove(task, &mut self.cx)?;
        self.apply(change);
        self.offers.remove(&tracked.lane.pool, task);
        Some(tracked)
    }

    fn set_stage(&mut self, task: TaskId, stage: Stage) {
        self.leave_ahead(task);
        let offered = matches!(stage, Stage::Offered { .. });
        let Some(change) = self.tracked.set_stage(task, stage, &mut self.cx) else { return };
        let pool = change.pool.clone();
        self.apply(change);
        if offered {
            self.offers.insert(pool, task);
        } else {
            self.offers.remove(&pool, task);
        }
    }

    /// Sets whether a query of the task may run on a lost session.
    fn set_detached(&mut self, task: TaskId, detached: Detached) {
        if let Some(change) = self.tracked.set_detached(task, detached, &self.cx) {
            self.apply(change);
        }
    }

    /// Tells the other parts what the change of a task means for them.
    fn apply(&mut self, change: Change) {
        if change.write_ended {
            self.requests.retry_deferred();
        }
        if let Some(wants) = change.wants_session {
            self.sessions.count_claim(&change.target, wants, &mut self.plan);
        }
        if change.first_worker_freed {
            // Queries may want the slots of offers again.
            self.offers.review_all();
        }
        if change.starts_resting {
            self.claims_ahead.review(change.pool.clone());
        }
        if change.slots_changed {
            self.refresh_pool(&change.pool);
        }
    }

    /// Tells the plan whether the pool has a free slot.
    fn refresh_pool(&mut self, pool: &PoolName) {
        let (open, heads) = (self.slot_free(pool), self.cx.settings().window_heads(pool));
        self.plan.set_pool(pool, open, heads);
        if !open {
            self.claims_ahead.review(pool.clone());
            if self.offers.has(pool) {
                self.offers.review(pool.clone());
            }
        }
    }

    /// The store may have something new for the lane.
    fn refresh_lane(&mut self, lane: &Lane) {
        self.plan.stale(lane);
        self.sessions.refresh_target(&lane.target, &mut self.plan);
        self.refresh_pool(&lane.pool);
        self.offers.review(lane.pool.clone());
    }

    fn sweep_by(&mut self, when: MonotonicTime) {
        self.sweep.by(when, &mut self.cx.timers);
    }

    /// Schedules a sweep for a time of the server's clock, if there is one.
    fn sweep_by_server_time(&mut self, when: Option<Timestamp>) {
        if let Some(when) = when {
            self.sweep_by(self.cx.now().monotonic_at(when));
        }
    }
}
