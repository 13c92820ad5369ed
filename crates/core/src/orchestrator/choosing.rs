//! Choosing the tasks that run, claiming them, and offering those that clients pull.

use std::collections::BTreeSet;

use super::claims_ahead::{AheadLimits, Lack};
use super::room::{Room, room_at};
use super::scheduler::Scheduler;
use super::timers::Timer;
use super::tracked::{Marked, TaskSession, Tracked, Write, rests_in};
use crate::names::{PoolName, TargetName, TaskId};
use crate::plan::Choice;
use crate::plan::lane::{Head, Lane, LaneKind, QueuePosition};
use crate::task::TaskOptions;
use crate::task::event::Event;
use crate::task::row::{LaunchState, Row};

/// How many lanes and tasks are looked at for each claim ahead.
const LOOKS_PER_TASK: u32 = 8;

impl Scheduler {
    pub(super) fn refilled(&mut self, lane: &Lane, mut heads: Vec<Head>, more: bool) {
        // A tracked task was read before it was claimed, and a skipped one cannot be written.
        let bound = heads.last().map(|head| head.position);
        let taken = |task| self.tracked.contains(task) || self.skipped.is_skipped(task);
        heads.retain(|head| !taken(head.position.task));
        self.plan.refill_to(lane, heads, bound, more);
        self.waits(lane);
    }

    /// Takes tasks that were READY when they were read beside the polls. A tracked one has changed
    /// since, or is being claimed.
    pub(super) fn reviewed(&mut self, mut heads: Vec<(Lane, Head)>) {
        heads.retain(|(_, head)| !self.tracked.contains(head.position.task));
        self.arrived(heads);
    }

    /// Takes the tasks that became READY in the store.
    pub(super) fn arrived(&mut self, arrivals: Vec<(Lane, Head)>) {
        let mut lanes = BTreeSet::new();
        for (lane, head) in arrivals {
            let task = head.position.task;
            match self.tracked.get(task) {
                // It was read before it was claimed.
                Some(tracked) if tracked.is_being_claimed() => {}
                // Its end was recorded, and it returned, before the answer to the record was seen.
                Some(_) => self.may_wait_again(&lane, head.position),
                None if self.skipped.is_skipped(task) => {}
                None => {
                    self.plan.arrive(&lane, head);
                    lanes.insert(lane);
                }
            }
        }
        for lane in lanes {
            self.sessions.refresh_target(&lane.target, &mut self.plan);
            self.waits(&lane);
        }
    }

    /// A task may wait in this lane.
    fn waits(&mut self, lane: &Lane) {
        self.refresh_pool(&lane.pool);
        self.offers.review(lane.pool.clone());
        self.claims_ahead.review(lane.pool.clone());
        self.sessions.want_target(&lane.target, &mut self.plan);
    }

    /// Takes every task whose turn has come.
    pub(super) fn choose(&mut self) {
        while self.launches() {
            let Some((lane, head, ahead)) = self.next_task() else { break };
            let task = head.position.task;
            self.plan.remove(&lane, task);
            if !ahead {
                self.reserve(lane, &head, None);
            } else if self.tracked.known(task).is_some_and(Tracked::is_unlaunched_claim) {
                self.enqueue(task);
            } else {
                // The claim ahead is being written: it is an ordinary claim from now on.
                self.update(task, |tracked| tracked.set_session(TaskSession::Wanted));
            }
        }
        self.claim_and_mark_ahead();
    }

    /// The next task, and whether it was claimed ahead.
    ///
    /// If the target of the task whose turn has come lacks a session, one has to be moved there from
    /// another target. A move takes far longer than a short task. So until the next move is due, the first
    /// task of the same priority is taken whose target has a session to spare.
    fn next_task(&mut self) -> Option<(Lane, Head, bool)> {
        let worker_free = self.tracked.worker_free(&self.cx);
        let first = taken(self.plan.next(worker_free))?;
        if first.0.kind == LaneKind::Pull || !self.sessions.needs_move(&first.0.target, &self.cx) {
            return Some(first);
        }
        if !self.sessions.may_move_to(&first.0.target, &self.plan, &self.cx) {
            let at = |target| self.plan.first_at(target, first.1.position.priority);
            let others: Vec<Choice<'_>> = self.sessions.spare_targets().map(at).collect();
            let next = others.iter().filter(|choice| position(choice).is_some()).min_by_key(|choice| position(choice));
            if next.is_some() || others.iter().any(|choice| matches!(choice, Choice::Await(_))) {
                return next.copied().and_then(taken);
            }
            if self.sessions.awaits_contact(&mut self.cx) {
                return None;
            }
        }
        self.sessions.note_move(&self.cx);
        Some(first)
    }

