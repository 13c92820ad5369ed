//! The loop of the leader: events become inputs of the core, and its commands are carried out.

mod commands;
mod reconnect;
mod resignation;
mod results;
mod session_events;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use pgasync_core::{Input, MonotonicTime, Now, Orchestrator, Run, TaskId};
use pgasync_pg::ConnectionSettings;
use pgasync_store::{Election, LaunchText, LeaderSession, Operation};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::backlog::count_backlog;
use crate::clock::{Clock, instant, instant_of};
use crate::ended::EndedTasksSender;
use crate::events::{EventSender, LeaderEvent};
use crate::figures::FiguresKeeper;
use crate::leader_writer::LeaderWriter;
use crate::monitor::{RunState, TICK_INTERVAL};
use crate::publish::Publisher;
use crate::review::review_queue;
use crate::run::RunOptions;
use crate::shutdown::{ExitReason, StopSignal};
use crate::target_sessions::TargetSessions;
use crate::upkeep::keep_up;
use resignation::Resignation;

/// The number of events that are handled before commands are carried out.
const EVENTS_MAX: usize = 128;

/// The number of log lines that are kept while there is no leader session. Further lines are
/// dropped.
const UNWRITTEN_MAX: usize = 10_000;

pub(crate) struct Leader {
    options: RunOptions,
    server: ConnectionSettings,
    core: Orchestrator,
    clock: Arc<Mutex<Clock>>,
    workers: u32,
    /// `None` while the leader session is lost, and at the end of a resignation.
    writer: Option<LeaderWriter>,
    /// The lost leader session, between two attempts to prove the lead.
    lost_session: Option<Box<LeaderSession>>,
    /// Log lines to write once the lead is proved.
    unwritten: Vec<Operation>,
    sessions: TargetSessions,
    /// Texts of marked tasks, from the mark to the launch; an error says why the task must not be
    /// launched.
    texts: HashMap<(TaskId, Run), Result<LaunchText, String>>,
    events: EventSender,
    publisher: Publisher,
    figures: FiguresKeeper,
    ended: EndedTasksSender,
    /// When the core wants its next tick.
    next_tick: Option<MonotonicTime>,
    /// The review of the queue, the upkeep, and the count of what waits. They end with the leader.
    _beside: JoinSet<()>,
    /// Why the leader is draining, once it is.
    draining: Option<String>,
    /// When the leader exits even if it has not drained.
    drain_deadline: Option<Instant>,
    /// The steps after the core has resigned.
    resignation: Option<Resignation>,
}

impl Leader {
    pub(crate) fn new(
        options: RunOptions,
        server: ConnectionSettings,
        session: LeaderSession,
        election: Election,
        events: EventSender,
        seed: u64,
    ) -> Self {
        let Election { now, fence, inherited, lanes, mut configuration } = election;
        options.timeouts.tune(&mut configuration.settings);
        let clock = Clock::set(now);
        let epoch = session.epoch();
        let message = format!("leading: Rust engine, epoch {epoch}, pid {}", session.pid());
        let timeouts = options.timeouts;
        let mut sessions = TargetSessions::new(
            server.clone(),
            session.server_id().to_owned(),
            epoch,
            session.election_name(),
            timeouts,
        );
        sessions.targets = configuration.targets;
        let workers = configuration.settings.workers;
        let mut core = Orchestrator::new(configuration.settings, seed);
        core.handle(Input::Elected { epoch, fence, inherited, lanes }, clock.now());
        let clock = Arc::new(Mutex::new(clock));
        let mut beside = JoinSet::new();
        beside.spawn(review_queue(server.clone(), events.clone()));
        beside.spawn(keep_up(server.clone(), sessions.name("receipts"), session.rows_written(), events.clone()));
        let ended = EndedTasksSender::new(options.ended.clone());
        if ended.is_wanted() {
            core.keep_ended();
        }
        let figures = FiguresKeeper::new(options.monitor.clone());
        if figures.monitor().keeps_figures() {
            beside.spawn(count_backlog(server.clone(), events.clone()));
        }
        let writer = LeaderWriter::start(session, server.clone(), timeouts, Arc::clone(&clock), events.clone());
        let mut leader = Self {
            options,
            server,
            core,
            clock,
            workers,
            writer: Some(writer),
            lost_session: None,
            unwritten: Vec::new(),
            sessions,
            texts: HashMap::new(),
            events,
            publisher: Publisher::new(instant()),
            figures,
            ended,
            next_tick: None,
            _beside: beside,
            draining: None,
            drain_deadline: None,
            resignation: None,
        };
        leader.send(Operation::Log { level: "NOTICE", message });
        leader
    }

