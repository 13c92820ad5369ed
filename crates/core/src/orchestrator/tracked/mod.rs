//! The tracked tasks, and what they take: pool slots, workers and memory for their texts.

mod answer;
mod due;
mod session;
mod stop;
mod task;
mod write;

use std::collections::BTreeMap;

use super::claims_ahead::{Ahead, Lack};
use super::command::Command;
use super::context::Context;
use super::marks::Marks;
use super::occupancy::{Load, Occupancy};
use super::starts::Starts;
use crate::names::{PoolName, Run, SessionId, TargetName, TaskId};
use crate::plan::lane::QueuePosition;
use crate::task::phase::Phase;
use crate::task::row_event::TaskEvent;

pub(super) use answer::Verdict;
pub(super) use due::Due;
pub(super) use session::{CancelState, LostHost, TaskSession};
pub(super) use stop::Dropped;
pub(super) use task::{Marked, Tracked, rests_in};
pub(super) use write::{Write, WriteState, event_time};

/// The tracked tasks, and the launch marks about them.
///
/// Invariant: `occupancy` is the sum of the tasks' loads, and the timers have exactly the times
/// that the tasks name. So what these follow from changes through [`TrackedTasks::update`] only.
#[derive(Debug, Default)]
pub(super) struct TrackedTasks {
    tasks: BTreeMap<TaskId, Tracked>,
    occupancy: Occupancy,
    pub(super) starts: Starts,
    pub(super) marks: Marks,
}

/// What the other parts need to know of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Footprint {
    load: Load,
    ahead: Ahead,
    wants_session: bool,
    offered: bool,
    started: bool,
    writing: bool,
}

impl Footprint {
    /// The footprint of a task that is not tracked.
    const NONE: Self = Self {
        load: Load::NOTHING,
        ahead: Ahead::No,
        wants_session: false,
        offered: false,
        started: false,
        writing: false,
    };

    fn of(tracked: &Tracked) -> Self {
        Self {
            load: tracked.load(),
            ahead: tracked.ahead(),
            wants_session: *tracked.session() == TaskSession::Wanted,
            offered: tracked.is_offered(),
            started: matches!(tracked.task().phase, Phase::Launched { .. } | Phase::Pulled { .. }),
            writing: tracked.pending_write().is_some(),
        }
    }
}

/// What the change of one task means for the other parts.
#[derive(Debug)]
#[must_use]
pub(super) struct Change {
    pub(super) position: QueuePosition,
    pub(super) pool: PoolName,
    pub(super) target: TargetName,
    /// Whether a task of the pool may run may have changed.
    pub(super) slots_changed: bool,
    /// A worker is free, and none was before.
    pub(super) first_worker_freed: bool,
    /// The slot rests from now on.
    pub(super) starts_resting: bool,
    /// The text of the task is no longer in memory.
    pub(super) text_freed: bool,
    /// Whether the task wants a session from now on, if that changed.
    pub(super) wants_session: Option<bool>,
    /// Whether it is offered from now on, or was until now; `None` for neither.
    pub(super) offered: Option<bool>,
    /// How far it was and is claimed ahead.
    pub(super) ahead: (Ahead, Ahead),
    /// A write was pending and is no longer.
    pub(super) write_ended: bool,
}

impl Change {
    /// Accounts for the change of a task.
    fn new(
        (occupancy, starts): (&mut Occupancy, &mut Starts),
        tracked: &Tracked,
        before: Footprint,
        after: Footprint,
        cx: &mut Context,
    ) -> Self {
        let all_busy = occupancy.workers() >= cx.settings().workers;
        let pool = tracked.lane.pool.clone();
        let mut slots_changed = occupancy.replace(&pool, before.load, after.load);
        // An offer that is not withdrawn was taken, though its end may be seen first.
        let starts_now = !before.started && after.started || before.offered && after == Footprint::NONE;
        if (starts_now || before.load.starting != after.load.starting) && cx.settings().spacings.contains_key(&pool) {
            slots_changed = true;
            if starts_now {
                starts.note(&pool, cx);
            }
        }
        Self {
            position: tracked.position,
            slots_changed,
            pool,
            target: tracked.lane.target.clone(),
            first_worker_freed: before.load.worker && !after.load.worker && all_busy,
            starts_resting: after.load.rests && !before.load.rests,
            text_freed: after.load.text_bytes < before.load.text_bytes,
            wants_session: (before.wants_session != after.wants_session).then_some(after.wants_session),
            offered: (before.offered || after.offered).then_some(after.offered),
            ahead: (before.ahead, after.ahead),
            write_ended: before.writing && !after.writing,
        }
    }
}

impl TrackedTasks {
    pub(super) fn contains(&self, task: TaskId) -> bool {
        self.tasks.contains_key(&task)
    }

    pub(super) fn get(&self, task: TaskId) -> Option<&Tracked> {
        self.tasks.get(&task)
    }

