//! An orchestrator with one planted bug, which the simulation must find.
//!
//! The orchestrator itself is correct. The bug is at its boundary: inputs and commands are altered,
//! dropped, repeated or answered early, and the clock is read wrongly.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use pgasync_core::{
    Command, Event, Input, Intention, LaunchState, Now, OpenWriters, Orchestrator, Outcome, Run, SessionId, Settings,
    Span, TaskEvent, TaskId, Timestamp, WriteAnswer,
};

use super::target::VOIDED;

/// One planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bug {
    /// A pool takes one more task than its size.
    PoolTakesOneMore,
    /// The starts of a pool are not spaced.
    StartsAreNotSpaced,
    /// The pause of a target is not seen.
    PausedTargetStarts,
    /// The pause of a pool is not seen.
    PausedPoolStarts,
    /// One more query runs than there are workers.
    WorkersTakeOneMore,
    /// A cancel frees the slot before the query ends.
    CancelFreesSlot,
    /// The loss of a connection frees the slot.
    LostConnectionFreesSlot,
    /// A result is recorded before the requests are read.
    ResultBeforeRequests,
    /// A query is sent before its launch is marked.
    LaunchBeforeMark,
    /// A mark that was requested ahead of its task's turn is taken for durable.
    MarkAheadTakenForDurable,
    /// A query is sent before its claim is committed.
    LaunchBeforeClaim,
    /// A lost leader's tasks are resolved before its sessions are gone.
    ResolveBeforeFence,
    /// A query whose outcome is unknown runs again.
    UnknownRunsAgain,
    /// The end of an earlier query is taken for the end of the one that the session runs now.
    StaleEndTaken,
    /// A cancel reaches the next query.
    CancelHitsNextQuery,
    /// An offer's slot is free before the offer is withdrawn.
    OfferFreedEarly,
    /// Tasks that wait for a later time are not promoted.
    SweepForgotten,
    /// A claim whose answer is lost is taken for unwritten.
    UnconfirmedClaimDropped,
    /// A record whose answer is lost is taken for written.
    UnconfirmedRecordLetGo,
    /// A rotation carries no mark over.
    RotationForgetsMarks,
    /// A rotation does not carry over a mark that was sent and not answered.
    MarkCountsOnceAnswered,
    /// The server's clock is taken for the monotonic clock.
    ServerTimeForDeadlines,
    /// A host that cannot be reached frees the slots of queries that may run there.
    UnreachableFreesSlot,
    /// A command that the store refuses is not sent again.
    RefusedForgotten,
    /// Notifications do not wake the leader.
    NotificationIgnored,
    /// The attempt of a task that a request ends is retried.
    CancelRetried,
    /// The role of a request is not written with its effect.
    RoleForgotten,
    /// A query whose outcome is unknown counts as one that failed with an error.
    UnknownTakenForError,
    /// A push that is open while the leader falls asleep is not waited for.
    OpenWritersIgnored,
    /// What a receipt says is not heard.
    ReceiptIgnored,
    /// A voided receipt is taken for one that is there.
    VoidedTakenForCommitted,
    /// A receipt that is there is taken for a voided one.
    CommittedTakenForVoided,
}

impl Bug {
    /// Each bug with a seed that finds it.
    pub(super) const ALL: [(Self, u64); 32] = [
        (Self::PoolTakesOneMore, 0),
        (Self::StartsAreNotSpaced, 0),
        (Self::PausedTargetStarts, 0),
        (Self::PausedPoolStarts, 0),
        (Self::WorkersTakeOneMore, 1),
        (Self::CancelFreesSlot, 1),
        (Self::LostConnectionFreesSlot, 2),
        (Self::ResultBeforeRequests, 0),
        (Self::LaunchBeforeMark, 5),
        (Self::MarkAheadTakenForDurable, 96),
        (Self::LaunchBeforeClaim, 14),
        (Self::ResolveBeforeFence, 4),
        (Self::UnknownRunsAgain, 0),
        (Self::StaleEndTaken, 0),
        (Self::CancelHitsNextQuery, 23),
        (Self::OfferFreedEarly, 0),
        (Self::SweepForgotten, 10),
        (Self::UnconfirmedClaimDropped, 2),
        (Self::UnconfirmedRecordLetGo, 0),
        (Self::RotationForgetsMarks, 0),
        (Self::MarkCountsOnceAnswered, 2),
        (Self::ServerTimeForDeadlines, 0),
        (Self::UnreachableFreesSlot, 29),
        (Self::RefusedForgotten, 0),
        (Self::NotificationIgnored, 3),
        (Self::CancelRetried, 0),
        (Self::RoleForgotten, 0),
        (Self::UnknownTakenForError, 0),
        (Self::OpenWritersIgnored, 204),
        (Self::ReceiptIgnored, 0),
        (Self::VoidedTakenForCommitted, 0),
        (Self::CommittedTakenForVoided, 1),
    ];
}

