//! The loop: events in, commands out.

mod answers;
mod commands;
mod leaving;
mod sessions;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use pgasync_core::{Input, MonotonicTime, Now, Orchestrator, Run, TaskId};
use pgasync_pg::ConnectionSettings;
use pgasync_store::{Election, Lead, Op};
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use crate::campaign::Options;
use crate::clock::{Clock, instant, instant_of};
use crate::ends::{Ending, Stop};
use crate::events::{Event, Events};
use crate::leader_writer::LeaderWriter;
use crate::publish::Publisher;
use crate::sessions::Sessions;
use leaving::Leaving;

/// Events taken in before commands are carried out.
const EVENTS_MAX: usize = 1_024;

/// Log lines that wait for the lead to be back.
const UNTOLD_MAX: usize = 10_000;

/// An orchestrator that leads.
pub(crate) struct Engine {
    options: Options,
    server: ConnectionSettings,
    core: Orchestrator,
    clock: Arc<Mutex<Clock>>,
    workers: u32,
    writer: Option<LeaderWriter>,
    /// The lead whose session is lost, between two attempts to prove it.
    lost_lead: Option<Box<Lead>>,
    /// What is to be written once the lead is back.
    untold: Vec<Op>,
    sessions: Sessions,
    texts: HashMap<(TaskId, Run), Option<String>>,
    events: Events,
    publisher: Publisher,
    core_wakes: Option<MonotonicTime>,
    vacuuming: bool,
    /// It was asked to end, and why.
    draining: Option<String>,
    /// When patience with that ends.
    drained_by: Option<Instant>,
    /// The core is done.
    leaving: Option<Leaving>,
}

impl Engine {
    pub(crate) fn new(
        options: Options,
        server: ConnectionSettings,
        lead: Lead,
        election: Election,
        events: Events,
        seed: u64,
    ) -> Self {
        let Election { now, fence, inherited, lanes, mut configuration } = election;
        options.timeouts.tune(&mut configuration.settings);
        let clock = Clock::set(now);
        let leading = format!("leading: Rust engine, epoch {}, pid {}", lead.epoch(), lead.pid());
        let timeouts = options.timeouts;
        let mut sessions =
            Sessions::new(server.clone(), lead.server_id().to_owned(), lead.epoch(), lead.election_name(), timeouts);
        sessions.targets = configuration.targets;
        let workers = configuration.settings.workers;
        let mut core = Orchestrator::new(configuration.settings, seed);
        core.handle(Input::Elected { epoch: lead.epoch(), fence, inherited, lanes }, clock.now());
        let clock = Arc::new(Mutex::new(clock));
        let writer = LeaderWriter::start(lead, server.clone(), timeouts, Arc::clone(&clock), events.clone());
        let mut engine = Self {
            options,
            server,
            core,
            clock,
            workers,
            writer: Some(writer),
            lost_lead: None,
            untold: Vec::new(),
            sessions,
            texts: HashMap::new(),
            events,
            publisher: Publisher::new(instant()),
            core_wakes: None,
            vacuuming: false,
            draining: None,
            drained_by: None,
            leaving: None,
        };
        engine.send(Op::Log { level: "NOTICE", message: leading });
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

    fn now(&self) -> Now {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner).now()
    }

    fn handle(&mut self, mut input: Input) {
        if let Input::Configured(settings) = &mut input {
            self.options.timeouts.tune(settings);
        }
        let now = self.now();
        self.core.handle(input, now);
    }

    fn send(&mut self, op: Op) {
        let refused = match &mut self.writer {
            Some(writer) => writer.send(op),
            None => Some(op),
        };
        // The core asks again for its own.
        let kept = refused.filter(|op| op.is_told_once() && self.untold.len() < UNTOLD_MAX);
        self.untold.extend(kept);
    }

    fn log(&mut self, level: &'static str, message: String) {
        match level {
            "ERROR" => tracing::error!("{message}"),
            "WARNING" => tracing::warn!("{message}"),
            _ => tracing::info!("{message}"),
        }
        self.send(Op::Log { level, message });
    }

    /// When something has to be done, if nothing happens before.
    fn next(&self) -> Option<Instant> {
        let closing = match self.leaving {
            Some(Leaving::Closing { until }) => Some(until),
            _ => None,
        };
        // What only the writer can do is not waited for while there is none.
        let publishes = (self.writer.is_some() && self.leaving.is_none()).then(|| self.publisher.next());
        [self.core_wakes.map(instant_of), closing, self.drained_by, publishes].into_iter().flatten().min()
    }

    /// Does what it is time for.
    fn keep_time(&mut self) {
        let now = self.now();
        if self.core_wakes.is_some_and(|time| time <= now.monotonic) {
            self.core_wakes = None;
            self.core.handle(Input::Tick, now);
        }
        if self.writer.is_none() || self.leaving.is_some() {
            return;
        }
        if let Some(published) = self.publisher.publish(instant(), &self.core, self.workers, &self.sessions) {
            self.send(Op::Publish(published));
        }
    }

    fn take_in(&mut self, event: Event) -> Option<Ending> {
        match event {
            Event::Core(input) => self.hear(input),
            Event::Answered { count, answers } => self.answered(count, *answers),
            Event::LeadLost { lead, untold, reason } => self.lead_lost(lead, untold, &reason),
            Event::LeadBack { lead, marks_lost } => self.lead_back(*lead, marks_lost),
            Event::ProofFailed(lead) => self.proof_failed(lead),
            Event::Deposed => {
                self.handle(Input::Deposed);
                self.carry_out();
                return Some(Ending::Deposed);
            }
            Event::SteppedDown => self.leaving = Some(Leaving::Gone),
            Event::Notified => self.handle(Input::Notified),
            Event::Opened { session, result: Ok(opened) } => {
                if let Some(target) = self.sessions.opened(session, *opened) {
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
                self.handle(Input::Fenced { target, sessions: numbers });
            }
            Event::Unreachable { session } => self.handle(Input::SessionUnreachable { session }),
            Event::FenceFailed { target } => self.handle(Input::FenceFailed { target }),
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
