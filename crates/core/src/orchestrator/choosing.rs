//! Choosing the tasks that run, and claiming them.

use super::Orchestrator;
use super::command::Command;
use super::tracked::{Marked, Stage, Tracked, Write};
use crate::names::{PoolName, TaskId};
use crate::plan::Choice;
use crate::plan::lane::{Head, Lane, LaneKind, QueuePosition};
use crate::task::event::Event;

impl Orchestrator {
    pub(super) fn waiting(&mut self, lanes: &[Lane]) {
        for lane in lanes {
            self.refresh_lane(lane);
        }
    }

    pub(super) fn refilled(&mut self, lane: &Lane, mut heads: Vec<Head>, more: bool) {
        // A tracked task was read before it was claimed, and a skipped one cannot be written.
        let read = heads.len();
        let taken = |task| self.tracked.contains(task) || self.skipped.is_skipped(task);
        heads.retain(|head| !taken(head.position.task));
        self.plan.skip(lane, read - heads.len());
        self.plan.refill(lane, heads, more);
        self.refresh_pool(&lane.pool);
        self.offers.review(lane.pool.clone());
        self.claims_ahead.review(lane.pool.clone());
        self.sessions.want_target(&lane.target, &mut self.plan);
    }

    pub(super) fn ask_for_heads(&mut self) {
        for (lane, heads_max) in self.plan.refills(self.cx.tuning().refill_lanes_max) {
            self.cx.emit(Command::Refill { lane, heads_max });
        }
    }

    /// Takes every task whose turn has come.
    pub(super) fn choose(&mut self) {
        while self.launches() {
            let (lane, head, ahead) = match self.plan.next(self.worker_free()) {
                Choice::Take { lane, head, ahead } => (lane.clone(), head.clone(), ahead),
                Choice::Await(_) | Choice::Nobody => break,
            };
            self.plan.remove(&lane, head.position.task);
            match (lane.kind, ahead) {
                (LaneKind::Run, true) => self.turn_has_come(&lane, head.position.task),
                (LaneKind::Run, false) => self.claim(lane, &head, false),
                (LaneKind::Pull, _) => self.offer(lane, &head),
            }
        }
        self.claim_and_mark_ahead();
    }

    /// The turn of a task has come that is claimed already, or is about to be.
    fn turn_has_come(&mut self, lane: &Lane, task: TaskId) {
        self.claims_ahead.unclaim(&lane.pool);
        match self.tracked.known(task).map(Tracked::stage) {
            Some(Stage::Writing(write)) => {
                let write = Write { ahead: false, ..write.clone() };
                self.set_stage(task, Stage::Writing(write));
            }
            Some(Stage::ClaimedAhead { .. }) => self.enqueue(task),
            Some(_) | None => debug_assert!(false, "the plan has task {task}, which is not claimed ahead"),
        }
    }

    pub(super) fn claim(&mut self, lane: Lane, head: &Head, ahead: bool) {
        let default_timeout = self.cx.settings().timeout(&lane.target);
        let Some(mut write) = self.write_of(&head.task(), Event::Claim { default_timeout }) else {
            // It is overdue, and the sweep ends it.
            self.plan.remove(&lane, head.position.task);
            return self.sweep_by(self.cx.monotonic());
        };
        if ahead {
            self.claims_ahead.claim(&lane.pool);
        }
        write.ahead = ahead;
        let stage = Stage::Writing(write);
        let mut tracked = Tracked::new(head.position, lane, head.task(), stage, self.cx.tuning(), self.cx.now());
        tracked.text_bytes = head.text_bytes;
        self.track(tracked);
        self.send_write(head.position.task);
    }

    /// Claims and marks ahead for pools that are full of short tasks.
    fn claim_and_mark_ahead(&mut self) {
        for pool in self.claims_ahead.take_reviews() {
            // Only slots in which queries run come free by themselves.
            let taken = self.tracked.occupancy().of(&pool);
            let slots = (taken.slots - taken.resting).min(self.cx.settings().workers);
            let Some(limits) = self.claims_ahead.limits(&pool, slots, self.cx.tuning()) else { continue };
            self.give_back_surplus(&pool, limits.claims);
            if !self.launches() {
                continue;
            }
            while self.claims_ahead.claims(&pool) < limits.claims
                && let Some((lane, head)) = self.plan.claim_ahead(&pool)
            {
                self.claim(lane, &head, true);
            }
            self.mark_ahead(&pool, limits.marks);
        }
    }

