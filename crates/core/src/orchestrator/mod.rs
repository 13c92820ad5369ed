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
//! The [`Orchestrator`] routes inputs and timers. It owns the [`scheduler`], the [`cycle`] (with
//! [`wake`], [`upkeep`] and [`latch`]) and the [`retries`] of refused commands; [`leading`],
//! [`cycling`] and [`observing`] have the rest of its methods.
//!
//! The scheduler owns the parts that a task passes through. Each part has its file with its
//! invariant and its tests: [`tracked`] (the tasks and what they take), [`sessions`] (target
//! sessions and targets), [`offers`], [`claims_ahead`], [`skipped`], [`requests`], [`leadership`],
//! [`sweep`], [`counters`], [`ended`], and [`context`] (settings, time, commands, [`timers`]). The files whose names end in
//! *-ing* take an event through the parts: [`choosing`], [`launching`], [`requesting`],
//! [`recording`], [`reaching`] and [`confirming`].

mod backoff;
mod choosing;
mod claims_ahead;
pub(crate) mod command;
mod confirming;
mod context;
pub(crate) mod counters;
mod cycle;
mod cycling;
mod ended;
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
mod room;
mod scheduler;
mod sessions;
pub(crate) mod settings;
mod skipped;
mod starts;
mod sweep;
mod timers;
mod tracked;
mod upkeep;
mod wake;

use crate::plan::Refill;
use crate::time::Now;
use command::Command;
use context::Context;
use cycle::Cycle;
use input::Input;
use retries::Retries;
use scheduler::Scheduler;
use sessions::Sessions;
use settings::Settings;
use skipped::Retry;
use timers::Timer;
use tracked::Tracked;

pub use observing::Memory;

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
#[derive(Debug)]
pub struct Orchestrator {
    scheduler: Scheduler,
    cycle: Cycle,
    retries: Retries,
}