/// An orchestrator, and the bug between it and its driver, if one is planted.
pub(super) struct FaultyOrchestrator {
    orchestrator: Orchestrator,
    bug: Option<Bug>,
    now: Now,
    /// How far the server's clock is ahead of the monotonic one, when the orchestrator was made and
    /// now.
    server_ahead: [Span; 2],
    /// A command that the bug adds.
    added: Option<Command>,
    /// Writes that are not answered.
    writes: BTreeMap<TaskId, TaskEvent>,
    /// Writes that the bug has answered: the true answer is dropped.
    forged: BTreeSet<(TaskId, Run)>,
    /// Marks that are not answered.
    marks: BTreeSet<(TaskId, Run)>,
    /// The last launch on each session.
    launched: BTreeMap<SessionId, (TaskId, Run)>,
    /// A cancel that will reach another query.
    cancel: Option<TaskId>,
}

impl Deref for FaultyOrchestrator {
    type Target = Orchestrator;

    fn deref(&self) -> &Orchestrator {
        &self.orchestrator
    }
}

impl FaultyOrchestrator {
    pub(super) fn new(settings: &Settings, seed: u64, bug: Option<Bug>, now: Now) -> Self {
        Self {
            orchestrator: Orchestrator::new(alter_settings(bug, settings.clone()), seed),
            bug,
            now,
            server_ahead: [server_ahead(now); 2],
            added: None,
            writes: BTreeMap::new(),
            forged: BTreeSet::new(),
            marks: BTreeSet::new(),
            launched: BTreeMap::new(),
            cancel: None,
        }
    }

    pub(super) fn handle(&mut self, input: Input, now: Now) {
        self.read_clock(now);
        for input in self.alter_input(input) {
            self.orchestrator.handle(input, self.now);
        }
    }

    pub(super) fn poll_command(&mut self) -> Option<Command> {
        if let Some(added) = self.added.take() {
            return Some(added);
        }
        let command = loop {
            let command = self.orchestrator.poll_command()?;
            self.note(&command);
            if let Some(answer) = self.forge_answer(&command) {
                self.orchestrator.handle(answer, self.now);
            }
            if !matches!((self.bug, &command), (Some(Bug::SweepForgotten), Command::Sweep { .. })) {
                break command;
            }
        };
        Some(self.alter_command(command))
    }

    fn note(&mut self, command: &Command) {
        match command {
            Command::Write(event) => drop(self.writes.insert(event.task, event.clone())),
            Command::Mark { task, run, .. } => drop(self.marks.insert((*task, *run))),
            Command::Launch { task, run, session } => drop(self.launched.insert(*session, (*task, *run))),
            _ => {}
        }
    }

    /// The answer to a command that the orchestrator gets before the command is carried out.
    fn forge_answer(&mut self, command: &Command) -> Option<Input> {
        match (self.bug?, command) {
            (Bug::CancelFreesSlot, Command::Cancel { session, .. }) => {
                let (task, run) = *self.launched.get(session)?;
                let outcome = Outcome::Error("canceled".to_owned());
                Some(Input::QueryEnded { session: *session, task, run, outcome })
            }
            (Bug::ResultBeforeRequests, Command::ReadRequests { serial }) => {
                Some(Input::Requests { serial: *serial, asked: Vec::new(), last: true })
            }
            (Bug::LaunchBeforeMark, Command::Mark { task, run, session: session @ Some(_) })
            | (Bug::MarkAheadTakenForDurable, Command::Mark { task, run, session: session @ None }) => {
                Some(Input::Marked { task: *task, run: *run, session: *session })
            }
            (Bug::LaunchBeforeClaim, Command::Write(event @ TaskEvent { event: Event::Claim { .. }, .. }))
            | (Bug::OfferFreedEarly, Command::Write(event @ TaskEvent { event: Event::Withdraw, .. })) => {
                self.forged.insert((event.task, event.run));
                Some(Input::Written { task: event.task, run: event.run, answer: WriteAnswer::AsPredicted })
            }
            (Bug::SweepForgotten, Command::Sweep { .. }) => {
                let (overdue, promoted, failed) = (Vec::new(), Vec::new(), Vec::new());
                Some(Input::Swept { overdue, promoted, next: None, failed })
            }
            (Bug::ResolveBeforeFence, Command::Fence { target, .. }) => {
                Some(Input::Fenced { target: target.clone(), sessions: Vec::new() })
            }
            _ => None,
        }
    }