    /// Marks the first of the tasks that are claimed ahead, so that each can be sent as soon as a slot
    /// is free.
    fn mark_ahead(&mut self, pool: &PoolName, marks_max: u32) {
        while let Some(position) = self.claims_ahead.first_unmarked(pool, marks_max) {
            let task = position.task;
            let Some(tracked) = self.tracked.known_mut(task) else { return };
            let (run, bytes) = (tracked.task().run, tracked.text_bytes);
            if !self.tracked.fits_text(bytes, &self.cx) {
                return;
            }
            self.claims_ahead.mark(pool, position);
            if let Some(tracked) = self.tracked.known_mut(task) {
                tracked.marked = Marked::Requested;
            }
            self.tracked.take_text(task);
            self.emit_mark(task, run, None);
        }
    }

    /// The claim ahead is written: the task waits for its turn.
    pub(super) fn claimed_ahead(&mut self, task: TaskId) {
        self.set_stage(task, Stage::ClaimedAhead { since: self.cx.monotonic() });
        if let Some(tracked) = self.tracked.known(task) {
            self.claims_ahead.insert_unmarked(&tracked.lane.pool, tracked.position);
        }
    }

    /// The task leaves its stage, and is no longer ahead of its turn.
    pub(super) fn leave_ahead(&mut self, task: TaskId) {
        if let Some(tracked) = self.tracked.get(task)
            && matches!(tracked.stage(), Stage::ClaimedAhead { .. })
        {
            self.claims_ahead.remove(&tracked.lane.pool, tracked.position, tracked.marked);
        }
    }

    /// The store is lost, and with it the texts that came with marks: the launches have to be marked
    /// anew.
    pub(super) fn forget_marks_ahead(&mut self) {
        let is_marked =
            |tracked: &Tracked| tracked.marked != Marked::No || matches!(tracked.stage(), Stage::Marking { .. });
        for task in self.tracked.filter(is_marked) {
            self.leave_ahead(task);
            self.free_text(task);
            let Some(tracked) = self.tracked.known_mut(task) else { continue };
            tracked.marked = Marked::No;
            if let Stage::ClaimedAhead { .. } = tracked.stage() {
                self.claims_ahead.insert_unmarked(&tracked.lane.pool, tracked.position);
            }
        }
    }

    /// Returns the last of the claims ahead when there are more than slots to wait for.
    fn give_back_surplus(&mut self, pool: &PoolName, claims_max: u32) {
        let claims = self.claims_ahead.claims(pool);
        if claims <= claims_max || self.slot_free(pool) {
            return;
        }
        let is_ahead =
            |tracked: &Tracked| matches!(tracked.stage(), Stage::ClaimedAhead { .. }) && tracked.lane.pool == *pool;
        let mut positions: Vec<QueuePosition> =
            self.tracked.iter().filter(|(_, tracked)| is_ahead(tracked)).map(|(_, tracked)| tracked.position).collect();
        positions.sort_unstable();
        let surplus = usize::try_from(claims - claims_max).unwrap_or(usize::MAX);
        for position in positions.into_iter().rev().take(surplus) {
            self.give_back(position.task);
        }
    }

    /// Returns a claim that was not launched.
    pub(super) fn give_back(&mut self, task: TaskId) {
        let Some(tracked) = self.tracked.known(task) else { return };
        let default_timeout = self.cx.settings().timeout(&tracked.lane.target);
        let Some(write) = self.write_of(tracked.task(), Event::GiveBack { default_timeout }) else {
            debug_assert!(false, "task {task} is given back and is not claimed");
            return;
        };
        let was_ahead = matches!(tracked.stage(), Stage::ClaimedAhead { .. });
        let (lane, position) = (tracked.lane.clone(), tracked.position);
        self.sessions.dequeue(&lane.target, position);
        self.free_text(task);
        self.begin_write(task, write);
        if was_ahead {
            self.plan.remove(&lane, task);
            self.claims_ahead.unclaim(&lane.pool);
            self.claims_ahead.slow_down(&lane.pool, self.cx.tuning());
        }
        self.plan.recall(&lane, position);
    }

    /// While paused or draining, tasks that are claimed and not launched are given back.
    pub(super) fn give_back_unlaunched(&mut self) {
        if self.launches() {
            return;
        }
        for task in self.tracked.filter(|tracked| tracked.stage().is_unlaunched_claim()) {
            self.give_back(task);
        }
    }
}