    /// Claims a task whose turn has come or will come soon, or offers it to the clients that pull.
    fn reserve(&mut self, lane: Lane, head: &Head, ahead: Option<Lack>) {
        let (now, default_timeout) = (self.cx.now(), self.cx.settings().timeout(&lane.target));
        let (event, session) = match (lane.kind, ahead) {
            (LaneKind::Pull, _) => (Event::Offer { default_timeout }, TaskSession::NotNeeded),
            (LaneKind::Run, Some(lack)) => {
                (Event::Claim { default_timeout }, TaskSession::Later { since: now.monotonic, lack })
            }
            (LaneKind::Run, None) => (Event::Claim { default_timeout }, TaskSession::Wanted),
        };
        let task = head.position.task;
        let Some(write) = Write::of(&head.task(), event, now) else {
            // It is overdue, and the sweep ends it.
            self.plan.remove(&lane, task);
            return self.sweep.at_once(&mut self.cx);
        };
        let mut tracked =
            Tracked::new(head.position, lane, head.task(), self.cx.tuning(), now).with_write(write, session);
        tracked.text_bytes = head.text_bytes;
        self.track(tracked);
        self.send_write(task);
    }

    /// Claims and marks short tasks ahead, so that each can be sent as soon as there is a slot and a
    /// worker for it.
    fn claim_and_mark_ahead(&mut self) {
        for pool in self.claims_ahead.take_reviews() {
            self.claim_ahead_for_slots(&pool);
        }
        if !self.tracked.worker_free(&self.cx) && self.claims_ahead.take_review_of_workers() {
            self.claim_ahead_for_workers();
        }
    }

    /// Claims and marks ahead for the slots of a full pool.
    fn claim_ahead_for_slots(&mut self, pool: &PoolName) {
        // Only slots in which queries run come free by themselves.
        let taken = self.tracked.occupancy().of(pool);
        let slots = (taken.slots - taken.resting).min(self.cx.settings().workers);
        let Some(mut limits) = self.claims_ahead.limits(pool, slots, self.cx.tuning()) else { return };
        let settings = self.cx.settings();
        if settings.spacings.contains_key(pool) || settings.paused_pools.contains(pool) {
            // A task is claimed when the time of its start has come.
            limits = AheadLimits::NONE;
        }
        let surplus = self.claims_ahead.claims(pool).saturating_sub(limits.claims);
        if surplus > 0 && limits.returns {
            self.give_back_all(self.tracked.last_ahead(Some(pool), surplus));
        }
        if !self.launches() {
            return;
        }
        let is_full = !self.tracked.slot_free(pool, &self.cx);
        while is_full
            && self.claims_ahead.claims(pool) < limits.claims
            && let Some((lane, head)) = self.plan.claim_ahead(pool)
        {
            self.reserve(lane, &head, Some(Lack::Slot));
        }
        while let Some(position) = self.claims_ahead.first_unmarked(pool, limits.marks)
            && self.mark_ahead(position)
        {}
    }

    /// Claims and marks ahead for busy workers: the next tasks in the order of the whole queue.
    fn claim_ahead_for_workers(&mut self) {
        let workers = self.tracked.occupancy().workers();
        let Some(limits) = self.claims_ahead.limits_for_workers(workers, self.cx.tuning()) else { return };
        let surplus = self.claims_ahead.claims_for_workers().saturating_sub(limits.claims);
        if surplus > 0 && limits.returns {
            self.give_back_all(self.tracked.last_ahead(None, surplus));
        }
        if !self.launches() {
            return;
        }
        let missing = self.claims_ahead.missing_for_workers(limits);
        if missing > 0 {
            // Most lanes that are looked at in vain are those of tasks that are claimed already.
            let looks_max = self.claims_ahead.claims_for_workers() + LOOKS_PER_TASK * missing;
            let for_each = limits.claims / workers.max(1);
            let at_target = |target: &TargetName| room_at(target, for_each, &self.claims_ahead, &self.sessions);
            let mut room = Room::new(for_each, &self.claims_ahead, &self.cx);
            let found = self.plan.next_unclaimed(size(missing), size(looks_max), at_target, |lane| room.takes(lane));
            self.claims_ahead.looked(missing, found.len());
            let found = self.plan.claim_all_ahead(found);
            for (lane, head) in found {
                self.reserve(lane, &head, Some(Lack::Worker));
            }
        }
        while let Some(position) = self.claims_ahead.first_unmarked_for_workers(limits.marks)
            && self.mark_ahead(position)
        {}
    }

    /// Marks the launch of a task that is claimed ahead; returns whether it may be marked.
    fn mark_ahead(&mut self, position: QueuePosition) -> bool {
        let Some(tracked) = self.tracked.known(position.task) else { return false };
        // A receipt is noted with the session that may write it.
        if tracked.task().options.receipt || !self.tracked.fits_text(tracked.text_bytes, &self.cx) {
            return false;
        }
        self.update(position.task, |tracked| tracked.set_marked(Marked::Requested));
        self.tracked.mark(position.task, None, &mut self.cx);
        true
    }

