//! The loop: events in, commands out.

mod answers;
mod commands;
mod leaving;
mod sessions;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pgasync_core::{Input, Orchestrator, Run, Settings, TaskId, Timestamp};
use pgasync_store::{Election, Lead, Op, Settings as ServerSettings};
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use crate::campaign::Options;
use crate::clock::{Clock, instant};
use crate::ends::{Ending, Stop};
use crate::events::{Event, Events};
use crate::publish::Publisher;
use crate::rhythm::{Beat, Rhythm};
use crate::scribe::Scribe;
use crate::sessions::Sessions;
use leaving::Leaving;

/// Events taken in before commands are carried out.
const EVENTS_MAX: usize = 1_024;

const MAINTAIN_EVERY: Duration = Duration::from_secs(1);

/// Tasks that others may have changed by hand are read again so often.
const AUDIT_EVERY: Duration = Duration::from_secs(60);

/// Operations that wait for the lead to be back. Without those beyond, sessions that are gone stay in the registry.
const UNTOLD_MAX: usize = 10_000;

/// LOOP routines run at most so often.
const ROUTINES_PAUSE_MIN: Duration = Duration::from_millis(10);

/// An orchestrator that leads.
pub(crate) struct Engine {
    options: Options,
    server: ServerSettings,
    core: Orchestrator,
    clock: Arc<Mutex<Clock>>,
    settings: Settings,
    busy_sleep: Duration,
    has_routines: bool,
    scribe: Option<Scribe>,
    /// What is to be written once the lead is back.
    untold: Vec<Op>,
    /// When the lead was last proved.
    proved_at: Option<Instant>,
    /// How often it was lost again soon after.
    losses: u32,
    sessions: Sessions,
    texts: HashMap<(TaskId, Run), Option<String>>,
    events: Events,
    rhythm: Rhythm,
    publisher: Publisher,
    core_wakes: Option<Timestamp>,
    routines_at: Instant,
    stirred: bool,
    maintain_at: Instant,
    audit_at: Instant,
    vacuuming: bool,
    latch: Option<Latch>,
    latch_served: i64,
    /// It was asked to end, and why.
    draining: Option<String>,
    /// When patience with that ends.
    drained_by: Option<Instant>,
    /// The core is done.
    leaving: Option<Leaving>,
}

/// Callers wait for a cycle that began after this number was asked for.
struct Latch {
    number: i64,
    batches: u32,
    routines_ran: bool,
}

impl Engine {
    pub(crate) fn new(
        options: Options,
        server: ServerSettings,
        lead: Lead,
        election: Election,
        events: Events,
        seed: u64,
    ) -> Self {
        let Election { now, fence, inherited, lanes, mut configuration } = election;
        options.timeouts.tune(&mut configuration.settings);
        let clock = Arc::new(Mutex::new(Clock::set(now)));
        let leading = format!("leading: Rust engine, epoch {}, pid {}", lead.epoch(), lead.pid());
        let at = instant();
        let mut sessions = Sessions::new(server.clone(), lead.server_id().to_owned(), lead.epoch(), options.timeouts);
        sessions.targets = configuration.targets;
        let mut core = Orchestrator::new(configuration.settings.clone(), seed);
        let epoch = lead.epoch();
        // The candidate has waited for the last leader before it took the locks.
        core.handle(Input::Elected { epoch, at_once: true, fence, inherited, lanes }, now);
        let scribe = Scribe::hire(lead, server.clone(), options.timeouts, Arc::clone(&clock), events.clone());
        let mut engine = Self {
            options,
            server,
            core,
            settings: configuration.settings,
            busy_sleep: configuration.busy_sleep.max(ROUTINES_PAUSE_MIN),
            has_routines: configuration.has_routines,
            scribe: Some(scribe),
            untold: Vec::new(),
            proved_at: None,
            losses: 0,
            clock,
            sessions,
            texts: HashMap::new(),
            events,
            rhythm: Rhythm::new(at, configuration.idle_sleep),
            publisher: Publisher::new(at),
            core_wakes: None,
            routines_at: at,
            stirred: false,
            maintain_at: at + MAINTAIN_EVERY,
            audit_at: at + AUDIT_EVERY,
            vacuuming: false,
            latch: None,
            latch_served: 0,
            draining: None,
            drained_by: None,
            leaving: None,
        };
        engine.tell(Op::Log { level: "NOTICE", message: leading });
        engine
    }

