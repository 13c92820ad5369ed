//! The tracked tasks, and what they take: pool slots, workers and memory for their texts.

mod task;
mod write;

use std::collections::BTreeMap;

use super::context::Context;
use super::occupancy::{Load, Occupancy};
use crate::names::{PoolName, TargetName, TaskId};

pub(super) use task::{CancelState, Detached, Marked, Stage, Tracked};
pub(super) use write::{Write, WriteState};

/// The tracked tasks.
///
/// Invariant: `occupancy` is the sum of the tasks' loads, `text_bytes` is the sum of their texts in
/// memory, and the timers have exactly the times that the tasks name. So a stage changes through
/// this table only.
#[derive(Debug, Default)]
pub(super) struct TrackedTasks {
    tasks: BTreeMap<TaskId, Tracked>,
    occupancy: Occupancy,
    text_bytes: u64,
}

/// What the change of one task means for the other parts.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) pool: PoolName,
    pub(super) target: TargetName,
    /// The number of taken slots of the pool changed.
    pub(super) slots_changed: bool,
    /// A worker is free, and none was before.
    pub(super) first_worker_freed: bool,
    /// The slot rests from now on.
    pub(super) starts_resting: bool,
    /// Whether the task wants a session from now on, if that changed.
    pub(super) wants_session: Option<bool>,
    /// A write was under way and is no longer.
    pub(super) write_ended: bool,
}

impl TrackedTasks {
    pub(super) fn contains(&self, task: TaskId) -> bool {
        self.tasks.contains_key(&task)
    }

    pub(super) fn get(&self, task: TaskId) -> Option<&Tracked> {
        self.tasks.get(&task)
    }

    pub(super) fn get_mut(&mut self, task: TaskId) -> Option<&mut Tracked> {
        self.tasks.get_mut(&task)
    }

    /// A task that the caller knows to be tracked.
    pub(super) fn known(&self, task: TaskId) -> Option<&Tracked> {
        let tracked = self.tasks.get(&task);
        debug_assert!(tracked.is_some(), "task {task} is not tracked");
        tracked
    }