    /// Leads until the leader has resigned, is deposed, or is stopped at once.
    pub(crate) async fn run(
        mut self,
        mut inbox: mpsc::UnboundedReceiver<LeaderEvent>,
        stop_signals: &mut mpsc::Receiver<StopSignal>,
    ) -> ExitReason {
        let mut events = Vec::new();
        let mut signals_open = true;
        let mut woke = instant();
        loop {
            // Commands may make a timer due, and a timer may cause commands.
            self.carry_out_commands();
            self.run_timers();
            self.carry_out_commands();
            self.ended.send(self.core.take_ended());
            if let Some(reason) = self.advance_resignation() {
                return reason;
            }
            self.figures.copy_if_due(self.writer.is_some(), &self.core, &self.sessions);
            self.figures.note_loop(woke.elapsed());
            self.figures.monitor().tick();
            tokio::select! {
                biased;
                signal = stop_signals.recv(), if signals_open => match signal {
                    Some(StopSignal::Drain) if self.draining.is_none() => {
                        self.drain("asked to by a signal".to_owned(), self.options.drain_timeout);
                    }
                    Some(StopSignal::Drain | StopSignal::Now) => return ExitReason::AtOnce,
                    None => signals_open = false,
                },
                _ = inbox.recv_many(&mut events, EVENTS_MAX) => {
                    woke = instant();
                    for event in events.drain(..) {
                        if let Some(reason) = self.on_event(event) {
                            return reason;
                        }
                    }
                }
                () = sleep_until(self.next_timer().into()) => woke = instant(),
            }
        }
    }

    fn show_state(&self) {
        self.options.monitor.set_state(match (&self.draining, &self.writer) {
            (Some(_), _) => RunState::Stopping,
            (None, Some(_)) => RunState::Leading,
            (None, None) => RunState::Connecting,
        });
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

    /// Sends an operation to the leader session. Without a leader session, log lines are kept and
    /// all other operations are dropped. The core repeats its own commands once the lead is proved.
    fn send(&mut self, operation: Operation) {
        let refused = match &mut self.writer {
            Some(writer) => writer.send(operation),
            None => Some(operation),
        };
        let kept = refused.filter(|operation| operation.outlives_session() && self.unwritten.len() < UNWRITTEN_MAX);
        self.unwritten.extend(kept);
    }

    fn log(&mut self, level: &'static str, message: String) {
        match level {
            "ERROR" => tracing::error!("{message}"),
            "WARNING" => tracing::warn!("{message}"),
            _ => tracing::info!("{message}"),
        }
        self.send(Operation::Log { level, message });
    }

    /// When the loop runs next without an event: at the latest for a sign of life.
    fn next_timer(&self) -> Instant {
        let closing = match self.resignation {
            Some(Resignation::Closing { until }) => Some(until),
            _ => None,
        };
        // Without a writer nothing is published, so the timer of the publisher would stay due and
        // the loop would spin.
        let publishes = (self.writer.is_some() && self.resignation.is_none()).then(|| self.publisher.next());
        let timers = [self.next_tick.map(instant_of), closing, self.drain_deadline, publishes];
        timers.into_iter().flatten().fold(instant() + TICK_INTERVAL, Instant::min)
    }

    fn run_timers(&mut self) {
        let now = self.now();
        if self.next_tick.is_some_and(|time| time <= now.monotonic) {
            self.next_tick = None;
            self.core.handle(Input::Tick, now);
        }
        if self.writer.is_none() || self.resignation.is_some() {
            return;
        }
        if let Some(published) = self.publisher.publish(instant(), &self.core, self.workers, &self.sessions) {
            self.send(Operation::Publish(published));
        }
        if let Some(metrics) = self.figures.publish(&self.core) {
            self.send(Operation::PublishMetrics(metrics));
        }
    }

    /// Ends the lead without a further write.
    fn stop_leading(&mut self, why: ExitReason) -> ExitReason {
        self.handle(Input::Deposed);
        self.carry_out_commands();
        why
    }

    fn on_event(&mut self, event: LeaderEvent) -> Option<ExitReason> {
        match event {
            LeaderEvent::Core(input) => self.on_session_input(input),
            LeaderEvent::Results { count, results } => self.on_results(count, *results),
            LeaderEvent::LeaderSessionLost { session, unwritten, reason } => {
                self.on_leader_session_lost(session, unwritten, &reason);
            }
            LeaderEvent::LeadProved { session, marks_lost } => self.on_lead_proved(*session, marks_lost),
            LeaderEvent::ProofFailed(session) => self.on_proof_failed(session),
            LeaderEvent::Deposed => return Some(self.stop_leading(ExitReason::Deposed)),
            LeaderEvent::SchemaGone => return Some(self.stop_leading(ExitReason::SchemaGone)),
            LeaderEvent::SteppedDown => self.resignation = Some(Resignation::SteppedDown),
            LeaderEvent::Notified => self.handle(Input::Notified),
            LeaderEvent::Opened { session, result: Ok(opened) } => self.on_opened(session, *opened),
            LeaderEvent::Opened { session, result: Err(error) } => self.on_connect_failed(session, None, &error),
            // Its query ended after the core gave it up. Its fence resolves its receipt.
            LeaderEvent::Closed { session } if self.sessions.is_fenced(session) => {}
            LeaderEvent::Closed { session } | LeaderEvent::Gone { session } => self.on_session_gone(session),
            LeaderEvent::Fenced { target, numbers } => self.on_fenced(target, numbers),
            LeaderEvent::Unreachable { session } => self.handle(Input::SessionUnreachable { session }),
            LeaderEvent::FenceFailed { target } => self.handle(Input::FenceFailed { target }),
            LeaderEvent::Backlog(backlog) => self.figures.note_backlog(backlog),
            LeaderEvent::Warning(message) => self.log("WARNING", message),
        }
        None
    }
}