impl Orchestrator {
    /// An orchestrator that does not lead yet; `seed` spreads the retries of orchestrators that
    /// fail together.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self::with(Scheduler::new(Context::new(settings, seed), Sessions::default()))
    }

    fn with(scheduler: Scheduler) -> Self {
        Self { cycle: Cycle::new(), retries: Retries::new(scheduler.cx.tuning()), scheduler }
    }

    /// Takes an input in. The monotonic time may stand still, and never goes back; the server's
    /// time may step either way.
    pub fn handle(&mut self, input: Input, now: Now) {
        self.scheduler.cx.advance(now);
        let ticked = matches!(input, Input::Tick);
        self.route(input);
        self.fire_timers();
        self.settle(ticked);
    }

    /// The next command, until there is none.
    pub fn poll_command(&mut self) -> Option<Command> {
        let command = self.scheduler.cx.poll_command();
        if let Some(Command::Launch { task, run, .. }) = &command {
            // A launch that is taken back before does not count.
            self.scheduler.count_start(*task, *run);
        }
        command
    }

    fn route(&mut self, input: Input) {
        let scheduler = &mut self.scheduler;
        match input {
            Input::Tick => {}
            Input::Configured(settings) => self.configured(*settings),
            Input::Elected { epoch, fence, inherited, lanes } => self.elected(epoch, fence, inherited, &lanes),
            Input::Deposed => self.deposed(),
            Input::StoreLost => self.store_lost(),
            Input::StoreBack => {
                if scheduler.leadership.proved(scheduler.cx.monotonic()) {
                    scheduler.cx.emit(Command::Resync { tasks: scheduler.tracked.unconfirmed() });
                }
            }
            Input::MarksLost => scheduler.tracked.marks.lost(),
            Input::ProofFailed => scheduler.leadership.prove_later(&mut scheduler.cx),
            Input::Refused { command, .. } => self.refused(*command),
            Input::Resynced(rows) => self.resynced(rows),
            Input::StartupDone => self.startup_done(),
            Input::RoutinesDone => self.cycle.routines_done(&scheduler.cx),
            Input::Polled { lanes, arrivals, due, requests, latch, writers } => {
                self.polled(lanes, arrivals, due, requests, latch, writers);
            }
            Input::Notified => self.cycle.notified(&scheduler.cx),
            Input::Fenced { target, sessions } => {
                let connected = scheduler.leadership.is_connected();
                scheduler.sessions.fenced(&target, sessions, connected, &mut scheduler.cx, &mut scheduler.plan);
                scheduler.resolve(&target);
            }
            Input::FenceFailed { target } => scheduler.host_unreachable(scheduler.sessions.orphans(&target)),
            Input::SessionUnreachable { session } => scheduler.host_unreachable(scheduler.sessions.lost_task(session)),
            Input::Unregistered { sessions } => scheduler.sessions.unregistered(&sessions),
            Input::MarksRotated => scheduler.tracked.marks.rotated(),
            Input::Shutdown { drain_until } => {
                if scheduler.leadership.drain(drain_until, &mut scheduler.cx) {
                    scheduler.offers.review_all();
                }
            }
            Input::Waiting(lanes) => scheduler.refresh_lanes(&lanes),
            Input::Reviewed(heads) => scheduler.reviewed(heads),
            Input::Refilled { lane, heads, more } => scheduler.refilled(&lane, heads, more),
            Input::Swept { overdue, promoted, next, failed } => self.swept(overdue, &promoted, next, &failed),
            Input::Asking => scheduler.requests.want(),
            Input::Triggered => {
                // User triggers may have made requests, and pushed tasks.
                scheduler.requests.want();
                self.cycle.triggered(&scheduler.cx);
            }
            Input::Requests { serial, asked, last } => scheduler.requests_read(serial, asked, last),
            Input::Written { task, run, answer } => {
                if scheduler.written(task, run, &answer) {
                    self.cycle.written();
                }
            }
            Input::Changed { task, row } => scheduler.row_changed(task, row.as_ref()),
            Input::Taken { task, row } => scheduler.taken(task, &row),
            Input::Marked { task, run, session } => scheduler.marked(task, run, session),
            Input::Connected { session } => scheduler.sessions.connected(session, &mut scheduler.cx),
            Input::ConnectFailed { session, error } => scheduler.connect_failed(session, &error),
            Input::Registered { session } => {
                scheduler.sessions.registered(session, &mut scheduler.cx, &mut scheduler.plan)
            }
            Input::Sent { task, run } => {
                if scheduler.tracked.of_run(task, run).is_some() {
                    scheduler.update(task, Tracked::free_text);
                    scheduler.tracked.sent(task, &mut scheduler.cx);
                }
            }
            Input::Resolved { task, run, outcome } => scheduler.resolved(task, run, outcome),
            Input::QueryEnded { session, task, run, outcome } => scheduler.query_ended(session, task, run, outcome),
            Input::SessionLost { session } => scheduler.session_lost(session),
            Input::SessionGone { session } => scheduler.session_gone(session),
        }
    }

    /// Does what follows from the input. The order matters: requests are read before tasks are
    /// chosen, offers give way before queued tasks look for sessions, and heads are asked for when
    /// the chosen ones have left their windows.
    fn settle(&mut self, ticked: bool) {
        let scheduler = &mut self.scheduler;
        if scheduler.leadership.is_active() {
            scheduler.requests.start_read(&mut scheduler.cx);
            if !scheduler.launches() {
                scheduler.give_back_all(scheduler.tracked.filter(Tracked::is_unlaunched_claim));
            }
            scheduler.choose();
            scheduler.review_offers();
            scheduler.assign_sessions();
            for Refill { lane, after, heads_max } in scheduler.plan.refills(scheduler.cx.tuning().refill_lanes_max) {
                scheduler.cx.emit(Command::Refill { lane, after, heads_max });
            }
            scheduler.sweep.start_if_due(|| scheduler.skipped.skipped(), &mut scheduler.cx);
            let (offers, tracked) = (&scheduler.offers, &scheduler.tracked);
            self.cycle.run(|| offers.tasks(), || tracked.filter(Tracked::is_resting), &mut scheduler.cx);
            scheduler.tracked.rotate_marks_if_due(&mut scheduler.cx);
            self.resign_when_drained();
        }
        let scheduler = &mut self.scheduler;
        // Without the store only the retries are due.
        let timer =
            if scheduler.leadership.is_disconnected() { self.retries.at() } else { scheduler.cx.timers.first() };
        let cycle = if scheduler.leadership.is_active() { self.cycle.due(&scheduler.cx) } else { None };
        scheduler.cx.sleep(timer.into_iter().chain(cycle).min(), ticked);
        debug_assert!(self.scheduler.tracked.len() > 64 || self.audit(), "a count differs from a recount");
    }

    fn fire_timers(&mut self) {
        if self.scheduler.leadership.is_disconnected() {
            // Only the reading of rows is tried again.
            return self.send_refused_again();
        }
        while let Some(timer) = self.scheduler.cx.timers.pop_due(self.scheduler.cx.monotonic()) {
            match timer {
                Timer::Drain => self.scheduler.tracked.pause_running(&mut self.scheduler.cx),
                Timer::Retry => self.send_refused_again(),
                // The sweep itself, and the contact, follow at the end of this input.
                Timer::Sweep | Timer::Contact => {}
                Timer::Task(task) => self.scheduler.task_due(task),
                Timer::Session(session) => {
                    self.scheduler.sessions.on_timer(session, &mut self.scheduler.cx, &mut self.scheduler.plan)
                }
                Timer::Target(target) => self.scheduler.sessions.assign_later(target),
                Timer::Rested(lane) => {
                    self.scheduler.plan.set_resting(&lane, false);
                    self.scheduler.refresh_pool(&lane.pool);
                }
                Timer::Start(pool) => self.scheduler.refresh_pool(&pool),
                Timer::Skipped(task) => match self.scheduler.skipped.on_timer(task, &mut self.scheduler.cx) {
                    Some(Retry::Lane(lane)) => self.scheduler.refresh_lane(&lane),
                    Some(Retry::Sweep) => self.scheduler.sweep.at_once(&mut self.scheduler.cx),
                    None => {}
                },
            }
        }
    }
}