    pub(crate) async fn run(
        mut self,
        mut inbox: mpsc::UnboundedReceiver<Event>,
        stops: &mut mpsc::Receiver<Stop>,
    ) -> Ending {
        let mut events = Vec::new();
        let mut stops_open = true;
        loop {
            self.carry_out();
            self.keep_time();
            self.carry_out();
            if let Some(ending) = self.has_ended() {
                return ending;
            }
            tokio::select! {
                biased;
                stop = stops.recv(), if stops_open => match stop {
                    Some(Stop::Drain) if self.draining.is_none() => {
                        self.drain("asked to by a signal".to_owned(), self.options.drain_timeout);
                    }
                    Some(Stop::Drain | Stop::Now) => return Ending::AtOnce,
                    None => stops_open = false,
                },
                _ = inbox.recv_many(&mut events, EVENTS_MAX) => {
                    for event in events.drain(..) {
                        if let Some(ending) = self.take_in(event) {
                            return ending;
                        }
                    }
                }
                () = at_last(self.next()) => {}
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner).now()
    }

    fn handle(&mut self, mut input: Input) {
        if let Input::Configured(settings) = &mut input {
            self.options.timeouts.tune(settings);
        }
        let now = self.now();
        self.core.handle(input, now);
    }

    fn tell(&mut self, op: Op) {
        let refused = match &mut self.scribe {
            Some(scribe) => scribe.tell(op),
            None => Some(op),
        };
        // The core knows what became of its own; these nobody would tell again.
        let kept = refused.filter(|op| op.is_told_once() && self.untold.len() < UNTOLD_MAX);
        self.untold.extend(kept);
    }

    fn log(&mut self, level: &'static str, message: String) {
        match level {
            "ERROR" => tracing::error!("{message}"),
            "WARNING" => tracing::warn!("{message}"),
            _ => tracing::info!("{message}"),
        }
        self.tell(Op::Log { level, message });
    }

    /// When something has to be done, if nothing happens before.
    fn next(&self) -> Option<Instant> {
        let clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let core = self.core_wakes.map(|time| clock.instant_of(time));
        let closing = match self.leaving {
            Some(Leaving::Closing { until }) => Some(until),
            _ => None,
        };
        // What only the scribe can do is not waited for while there is none, nor what was asked of it already.
        let leads = self.scribe.is_some() && self.leaving.is_none();
        let told = [
            Some(self.maintain_at),
            Some(self.publisher.next()),
            Some(self.audit_at),
            self.rhythm.next(),
            (self.has_routines && self.stirred).then_some(self.routines_at),
        ];
        let told = told.into_iter().flatten().filter(|_| leads).min();
        [core, closing, self.drained_by, told].into_iter().flatten().min()
    }

    /// Does what it is time for.
    fn keep_time(&mut self) {
        let at = instant();
        let now = self.now();
        if self.core_wakes.is_some_and(|time| time <= now) {
            self.core_wakes = None;
            self.core.handle(Input::Tick, now);
        }
        if self.scribe.is_none() || self.leaving.is_some() {
            return;
        }
        let beat = self.rhythm.beat(at);
        self.follow(beat);
        if let Some(published) = self.publisher.publish(at, &self.core, &self.settings, &self.sessions) {
            self.tell(Op::Publish(published));
        }
        if self.has_routines && self.stirred && self.routines_at <= at {
            self.run_routines(at);
        }
        if self.maintain_at <= at {
            self.maintain_at = at + MAINTAIN_EVERY;
            self.tell(Op::Maintain);
        }
        if self.audit_at <= at {
            self.audit_at = at + AUDIT_EVERY;
            self.texts.retain(|(task, run), _| self.core.awaits_text(*task, *run));
            let resting: Vec<TaskId> = self.core.resting().collect();
            self.tell(Op::Reread(resting));
        }
        self.serve_latch();
    }

    fn run_routines(&mut self, at: Instant) {
        self.stirred = false;
        self.routines_at = at + self.busy_sleep;
        self.tell(Op::Routines);
    }

    fn follow(&mut self, beat: Option<Beat>) {
        match beat {
            Some(Beat::Look) => self.tell(Op::Look),
            Some(Beat::FallAsleep) => self.tell(Op::FallAsleep),
            Some(Beat::WakeUp) => {
                self.tell(Op::WakeUp);
                self.tell(Op::Look);
            }
            None => {}
        }
    }

    fn stir(&mut self) {
        let beat = self.rhythm.stir(instant());
        self.follow(beat);
    }

    fn take_in(&mut self, event: Event) -> Option<Ending> {
        match event {
            Event::Core(input) => self.hear(input),
            Event::Answered { count, answers } => self.answered(count, *answers),
            Event::LeadLost { lead, untold, reason } => self.lead_lost(*lead, untold, &reason),
            Event::LeadBack(lead) => self.lead_back(*lead),
            Event::Deposed => {
                self.handle(Input::Deposed);
                self.carry_out();
                return Some(Ending::Deposed);
            }
            Event::SteppedDown => self.leaving = Some(Leaving::Gone),
            Event::Notified => self.stir(),
            Event::Opened { session, result: Ok(opened) } => {
                if let Some(target) = self.sessions.opened(session, opened) {
                    self.log("NOTICE", format!("target \"{target}\" is back"));
                }
                self.handle(Input::Connected { session });
            }
            Event::Opened { session, result: Err(error) } => {
                self.connect_failed(session, None, &error);
            }
            Event::Closed { session } | Event::Gone { session } => self.gone(session),
            Event::Fenced { target, numbers } => {
                if !numbers.is_empty() {
                    self.log(
                        "NOTICE",
                        format!("ended {} sessions of older orchestrators at target \"{target}\"", numbers.len()),
                    );
                }
                self.tell(Op::ForgetOld(numbers));
                self.handle(Input::Fenced { target });
            }
            Event::Vacuumed(done) => {
                self.vacuuming = false;
                if let Err(error) = done {
                    self.log("WARNING", error.to_string());
                }
            }
            Event::Trouble(message) => self.log("WARNING", message),
        }
        None
    }
}

/// At that time, or never.
async fn at_last(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}
