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
//! The state has owners. Each part has its file with its invariant and its tests: [`tracked`] (the
//! tasks and what they take), [`sessions`] (target sessions and targets), [`offers`],
//! [`claims_ahead`], [`skipped`], [`requests`], [`leadership`], [`cycle`] (with [`wake`],
//! [`upkeep`] and [`latch`]), [`sweep`], [`retries`] and [`timers`]; [`context`] has what all of
//! them need. This file and those whose names end in *-ing* take an event through the parts:
//! [`leading`], [`choosing`], [`launching`], [`recording`], [`confirming`], [`requesting`],
//! [`reaching`] and [`cycling`].

mod backoff;
mod choosing;
mod claims_ahead;
pub(crate) mod command;
mod confirming;
mod context;
mod cycle;
mod cycling;
pub(crate) mod input;
mod latch;
mod launching;
mod leadership;
mod leading;
mod marks;
mod observing;
mod occupancy;
mod offers;
mod reaching;
mod recording;
mod requesting;
mod requests;
mod retries;
mod sessions;
pub(crate) mod settings;
mod skipped;
mod sweep;
mod timers;
mod tracked;
mod upkeep;
mod wake;

use crate::names::PoolName;
use crate::plan::Plan;
use crate::plan::lane::Lane;
use crate::time::Now;
use claims_ahead::ClaimsAhead;
use command::Command;
use context::Context;
use cycle::Cycle;
use input::Input;
use leadership::Leadership;
use offers::Offers;
use requests::Requests;
use retries::Retries;
use sessions::Sessions;
use settings::Settings;
use skipped::{Retry, SkippedTasks};
use sweep::Sweep;
use timers::Timer;
use tracked::{Change, Tracked, TrackedTasks};

pub use observing::Memory;

use crate::names::TaskId;

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
    cycle: Cycle,
    retries: Retries,
}