    pub(super) fn give_back_all(&mut self, tasks: Vec<TaskId>) {
        for task in tasks {
            self.give_back(task);
        }
    }

    /// Returns a claim that was not launched.
    pub(super) fn give_back(&mut self, task: TaskId) {
        let Some(tracked) = self.tracked.known(task) else { return };
        let (lane, position) = (tracked.lane.clone(), tracked.position);
        let ahead = if let TaskSession::Later { lack, .. } = tracked.session() { Some(*lack) } else { None };
        let default_timeout = self.cx.settings().timeout(&lane.target);
        let Some(write) = Write::known(tracked.task(), Event::GiveBack { default_timeout }, self.cx.now()) else {
            return;
        };
        self.sessions.dequeue(&lane.target, position);
        self.begin_write(task, None, write);
        if let Some(lack) = ahead {
            self.plan.remove(&lane, task);
            self.claims_ahead.slow_down(&lane.pool, lack, self.cx.tuning());
        }
        self.plan.recall(&lane, position);
    }

    /// A client took what was offered. A write under way names the run before, so it changes
    /// nothing, and its answer shows the row.
    pub(super) fn taken(&mut self, task: TaskId, row: &Row) {
        let now = self.cx.now();
        let Some(tracked) = self.tracked.get(task).filter(|tracked| tracked.follows_row()) else { return };
        let options = TaskOptions { client_pulled: true, ..tracked.task().options.clone() };
        match row.task(options, LaunchState::Claimed) {
            Ok(next) if rests_in(&next.phase) => self.update(task, |tracked| tracked.rest(next, now)),
            Ok(_) | Err(_) => self.follow_row(task, Some(row)),
        }
    }

    /// Withdraws the offers that have to give way.
    pub(super) fn review_offers(&mut self) {
        for (pool, tasks) in self.offers.take_reviews() {
            let calm = self.cx.settings().paused || self.tracked.slot_free(&pool, &self.cx);
            let calm = calm && !self.leadership.is_draining();
            for task in tasks {
                if self.is_paused(task) {
                    self.withdraw(task);
                } else if !calm {
                    self.review_offer(&pool, task);
                }
            }
        }
    }

    /// Takes an offer back.
    fn withdraw(&mut self, task: TaskId) {
        let Some(tracked) = self.tracked.known(task) else { return };
        if let Some(write) = Write::known(tracked.task(), Event::Withdraw, self.cx.now()) {
            self.begin_write(task, None, write);
        }
    }

    /// Whether the pool or the target of the task is paused, so that it does not start.
    pub(super) fn is_paused(&self, task: TaskId) -> bool {
        self.tracked.get(task).is_some_and(|tracked| self.cx.settings().is_paused(&tracked.lane))
    }

    /// Returns the claims that were not launched, of the pools and targets that are paused.
    pub(super) fn give_back_paused(&mut self) {
        let settings = self.cx.settings();
        let is_paused = |tracked: &Tracked| tracked.is_unlaunched_claim() && settings.is_paused(&tracked.lane);
        let paused = self.tracked.filter(is_paused);
        self.give_back_all(paused);
    }

    fn review_offer(&mut self, pool: &PoolName, task: TaskId) {
        let Some(tracked) = self.tracked.known(task) else { return };
        debug_assert!(tracked.is_offered(), "task {task} is among the offers and is not offered");
        let (position, lane) = (tracked.position, tracked.lane.clone());
        let impatient = tracked.has_waited_as_offer(self.cx.monotonic(), self.cx.tuning());
        let rival = self.plan.first_of(pool, &lane, self.tracked.worker_free(&self.cx));
        let sibling = self.plan.first_in(&lane);
        let outranked = rival.into_iter().chain(sibling).any(|other| other < position);
        let outwaited = impatient && rival.is_some();
        if !(outranked || outwaited || self.leadership.is_draining()) {
            return;
        }
        self.withdraw(task);
        if outwaited && !outranked {
            // Otherwise its lane would take the slot back at once.
            self.plan.set_resting(&lane, true);
            self.cx.at(self.cx.monotonic() + self.cx.tuning().offer_rest, Timer::Rested(lane));
        }
    }
}

fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn position(choice: &Choice<'_>) -> Option<QueuePosition> {
    if let Choice::Take { head, .. } = choice { Some(head.position) } else { None }
}

fn taken(choice: Choice<'_>) -> Option<(Lane, Head, bool)> {
    if let Choice::Take { lane, head, ahead } = choice { Some((lane.clone(), head.clone(), ahead)) } else { None }
}
