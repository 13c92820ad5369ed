//! Choosing what runs, and claiming it.

use super::held::{Held, Stage};
use super::{Bug, Command, Orchestrator};
use crate::names::{Run, TaskId};
use crate::plan::Choice;
use crate::plan::lane::{Head, Kind, Lane};
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
        heads.retain(|head| !self.held.contains_key(&head.turn.task) && !self.is_left_alone(head.turn.task));
        self.plan.skip(lane, read - heads.len());
        self.plan.refill(lane, heads, more);
        self.refresh_pool(&lane.pool);
        self.contested.insert(lane.pool.clone());
        self.hasty.insert(lane.pool.clone());
        self.want_target(&lane.target);
    }

    pub(super) fn ask_for_heads(&mut self) {
        for (lane, heads_max) in self.plan.refills(self.settings.tuning.refill_lanes_max) {
            self.say(Command::Refill { lane, heads_max });
        }
    }

    /// Takes all whose turn it is.
    pub(super) fn choose(&mut self) {
        while self.launches() {
            let (lane, head, ahead) = match self.plan.next(self.worker_free()) {
                Choice::Take { lane, head, ahead } => (lane.clone(), head.clone(), ahead),
                Choice::Await(_) | Choice::Nobody => break,
            };
            match (lane.kind, ahead) {
                (Kind::Run, true) => self.take_up(&lane, head.turn.task),
                (Kind::Run, false) => {
                    self.plan.remove(&lane, head.turn.task);
                    self.claim(lane, &head, false);
                }
                (Kind::Pull, _) => {
                    self.plan.remove(&lane, head.turn.task);
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
        match self.held.get(&task).map(|held| &held.stage) {
            Some(Stage::Claiming { .. }) => self.restage(task, Stage::Claiming { ahead: false }),
            Some(Stage::Ahead { .. }) => self.enqueue(task),
            // The plan has no others.
            Some(_) | None => debug_assert!(false, "task {task} is ahead of nothing"),
        }
    }

    pub(super) fn claim(&mut self, lane: Lane, head: &Head, ahead: bool) {
        let default_timeout = self.settings.timeout(&lane.target);
        let claim = Event::Claim { default_timeout };
        let Ok(task) = head.task().step(&claim, self.now) else {
            // Overdue: the sweep ends it.
            self.plan.remove(&lane, head.turn.task);
            return self.sweep_by(self.now);
        };
        if ahead {
            self.count_ahead(&lane.pool, true);
        }
        self.say(Command::Claim { task: head.turn.task, row: task.row() });
        let mut held = Held::new(head.turn, lane, task, Stage::Claiming { ahead });
        held.text_bytes = head.text_bytes;
        self.hold(held);
        if self.bug.get() == Some(Bug::LaunchBeforeClaim) && !ahead {
            self.enqueue(head.turn.task);
        }
    }

    pub(super) fn claimed(&mut self, task: TaskId, run: Run, claimed: bool) {
        let Some(Stage::Claiming { ahead }) = self.stage(task, run) else { return };
        let ahead = *ahead;
        match (claimed, ahead) {
            (true, true) => self.go_ahead(task),
            (true, false) => self.enqueue(task),
            (false, _) => {
                if let Some(held) = self.let_go(task) {
                    self.plan.remove(&held.lane, task);
                    if ahead {
                        self.count_ahead(&held.lane.pool, false);
                    }
                    self.leave_alone(task, held.lane);
                }
                return;
            }
        }
        self.forget_refusal(task);
    }

    /// Returns a claim that was not launched.
    pub(super) fn give_back(&mut self, task: TaskId) {
        let Some(held) = self.held.get_mut(&task) else { return };
        let Ok(next) = held.task.step(&Event::GiveBack, self.now) else { return };
        let was_ahead = matches!(held.stage, Stage::Ahead { .. });
        let run = held.task.run;
        held.task = next;
        let (row, lane, turn) = (held.task.row(), held.lane.clone(), held.turn);
        self.drop_from_queue(&lane.target, task);
        self.free_text(task);
        self.restage(task, Stage::Returning);
        self.say(Command::GiveBack { task, run, row });
        if was_ahead {
            self.plan.remove(&lane, task);
            self.count_ahead(&lane.pool, false);
            self.slow_down(&lane.pool);
        }
        self.plan.recall(&lane, turn);
    }

    pub(super) fn given_back(&mut self, task: TaskId, run: Run) {
        let returning = |held: &Held| matches!(held.stage, Stage::Returning) && held.task.run == run;
        if self.held.get(&task).is_some_and(returning)
            && let Some(held) = self.let_go(task)
        {
            self.look_at_lane(&held.lane);
            if let Some(deadline) = held.task.phase.times_up() {
                self.sweep_by(deadline);
            }
        }
    }

    /// While paused or draining: what is claimed and not launched goes back.
    pub(super) fn hold_back(&mut self) {
        if self.launches() {
            return;
        }
        let idle = |held: &Held| matches!(held.stage, Stage::Ahead { .. } | Stage::Queued);
        let back: Vec<TaskId> = self.held.iter().filter(|(_, held)| idle(held)).map(|(task, _)| *task).collect();
        for task in back {
            self.give_back(task);
        }
    }
}