impl Orchestrator {
    /// An orchestrator that does not lead yet; `seed` spreads the retries of orchestrators that
    /// fail together.
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
            cycle: Cycle::new(),
            retries: Retries::new(&tuning),
        }
    }

    /// Takes an input in. The monotonic time may stand still, and never goes back; the server's
    /// time may step either way.
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

    fn route(&mut self, input: Input) {
        match input {
            Input::Tick => {}
            Input::Configured(settings) => self.configured(*settings),
            Input::Elected { epoch, fence, inherited, lanes } => self.elected(epoch, fence, inherited, &lanes),
            Input::Deposed => self.deposed(),
            Input::StoreLost => self.store_lost(),
            Input::StoreBack => {
                if self.leadership.proved(self.cx.monotonic()) {
                    self.cx.emit(Command::Resync { tasks: self.tracked.unconfirmed() });
                }
            }
            Input::MarksLost => self.tracked.marks.lost(),
            Input::ProofFailed => self.leadership.prove_later(&mut self.cx),
            Input::Refused { command, .. } => self.refused(*command),
            Input::Resynced(rows) => self.resynced(rows),
            Input::StartupDone => self.startup_done(),
            Input::RoutinesDone => self.cycle.routines_done(&self.cx),
            Input::Polled { lanes, requests, latch, asleep } => self.polled(&lanes, requests, latch, asleep),
            Input::Notified => self.cycle.notified(&self.cx),
            Input::Maintained { more } => self.cycle.maintained(more, &self.cx),
            Input::Fenced { target, sessions } => {
                let connected = self.leadership.is_connected();
                self.sessions.fenced(&target, sessions, connected, &mut self.cx, &mut self.plan);
                self.resolve(&target);
            }
            Input::FenceFailed { target } => self.host_unreachable(self.sessions.orphans(&target)),
            Input::SessionUnreachable { session } => self.host_unreachable(self.sessions.lost_task(session)),
            Input::Unregistered { sessions } => self.sessions.unregistered(&sessions),
            Input::MarksRotated => self.tracked.marks.rotated(),
            Input::Shutdown { drain_until } => {
                if self.leadership.drain(drain_until, &mut self.cx) {
                    self.offers.review_all();
                }
            }
            Input::Waiting(lanes) => self.refresh_lanes(&lanes),
            Input::Refilled { lane, heads, more } => self.refilled(&lane, heads, more),
            Input::Swept { overdue, promoted, next, failed } => self.swept(overdue, &promoted, next, &failed),
            Input::Asking => self.requests.want(),
            Input::Triggered => {
                // User triggers may have made requests, and pushed tasks.
                self.requests.want();
                self.cycle.triggered(&self.cx);
            }
            Input::Requests { serial, asked, last } => self.requests_read(serial, asked, last),
            Input::Written { task, run, answer } => self.written(task, run, &answer),
            Input::Changed { task, row } => self.row_changed(task, row.as_ref()),
            Input::Taken { task, row } => self.taken(task, &row),
            Input::Marked { task, run, session } => self.marked(task, run, session),
            Input::Connected { session } => self.sessions.connected(session, &mut self.cx),
            Input::ConnectFailed { session, error } => self.connect_failed(session, &error),
            Input::Registered { session } => self.sessions.registered(session, &mut self.cx, &mut self.plan),
            Input::Sent { task, run } => {
                if self.tracked.of_run(task, run).is_some() {
                    self.update(task, Tracked::free_text);
                }
            }
            Input::QueryEnded { session, task, run, outcome } => self.query_ended(session, task, run, outcome),
            Input::SessionLost { session } => self.session_lost(session),
            Input::SessionGone { session } => self.session_gone(session),
        }
    }

    /// Does what follows from the input. The order matters: requests are read before tasks are
    /// chosen, offers give way before queued tasks look for sessions, and heads are asked for when
    /// the chosen ones have left their windows.
    fn settle(&mut self, ticked: bool) {
        if self.leadership.is_active() {
            self.requests.start_read(&mut self.cx);
            if !self.launches() {
                self.give_back_all(self.tracked.filter(Tracked::is_unlaunched_claim));
            }
            self.choose();
            self.review_offers();
            self.assign_sessions();
            for (lane, heads_max) in self.plan.refills(self.cx.tuning().refill_lanes_max) {
                self.cx.emit(Command::Refill { lane, heads_max });
            }
            self.sweep.start_if_due(|| self.skipped.skipped(), &mut self.cx);
            let (offers, tracked) = (&self.offers, &self.tracked);
            self.cycle.run(|| offers.tasks(), || tracked.filter(Tracked::is_resting), &mut self.cx);
            self.tracked.rotate_marks_if_due(&mut self.cx);
            self.resign_when_drained();
        }
        // Without the store only the retries are due.
        let timer = if self.leadership.is_disconnected() { self.retries.at() } else { self.cx.timers.first() };
        let cycle = if self.leadership.is_active() { self.cycle.due(&self.cx) } else { None };
        self.cx.sleep(timer.into_iter().chain(cycle).min(), ticked);
        debug_assert!(self.tracked.len() > 64 || self.audit(), "a count differs from a recount");
    }

    fn fire_timers(&mut self) {
        if self.leadership.is_disconnected() {
            // Only the reading of rows is tried again.
            return self.send_refused_again();
        }
        while let Some(timer) = self.cx.timers.pop_due(self.cx.monotonic()) {
            match timer {
                Timer::Drain => self.tracked.pause_running(&mut self.cx),
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
                Timer::Skipped(task) => match self.skipped.on_timer(task, &mut self.cx) {
                    Some(Retry::Lane(lane)) => self.refresh_lane(&lane),
                    Some(Retry::Sweep) => self.sweep.at_once(&mut self.cx),
                    None => {}
                },
            }
        }
    }

    /// Queries may be claimed and sent.
    fn launches(&self) -> bool {
        self.leadership.is_active() && !self.cx.settings().paused && !self.leadership.is_draining()
    }

    fn track(&mut self, tracked: Tracked) {
        let change = self.tracked.insert(tracked, &mut self.cx);
        self.apply(change);
    }

    fn untrack(&mut self, task: TaskId) -> Option<Tracked> {
        let (tracked, change) = self.tracked.remove(task, &mut self.cx)?;
        self.apply(change);
        Some(tracked)
    }

    fn update(&mut self, task: TaskId, change: impl FnOnce(&mut Tracked)) {
        if let Some(change) = self.tracked.update(task, change, &mut self.cx) {
            self.apply(change);
        }
    }

    /// Passes the change of a task on to the other parts.
    fn apply(&mut self, change: Change) {
        if change.text_freed {
            self.sessions.wake_starved();
        }
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
        self.claims_ahead.replace(&change.pool, change.position, change.ahead);
        if change.starts_resting {
            self.claims_ahead.review(change.pool.clone());
        }
        if change.slots_changed {
            self.refresh_pool(&change.pool);
        }
        if let Some(offered) = change.offered {
            self.offers.set(change.pool, change.position.task, offered);
        }
    }

    /// Tells the plan whether the pool has a free slot.
    fn refresh_pool(&mut self, pool: &PoolName) {
        let (open, heads) = (self.tracked.slot_free(pool, &self.cx), self.cx.settings().window_heads(pool));
        self.plan.set_pool(pool, open, heads);
        if !open {
            self.claims_ahead.review(pool.clone());
            self.offers.review_if_any(pool);
        }
    }

    /// The store may have something new for these lanes.
    fn refresh_lanes(&mut self, lanes: &[Lane]) {
        for lane in lanes {
            self.refresh_lane(lane);
        }
    }

    fn refresh_lane(&mut self, lane: &Lane) {
        self.plan.stale(lane);
        self.sessions.refresh_target(&lane.target, &mut self.plan);
        self.refresh_pool(&lane.pool);
        self.offers.review(lane.pool.clone());
    }
}