    fn alter_command(&mut self, command: Command) -> Command {
        match (self.bug, command) {
            (Some(Bug::RotationForgetsMarks), Command::RotateMarks { .. }) => {
                Command::RotateMarks { launched: Vec::new() }
            }
            (Some(Bug::MarkCountsOnceAnswered), Command::RotateMarks { mut launched }) => {
                launched.retain(|mark| !self.marks.contains(mark));
                Command::RotateMarks { launched }
            }
            (Some(Bug::UnknownRunsAgain), Command::Write(event)) => Command::Write(run_again(event)),
            (Some(Bug::CancelRetried), Command::Write(event)) => Command::Write(forget_intention(event)),
            (Some(Bug::RoleForgotten), Command::Write(event)) => Command::Write(forget_role(event)),
            (Some(Bug::UnknownTakenForError), Command::Write(event)) => Command::Write(know_error(event)),
            (Some(Bug::CancelHitsNextQuery), Command::Cancel { session, task }) => {
                self.cancel = Some(task);
                Command::Cancel { session, task }
            }
            (Some(Bug::CancelHitsNextQuery), Command::Launch { task, run, session }) => {
                self.added = self.cancel.take().map(|task| Command::Cancel { session, task });
                Command::Launch { task, run, session }
            }
            (Some(Bug::ServerTimeForDeadlines), Command::SleepUntil(when)) => {
                Command::SleepUntil(when + self.steps().times(-1))
            }
            (_, command) => command,
        }
    }

    fn alter_input(&mut self, input: Input) -> Vec<Input> {
        match &input {
            Input::Written { task, run, .. } => {
                self.writes.remove(task);
                if self.forged.remove(&(*task, *run)) {
                    return Vec::new();
                }
            }
            Input::Refused { command, .. } => {
                if let Command::Write(event) = command.as_ref() {
                    self.writes.remove(&event.task);
                    if self.forged.remove(&(event.task, event.run)) {
                        return Vec::new();
                    }
                }
            }
            Input::Marked { task, run, .. } => drop(self.marks.remove(&(*task, *run))),
            Input::StoreLost => self.forged.clear(),
            _ => {}
        }
        self.plant(input)
    }

    fn plant(&mut self, input: Input) -> Vec<Input> {
        let Some(bug) = self.bug else { return vec![input] };
        match (bug, input) {
            (_, Input::Configured(settings)) => {
                vec![Input::Configured(Box::new(alter_settings(self.bug, *settings)))]
            }
            (Bug::LostConnectionFreesSlot, Input::SessionLost { session }) => {
                vec![Input::SessionLost { session }, Input::SessionGone { session }]
            }
            (Bug::UnreachableFreesSlot, Input::SessionUnreachable { session }) => vec![Input::SessionGone { session }],
            (Bug::UnreachableFreesSlot, Input::FenceFailed { target }) => {
                vec![Input::Fenced { target, sessions: Vec::new() }]
            }
            (Bug::StaleEndTaken, Input::QueryEnded { session, task, run, outcome }) => {
                let (task, run) = self.launched.get(&session).copied().unwrap_or((task, run));
                vec![Input::QueryEnded { session, task, run, outcome }]
            }
            (Bug::UnconfirmedClaimDropped, Input::Resynced(mut rows)) => {
                rows.retain(|(task, _)| !self.is_unanswered(*task, |event| matches!(event, Event::Claim { .. })));
                vec![Input::Resynced(rows)]
            }
            (Bug::UnconfirmedRecordLetGo, Input::Resynced(mut rows)) => {
                rows.retain(|(task, _)| !self.is_unanswered(*task, |event| matches!(event, Event::QueryEnded { .. })));
                vec![Input::Resynced(rows)]
            }
            (Bug::ServerTimeForDeadlines, Input::Shutdown { drain_until }) => {
                vec![Input::Shutdown { drain_until: drain_until + self.steps() }]
            }
            (Bug::OpenWritersIgnored, Input::Polled { lanes, arrivals, due, requests, latch, writers }) => {
                let writers = writers.map(|writers| OpenWriters { open: false, ..writers });
                vec![Input::Polled { lanes, arrivals, due, requests, latch, writers }]
            }
            (Bug::ReceiptIgnored, Input::Resolved { .. }) => Vec::new(),
            (Bug::VoidedTakenForCommitted, Input::Resolved { task, run, outcome: Outcome::Error(_) }) => {
                vec![Input::Resolved { task, run, outcome: Outcome::Ok }]
            }
            (Bug::CommittedTakenForVoided, Input::Resolved { task, run, outcome: Outcome::Ok }) => {
                vec![Input::Resolved { task, run, outcome: Outcome::Error(VOIDED.to_owned()) }]
            }
            (Bug::RefusedForgotten, Input::Refused { .. }) | (Bug::NotificationIgnored, Input::Notified) => Vec::new(),
            (_, input) => vec![input],
        }
    }

