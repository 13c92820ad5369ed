//! The loop: events in, commands out.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pgasync_core::{
    Class, Command, Input, Orchestrator, Outcome, Run, SessionId, Settings, Span, TargetName, TaskId, Timestamp,
    classify,
};
use pgasync_store::{Answers, Configuration, Election, Lead, Look, Op, Settings as ServerSettings};
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use crate::backlog::Order;
use crate::campaign::Options;
use crate::clock::{Clock, instant};
use crate::ending::{self, How};
use crate::events::{Event, Events};
use crate::line::Work;
use crate::publish::Publisher;
use crate::rhythm::{Beat, Rhythm};
use crate::scribe::Scribe;
use crate::sessions::Sessions;

/// In a text it stands for the task's id.
const TASK_ID_MACRO: &str = "##flow.TASK_ID##";

/// Events taken in before commands are carried out.
const EVENTS_MAX: usize = 1_024;

const MAINTAIN_EVERY: Duration = Duration::from_secs(1);

/// Tasks that others may have changed by hand are read again so often.
const AUDIT_EVERY: Duration = Duration::from_secs(60);

/// LOOP routines run at most so often.
const ROUTINES_PAUSE_MIN: Duration = Duration::from_millis(10);

/// Sessions get so long to close before goodbye is said.
const CLOSING_MAX: Duration = Duration::from_secs(2);

/// After the drain timeout what still runs is cancelled, terminated, dropped: so long at most.
const STOPPING_MAX: Duration = Duration::from_secs(20);

/// What is left when somebody else asked for the end; a forced successor waits 25 seconds.
const RESIGN_DRAIN: Duration = Duration::from_secs(10);

/// Somebody asks the orchestrator to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Let what runs end within the drain timeout.
    Drain,
    /// At once.
    Now,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was asked to, and left nothing behind.
    Resigned(String),
    /// It was told not to wait for anything.
    AtOnce,
    /// Another orchestrator has taken the lead.
    Deposed,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resigned(why) => write!(f, "stopped leading: {why}"),
            Self::AtOnce => f.write_str("stopped at once: what ran is left to the next orchestrator"),
            Self::Deposed => f.write_str("another orchestrator has taken the lead"),
        }
    }
}

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