    /// The task, if it is tracked on this run.
    pub(super) fn of_run(&self, task: TaskId, run: Run) -> Option<&Tracked> {
        self.tasks.get(&task).filter(|tracked| tracked.task().run == run)
    }

    /// The task, which the caller knows to be tracked.
    pub(super) fn known(&self, task: TaskId) -> Option<&Tracked> {
        let tracked = self.tasks.get(&task);
        debug_assert!(tracked.is_some(), "task {task} is not tracked");
        tracked
    }

    /// The task, which the caller knows to be tracked.
    pub(super) fn known_mut(&mut self, task: TaskId) -> Option<&mut Tracked> {
        let tracked = self.tasks.get_mut(&task);
        debug_assert!(tracked.is_some(), "task {task} is not tracked");
        tracked
    }

    /// Whether a session of the task is lost and may run its query.
    pub(super) fn may_run_on_lost_session(&self, task: TaskId) -> bool {
        self.known(task).is_some_and(|tracked| tracked.session().lost_host().is_some())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (TaskId, &Tracked)> {
        self.tasks.iter().map(|(task, tracked)| (*task, tracked))
    }

    /// The tasks of which this is true.
    pub(super) fn filter(&self, is_wanted: impl Fn(&Tracked) -> bool) -> Vec<TaskId> {
        self.iter().filter(|(_, tracked)| is_wanted(tracked)).map(|(task, _)| task).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    pub(super) const fn occupancy(&self) -> &Occupancy {
        &self.occupancy
    }

    pub(super) fn worker_free(&self, cx: &Context) -> bool {
        self.occupancy.workers() < cx.settings().workers
    }

    pub(super) fn slot_free(&self, pool: &PoolName, cx: &Context) -> bool {
        let taken = self.occupancy.of(pool);
        taken.slots < cx.settings().limit(pool)
            && !cx.settings().paused_pools.contains(pool)
            && (!cx.settings().spacings.contains_key(pool) || taken.starting == 0 && self.starts.is_due(pool, cx))
    }

    /// The query of a task has been sent, which may be later than it was launched.
    pub(super) fn sent(&mut self, task: TaskId, cx: &mut Context) {
        // Without a limit on any pool, a launch costs no look-up.
        if !cx.settings().spacings.is_empty()
            && let Some(tracked) = self.tasks.get(&task)
        {
            self.starts.note(&tracked.lane.pool, cx);
        }
    }

    /// The last of the tasks that are claimed ahead for the slots of a pool, or without a pool for
    /// workers; the very last one first.
    pub(super) fn last_ahead(&self, pool: Option<&PoolName>, tasks: u32) -> Vec<TaskId> {
        let is_ahead = |tracked: &&Tracked| match (tracked.ahead(), pool) {
            (Ahead::Unmarked(Lack::Slot) | Ahead::Marked(Lack::Slot), Some(pool)) => tracked.lane.pool == *pool,
            (Ahead::Unmarked(lack) | Ahead::Marked(lack), None) => lack == Lack::Worker,
            (_, _) => false,
        };
        let mut positions: Vec<QueuePosition> =
            self.tasks.values().filter(is_ahead).map(|tracked| tracked.position).collect();
        positions.sort_unstable();
        let tasks = usize::try_from(tasks).unwrap_or(usize::MAX);
        positions.into_iter().rev().take(tasks).map(|position| position.task).collect()
    }

    pub(super) fn insert(&mut self, tracked: Tracked, cx: &mut Context) -> Change {
        let task = tracked.position.task;
        debug_assert!(tracked.is_consistent(), "{tracked:?}");
        let change = Change::new(
            (&mut self.occupancy, &mut self.starts),
            &tracked,
            Footprint::NONE,
            Footprint::of(&tracked),
            cx,
        );
        let before = self.tasks.insert(task, tracked);
        debug_assert!(before.is_none(), "task {task} is tracked already");
        self.schedule(task, cx);
        change
    }

    pub(super) fn remove(&mut self, task: TaskId, cx: &mut Context) -> Option<(Tracked, Change)> {
        let tracked = self.tasks.remove(&task);
        debug_assert!(tracked.is_some(), "task {task} is not tracked");
        let tracked = tracked?;
        cx.timers.reschedule(task, tracked.timers, [None, None]);
        let change = Change::new(
            (&mut self.occupancy, &mut self.starts),
            &tracked,
            Footprint::of(&tracked),
            Footprint::NONE,
            cx,
        );
        Some((tracked, change))
    }

    /// Changes a task; returns what that means for the other parts.
    pub(super) fn update(
        &mut self,
        task: TaskId,
        change: impl FnOnce(&mut Tracked),
        cx: &mut Context,
    ) -> Option<Change> {
        let tracked = self.tasks.get_mut(&task);
        debug_assert!(tracked.is_some(), "task {task} is not tracked");
        let tracked = tracked?;
        let before = Footprint::of(tracked);
        change(tracked);
        debug_assert!(tracked.is_consistent(), "{tracked:?}");
        let change = Change::new((&mut self.occupancy, &mut self.starts), tracked, before, Footprint::of(tracked), cx);
        self.schedule(task, cx);
        Some(change)
    }

    /// Sets the timers of a task to the times that it names.
    fn schedule(&mut self, task: TaskId, cx: &mut Context) {
        let tuning = *cx.tuning();
        let Some(tracked) = self.known_mut(task) else { return };
        let dues = tracked.dues(&tuning);
        let before = std::mem::replace(&mut tracked.timers, dues);
        cx.timers.reschedule(task, before, dues);
    }

    /// Whether so many more bytes of texts fit into memory. A single text always does.
    pub(super) const fn fits_text(&self, bytes: u64, cx: &Context) -> bool {
        let present = self.occupancy.text_bytes();
        present == 0 || present + bytes <= cx.tuning().text_bytes_max
    }

    /// Marks a launch, on this session or on any, and reserves memory for the text, which comes
    /// with the mark.
    pub(super) fn mark(&mut self, task: TaskId, session: Option<SessionId>, cx: &mut Context) {
        let tracked = self.tasks.get_mut(&task);
        debug_assert!(tracked.is_some(), "task {task} is not tracked");
        let Some(tracked) = tracked else { return };
        let (run, before) = (tracked.task().run, tracked.load());
        tracked.take_text();
        // From now on, not from its answer on, the task counts as launched for a successor.
        tracked.mark_sent = true;
        self.occupancy.replace(&tracked.lane.pool, before, tracked.load());
        self.marks.sent();
        cx.emit(Command::Mark { task, run, session });
    }

    /// Sends a mark that the store refused again, if it is still wanted.
    pub(super) fn mark_again(&mut self, task: TaskId, run: Run, session: Option<SessionId>, cx: &mut Context) {
        if self.get(task).is_some_and(|tracked| tracked.awaits_mark(run, session)) {
            self.mark(task, session, cx);
        }
    }

    /// Rotates the launch marks, if that is due. The marks of tasks that may be launched, as
    /// far as a successor can know, and that are not recorded are carried over.
    pub(super) fn rotate_marks_if_due(&mut self, cx: &mut Context) {
        if self.marks.start_rotation(cx.tuning().marks_max) {
            let launched = self.tasks.iter().filter(|(_, tracked)| tracked.counts_as_launched());
            let launched = launched.map(|(task, tracked)| (*task, tracked.task().run)).collect();
            cx.emit(Command::RotateMarks { launched });
        }
    }

    /// Sends the pending write of a task. Without the store the row is read when the store is back,
    /// and then the write is sent.
    pub(super) fn send_write(&mut self, task: TaskId, store_is_there: bool, cx: &mut Context) {
        let Some(tracked) = self.known_mut(task) else { return };
        tracked.set_write_state(if store_is_there { WriteState::Sent } else { WriteState::Unconfirmed });
        let Some(Write { event, at, .. }) = tracked.pending_write().cloned() else {
            debug_assert!(false, "nothing is to be written about task {task}");
            return;
        };
        let (run, launch, settles) = (tracked.task().run, tracked.task().launch_state(), tracked.settles.clone());
        self.schedule(task, cx);
        if store_is_there {
            cx.emit(Command::Write(TaskEvent { task, run, event, launch, at, settles }));
        }
    }

    /// Nothing came of the write: it is sent again, later each time.
    pub(super) fn write_later(&mut self, task: TaskId, cx: &mut Context) {
        let (now, random) = (cx.monotonic(), cx.random());
        let Some(tracked) = self.known_mut(task) else { return };
        let at = now + tracked.backoff.next(random);
        tracked.set_write_state(WriteState::Due { at });
        self.schedule(task, cx);
    }

    /// The store is lost: the answers to the writes that were sent will not come.
    pub(super) fn doubt_writes(&mut self) {
        for tracked in self.tasks.values_mut() {
            if tracked.pending_write().is_some_and(|write| write.state == WriteState::Sent) {
                tracked.set_write_state(WriteState::Unconfirmed);
            }
        }
    }

    /// The tasks whose rows are read when the store is back: those of unconfirmed writes, and those
    /// that others may have changed meanwhile.
    pub(super) fn unconfirmed(&self) -> Vec<TaskId> {
        let in_doubt = |write: &Write| write.state == WriteState::Unconfirmed;
        self.filter(|tracked| tracked.follows_row() || tracked.pending_write().is_some_and(in_doubt))
    }

    /// Whether the occupancy is what a recount gives.
    pub(super) fn audit(&self) -> bool {
        let mut recount = Occupancy::default();
        for tracked in self.tasks.values() {
            recount.replace(&tracked.lane.pool, Load::NOTHING, tracked.load());
        }
        recount == self.occupancy
    }
}

#[cfg(test)]
mod tests;
