//! Choosing what runs, and claiming it.

use super::tracked::{Stage, Tracked, Write};
use super::{Command, Orchestrator};
use crate::names::TaskId;
use crate::plan::Choice;
use crate::plan::lane::{Head, Lane, LaneKind};
use crate::task::event::Event;

impl Orchestrator {
    pub(super) fn waiting(&mut self, lanes: &[Lane]) {
        for lane in lanes {
            self.look_at_lane(lane);
        }
    }

    pub(super) fn refilled(&mut self, lane: &Lane, mut heads: Vec<Head>, more: bool) {
        // What is in hand was read before it was, or cannot be written.
        let read = heads.len();
        heads.retain(|head| !self.tracked.contains_key(&head.position.task) && !self.is_left_alone(head.position.task));
        self.plan.skip(lane, read - heads.len());
        self.plan.refill(lane, heads, more);
        self.refresh_pool(&lane.pool);
        self.contested.insert(lane.pool.clone());
        self.hasty.insert(lane.pool.clone());
        self.want_target(&lane.target);
    }

    pub(super) fn ask_for_heads(&mut self) {
        for (lane, heads_max) in self.plan.refills(self.settings.tuning.refill_lanes_max) {
            self.emit(Command::Refill { lane, heads_max });
        }
    }

    /// Takes every task whose turn it is.
    pub(super) fn choose(&mut self) {
        while self.launches() {
            let (lane, head, ahead) = match self.plan.next(self.worker_free()) {
                Choice::Take { lane, head, ahead } => (lane.clone(), head.clone(), ahead),
                Choice::Await(_) | Choice::Nobody => break,
            };
            match (lane.kind, ahead) {
                (LaneKind::Run, true) => self.take_up(&lane, head.position.task),
                (LaneKind::Run, false) => {
                    self.plan.remove(&lane, head.position.task);
                    self.claim(lane, &head, false);
                }
                (LaneKind::Pull, _) => {
                    self.plan.remove(&lane, head.position.task);
                    self.offer(lane, &head);
                }
            }
        }
        self.work_ahead();
    }

    /// The turn has come of a task that is claimed already.
    fn take_up(&mut self, lane: &Lane, task: TaskId) {
        self.plan.remove(lane, task);
        self.count_ahead(&lane.pool, false);
        match self.tracked.get(&task).map(|tracked| &tracked.stage) {
            Some(Stage::Writing(write)) => {
                let write = Write { ahead: false, ..write.clone() };
                self.restage(task, Stage::Writing(write));
            }
            Some(Stage::Ahead { .. }) => self.enqueue(task),
            // The plan has no others.
            Some(_) | None => debug_assert!(false, "task {task} is ahead of nothing"),
        }
    }

    pub(super) fn claim(&mut self, lane: Lane, head: &Head, ahead: bool) {
        let default_timeout = self.settings.timeout(&lane.target);
        let Some(mut write) = self.write_of(&head.task(), Event::Claim { default_timeout }) else {
            // Overdue: the sweep ends it.
            self.plan.remove(&lane, head.position.task);
            return self.sweep_by(self.now.monotonic);
        };
        if ahead {
            self.count_ahead(&lane.pool, true);
        }
        write.ahead = ahead;
        let mut tracked =
            Tracked::new(head.position, lane, head.task(), Stage::Writing(write), &self.settings.tuning, self.now);
        tracked.text_bytes = head.text_bytes;
        self.track(tracked);
        self.send_write(head.position.task);
    }

    /// Returns a claim that was not launched.
    pub(super) fn give_back(&mut self, task: TaskId) {
        let Some(tracked) = self.tracked.get(&task) else { return };
        let default_timeout = self.settings.timeout(&tracked.lane.target);
        let Some(write) = self.write_of(&tracked.task, Event::GiveBack { default_timeout }) else { return };
        let was_ahead = matches!(tracked.stage, Stage::Ahead { .. });
        let (lane, position) = (tracked.lane.clone(), tracked.position);
        self.drop_from_queue(&lane.target, task);
        self.free_text(task);
        self.begin_write(task, write);
        if was_ahead {
            self.plan.remove(&lane, task);
            self.count_ahead(&lane.pool, false);
            self.slow_down(&lane.pool);
        }
        self.plan.recall(&lane, position);
    }

    /// While paused or draining: what is claimed and not launched goes back.
    pub(super) fn hold_back(&mut self) {
        if self.launches() {
            return;
        }
        let idle = |tracked: &Tracked| matches!(tracked.stage, Stage::Ahead { .. } | Stage::Queued);
        let back: Vec<TaskId> =
            self.tracked.iter().filter(|(_, tracked)| idle(tracked)).map(|(task, _)| *task).collect();
        for task in back {
            self.give_back(task);
        }
    }
}