/// The steps of an orderly end, after the core is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    /// Sessions are being closed, until then at most.
    Closing { until: Instant },
    /// Goodbye is being written.
    Goodbye,
    /// The locks are being given up.
    SteppingDown,
    /// All is done.
    Gone,
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
        let Election { now, fence, inherited, lanes, configuration } = election;
        let clock = Arc::new(Mutex::new(Clock::set(now)));
        let leading = format!("leading: Rust engine, epoch {}, pid {}", lead.epoch(), lead.pid());
        let at = instant();
        let mut sessions = Sessions::new(server.clone(), lead.server_id().to_owned(), lead.epoch());
        sessions.targets = configuration.targets;
        let mut core = Orchestrator::new(configuration.settings.clone(), seed);
        let epoch = lead.epoch();
        // The candidate has waited for the last leader before it took the locks.
        core.handle(Input::Elected { epoch, at_once: true, fence, inherited, lanes }, now);
        let mut engine = Self {
            options,
            server,
            core,
            settings: configuration.settings,
            busy_sleep: configuration.busy_sleep.max(ROUTINES_PAUSE_MIN),
            has_routines: configuration.has_routines,
            scribe: Some(Scribe::hire(lead, Arc::clone(&clock), events.clone())),
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
                () = sleep_until(self.next().into()) => {}
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner).now()
    }

    fn handle(&mut self, input: Input) {
        let now = self.now();
        self.core.handle(input, now);
    }

    fn tell(&mut self, op: Op) {
        if let Some(scribe) = &mut self.scribe {
            scribe.tell(Order::Now(op));
        }
    }

    fn tell_later(&mut self, op: Op) {
        if let Some(scribe) = &mut self.scribe {
            scribe.tell(Order::Soon(op));
        }
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
    fn next(&self) -> Instant {
        let clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let core = self.core_wakes.map(|time| clock.instant_of(time));
        let mut next = self.maintain_at.min(self.publisher.next()).min(self.audit_at);
        if self.scribe.is_some() {
            next = next.min(self.rhythm.next());
        }
        if self.has_routines && self.stirred {
            next = next.min(self.routines_at);
        }
        if let Some(Leaving::Closing { until }) = self.leaving {
            next = next.min(until);
        }
        if let Some(by) = self.drained_by {
            next = next.min(by);
        }
        core.map_or(next, |core| next.min(core))
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
            Event::LeadLost { lead, reason } => self.lead_lost(*lead, &reason),
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

    fn connect_failed(&mut self, session: SessionId, target: Option<TargetName>, error: &str) {
        let target = target.or_else(|| self.sessions.target_of(session));
        self.sessions.forget(session);
        let Some(target) = target else { return };
        if self.sessions.lost.insert(target.clone()) {
            self.log("WARNING", format!("target \"{target}\" is lost: {error}"));
        }
        let error = format!("target \"{target}\" could not be reached: {error}");
        self.handle(Input::ConnectFailed { session, error });
    }

    /// A session's own words.
    fn hear(&mut self, input: Input) {
        match &input {
            Input::QueryEnded { session, task, outcome, .. } => {
                tracing::debug!(task = task.0, ?outcome, "a query ended");
                self.sessions.rests(*session);
            }
            Input::SessionLost { session } => {
                let session = *session;
                self.handle(input);
                self.sessions.close(session);
                return;
            }
            _ => {}
        }
        let outdated = match &input {
            Input::QueryEnded { session, .. } => Some(*session).filter(|session| self.sessions.is_outdated(*session)),
            _ => None,
        };
        self.handle(input);
        if let Some(session) = outdated {
            self.handle(Input::SessionLost { session });
        }
    }

    fn gone(&mut self, session: SessionId) {
        self.tell(Op::Forget(session));
        self.sessions.forget(session);
        self.handle(Input::SessionGone { session });
    }

    fn answered(&mut self, count: usize, answers: Answers) {
        if let Some(scribe) = &mut self.scribe {
            scribe.open = scribe.open.saturating_sub(count);
        }
        let Answers { inputs, texts, look, asleep, stirred, wrote, troubles, maintain_on, vacuum } = answers;
        for (task, run, text) in texts {
            self.texts.insert((task, run), text);
        }
        for trouble in troubles {
            self.log("WARNING", trouble);
        }
        for input in inputs {
            self.handle(input);
        }
        self.stirred = self.stirred || stirred || wrote;
        if let Some(latch) = &mut self.latch {
            // What was told early is part of a batch that goes on.
            latch.batches += u32::from(count > 0);
        }
        if let Some(look) = look {
            self.stirred = true;
            self.looked(look, asleep);
        }
        if stirred {
            self.rhythm.soon(instant());
        }
        if maintain_on {
            self.maintain_at = instant();
        }
        if vacuum {
            self.vacuum();
        }
    }

    fn vacuum(&mut self) {
        if self.vacuuming {
            return;
        }
        self.vacuuming = true;
        let (server, events) = (self.server.clone(), self.events.clone());
        tokio::spawn(async move {
            let _ = events.send(Event::Vacuumed(pgasync_store::vacuum(&server).await));
        });
    }

    fn looked(&mut self, look: Look, asleep: Option<bool>) {
        let at = instant();
        self.clock.lock().unwrap_or_else(PoisonError::into_inner).correct(look.now);
        let beat = self.rhythm.looked(at, asleep);
        if look.parked && beat.is_none() {
            self.rhythm.soon(at + Duration::from_millis(20));
        }
        self.follow(beat);
        if let Some(configuration) = look.configuration {
            self.configure(*configuration);
        }
        if look.latch > self.latch_served && self.latch.is_none() {
            self.latch = Some(Latch { number: look.latch, batches: 0, routines_ran: false });
        }
        if self.draining.is_none() {
            if !look.enabled {
                self.drain("disabled".to_owned(), RESIGN_DRAIN);
            } else if look.resign {
                self.drain("asked to by a forced takeover".to_owned(), RESIGN_DRAIN);
            }
        }
    }

    fn configure(&mut self, configuration: Configuration) {
        let Configuration { settings, targets, idle_sleep, busy_sleep, has_routines } = configuration;
        self.settings = settings;
        for session in self.sessions.readdress(targets) {
            self.handle(Input::SessionLost { session });
        }
        self.rhythm.set_idle(idle_sleep);
        self.busy_sleep = busy_sleep.max(ROUTINES_PAUSE_MIN);
        self.has_routines = has_routines;
    }

    /// Lets callers of `wait_for_latch` go, once all that was begun since has come to rest, or a few rounds later.
    fn serve_latch(&mut self) {
        let idle = self.scribe.as_ref().is_some_and(|scribe| scribe.open == 0);
        let Some(latch) = &mut self.latch else { return };
        if !idle && latch.batches < 4 {
            return;
        }
        if self.has_routines && !latch.routines_ran {
            latch.routines_ran = true;
            latch.batches = 0;
            self.run_routines(instant());
            return;
        }
        let number = latch.number;
        self.latch = None;
        self.latch_served = number;
        self.tell(Op::ServeLatch(number));
    }

    fn drain(&mut self, why: String, patience: Duration) {
        tracing::info!(why, "draining");
        self.draining = Some(why);
        self.drained_by = Some(instant() + patience + STOPPING_MAX);
        let span = Span::micros(i64::try_from(patience.as_micros()).unwrap_or(i64::MAX));
        let drain_until = self.now() + span;
        self.handle(Input::Shutdown { drain_until });
    }

    fn has_ended(&mut self) -> Option<Ending> {
        if self.draining.is_some() && self.leaving.is_none() && self.core.epoch().is_none() {
            // It had not begun to lead.
            self.leave();
        }
        let idle = self.scribe.as_ref().is_none_or(|scribe| scribe.open == 0);
        let why = || self.draining.clone().unwrap_or_default();
        match self.leaving {
            Some(_) if self.scribe.is_none() && self.leaving != Some(Leaving::SteppingDown) => {
                return Some(Ending::Resigned(why()));
            }
            Some(Leaving::Closing { until }) => {
                if idle && (self.sessions.closing.is_empty() || until <= instant()) {
                    let why = why();
                    self.leaving = Some(Leaving::Goodbye);
                    self.tell(Op::Goodbye { why });
                }
            }
            Some(Leaving::Goodbye) => {
                if idle {
                    // Without orders the scribe gives up the locks.
                    self.scribe = None;
                    self.leaving = Some(Leaving::SteppingDown);
                }
            }
            Some(Leaving::Gone) => return Some(Ending::Resigned(why())),
            Some(Leaving::SteppingDown) | None => {}
        }
        self.drained_by.is_some_and(|by| by <= instant()).then_some(Ending::AtOnce)
    }

    fn leave(&mut self) {
        self.leaving = Some(Leaving::Closing { until: instant() + CLOSING_MAX });
        self.publish_nothing();
    }

    fn lead_lost(&mut self, mut lead: Lead, reason: &str) {
        tracing::warn!(reason, "the session that leads is lost; launching nothing until the lead is proved");
        self.scribe = None;
        self.texts.clear();
        self.handle(Input::StoreLost);
        let (server, events) = (self.server.clone(), self.events.clone());
        tokio::spawn(async move {
            let event = match crate::campaign::prove(&server, &mut lead, &events).await {
                Some(true) => Event::LeadBack(Box::new(lead)),
                Some(false) => Event::Deposed,
                None => return,
            };
            let _ = events.send(event);
        });
    }

    fn lead_back(&mut self, lead: Lead) {
        tracing::info!(epoch = lead.epoch().0, pid = lead.pid(), "the lead stands");
        self.scribe = Some(Scribe::hire(lead, Arc::clone(&self.clock), self.events.clone()));
        self.rhythm.begin_anew(instant());
        self.latch = None;
        self.handle(Input::StoreBack);
    }

    fn carry_out(&mut self) {
        while let Some(command) = self.core.poll_command() {
            match command {
                Command::Connect { session, target } => {
                    if let Err(error) = self.sessions.open(session, &target, self.events.clone()) {
                        self.connect_failed(session, Some(target), &error);
                    }
                }
                Command::Register { session } => match self.sessions.registration(session) {
                    Some(registration) => self.tell(Op::Register(session, registration)),
                    None => self.handle(Input::SessionLost { session }),
                },
                Command::Disconnect { session } => self.disconnect(session),
                Command::Launch { task, run, session } => self.launch(task, run, session),
                Command::Cancel { session, task } => self.press(session, task, How::Cancel),
                Command::Terminate { session, task } => self.press(session, task, How::Terminate),
                Command::Fence { target, before } => {
                    let (server, events) = (self.server.clone(), self.events.clone());
                    let (own, name) = (self.sessions.own_settings(&target), self.sessions.name("fence"));
                    tokio::spawn(ending::fence(server, own, target, before, name, events));
                }
                Command::FenceSession { session, .. } => {
                    self.sessions.close(session);
                    match self.sessions.backend(session, "fence") {
                        Some(backend) => {
                            tokio::spawn(ending::fence_session(session, backend, self.events.clone()));
                        }
                        None => self.gone(session),
                    }
                }
                Command::SleepUntil(time) => self.core_wakes = Some(time),
                Command::Resign => self.leave(),
                // Nobody waits for these: they may gather for a moment.
                command @ Command::Record { .. } => self.tell_later(Op::Core(command)),
                Command::Claim { task, row } if self.core.is_ahead(task) => {
                    self.tell_later(Op::Core(Command::Claim { task, row }));
                }
                command => self.tell(Op::Core(command)),
            }
        }
    }

    fn publish_nothing(&mut self) {
        let workers = i32::try_from(self.settings.workers).unwrap_or(i32::MAX);
        self.tell(Op::Publish(pgasync_store::Published { workers, ..Default::default() }));
    }

    fn disconnect(&mut self, session: SessionId) {
        let opened = self.sessions.was_opened(session);
        self.sessions.close(session);
        if !opened {
            // It was never registered; a connection that comes yet is dropped.
            self.sessions.forget(session);
            self.handle(Input::SessionGone { session });
        }
    }

    fn launch(&mut self, task: TaskId, run: Run, session: SessionId) {
        let text = self.texts.remove(&(task, run)).flatten();
        let refusal = match text.as_deref().map(classify) {
            None => Some("the query of the task is gone".to_owned()),
            Some(Class::Refused) => Some(format!("PA205: {}", pgasync_core::COPY_REFUSED)),
            Some(Class::Raw | Class::Wrapped | Class::WrappedEach) => None,
        };
        if let Some(error) = refusal {
            return self.handle(Input::QueryEnded { session, task, run, outcome: Outcome::Error(error) });
        }
        let text = text.unwrap_or_default();
        let raw = classify(&text) == Class::Raw;
        let text = if text.contains(TASK_ID_MACRO) { text.replace(TASK_ID_MACRO, &task.to_string()) } else { text };
        let reset = raw || self.sessions.resets(session);
        tracing::debug!(task = task.0, session = session.0, "launched");
        let now = self.now();
        self.sessions.run(session, Work { task, run, text, reset }, now);
        self.handle(Input::Sent { task, run });
    }

    fn press(&mut self, session: SessionId, task: TaskId, how: How) {
        if !self.sessions.runs(session, task) {
            return;
        }
        tracing::debug!(task = task.0, ?how, "pressing a query to end");
        self.sessions.presses(session, how);
        if let Some(backend) = self.sessions.backend(session, "cancel") {
            tokio::spawn(ending::signal(backend, how, self.events.clone()));
        }
    }
}
