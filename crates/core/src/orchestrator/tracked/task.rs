//! One tracked task.

use super::session::{CancelState, LostHost, TaskSession};
use super::write::{Write, WriteState};
use crate::names::{Run, SessionId};
use crate::orchestrator::backoff::Backoff;
use crate::orchestrator::claims_ahead::Ahead;
use crate::orchestrator::input::{RequestId, TaskSnapshot};
use crate::orchestrator::occupancy::Load;
use crate::orchestrator::settings::Tuning;
use crate::plan::lane::{Lane, QueuePosition};
use crate::task::Task;
use crate::task::event::{Event, Outcome, ResultText};
use crate::task::phase::Phase;
use crate::time::{MonotonicTime, Now};

/// A tracked task: one that holds a slot, is about to, or did a moment ago.
///
/// Three things say where it stands: `task` has the phase of its row, `pending_write` the event
/// that is being written to it, and `session` what its query has of a session.
///
/// Invariant: [`Tracked::is_consistent`].
#[derive(Debug)]
pub(crate) struct Tracked {
    pub(crate) position: QueuePosition,
    pub(crate) lane: Lane,
    /// The task as its row is known to be, and what the leader knows of its query besides.
    task: Task,
    pending_write: Option<Write>,
    session: TaskSession,
    /// The task's deadline on the monotonic clock.
    deadline: Option<MonotonicTime>,
    /// When it was offered last.
    offered_at: MonotonicTime,
    pub(crate) text_bytes: u64,
    /// Bytes of the text that are in memory, or on the way there.
    text_in_memory: u64,
    /// Whether its launch is marked ahead of its turn, and how far that has come.
    marked: Marked,
    /// A mark of this run was sent: from then on the task counts as launched for a successor.
    pub(crate) mark_sent: bool,
    /// When its query was sent.
    pub(crate) launched: Option<MonotonicTime>,
    /// The times that the timers have for it.
    pub(super) timers: [Option<MonotonicTime>; 2],
    /// The backoff of writes that failed.
    pub(crate) backoff: Backoff,
    /// Requests that its record will settle.
    pub(crate) settles: Vec<RequestId>,
    /// How its lost run ended, as its receipt says.
    pub(crate) resolved: Option<Outcome>,
}

/// Whether a launch is marked before there is a session for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marked {
    /// No mark was sent ahead.
    No,
    /// The mark is being written, for any session.
    Requested,
    /// The mark is durable: the query may be sent on any registered session.
    Durably,
}

impl Tracked {
    pub(crate) fn new(position: QueuePosition, lane: Lane, task: Task, tuning: &Tuning, now: Now) -> Self {
        let deadline = task.phase.times_up().map(|at| now.monotonic_at(at));
        Self {
            position,
            lane,
            task,
            pending_write: None,
            session: TaskSession::NotNeeded,
            deadline,
            offered_at: now.monotonic,
            text_bytes: 0,
            text_in_memory: 0,
            marked: Marked::No,
            mark_sent: false,
            launched: None,
            timers: [None, None],
            backoff: Backoff::new(tuning.write_backoff_first, tuning.write_backoff_last),
            settles: Vec::new(),
            resolved: None,
        }
    }

    /// A task that the leader before tracked; `None` if it takes nothing. A session of that leader
    /// may run its query.
    pub(crate) fn inherited(snapshot: TaskSnapshot, tuning: &Tuning, now: Now) -> Option<Self> {
        let TaskSnapshot { position, lane, task } = snapshot;
        let (since, host) = (now.monotonic, LostHost::Unknown);
        let session = match &task.phase {
            Phase::Launched { .. } => TaskSession::Lost { since, host },
            Phase::Claimed { .. } => TaskSession::Wanted,
            Phase::Finished { end, .. } if end.tracked == Some(true) => TaskSession::Abandoned { host },
            phase if rests_in(phase) => TaskSession::NotNeeded,
            Phase::Ready { .. }
            | Phase::Offered { .. }
            | Phase::Pulled { .. }
            | Phase::Yielded { .. }
            | Phase::Finished { .. } => return None,
        };
        let mark_sent = session.lost_host().is_some();
        Some(Self { session, mark_sent, ..Self::new(position, lane, task, tuning, now) })
    }

    /// The same task with a pending write.
    pub(crate) fn with_write(self, write: Write, session: TaskSession) -> Self {
        Self { pending_write: Some(write), session, ..self }
    }