    fn is_unanswered(&self, task: TaskId, of: impl Fn(&Event) -> bool) -> bool {
        self.writes.get(&task).is_some_and(|write| of(&write.event))
    }

    fn read_clock(&mut self, now: Now) {
        self.now = now;
        self.server_ahead[1] = server_ahead(now);
        if self.bug == Some(Bug::ServerTimeForDeadlines) {
            self.now.monotonic = now.monotonic + self.steps();
        }
    }

    /// How far the server's clock has stepped since the orchestrator was made.
    const fn steps(&self) -> Span {
        let [first, last] = self.server_ahead;
        Span::micros(last.as_micros() - first.as_micros())
    }
}

fn server_ahead(now: Now) -> Span {
    now.server - Timestamp::from_micros(now.monotonic.as_micros())
}

fn alter_settings(bug: Option<Bug>, mut settings: Settings) -> Settings {
    if bug == Some(Bug::PoolTakesOneMore) {
        settings.default_pool_workers += 1;
        settings.pools.values_mut().for_each(|limit| *limit += 1);
        settings.targets.values_mut().for_each(|target| target.max_concurrency += 1);
    }
    if bug == Some(Bug::StartsAreNotSpaced) {
        settings.spacings.clear();
    }
    if bug == Some(Bug::PausedTargetStarts) {
        settings.paused_targets.clear();
    }
    if bug == Some(Bug::PausedPoolStarts) {
        settings.paused_pools.clear();
    }
    if bug == Some(Bug::WorkersTakeOneMore) {
        settings.workers += 1;
    }
    settings
}

/// The end of the query is written without the intention of the request.
fn forget_intention(event: TaskEvent) -> TaskEvent {
    match event.event {
        Event::QueryEnded { outcome: Outcome::Error(_), .. } => {
            let outcome = Outcome::Error("23505: duplicate key".to_owned());
            let event = TaskEvent { event: Event::QueryEnded { run: event.run, outcome }, ..event };
            TaskEvent { launch: Some(LaunchState::Launched(None)), ..event }
        }
        _ => event,
    }
}

/// The request is written without its role.
fn forget_role(mut event: TaskEvent) -> TaskEvent {
    if let Event::Request(request) = &mut event.event {
        request.requested_by = None;
    }
    if let Some(LaunchState::Launched(Some(Intention::Cancel { requested_by, .. }))) = &mut event.launch {
        *requested_by = None;
    }
    event
}

/// Instead of recording that the outcome is unknown, the write records an error.
fn know_error(event: TaskEvent) -> TaskEvent {
    match event.event {
        Event::QueryEnded { outcome: Outcome::Unknown(_), .. } => {
            let outcome = Outcome::Error("23505: duplicate key".to_owned());
            TaskEvent { event: Event::QueryEnded { run: event.run, outcome }, ..event }
        }
        _ => event,
    }
}

/// Instead of recording that the outcome is unknown, the write returns the task as never launched.
fn run_again(event: TaskEvent) -> TaskEvent {
    match event.event {
        Event::QueryEnded { outcome: Outcome::Unknown(_), .. } => {
            let give_back = Event::GiveBack { default_timeout: None };
            TaskEvent { event: give_back, launch: Some(LaunchState::Claimed), ..event }
        }
        _ => event,
    }
}