    /// A task that the caller knows to be tracked.
    pub(super) fn known_mut(&mut self, task: TaskId) -> Option<&mut Tracked> {
        let tracked = self.tasks.get_mut(&task);
        debug_assert!(tracked.is_some(), "task {task} is not tracked");
        tracked
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

    pub(super) fn insert(&mut self, tracked: Tracked, cx: &mut Context) -> Change {
        let task = tracked.position.task;
        let mut change = self.replace_load(&tracked, Load::NOTHING, tracked.load(), cx);
        change.wants_session = tracked.wants_session().then_some(true);
        let before = self.tasks.insert(task, tracked);
        debug_assert!(before.is_none(), "task {task} is tracked already");
        self.schedule(task, cx);
        change
    }

    pub(super) fn remove(&mut self, task: TaskId, cx: &mut Context) -> Option<(Tracked, Change)> {
        let tracked = self.tasks.remove(&task);
        debug_assert!(tracked.is_some(), "task {task} is not tracked");
        let tracked = tracked?;
        self.text_bytes -= tracked.text_in_memory;
        cx.timers.reschedule(task, tracked.timers, [None, None]);
        let mut change = self.replace_load(&tracked, tracked.load(), Load::NOTHING, cx);
        change.wants_session = tracked.wants_session().then_some(false);
        change.write_ended = tracked.write().is_some();
        Some((tracked, change))
    }

    pub(super) fn set_stage(&mut self, task: TaskId, stage: Stage, cx: &mut Context) -> Option<Change> {
        let tracked = self.known_mut(task)?;
        let (load, wanted, writing) = (tracked.load(), tracked.wants_session(), tracked.write().is_some());
        tracked.stage = stage;
        let mut change = self.changed_load(task, load, cx)?;
        let wants = self.tasks.get(&task)?.wants_session();
        change.wants_session = (wants != wanted).then_some(wants);
        change.write_ended = writing;
        self.schedule(task, cx);
        Some(change)
    }

    pub(super) fn set_detached(&mut self, task: TaskId, detached: Detached, cx: &Context) -> Option<Change> {
        let tracked = self.tasks.get_mut(&task)?;
        let load = tracked.load();
        tracked.detached = detached;
        self.changed_load(task, load, cx)
    }

    fn changed_load(&mut self, task: TaskId, before: Load, cx: &Context) -> Option<Change> {
        let tracked = self.tasks.get(&task)?;
        let after = tracked.load();
        let (pool, target) = (tracked.lane.pool.clone(), tracked.lane.target.clone());
        Some(self.move_load(pool, target, before, after, cx))
    }

    fn replace_load(&mut self, tracked: &Tracked, before: Load, after: Load, cx: &Context) -> Change {
        self.move_load(tracked.lane.pool.clone(), tracked.lane.target.clone(), before, after, cx)
    }

    fn move_load(&mut self, pool: PoolName, target: TargetName, before: Load, after: Load, cx: &Context) -> Change {
        let all_busy = self.occupancy.workers() >= cx.settings().workers;
        let slots_changed = self.occupancy.replace(&pool, before, after);
        Change {
            pool,
            target,
            slots_changed,
            first_worker_freed: before.worker && !after.worker && all_busy,
            starts_resting: after.rests && !before.rests,
            wants_session: None,
            write_ended: false,
        }
    }

    /// Sets the timers of a task to the times that it names.
    pub(super) fn schedule(&mut self, task: TaskId, cx: &mut Context) {
        let tuning = *cx.tuning();
        let Some(tracked) = self.known_mut(task) else { return };
        let dues = tracked.dues(&tuning);
        let before = std::mem::replace(&mut tracked.timers, dues);
        cx.timers.reschedule(task, before, dues);
    }

    /// Whether so many more bytes of texts fit into memory. A single text always does.
    pub(super) const fn fits_text(&self, bytes: u64, cx: &Context) -> bool {
        self.text_bytes == 0 || self.text_bytes + bytes <= cx.tuning().text_bytes_max
    }

    /// The task's text comes with its mark.
    pub(super) fn take_text(&mut self, task: TaskId) {
        let Some(tracked) = self.known_mut(task) else { return };
        let bytes = tracked.text_missing();
        tracked.text_in_memory = tracked.text_bytes;
        self.text_bytes += bytes;
    }

    /// The task's text is no longer in memory; returns whether it was.
    pub(super) fn free_text(&mut self, task: TaskId) -> bool {
        let Some(tracked) = self.tasks.get_mut(&task) else { return false };
        let bytes = std::mem::take(&mut tracked.text_in_memory);
        debug_assert!(bytes <= self.text_bytes, "the texts in memory are fewer than the text of task {task}");
        self.text_bytes -= bytes;
        bytes > 0
    }

    /// Whether occupancy and text bytes are what a recount gives.
    pub(super) fn audit(&self) -> bool {
        let mut recount = Occupancy::default();
        for tracked in self.tasks.values() {
            recount.replace(&tracked.lane.pool, Load::NOTHING, tracked.load());
        }
        let text_bytes: u64 = self.tasks.values().map(|tracked| tracked.text_in_memory).sum();
        recount == self.occupancy && text_bytes == self.text_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::Settings;
    use super::*;
    use crate::names::{Priority, SessionId};
    use crate::plan::lane::{Lane, LaneKind, QueuePosition};
    use crate::task::{Task, TaskOptions};
    use crate::time::{MonotonicTime, Now, Timestamp};

    fn tracked(task: i64, stage: Stage, cx: &Context) -> Tracked {
        let target = TargetName::new("t").unwrap();
        let lane = Lane { pool: PoolName::of(None, &target), target, kind: LaneKind::Run };
        let position = QueuePosition { priority: Priority(0), entered: Timestamp::from_micros(0), task: TaskId(task) };
        Tracked::new(position, lane, Task::pushed(TaskOptions::default()), stage, cx.tuning(), cx.now())
    }

    fn context(workers: u32) -> Context {
        let mut cx = Context::new(Settings { workers, ..Settings::default() }, 1);
        cx.advance(Now::from_micros(0));
        cx
    }

    #[test]
    fn the_occupancy_follows_every_stage() {
        let (mut cx, mut tasks) = (context(1), TrackedTasks::default());
        let pool = PoolName::new("t").unwrap();
        let change = tasks.insert(tracked(1, Stage::Queued, &cx), &mut cx);
        assert_eq!((change.slots_changed, change.wants_session), (true, Some(true)));
        let change = tasks.set_stage(TaskId(1), Stage::Marking { session: SessionId(1) }, &mut cx).unwrap();
        assert_eq!((change.slots_changed, change.wants_session), (false, Some(false)));
        let change = tasks.set_stage(TaskId(1), Stage::Yielded, &mut cx).unwrap();
        assert!(change.first_worker_freed && change.starts_resting && !change.slots_changed);
        assert_eq!((tasks.occupancy().of(&pool).slots, tasks.occupancy().workers()), (1, 0));
        tasks.set_detached(TaskId(1), Detached::MayRun, &cx);
        assert_eq!(tasks.occupancy().workers(), 1, "its query may run on a lost session");
        assert!(tasks.audit());
        let (_, change) = tasks.remove(TaskId(1), &mut cx).unwrap();
        assert!(change.slots_changed && tasks.audit());
        assert_eq!(tasks.occupancy().pools().count(), 0);
    }

    #[test]
    fn timers_come_and_go_with_the_stage() {
        let (mut cx, mut tasks) = (context(1), TrackedTasks::default());
        tasks.insert(tracked(1, Stage::ClaimedAhead { since: cx.monotonic() }, &cx), &mut cx);
        assert_eq!(cx.timers.first(), Some(MonotonicTime::from_micros(0) + cx.tuning().ahead_age_max));
        tasks.set_stage(TaskId(1), Stage::Queued, &mut cx);
        assert_eq!(cx.timers.len(), 0, "it has no deadline");
    }

    #[test]
    fn texts_are_counted_once_and_one_always_fits() {
        let (mut cx, mut tasks) = (context(1), TrackedTasks::default());
        let huge = cx.tuning().text_bytes_max + 1;
        for task in [1, 2] {
            let mut one = tracked(task, Stage::Queued, &cx);
            one.text_bytes = huge;
            tasks.insert(one, &mut cx);
        }
        assert!(tasks.fits_text(huge, &cx));
        tasks.take_text(TaskId(1));
        tasks.take_text(TaskId(1));
        assert!(!tasks.fits_text(1, &cx));
        assert!(tasks.free_text(TaskId(1)) && !tasks.free_text(TaskId(1)));
        tasks.take_text(TaskId(2));
        tasks.remove(TaskId(2), &mut cx);
        assert!(tasks.fits_text(huge, &cx) && tasks.audit());
    }
}