    pub(crate) const fn task(&self) -> &Task {
        &self.task
    }

    pub(crate) const fn session(&self) -> &TaskSession {
        &self.session
    }

    /// The write that is not answered yet, or is sent again later.
    pub(crate) const fn pending_write(&self) -> Option<&Write> {
        self.pending_write.as_ref()
    }

    /// Its claim or offer is being written: the row may still be READY.
    pub(crate) fn is_being_claimed(&self) -> bool {
        let event = self.pending_write.as_ref().map(|write| &write.event);
        matches!(event, Some(Event::Claim { .. } | Event::Offer { .. }))
    }

    /// Replaces the task. A deadline that stays the same keeps its place on the monotonic clock,
    /// although the server's clock may have stepped meanwhile.
    pub(crate) fn set_task(&mut self, task: Task, now: Now) {
        debug_assert_eq!(
            self.task.options.track_yielded, task.options.track_yielded,
            "the load depends on this option"
        );
        let (before, after) = (self.task.phase.times_up(), task.phase.times_up());
        if before != after {
            self.deadline = after.map(|at| now.monotonic_at(at));
        }
        self.task = task;
    }

    pub(crate) fn set_session(&mut self, session: TaskSession) {
        self.session = session;
    }

    /// What is known of the host of its lost session.
    pub(crate) const fn set_host(&mut self, known: LostHost) {
        if let TaskSession::Lost { host, .. } | TaskSession::Abandoned { host } = &mut self.session {
            *host = known;
        }
    }

    /// The event is being written from now on. The query has ended or was never sent, unless a lost
    /// session runs it.
    pub(crate) fn begin_write(&mut self, write: Write) {
        self.session = self.session.after_end();
        self.free_text();
        self.pending_write = Some(write);
    }

    /// The claim is written, and this is the task now. The deadline runs from the decision to
    /// claim, also if the server's clock was set meanwhile.
    pub(crate) fn end_claim(&mut self, task: Task, now: Now) {
        let decided = self.pending_write.take().map_or(now, |write| write.decided);
        self.set_task(task, decided);
        if let TaskSession::Later { since, .. } = &mut self.session {
            *since = now.monotonic;
        }
    }

    /// Moves the task to where its row is. No write is pending.
    pub(crate) fn rest(&mut self, task: Task, now: Now) {
        self.pending_write = None;
        self.set_task(task, now);
        self.session = match self.session.lost_host() {
            Some(host) => TaskSession::Abandoned { host },
            None => TaskSession::NotNeeded,
        };
        self.offered_at = now.monotonic;
    }

    /// The row is gone or cannot be read, and a lost session may run the query.
    pub(crate) fn abandon(&mut self) {
        self.pending_write = None;
        if let Some(host) = self.session.lost_host() {
            self.session = TaskSession::Abandoned { host };
        }
    }

    /// Changes the state of the write that is under way, if one is.
    pub(crate) const fn set_write_state(&mut self, state: WriteState) {
        if let Some(write) = &mut self.pending_write {
            write.state = state;
        }
    }

    pub(crate) const fn marked(&self) -> Marked {
        self.marked
    }

    pub(crate) const fn set_marked(&mut self, marked: Marked) {
        self.marked = marked;
    }

    /// The mark of its launch is lost with the text that came with it.
    pub(crate) const fn lose_mark(&mut self) {
        self.marked = Marked::No;
        self.free_text();
    }

    /// The event by which its ended query is recorded.
    pub(crate) fn end_of_query(&self) -> Option<Event> {
        let TaskSession::Ended { outcome } = &self.session else {
            debug_assert!(false, "the query has not ended: {self:?}");
            return None;
        };
        Some(Event::QueryEnded { run: self.task.run, outcome: outcome.clone() })
    }

    /// A launch is marked durably. Returns the session on which the query may go now, if the task
    /// has one and the mark is good for it.
    pub(crate) fn on_marked(&mut self, session: Option<SessionId>) -> Option<SessionId> {
        self.mark_sent = true;
        let assigned = if let TaskSession::Assigned { session } = self.session { Some(session) } else { None };
        match session {
            // The task may have been given back or ended meanwhile, or have another session.
            Some(session) => assigned.filter(|its| *its == session),
            None if self.marked != Marked::Requested => None,
            None if assigned.is_some() => assigned,
            None => {
                self.marked = Marked::Durably;
                None
            }
        }
    }

