//! The scheduler: it takes each task from its lane to the row that records how it ended.

use super::claims_ahead::ClaimsAhead;
use super::context::Context;
use super::counters::Counters;
use super::ended::EndedTasks;
use super::leadership::Leadership;
use super::offers::Offers;
use super::requests::Requests;
use super::sessions::Sessions;
use super::skipped::SkippedTasks;
use super::sweep::Sweep;
use super::tracked::{Change, Tracked, TrackedTasks};
use crate::names::{PoolName, TaskId};
use crate::plan::Plan;
use crate::plan::lane::{Lane, QueuePosition};

/// The parts of the state that a task passes through.
///
/// Its methods stand in files by step: [`choosing`](super::choosing),
/// [`launching`](super::launching), [`requesting`](super::requesting),
/// [`recording`](super::recording), [`reaching`](super::reaching) and
/// [`confirming`](super::confirming).
///
/// Invariant: `plan` has no task that is tracked, except those that are claimed ahead. At most one
/// write about a task is under way.
#[derive(Debug)]
pub(super) struct Scheduler {
    pub(super) cx: Context,
    pub(super) leadership: Leadership,
    pub(super) plan: Plan,
    pub(super) tracked: TrackedTasks,
    pub(super) sessions: Sessions,
    pub(super) offers: Offers,
    pub(super) claims_ahead: ClaimsAhead,
    pub(super) requests: Requests,
    pub(super) skipped: SkippedTasks,
    pub(super) sweep: Sweep,
    pub(super) counters: Counters,
    pub(super) ended: EndedTasks,
}

impl Scheduler {
    pub(super) fn new(cx: Context, sessions: Sessions) -> Self {
        Self {
            leadership: Leadership::new(cx.tuning()),
            cx,
            plan: Plan::new(),
            tracked: TrackedTasks::default(),
            sessions,
            offers: Offers::default(),
            claims_ahead: ClaimsAhead::default(),
            requests: Requests::default(),
            skipped: SkippedTasks::default(),
            sweep: Sweep::default(),
            counters: Counters::default(),
            ended: EndedTasks::default(),
        }
    }

    /// The scheduler of a new epoch: settings, time and the numbers of sessions continue.
    pub(super) fn restarted(&self) -> Self {
        Self { ended: self.ended.restarted(), ..Self::new(self.cx.restarted(), self.sessions.restarted()) }
    }

    /// Queries may be claimed and sent.
    pub(super) fn launches(&self) -> bool {
        self.leadership.is_active() && !self.cx.settings().paused && !self.leadership.is_draining()
    }

    pub(super) fn track(&mut self, tracked: Tracked) {
        let change = self.tracked.insert(tracked, &mut self.cx);
        self.apply(change);
    }

    pub(super) fn untrack(&mut self, task: TaskId) -> Option<Tracked> {
        let (tracked, change) = self.tracked.remove(task, &mut self.cx)?;
        self.apply(change);
        Some(tracked)
    }

    pub(super) fn update(&mut self, task: TaskId, change: impl FnOnce(&mut Tracked)) {
        if let Some(change) = self.tracked.update(task, change, &mut self.cx) {
            self.apply(change);
        }
    }

    /// Passes the change of a task on to the other parts.
    pub(super) fn apply(&mut self, change: Change) {
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
        self.claims_ahead.replace((&change.pool, &change.target), change.position, change.ahead);
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
    pub(super) fn refresh_pool(&mut self, pool: &PoolName) {
        let (open, heads) = (self.tracked.slot_free(pool, &self.cx), self.cx.settings().window_heads(pool));
        self.plan.set_pool(pool, open, heads);
        if !open {
            self.claims_ahead.review(pool.clone());
            self.offers.review_if_any(pool);
        }
    }

    /// The store may have something new for these lanes.
    pub(super) fn refresh_lanes(&mut self, lanes: &[Lane]) {
        for lane in lanes {
            self.refresh_lane(lane);
        }
    }

    /// Takes lanes that have further tasks in the store: after a position, or anywhere.
    pub(super) fn lanes_have_tasks(&mut self, lanes: Vec<(Lane, Option<QueuePosition>)>) {
        for (lane, after) in lanes {
            match after {
                Some(after) => {
                    self.plan.arrive_after(&lane, after);
                    self.refresh_uses_of(&lane);
                }
                None => self.refresh_lane(&lane),
            }
        }
    }

    /// A task that left its lane may wait there again, at its position or a later one.
    pub(super) fn may_wait_again(&mut self, lane: &Lane, position: QueuePosition) {
        self.plan.arrive_after(lane, position.before());
        self.refresh_uses_of(lane);
    }

    /// Tasks may wait anywhere in the lane.
    pub(super) fn refresh_lane(&mut self, lane: &Lane) {
        self.plan.stale(lane);
        self.refresh_uses_of(lane);
    }

    fn refresh_uses_of(&mut self, lane: &Lane) {
        self.sessions.refresh_target(&lane.target, &mut self.plan);
        self.refresh_pool(&lane.pool);
        self.offers.review(lane.pool.clone());
    }
}