    /// Whether a mark of this run is still wanted, on this session or on any.
    pub(crate) fn awaits_mark(&self, run: Run, session: Option<SessionId>) -> bool {
        let wanted = match session {
            Some(session) => self.session == TaskSession::Assigned { session },
            None => self.marked == Marked::Requested,
        };
        wanted && self.task.run == run
    }

    /// Whether the text that comes with a mark is still wanted.
    pub(crate) const fn awaits_text(&self) -> bool {
        self.is_unlaunched_claim() || matches!(self.session, TaskSession::Assigned { .. })
    }

    /// Whether it is offered to clients, with no write pending.
    pub(crate) const fn is_offered(&self) -> bool {
        self.is_at_rest() && matches!(self.task.phase, Phase::Offered { .. })
    }

    /// Whether it is pulled or yielded, or at most a lost session runs its query. Others may change
    /// the row of such a task.
    pub(crate) const fn is_resting(&self) -> bool {
        self.follows_row() && !self.is_offered()
    }

    /// Whether the row decides where the task is: no write is pending, and no query of this leader
    /// runs on a session that it has.
    pub(crate) const fn follows_row(&self) -> bool {
        self.is_at_rest() || self.pending_write.is_none() && matches!(self.session, TaskSession::Abandoned { .. })
    }

    /// Whether no write is pending and no session is involved.
    const fn is_at_rest(&self) -> bool {
        self.pending_write.is_none() && matches!(self.session, TaskSession::NotNeeded)
    }

    /// Whether it is claimed, with no launch under way.
    pub(crate) const fn is_unlaunched_claim(&self) -> bool {
        self.pending_write.is_none() && self.session.is_to_come()
    }

    /// Whether a successor has to assume that its query was sent, and its end is not recorded.
    pub(crate) const fn counts_as_launched(&self) -> bool {
        // Whatever is being written, the task may have been launched.
        self.mark_sent && !self.is_at_rest()
    }

    /// Whether a client may take it, or keep it, until a write about it is answered.
    pub(crate) const fn is_with_clients(&self) -> bool {
        self.is_at_rest() && matches!(self.task.phase, Phase::Offered { .. } | Phase::Pulled { .. })
    }

    /// Whether a leader that shuts down may leave it to the next one. `over` says that queries may
    /// run no longer, `long_over` that the wait for rows that cannot be written is over too.
    pub(crate) fn may_be_left(&self, over: bool, long_over: bool) -> bool {
        match (self.pending_write(), &self.session) {
            // The next leader does not know how the query ended, so this is waited for longest.
            (Some(write), _) => write.due().is_some() && long_over,
            // The next leader fences its session.
            (None, TaskSession::Lost { .. }) => over,
            (None, _) => self.is_resting(),
        }
    }

    /// Whether its query runs, and no step to stop it was taken.
    pub(crate) const fn runs_undisturbed(&self) -> bool {
        matches!(self.session, TaskSession::Running { cancel: CancelState::NotRequested, .. })
    }

    /// Whether a request or the deadline decides what becomes of its query.
    pub(super) const fn has_intention(&self) -> bool {
        matches!(self.task.phase, Phase::Launched { intention: Some(_), .. })
    }

    /// Bytes of the text that are not in memory yet.
    pub(crate) const fn text_missing(&self) -> u64 {
        self.text_bytes - self.text_in_memory
    }

    /// The text comes with the mark.
    pub(super) const fn take_text(&mut self) {
        self.text_in_memory = self.text_bytes;
    }

    /// The text is no longer in memory.
    pub(crate) const fn free_text(&mut self) {
        self.text_in_memory = 0;
    }

    /// Whether the deadline has passed.
    pub(crate) fn is_overdue(&self, now: MonotonicTime) -> bool {
        self.deadline.is_some_and(|at| at <= now)
    }

    /// What the task takes. A slot is taken before the claim is written, and free once the target
    /// has reported that the query ended, unless the task may keep it yielded.
    pub(crate) fn load(&self) -> Load {
        Load { text_bytes: self.text_in_memory + self.result_bytes(), ..self.places() }
    }

    /// Bytes of the result that wait to be written.
    fn result_bytes(&self) -> u64 {
        let ended = if let TaskSession::Ended { outcome: Outcome::OkWith(result) } = &self.session {
            Some(result)
        } else {
            None
        };
        let result = ended.or_else(|| self.pending_write.as_ref().and_then(|write| write.event.result()));
        result.map_or(0, ResultText::bytes)
    }

    fn places(&self) -> Load {
        match (&self.session, &self.pending_write) {
            // Whatever the row says, the query may run.
            (TaskSession::Lost { host, .. } | TaskSession::Abandoned { host }, _) => host.load(),
            (TaskSession::Later { .. }, _) => Load::NOTHING,
            (_, Some(write)) => write.load(),
            (TaskSession::Wanted | TaskSession::Assigned { .. }, None) => Load::CLAIM,
            (TaskSession::Running { .. }, None) => Load::BOTH,
            (TaskSession::Ended { .. }, None) if self.task.options.track_yielded => Load::SLOT,
            (TaskSession::Ended { .. }, None) => Load::NOTHING,
            (TaskSession::NotNeeded, None) if self.is_offered() => Load::OFFER,
            (TaskSession::NotNeeded, None) => Load::RESTING,
        }
    }

    /// Whether it is claimed ahead of its turn, and how far that has come.
    pub(super) const fn ahead(&self) -> Ahead {
        let TaskSession::Later { lack, .. } = self.session else { return Ahead::No };
        match (&self.pending_write, self.marked) {
            (Some(_), _) => Ahead::Claiming(lack),
            (None, Marked::No) => Ahead::Unmarked(lack),
            (None, Marked::Requested | Marked::Durably) => Ahead::Marked(lack),
        }
    }

    /// When something is due for the task: the step of its session or write, and its deadline.
    pub(super) fn dues(&self, tuning: &Tuning) -> [Option<MonotonicTime>; 2] {
        let deadline = self.deadline.filter(|at| *at != MonotonicTime::NEVER);
        match (&self.session, &self.pending_write) {
            (_, Some(write)) => [write.due(), None],
            (TaskSession::Later { since, .. }, None) => [Some(*since + tuning.ahead_age_max), deadline],
            (TaskSession::NotNeeded, None) if self.is_offered() => {
                [Some(self.offered_at + tuning.offer_patience), deadline]
            }
            (TaskSession::NotNeeded | TaskSession::Wanted | TaskSession::Assigned { .. }, None) => [None, deadline],
            (TaskSession::Running { cancel, .. }, None) => [cancel.until(), deadline],
            // The deadline is noted once, for when the receipt says that the query had no effect.
            (TaskSession::Lost { .. }, None) if self.task.options.receipt => {
                [None, deadline.filter(|_| !self.has_intention())]
            }
            (TaskSession::Lost { since, .. }, None) => [None, deadline.map(|at| at.max(*since + tuning.lost_grace))],
            (TaskSession::Abandoned { .. } | TaskSession::Ended { .. }, None) => [None, None],
        }
    }

    /// Whether the offer has waited long enough to give way to any other task.
    pub(crate) fn has_waited_as_offer(&self, now: MonotonicTime, tuning: &Tuning) -> bool {
        self.offered_at + tuning.offer_patience <= now
    }

    /// Whether phase, write and session agree.
    pub(super) const fn is_consistent(&self) -> bool {
        use Phase::{Claimed, Launched, Ready};
        match (&self.session, &self.pending_write, &self.task.phase) {
            // The end of the task is being written, or its first reservation.
            (TaskSession::NotNeeded | TaskSession::Lost { .. } | TaskSession::Abandoned { .. }, Some(_), _) => true,
            (TaskSession::NotNeeded, None, phase) => rests_in(phase),
            (TaskSession::Later { .. } | TaskSession::Wanted, Some(_), phase) => matches!(phase, Ready { .. }),
            (TaskSession::Later { .. } | TaskSession::Wanted | TaskSession::Assigned { .. }, None, phase) => {
                matches!(phase, Claimed { .. })
            }
            (TaskSession::Running { .. } | TaskSession::Ended { .. } | TaskSession::Lost { .. }, None, phase) => {
                matches!(phase, Launched { .. })
            }
            (TaskSession::Abandoned { .. }, None, _) => true,
            (TaskSession::Assigned { .. } | TaskSession::Running { .. } | TaskSession::Ended { .. }, Some(_), _) => {
                false
            }
        }
    }
}

/// Whether a task in this phase takes a pool slot without a query.
pub(crate) const fn rests_in(phase: &Phase) -> bool {
    matches!(phase, Phase::Offered { .. } | Phase::Pulled { .. } | Phase::Yielded { tracked: true, .. })
}
